"""A column of row numbers, read as lists of the rows they stand for: on disk the numbers, in memory one part at a time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, overload

import numpy as np
import polars as pl
import pyarrow as pa
from polars.io.plugins import register_io_source

from prefgen.store.table import Packed, Table

NUMBER = pl.UInt32
"""Type of a row number: the rows of all tables packed, one table after the other, dropped rows included."""

_CACHED_BYTES = 64_000_000


def unpacked(table: Table, packed: Packed, sources: Sequence[Table]) -> Table:
    """The same table with lists in the place of numbers, resolved part by part when the column is asked for."""
    return replace(table, parts=_Parts(table.parts, packed, _Rows(sources, packed)))


def as_lists(lengths: Sequence[int] | np.ndarray[Any, Any], values: pl.Series) -> pl.Series:
    """Values as lists of these lengths, one after the other.

    >>> as_lists([2, 0, 1], pl.Series([7, 8, 9])).to_list()
    [[7, 8], [], [9]]
    """
    ends = pl.Series(np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]), dtype=pl.Int64)
    found = pl.from_arrow(pa.LargeListArray.from_arrays(ends.to_arrow(), values.to_arrow()))
    assert isinstance(found, pl.Series)
    return found


class _Parts(Sequence[pl.LazyFrame]):
    """The parts of a table, each with its lists."""

    def __init__(self, raw: Sequence[pl.LazyFrame], packed: Packed, rows: _Rows) -> None:
        self._raw = raw
        self._packed = packed
        self._rows = rows

    def __len__(self) -> int:
        return len(self._raw)

    @overload
    def __getitem__(self, place: int) -> pl.LazyFrame: ...
    @overload
    def __getitem__(self, place: slice) -> _Parts: ...
    def __getitem__(self, place: int | slice) -> pl.LazyFrame | _Parts:
        if isinstance(place, slice):
            return _Parts(self._raw[place], self._packed, self._rows)
        raw, packed, rows = self._raw[place], self._packed, self._rows
        kinds = {name: rows.dtype if name == packed.column else kind for name, kind in raw.collect_schema().items()}

        def read(
            columns: list[str] | None, where: pl.Expr | None, n_rows: int | None, _: int | None
        ) -> Iterator[pl.DataFrame]:
            frame = (raw if columns is None else raw.select(columns)).collect()
            if n_rows is not None:
                frame = frame.head(n_rows)
            if packed.column in frame.columns:
                frame = frame.with_columns(rows.lists(frame[packed.column]))
            yield frame if where is None else frame.filter(where)

        return register_io_source(read, schema=kinds)


class _Rows:
    """The rows of some tables by number; the parts read last are kept as far as they are small."""

    def __init__(self, sources: Sequence[Table], packed: Packed) -> None:
        self._parts = [part for source in sources for part in _by_place(source)]
        self._each = packed.each
        self._plain = packed.plain
        self.dtype = packed.dtype(sources[0].schema)
        self._starts: np.ndarray[Any, np.dtype[np.int64]] | None = None
        self._cache: OrderedDict[int, pl.Series] = OrderedDict()

    def lists(self, numbers: pl.Series) -> pl.Series:
        """Lists of rows in the place of lists of numbers."""
        flat = numbers.explode().drop_nulls().to_numpy()  # an empty list explodes to a null, and no number is one
        lists = as_lists(numbers.list.len().to_numpy(), self._taken(flat))
        return lists.cast(self.dtype).alias(numbers.name)

    def _taken(self, numbers: np.ndarray[Any, Any]) -> pl.Series:
        starts = self._first_numbers()
        parts = np.searchsorted(starts, numbers, side="right") - 1
        places = [np.flatnonzero(parts == part) for part in np.unique(parts)]
        pieces = [
            self._elements(int(part)).gather(numbers[at] - starts[part])
            for part, at in zip(np.unique(parts), places, strict=True)
        ]
        if not pieces:
            inner = self.dtype.inner  # type: ignore[attr-defined]
            return pl.Series([], dtype=inner)
        together = pl.concat(pieces)
        return together if len(pieces) == 1 else together.gather(np.argsort(np.concatenate(places), kind="stable"))

    def _first_numbers(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        if self._starts is None:
            heights = [part().select(pl.len()).collect().item() for part in self._parts]
            self._starts = np.array([0, *accumulate(heights)][:-1], dtype=np.int64)
        return self._starts

    def _elements(self, number: int) -> pl.Series:
        """The elements of one part of the rows."""
        if number not in self._cache:
            part = self._parts[number]()
            kinds = part.collect_schema()
            inner = self.dtype.inner  # type: ignore[attr-defined]
            wanted = {self._each[0]: inner} if self._plain else {one.name: one.dtype for one in inner.fields}
            columns = [
                (pl.col(name) if name in kinds else pl.lit(None)).cast(kind).alias(name)
                for name, kind in wanted.items()
            ]
            frame = part.select(columns).collect()
            self._cache[number] = frame.to_series(0) if self._plain else frame.to_struct("_")
        self._cache.move_to_end(number)
        while len(self._cache) > 1 and sum(one.estimated_size() for one in self._cache.values()) > _CACHED_BYTES:
            self._cache.popitem(last=False)
        return self._cache[number]


def _by_place(table: Table) -> Iterator[Any]:
    """Calls that give each part of a table: a lazy frame that is kept keeps the footer of its file."""
    return ((lambda place=place: table.parts[place]) for place in range(len(table.parts)))
