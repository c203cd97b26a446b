"""A table as steps see it: rows in order, in parts small enough to hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, overload

import polars as pl
from polars.datatypes import DataTypeClass

_T = TypeVar("_T")

PART_ROWS = 16_384
"""Rows of one part, about; a part never cuts through the judgments of one persona and item.

What a step holds at once: with 131,072 a run over a million judgments took 790 MB, with 16,384 it takes 430 and no longer.
"""

PART_BYTES = 8 << 20
"""Bytes of one part, about, where rows are long; a step holds a part several times over while it makes the next."""

FRAME_ROWS = 65_536
"""Rows of one part where they were never objects: a frame of so many short rows is small, and fewer frames cost less."""


class PartFiles(Sequence[pl.LazyFrame]):
    """Parquet files as lazy frames, each made when it is asked for.

    A lazy frame that was read once keeps the footer of its file for good: with 600 parts that was 70 MB a table.
    """

    def __init__(self, paths: Iterable[Path], *, keep: object = None) -> None:
        self._paths = tuple(paths)
        self._keep = keep  # whatever deletes the files when it goes

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, place: int) -> pl.LazyFrame: ...
    @overload
    def __getitem__(self, place: slice) -> PartFiles: ...
    def __getitem__(self, place: int | slice) -> pl.LazyFrame | PartFiles:
        if isinstance(place, slice):
            return PartFiles(self._paths[place], keep=self._keep)
        return pl.scan_parquet(self._paths[place])


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one step, in order.

    parts     lazy frames of one schema, each at most a few hundred thousand rows when collected
    n_rows    rows of all parts together
    """

    name: str
    parts: Sequence[pl.LazyFrame]
    n_rows: int

    @classmethod
    def of(cls, name: str, frames: Iterable[pl.DataFrame]) -> Table:
        """A table held in memory."""
        held = list(frames)
        return cls(name, tuple(frame.lazy() for frame in held), sum(frame.height for frame in held))

    def frames(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """One collected part after the other, whole or some columns of it: flat memory whatever the number of rows."""
        for part in self.parts:
            yield (part if columns is None else part.select(columns)).collect()

    def scan(self) -> pl.LazyFrame:
        """All rows, lazily, for counts and sums.

        polars' streaming engine does not always keep the order of rows across parts (seen with 2.1.0: a
        `when().then(literal)` over several parts comes back permuted). Where order matters, use `frames` or `read`.
        """
        return pl.concat(list(self.parts), how="vertical") if len(self.parts) > 1 else self.parts[0]

    def read(self) -> pl.DataFrame:
        """All rows at once, in order; for tables that are known to be small (personas, items)."""
        return pl.concat(self.frames())

    @property
    def schema(self) -> pl.Schema:
        """Column names and types."""
        return self.parts[0].collect_schema()


@dataclass(frozen=True, slots=True)
class Packed:
    """How a column of row numbers is read.

    column    its name
    steps     whose rows they number, one after the other
    each      columns of an element
    plain     True: an element is the value of the one column; False: a struct of all
    """

    column: str
    steps: tuple[str, ...]
    each: tuple[str, ...]
    plain: bool = False

    def dtype(self, schema: pl.Schema) -> pl.DataType:
        """Type of the lists, from the columns of the first step."""
        if self.plain:
            return pl.List(schema[self.each[0]])
        return pl.List(pl.Struct({name: schema[name] for name in self.each}))


def in_parts(frame: pl.DataFrame) -> Iterable[pl.DataFrame]:
    """A frame as parts of a table; one empty part where it has no rows."""
    if not frame.height:
        return (frame,)
    fitting = int(PART_BYTES * frame.height / max(1.0, frame.estimated_size()))
    return frame.iter_slices(max(1, min(FRAME_ROWS, fitting)))


def row_batches(rows: Iterable[_T], size_of: Callable[[_T], int]) -> Iterator[list[_T]]:
    """Rows, or what becomes rows, as many together as make a part.

    size_of    bytes of one, about

    >>> list(row_batches(["a" * PART_BYTES, "b", "c" * PART_BYTES], len)) == [["a" * PART_BYTES], ["b", "c" * PART_BYTES]]
    True
    """
    some: list[_T] = []
    size = 0
    for row in rows:
        some.append(row)
        size += size_of(row)
        if len(some) == PART_ROWS or size >= PART_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


def unwritable(dtype: pl.DataType | DataTypeClass) -> str | None:
    """What is in the way of a column of this type being written and read by everybody; None where nothing is."""
    if isinstance(dtype, pl.Struct):
        if not dtype.fields:
            return "an object without keys"
        return next((why for part in dtype.fields if (why := unwritable(part.dtype))), None)
    if isinstance(dtype, pl.List | pl.Array):
        return unwritable(dtype.inner)
    if isinstance(dtype, pl.Int128 | pl.UInt128):
        return "whole numbers of 128 bits"
    if isinstance(dtype, pl.Object | pl.Unknown):
        return f"values of type {dtype}"
    return None
