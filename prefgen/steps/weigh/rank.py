"""`weigh: rank`: from pairs, who wins against whom, as a strength for each and a place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field

from prefgen.errors import one_of
from prefgen.judging.strengths import fit_strengths
from prefgen.spec.fields import Name
from prefgen.spec.pipeline import Grain
from prefgen.steps.context import Context
from prefgen.steps.step import Parts, Step
from prefgen.steps.table.glue import kept
from prefgen.steps.weigh.contest import Contest
from prefgen.steps.weigh.fit import check_counts
from prefgen.store.table import Table

_MOST = 2_000  # values that compete in one group: the strengths of all are solved for at once
_COLUMNS = ("strength", "error", "place", "n_pairs")


class WeighRank(Step):
    """One row per value that competes (in each group): its strength in log-odds with mean 0, the standard error, its place from 1.

    ```yaml
    table_of_writers: {weigh: rank, from: pairs, of: writer}
    ```

    The model of Bradley and Terry (1952): i wins against j with probability 1 / (1 + exp(s_j - s_i)). Who wins stands in
    `chosen_<of>`, who loses in `rejected_<of>`; a pair of one value with itself says nothing. Where pairs have probabilities, as
    those of a judge, these are fitted.
    """

    kind: ClassVar[str] = "weigh"
    grain: ClassVar[Grain] = "rows"

    weigh: Literal["rank"] = Field(description="`rank`: how strong each is.")
    from_: Name = Field(alias="from", description="Name of a step with pairs of candidates.")
    of: Name = Field(
        description="Column whose values compete, which the pairs have of both sides: `writer`, or `candidate_id`."
    )
    by: list[Name] = Field(
        default_factory=list, description="Columns whose values are ranked apart; by default all together."
    )
    ridge: float = Field(
        0.1,
        gt=0,
        description="Takes ridge / 2 x the sum of squared strengths from the log-likelihood, so that what always wins has a finite one.",
    )

    def reads(self) -> tuple[tuple[str, str], ...]:
        return (("from", self.from_),)

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """The strengths, group by group, the strongest first."""
        rows = kept(tables[self.from_])
        check_counts(rows, context)
        self._check(rows, context)
        chosen, rejected = f"chosen_{self.of}", f"rejected_{self.of}"
        told = rows.drop_nulls([chosen, rejected]).filter(pl.col(chosen) != pl.col(rejected))
        schema = {name: rows.schema[name] for name in self.by} | {self.of: rows.schema[chosen]}
        schema |= {"strength": pl.Float64(), "error": pl.Float64(), "place": pl.Int64(), "n_pairs": pl.Int64()}
        groups = told.group_by(self.by, maintain_order=True) if self.by else [((), told)] * bool(told.height)
        ranked = [row for key, some in groups for row in self._ranked(key, some, context)]
        yield pl.DataFrame(ranked, schema=schema, orient="row")
        return {"pairs_ranked": told.height}

    def _check(self, rows: pl.DataFrame, context: Context) -> None:
        known = [name.removeprefix("chosen_") for name in rows.columns if name.startswith("chosen_")]
        kinds = [rows.schema.get(f"{side}_{self.of}") for side in ("chosen", "rejected")]
        if None in kinds or kinds[0] != kinds[1] or any(kind is not None and kind.is_nested() for kind in kinds):
            said = f"{self.from_!r} has no columns `chosen_{self.of}` and `rejected_{self.of}` of one kind"
            fix = f"name {one_of(self.of, known)}" if known else "name a step with pairs of candidates"
            raise context.error("of", said, fix)
        for place, name in enumerate(self.by):
            if name not in rows.columns or name in (*_COLUMNS, self.of):
                others = [one for one in rows.columns if one not in (*_COLUMNS, self.of)]
                raise context.error(("by", place), f"{name!r} cannot part the pairs", f"name {one_of(name, others)}")

    def _ranked(self, key: tuple[object, ...], rows: pl.DataFrame, context: Context) -> Iterator[tuple[object, ...]]:
        contest = Contest.of(rows, rows[f"chosen_{self.of}"], rows[f"rejected_{self.of}"])
        values, met = contest.values, contest.met()
        if len(values) > _MOST:
            said = f"{len(values):,} values of {self.of!r} compete, at most {_MOST:,}"
            raise context.error("of", said, "rank them apart with `by:`, or another column")
        found = fit_strengths(contest.wins(), self.ridge)
        for rank, at in enumerate(np.argsort(-found.strength, kind="stable"), 1):
            yield (*key, values[int(at)], float(found.strength[at]), float(found.error[at]), rank, int(met[at]))
