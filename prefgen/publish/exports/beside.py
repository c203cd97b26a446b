"""The people and questions of a dataset: whatever any of its exports speaks of, each id once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from prefgen.publish.exports.presets import ALWAYS
from prefgen.publish.exports.wanted import Wanted
from prefgen.store.finished import Lineage
from prefgen.store.table import Table

KEYS = {"personas": "persona_id", "items": "item_id"}
MEANS = {"personas": ("text",), "items": ("prompt", "options")}
"""What an id stands for: two tables of one dataset that have it must agree on this."""


@dataclass(frozen=True, slots=True)
class Beside:
    """Tables of people and of questions, the first first; a row whose id an earlier table has is not repeated."""

    personas: tuple[Table, ...]
    items: tuple[Table, ...]

    def rows(self, what: str) -> Iterator[pl.DataFrame]:
        """`personas` or `items`, part by part, in the columns of all tables; at least one frame."""
        tables: tuple[Table, ...] = getattr(self, what)
        key, empty, seen = KEYS[what], empty_of(tables), pl.Series([], dtype=pl.String)
        yield empty
        for number, table in enumerate(tables):
            for frame in table.frames():
                new = frame if number == 0 else frame.filter(~pl.col(key).is_in(seen.implode()))
                yield new if len(tables) == 1 else pl.concat([empty, new], how="diagonal_relaxed")
            if number < len(tables) - 1:
                seen = pl.concat([seen, *(frame[key] for frame in table.frames([key]))])

    def columns(self, what: str, wanted: Sequence[str]) -> pl.DataFrame:
        """Some columns of `personas` or `items`, those that they have; every id once."""
        tables: tuple[Table, ...] = getattr(self, what)
        found = [pl.concat(table.frames([name for name in wanted if name in table.schema])) for table in tables]
        together = pl.concat(found, how="diagonal_relaxed")
        return together.unique(subset=KEYS[what], keep="first", maintain_order=True)


def empty_of(tables: Sequence[Table]) -> pl.DataFrame:
    """No row, in the columns of all tables; polars' SchemaError where two types of one column have none in common."""
    empty = [table.parts[0].head(0).collect() for table in tables]
    return empty[0] if len(empty) == 1 else pl.concat(empty, how="diagonal_relaxed")


def beside(lineage: Lineage, tables: Mapping[str, Table], wanted: Sequence[Wanted]) -> Beside:
    """The people and questions of some exports: those named as exports themselves, then those of each lineage."""
    found: dict[str, dict[str, Table]] = {name: {} for name in ALWAYS}
    for one in wanted:
        if one.preset_name in ALWAYS:
            found[one.preset_name][one.step] = tables[one.step]
    steps = [one.step for one in wanted if one.preset_name not in ALWAYS] or [lineage.judgments or ""]
    for step in steps:
        for name, side in (("personas", lineage.personas_of(step)), ("items", lineage.items_of(step))):
            if side is not None and tables[side].parts:
                found[name][side] = tables[side]
    for name in ALWAYS:
        last: str | None = getattr(lineage, name)
        if not found[name] and lineage.judgments is None and last is not None and tables[last].parts:
            found[name][last] = tables[last]
    return Beside(tuple(found["personas"].values()), tuple(found["items"].values()))
