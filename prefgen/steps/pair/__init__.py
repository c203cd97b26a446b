"""`pair`: kept judgments to pairs of candidates, the chosen one and a rejected one."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import polars as pl
from pydantic import Field

from prefgen.judging.aggregate import preference_columns
from prefgen.judging.pairs import PairRule, pairs
from prefgen.judging.ranked_pairs import pairs_of_rankings
from prefgen.spec.fields import Name
from prefgen.spec.pipeline import Grain, StepSpec
from prefgen.steps.context import Context
from prefgen.steps.join import Join
from prefgen.steps.step import Parts, Step
from prefgen.store.table import Table


class Pair(Step):
    """Pairs from what the kept judgments of each persona and item add up to.

    ```yaml
    pairs: {pair: chosen_vs_other, from: kept, items: questions}
    ```
    """

    kind: ClassVar[str] = "pair"
    presets: ClassVar[tuple[str, ...]] = ("chosen_vs_other", "cycle", "rows")

    @classmethod
    def preset(cls, said: object) -> type[StepSpec]:
        """`rows` and `cycle` have keys of their own."""
        if said not in ("rows", "cycle"):
            return cls
        found: type[StepSpec] = getattr(importlib.import_module(f"{__name__}.{said}"), f"Pair{str(said).capitalize()}")
        return found

    pair: PairRule = Field(
        description="`chosen_vs_other`: one pair for every other substantive option; `best_vs_worst`: one, against the least likely. Of rankings by their mean ranks."
    )
    from_: Name | Annotated[list[Name], Field(min_length=1)] = Field(
        alias="from",
        description="Name of a step with judgments or rankings; of further ones each has to have the ids of a judgment that makes a pair.",
    )
    items: str = Field(
        "", description="Name of the step with the items that were judged; by default those of the judge."
    )
    weight: str | None = Field(
        None,
        description="Name of a step whose column `weight` multiplies the persona's, joined on the ids both tables have.",
    )

    grain: ClassVar[Grain | None] = "pairs"

    def unfolded(self, name: str, above: Mapping[str, StepSpec]) -> Mapping[str, StepSpec]:
        """With the items of its judge, where it names none, and a `join` step before it where it is from several."""
        first, *others = self.sources
        told = self if self.items else self.model_copy(update={"items": _items_judged(first, above)})
        if not others:
            return {name: told}
        joined = f"{name}_from"
        return {joined: Join(join=self.sources), name: told.model_copy(update={"from_": joined})}

    @property
    def sources(self) -> list[str]:
        """The steps that `from` names."""
        return [self.from_] if isinstance(self.from_, str) else list(self.from_)

    def reads(self) -> tuple[tuple[str, str], ...]:
        named = (*(("from", name) for name in self.sources), ("items", self.items))
        return (*named, ("weight", self.weight)) if self.weight is not None else named

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """Pairs, in the order of the judgments."""
        judgments = tables[self.sources[0]]
        ranked = {"ranking_id", "ranking", "mean_ranks"} <= set(judgments.schema)
        missing = {"judgment_id", "choice", "p"} - set(judgments.schema)
        if missing and not ranked:
            raise context.error(
                "from",
                f"{self.sources[0]!r} has no judgments (no column {min(missing)!r})",
                "name a `judge` step, or a `keep` of one",
            )
        items = tables[self.items].read()
        if not {"item_id", "options"} <= set(items.columns):
            raise context.error(
                "items", f"{self.items!r} has no items (no column `options`)", "name the step that was judged"
            )
        weights = _Weights.of(tables[self.weight].read(), context) if self.weight is not None else None
        columns = None if ranked else preference_columns(judgments.schema, coordinates=True)
        for frame in judgments.frames(columns):
            made = pairs_of_rankings(frame, items, rule=self.pair) if ranked else pairs(frame, items, rule=self.pair)
            yield made if weights is None else weights.on(made)
        return None


def _items_judged(step: str, above: Mapping[str, StepSpec]) -> str:
    """The items of the judge that a step rests on; the step itself where there is no judge, which is told when it is read."""
    while step in above:
        read = dict(above[step].reads())
        if "items" in read and "as" in read:
            return read["items"]
        step = next(iter(read.values()), "")
    return step


@dataclass(frozen=True, slots=True)
class _Weights:
    """Weights by id, in the order of the first id: the few that a part of the pairs needs are found without the rest.

    rows    the ids and `factor`
    """

    ids: Sequence[str]
    rows: pl.DataFrame

    @classmethod
    def of(cls, weights: pl.DataFrame, context: Context) -> _Weights:
        ids = [name for name in ("pair_id", "persona_id", "item_id") if name in weights.columns]
        if not ids or not weights.schema.get("weight", pl.String()).is_numeric():
            has = ", ".join(f"{name} ({dtype})" for name, dtype in weights.schema.items())
            raise context.error(
                "weight", f"its table has the columns {has}", "it needs numbers in `weight`, and an id, e.g. `item_id`"
            )
        rows = weights.select(*(pl.col(name).cast(pl.String) for name in ids), pl.col("weight").alias("factor"))
        if rows.select(ids).is_duplicated().any():
            raise context.error("weight", f"it has several weights for one {' x '.join(ids)}", "give each one weight")
        return cls(ids, rows.sort(ids[0]))

    def on(self, made: pl.DataFrame) -> pl.DataFrame:
        """The pairs, their weight multiplied by the one of their ids; 1 where there is none."""
        known, sought = self.rows[self.ids[0]], made[self.ids[0]].unique()
        starts, ends = known.search_sorted(sought, "left"), known.search_sorted(sought, "right")
        few = self.rows[pl.int_ranges(starts, ends, eager=True).explode().drop_nulls()]
        factor = made.select(self.ids).join(few, on=self.ids, how="left", maintain_order="left")["factor"]
        return made.with_columns(pl.col("weight") * factor.fill_null(1.0))
