"""Conversations as rows: their turns, the last reply of every side, and how each ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from prefgen.ids import content_id
from prefgen.steps.context import Context
from prefgen.steps.talk.conversation import Held
from prefgen.steps.talk.sides import SAY, Side
from prefgen.steps.write.measures import Measure, check_measures

_GONE = ("request_id", "request_ids", "repeat", "candidate_id")
"""Columns of a row that tell how it came about, which is told by its own step."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The step's table.

    source    columns of the rows that conversations are about
    """

    step: str
    source: pl.Schema
    sides: Mapping[str, Side]
    measures: Mapping[str, Measure]

    @classmethod
    def of(
        cls, source: pl.Schema, sides: Mapping[str, Side], measures: Mapping[str, Measure], context: Context
    ) -> Shape:
        """SpecError for a column that stands for two things, and for a measure of one that is not there."""
        made = cls(context.step, source, sides, measures)
        for name in sides:
            if name in source:
                fix = f"name the side otherwise, or the column: `rename: {{{name}: {name}_column}}`"
                raise context.error(("sides", name), f"the rows have a column {name!r}", fix)
        taken = [name for name in ("turn", "turns", "ended") if name in source]
        if taken:
            fix = f"rename it in a `table` step, e.g. `rename: {{{taken[0]}: earlier_{taken[0]}}}`"
            raise context.error("for", f"the rows have a column {taken[0]!r}, which conversations have too", fix)
        check_measures(measures, made.unmeasured, context)
        return made

    @property
    def seen(self) -> pl.Schema:
        """What conditions see: the row, the last replies, and `turn`."""
        return pl.Schema({**self.source, **self._replies, "turn": pl.Int64()})

    @property
    def _replies(self) -> dict[str, pl.DataType]:
        return {name: side.declared.fields.dtype for name, side in self.sides.items()}

    @property
    def notes(self) -> dict[str, pl.DataType]:
        """Fields of all replies but what is said."""
        return {
            name: kind for side in self.sides.values() for name, kind in side.declared.columns.items() if name != SAY
        }

    @property
    def unmeasured(self) -> pl.Schema:
        """All columns but measures and reasons."""
        kept = {name: kind for name, kind in self.source.items() if name not in (*_GONE, f"{self.step}_id")}
        turn = pl.Struct({"role": pl.String(), "content": pl.String(), **self.notes})
        own = {
            f"{self.step}_id": pl.String(),
            "repeat": pl.Int64(),
            "turns": pl.List(turn),
            **self._replies,
            "ended": pl.String(),
            "request_ids": pl.List(pl.String()),
        }
        return pl.Schema(kept | own)

    def frame(self, held: Iterable[Held]) -> pl.DataFrame:
        """The rows of some conversations, in order."""
        schema = self.unmeasured
        rows = [self._row(one, schema) for one in held]
        frame = pl.DataFrame(rows, schema={**schema, "reject_reason": pl.String()}, orient="row")
        measured = [measure.of_rows(frame).alias(name) for name, measure in self.measures.items()]
        return frame.with_columns(measured).select(pl.exclude("reject_reason"), "reject_reason")

    def _row(self, held: Held, schema: Sequence[str] | pl.Schema) -> dict[str, Any]:
        row = held.chat.row
        kept = {name: row[name] for name in schema if name in row}
        notes = dict.fromkeys(self.notes)
        return kept | {
            f"{self.step}_id": self._id(held),
            "repeat": held.chat.repeat,
            "turns": [notes | turn for turn in held.turns],
            **held.last,
            "ended": held.ended,
            "request_ids": held.request_ids,
            "reject_reason": held.reason,
        }

    def _id(self, held: Held) -> str:
        ids = [str(value) for name, value in held.chat.row.items() if name.endswith("_id")]
        return content_id("talk", (ids, held.chat.repeat, held.request_ids))


def remembered(held: Held, see: str) -> Any:
    """What a conversation gives to later ones: a field of a side, a column of its row; None for nothing."""
    if held.reason is not None:
        return None
    side, dot, name = see.partition(".")
    return held.last[side][name] if dot else held.chat.row.get(see)
