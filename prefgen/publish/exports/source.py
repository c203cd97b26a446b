"""Where the rows of an export come from: the table of one step, and the people and questions its ids point to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from prefgen.judging.coordinates import set_apart
from prefgen.judging.pairs import pairs
from prefgen.publish.exports.beside import Beside
from prefgen.publish.exports.details import Details
from prefgen.schemas import JUDGMENTS, PAIRS
from prefgen.store.table import Table

_PERSONA = {"persona_id": pl.String, "text": pl.String}
_ITEM = {"item_id": pl.String, "prompt": pl.String, "options": pl.List(pl.String), "neither": pl.Int64}


@dataclass(frozen=True)
class Source:
    """What the rows of one export are made from.

    table          judgments or pairs
    beside         the people and questions of the dataset
    shots          earlier choices beside a row
    columns        of rows: those that leave; empty for all
    details        which column is what, of histories and multiple-choice questions
    parts          of columns that have parts, `column.part`: they stand beside the columns under this name
    conditions     what stands as the condition of a pair in `_persona`, by ids; None for the portraits
    system_role    False where the portrait opens the user's message
    """

    table: Table
    beside: Beside
    seed: int
    shots: int = 4
    system_role: bool = True
    columns: tuple[str, ...] = ()
    details: Details | None = None
    conditions: pl.DataFrame | None = None
    parts: tuple[str, ...] = ()

    @cached_property
    def personas(self) -> pl.DataFrame:
        """persona_id, text; every persona of the dataset once, as in its config `personas`. Read by exports that need it."""
        return _columns(self.beside, "personas", _PERSONA)

    @cached_property
    def items(self) -> pl.DataFrame:
        """item_id, prompt, options, neither, and `sources` where the items have it, as in the config `items`."""
        has = any(table.schema.get("sources") == pl.List(pl.String) for table in self.beside.items)
        return _columns(self.beside, "items", _ITEM, *(("sources",) if has else ()))

    def judgments(self) -> Iterator[pl.DataFrame]:
        """Judgments, part by part; a part never cuts through those of one persona and item. At least one frame."""
        yield _with_parts(self.table.parts[0].head(0).collect(), self.parts)
        yield from (_with_parts(frame, self.parts) for frame in self.table.frames())

    def pairs(self) -> Iterator[pl.DataFrame]:
        """Kept pairs of drawn people, part by part: the pairs table itself, or made from the judgments.

        The user's columns are set apart. Controls stand in the run to measure the judge; nobody's preferences are learned
        from them.
        """
        is_pairs = "judgment_id" not in self.table.schema  # users may have a `pair_id` of their own
        for frame in self.judgments():
            made = frame if is_pairs else pairs(frame, self.items)
            yield set_apart(_kept(_drawn(made)), PAIRS.names)

    def rows(self) -> Iterator[pl.DataFrame]:
        """Kept rows, in the columns that leave."""
        for frame in self.judgments():
            kept = _kept(frame)
            yield kept.select(self.columns) if self.columns else kept.drop("reject_reason", strict=False)

    def kept(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The kept rows of drawn people among some."""
        return _kept(_drawn(frame))

    def presentations(self) -> Iterator[pl.DataFrame]:
        """Kept judgments of drawn people; the user's columns are set apart."""
        return (set_apart(_kept(_drawn(frame)), JUDGMENTS.names) for frame in self.judgments())


def parts_of(schema: Mapping[str, pl.DataType]) -> set[str]:
    """Names of the parts of columns that have parts, as the replies of sides of a conversation: `column.part`."""
    return {f"{name}.{one.name}" for name, kind in schema.items() if isinstance(kind, pl.Struct) for one in kind.fields}


def beside_texts(rows: pl.DataFrame, more: Sequence[str], own: Sequence[str]) -> list[str]:
    """Names of what stands behind the texts of a row: whose and about what it is, further columns that are not `own`, and its split."""
    ids = [name for name in ("persona_id", "item_id") if name in rows.columns]
    others = [name for name in more if name not in (*own, "persona_id", "item_id", "split")]
    return [*ids, *others, *(["split"] if "split" in rows.columns else [])]


def _columns(beside: Beside, what: str, wanted: Mapping[str, object], *more: str) -> pl.DataFrame:
    if not getattr(beside, what):
        return pl.DataFrame(schema=dict(wanted))  # type: ignore[arg-type]
    found = beside.columns(what, [*wanted, *more])
    return found.with_columns(pl.lit(None).alias(name) for name in wanted if name not in found.columns)


def _with_parts(frame: pl.DataFrame, parts: Sequence[str]) -> pl.DataFrame:
    split = ((name, *name.split(".", 1)) for name in parts)
    return frame.with_columns(pl.col(column).struct.field(part).alias(name) for name, column, part in split)


def _drawn(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("control").is_null()) if "control" in frame.columns else frame


def _kept(frame: pl.DataFrame) -> pl.DataFrame:
    """Those of some rows that no step dropped."""
    return frame.filter(pl.col("reject_reason").is_null()) if "reject_reason" in frame.columns else frame
