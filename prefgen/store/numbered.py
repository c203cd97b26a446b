"""Rows of tables by their numbers, whichever parts they are in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from prefgen.store.table import Table

NUMBER = pl.UInt32
"""Type of a row number."""

IN_ORDER_BYTES = 16_000_000
"""Parts that are kept where rows are asked for about in their order."""

ANYWHERE_BYTES = 64_000_000
"""The same where they are drawn from anywhere."""


class Numbered:
    """The rows of some tables, numbered through: one table after the other, dropped rows included.

    columns    what is read of a part, from its schema; of all parts the same

    The parts read last are kept, as far as they are small: whoever asks in the order of the rows reads each part once.
    """

    def __init__(
        self,
        tables: Sequence[Table],
        columns: Callable[[pl.Schema], Sequence[pl.Expr]],
        *,
        cached_bytes: float = IN_ORDER_BYTES,
    ) -> None:
        self._cached_bytes = cached_bytes
        # A lazy frame that is kept keeps the footer of its file, so that only places are.
        self._places = [(table, place) for table in tables for place in range(len(table.parts))]
        self._columns = columns
        self._starts: np.ndarray[Any, np.dtype[np.int64]] | None = None
        self._cache: OrderedDict[int, tuple[pl.DataFrame, float]] = OrderedDict()  # with their bytes

    def rows(self, numbers: np.ndarray[Any, Any]) -> pl.DataFrame:
        """The rows with these numbers, in the order of the numbers."""
        if not len(numbers):
            return self._part(0).clear()
        starts = self._first_numbers()
        parts = np.searchsorted(starts, numbers, side="right") - 1
        needed = np.unique(parts)
        places = [np.flatnonzero(parts == part) for part in needed]
        pieces = [
            _gathered(self._part(int(part)), numbers[at].astype(np.int64) - starts[part])
            for part, at in zip(needed, places, strict=True)
        ]
        if len(pieces) == 1:
            return pieces[0]
        order = np.argsort(np.concatenate(places), kind="stable")
        return _gathered(pl.concat(pieces), order)

    def _first_numbers(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        if self._starts is None:
            heights = [table.parts[place].select(pl.len()).collect().item() for table, place in self._places]
            self._starts = np.array([0, *accumulate(heights)][:-1], dtype=np.int64)
        return self._starts

    def _part(self, number: int) -> pl.DataFrame:
        if number not in self._cache:
            table, place = self._places[number]
            part = table.parts[place]
            frame = part.select(self._columns(part.collect_schema())).collect()
            self._cache[number] = frame, frame.estimated_size()
        self._cache.move_to_end(number)
        while len(self._cache) > 1 and sum(size for _, size in self._cache.values()) > self._cached_bytes:
            self._cache.popitem(last=False)
        return self._cache[number][0]


class Held:
    """Some rows by their numbers, held.

    numbers    of the rows, rising
    """

    def __init__(self, numbers: np.ndarray[Any, Any], rows: pl.DataFrame) -> None:
        self._numbers, self._rows = numbers, rows

    def rows(self, numbers: np.ndarray[Any, Any]) -> pl.DataFrame:
        """The rows with these numbers, in the order of the numbers."""
        return _gathered(self._rows, np.searchsorted(self._numbers, numbers))


def _gathered(frame: pl.DataFrame, rows: np.ndarray[Any, Any]) -> pl.DataFrame:
    return pl.DataFrame({column.name: column.gather(rows) for column in frame})  # a tenth of the time of a select


def as_lists(lengths: Sequence[int] | np.ndarray[Any, Any], values: pl.Series) -> pl.Series:
    """Values as lists of these lengths, one after the other.

    >>> as_lists([2, 0, 1], pl.Series([7, 8, 9])).to_list()
    [[7, 8], [], [9]]
    """
    ends = pl.Series(np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]), dtype=pl.Int64)
    found = pl.from_arrow(pa.LargeListArray.from_arrays(ends.to_arrow(), values.to_arrow()))
    assert isinstance(found, pl.Series)
    return found.cast(pl.List(values.dtype))  # Arrow does not know every type of polars
