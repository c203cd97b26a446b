"""Where the rows of an export come from: the table of one step, and the people and questions its ids point to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from prefgen.judging.pairs import pairs
from prefgen.publish.exports.line import Line
from prefgen.store.table import Table

_PERSONA = {"persona_id": pl.String, "text": pl.String}
_ITEM = {"item_id": pl.String, "prompt": pl.String, "options": pl.List(pl.String), "neither": pl.Int64}


@dataclass(frozen=True, slots=True)
class Source:
    """What the rows of one export are made from.

    table      judgments or pairs (or people, or questions, for their own exports)
    personas   persona_id, text; every persona once; no rows where the run has no personas
    items      item_id, prompt, options, neither, and `sources` where the items have it
    shots      earlier choices beside a row
    """

    table: Table
    personas: pl.DataFrame
    items: pl.DataFrame
    seed: int
    shots: int

    @property
    def is_pairs(self) -> bool:
        return "pair_id" in self.table.schema

    def judgments(self) -> Iterator[pl.DataFrame]:
        """Judgments, part by part; a part never cuts through those of one persona and item. At least one frame."""
        yield self.table.parts[0].head(0).collect()
        yield from self.table.frames()

    def pairs(self) -> Iterator[pl.DataFrame]:
        """Kept pairs of drawn people, part by part: the pairs table itself, or made from the judgments.

        Controls stand in the run to measure the judge; nobody's preferences are learned from them.
        """
        for frame in self.judgments():
            made = frame if self.is_pairs else pairs(frame, self.items)
            yield _kept(_drawn(made))

    def presentations(self) -> Iterator[pl.DataFrame]:
        """Kept judgments of drawn people."""
        return (_kept(_drawn(frame)) for frame in self.judgments())


def source_of(pipeline: Line, tables: Mapping[str, Table], step: str, *, shots: int = 4) -> Source:
    """The table of `step`, and the people and questions nearest above it."""
    personas = nearest(pipeline, tables, step, "personas")
    items = nearest(pipeline, tables, step, "items")
    return Source(
        table=tables[step],
        personas=_columns(personas, _PERSONA),
        items=_columns(items, _ITEM, also="sources"),
        seed=pipeline.seed,
        shots=shots,
    )


def nearest(pipeline: Line, tables: Mapping[str, Table], step: str, what: str) -> Table | None:
    """The table of people (or questions) that `step` was made from, however many steps lie between."""
    waiting, seen = [step], set[str]()
    while waiting:
        name = waiting.pop(0)
        if name in seen or name not in tables:
            continue
        seen.add(name)
        if _holds(tables[name], what):
            return tables[name]
        waiting += [read for _, read in pipeline.steps[name].reads()]
    rest = (table for name, table in reversed(list(tables.items())) if name not in seen)
    return next((table for table in rest if _holds(table, what)), None)


def _holds(table: Table, what: str) -> bool:
    columns = set(table.schema)
    if what == "personas":
        return {"persona_id", "text"} <= columns and not columns & {"item_id", "judgment_id", "pair_id"}
    return {"item_id", "prompt", "options"} <= columns and not columns & {"persona_id", "judgment_id", "pair_id"}


def _columns(table: Table | None, wanted: Mapping[str, object], *, also: str = "") -> pl.DataFrame:
    if table is None:
        return pl.DataFrame(schema=dict(wanted))  # type: ignore[arg-type]
    schema = table.schema
    named = [pl.col(name) if name in schema else pl.lit(None).alias(name) for name in wanted]
    return table.scan().select(*named, *([also] if also in schema else [])).collect().unique(
        subset=next(iter(wanted)), keep="first", maintain_order=True
    )  # fmt: skip


def _drawn(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("control").is_null()) if "control" in frame.columns else frame


def _kept(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("reject_reason").is_null()) if "reject_reason" in frame.columns else frame
