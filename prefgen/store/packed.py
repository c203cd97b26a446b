"""A column of row numbers, read as lists of the rows they stand for: on disk the numbers, in memory one part at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import overload

import polars as pl
from polars.io.plugins import register_io_source

from prefgen.store.numbered import ANYWHERE_BYTES, Numbered, as_lists
from prefgen.store.table import Packed, Table


def unpacked(table: Table, packed: Packed, sources: Sequence[Table]) -> Table:
    """The same table with lists in the place of numbers, resolved part by part when the column is asked for."""
    return replace(table, parts=_Parts(table.parts, packed, _Rows(sources, packed)))


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
    """Rows of some tables as elements of lists."""

    def __init__(self, sources: Sequence[Table], packed: Packed) -> None:
        self.dtype = packed.dtype(sources[0].schema)
        self._plain = packed.plain
        inner = self.dtype.inner  # type: ignore[attr-defined]
        wanted = {packed.each[0]: inner} if packed.plain else {one.name: one.dtype for one in inner.fields}

        def columns(kinds: pl.Schema) -> list[pl.Expr]:
            found = {name: pl.col(name) if name in kinds else pl.lit(None) for name in wanted}
            return [one.cast(wanted[name]).alias(name) for name, one in found.items()]

        self._rows = Numbered(sources, columns, cached_bytes=ANYWHERE_BYTES)

    def lists(self, numbers: pl.Series) -> pl.Series:
        """Lists of rows in the place of lists of numbers."""
        flat = numbers.explode().drop_nulls().to_numpy()  # an empty list explodes to a null, and no number is one
        found = self._rows.rows(flat)
        values = found.to_series(0) if self._plain else found.to_struct("_")
        return as_lists(numbers.list.len().to_numpy(), values).cast(self.dtype).alias(numbers.name)
