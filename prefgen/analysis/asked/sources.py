"""The tables of a run as analyses read them: kept rows of drawn people, with what their personas are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from prefgen.analysis.asked.found import NotAnalysedError
from prefgen.errors import one_of
from prefgen.judging.aggregate import preference_columns, preferences
from prefgen.judging.pairs import pairs
from prefgen.store.finished import Lineage
from prefgen.store.table import Table


@dataclass(frozen=True, slots=True)
class Sources:
    """The tables, and which step rests on which."""

    tables: Mapping[str, Table]
    lineage: Lineage
    seed: int

    def step(self, named: str | None) -> str:
        """The step meant; NotAnalysedError where there is none."""
        if named is None and self.lineage.judgments is None:
            raise NotAnalysedError("no step is named, and nothing was judged", "name one with `from:`")
        step = named or self.lineage.judgments or ""
        if step not in self.tables:
            raise NotAnalysedError(f"no step named {step!r}", f"name {one_of(step, list(self.tables))}")
        return step

    def rows(self, step: str, wanted: Iterable[str]) -> pl.DataFrame:
        """Kept rows of drawn people: the columns wanted, what the rows lack from their personas, and item_id where they have it."""
        schema, people = self.tables[step].schema, self._people(step)
        names = list(dict.fromkeys(wanted))
        known = [*schema, *(() if people is None else people.columns)]
        for name in names:
            if name not in known:
                raise NotAnalysedError(
                    f"neither {step!r} nor its personas have a column {name!r}", f"name {one_of(name, known)}"
                )
        own = [name for name in names if name in schema]
        helping = [name for name in ("item_id", "persona_id", "control", "reject_reason") if name in schema]
        parts = self.tables[step].frames(list(dict.fromkeys([*own, *helping])))
        kept = pl.concat([_kept(part) for part in parts])
        return self.with_people(step, kept, [name for name in names if name not in schema])

    def with_people(self, step: str, rows: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
        """The rows with columns of their personas."""
        people = self._people(step)
        if not names or people is None:
            return rows
        return rows.join(people.select("persona_id", *names), on="persona_id", how="left", maintain_order="left")

    def pairs(self, step: str, of: str, by: Sequence[str]) -> pl.DataFrame:
        """Kept pairs with `chosen_<of>` and `rejected_<of>`: those of a step, or those that its judgments make."""
        table = self.tables[step]
        if self.lineage.steps[step].grain == "judgments":
            rows = self._judged_pairs(step)
        else:
            rows = pl.concat([_kept(part) for part in table.frames()])
        sides = [f"{side}_{of}" for side in ("chosen", "rejected")]
        if not set(sides) <= set(rows.columns):
            known = [name.removeprefix("chosen_") for name in rows.columns if name.startswith("chosen_")]
            fix = f"name {one_of(of, known)}" if known else "name a step with pairs or judgments of candidates"
            raise NotAnalysedError(f"{step!r} has nothing of both sides named {of!r}", fix)
        rows = rows.drop_nulls(sides).filter(pl.col(sides[0]) != pl.col(sides[1]))
        people = self._people(step)
        for name in by:
            if name not in rows.columns and (
                people is None or name not in people.columns or "persona_id" not in rows.columns
            ):
                known = [*rows.columns, *(() if people is None else people.columns)]
                raise NotAnalysedError(
                    f"neither {step!r} nor its personas have a column {name!r}", f"name {one_of(name, known)}"
                )
        return self.with_people(step, rows, [name for name in by if name not in rows.columns])

    def _judged_pairs(self, step: str) -> pl.DataFrame:
        table, items = self.tables[step], self.lineage.items_of(step)
        if items is None or items not in self.tables:
            raise NotAnalysedError(f"{step!r} has no items", "name a step with pairs")
        asked = self.tables[items].read()
        columns = preference_columns(table.schema, coordinates=True)
        return pl.concat([pairs(part, asked) for part in table.frames(columns)])

    def preferences(self, step: str) -> pl.DataFrame:
        """One row per drawn person and item of a step with judgments."""
        table = self.tables[step]
        if self.lineage.steps[step].grain != "judgments":
            raise NotAnalysedError(f"{step!r} has no judgments", "name a `judge: pick` step, or a `keep` of one")
        columns = preference_columns(table.schema, coordinates=False)
        found = pl.concat([preferences(part) for part in table.frames(columns)])
        return found.filter(pl.col("reject_reason").is_null(), pl.col("control").is_null())

    def _people(self, step: str) -> pl.DataFrame | None:
        name = self.lineage.personas_of(step)
        if name is None or name not in self.tables or "persona_id" not in self.tables[step].schema:
            return None
        return self.tables[name].read().unique("persona_id", keep="first", maintain_order=True)


def _kept(rows: pl.DataFrame) -> pl.DataFrame:
    for name in ("reject_reason", "control"):
        if name in rows.columns:
            rows = rows.filter(pl.col(name).is_null())
    return rows
