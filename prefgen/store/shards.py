"""Rows into Parquet files: the same rows give the same bytes, whatever pieces they arrive in."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from prefgen.ids import file_sha256
from prefgen.store.behind import behind

ROW_GROUP_ROWS = 32_768
"""Rows of one row group: small enough to skip what a filter on persona or item does not want, large enough to compress."""

_GROUP_BYTES = 32 << 20
"""A row group of long texts has fewer rows, so that it stays below this and memory flat."""

_SPLIT_ORDER = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class ShardFile:
    """One finished data file. `path` is where it lies, `sha256` is hex."""

    path: Path
    split: str
    rows: int
    size_bytes: int
    sha256: str


def write_shards(
    frames: Iterable[pl.DataFrame],
    folder: Path,
    *,
    schema: pl.Schema,
    shard_bytes: int,
    split: str = "train",
    split_column: str | None = None,
) -> list[ShardFile]:
    """Write rows as `<split>-00000-of-00004.parquet` and tell what was written, in order of split and number.

    frames        rows in their final order; only the rows decide the bytes, not how they were cut into frames
    schema        of every frame; needed so that no rows at all still make a readable, empty file
    shard_bytes   a file is closed at the row group that reaches this size, counted before compression
    split         name of the split where `split_column` is None or null
    split_column  column that names each row's split; it is not written itself

    Files carry a temporary name until all of them are complete. Memory is a few row groups whatever the number of rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    columns = arrow_schema(pl.Schema({name: dtype for name, dtype in schema.items() if name != split_column}))
    writers: dict[str, _SplitWriter] = {}

    def converted() -> Iterator[tuple[str, pa.Table]]:
        for frame in frames:
            for name, rows in _by_split(frame, split_column, split):
                yield name, rows.to_arrow().select(columns.names).cast(columns)

    def write(one: tuple[str, pa.Table]) -> None:
        name, rows = one
        if name not in writers:
            writers[name] = _SplitWriter(folder, name, columns, shard_bytes)
        writers[name].add(rows)

    # Arrow encodes on one core; the frames, which polars reads and shapes, are made on the other meanwhile.
    behind(converted(), write)
    if not writers:
        writers[split] = _SplitWriter(folder, split, columns, shard_bytes)
    closed = {name: writer.close() for name, writer in writers.items()}
    return [shard for name in sorted(closed, key=split_rank) for shard in _named(closed[name], folder, name)]


def split_rank(name: str) -> tuple[int, str]:
    """Where a split stands in lists: train, validation, test, then the others by name."""
    return (_SPLIT_ORDER.index(name) if name in _SPLIT_ORDER else len(_SPLIT_ORDER), name)


def split_name(text: str) -> str:
    """A split's name as the Hub takes it: letters, digits and '_'.

    >>> split_name("new persona/old item")
    'new_persona_old_item'
    """
    return re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_") or "train"


def shard_name(split: str, number: int, of: int) -> str:
    """File name of one shard, counted from 0.

    >>> shard_name("train", 0, 4)
    'train-00000-of-00004.parquet'
    """
    return f"{split}-{number:05d}-of-{of:05d}.parquet"


def arrow_schema(schema: pl.Schema) -> pa.Schema:
    """The Arrow types that every Parquet reader knows: plain strings and lists, no dictionaries, no null columns."""
    found = pl.DataFrame(schema=schema).to_arrow().schema
    return pa.schema([pa.field(column.name, _plain(column.type)) for column in found])


def _plain(dtype: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(dtype):
        return _plain(dtype.value_type)
    if pa.types.is_large_string(dtype) or pa.types.is_string_view(dtype) or pa.types.is_null(dtype):
        return pa.string()
    if pa.types.is_large_binary(dtype):
        return pa.binary()
    if pa.types.is_map(dtype):
        entry = [pa.field("key", _plain(dtype.key_type)), pa.field("value", _plain(dtype.item_type))]
        return pa.list_(pa.struct(entry))
    if pa.types.is_fixed_size_list(dtype):
        return pa.list_(_plain(dtype.value_type), dtype.list_size)
    if pa.types.is_large_list(dtype) or pa.types.is_list(dtype):
        return pa.list_(_plain(dtype.value_type))
    if pa.types.is_struct(dtype):
        return pa.struct([pa.field(part.name, _plain(part.type)) for part in dtype])
    return dtype


def _by_split(frame: pl.DataFrame, column: str | None, default: str) -> Iterator[tuple[str, pl.DataFrame]]:
    if column is None or column not in frame.columns:
        yield default, frame
        return
    names = frame.get_column(column).cast(pl.String).fill_null(default)
    for name in names.unique(maintain_order=True):
        yield split_name(name), frame.filter(names == name).drop(column)


def _named(asides: list[_Closed], folder: Path, split: str) -> Iterator[ShardFile]:
    for number, closed in enumerate(asides):
        final = folder / shard_name(split, number, len(asides))
        closed.path.replace(final)
        yield ShardFile(final, split, closed.rows, final.stat().st_size, file_sha256(final))


@dataclass(frozen=True, slots=True)
class _Closed:
    path: Path
    rows: int


@dataclass(slots=True)
class _SplitWriter:
    """The files of one split, written one after the other in whole row groups."""

    folder: Path
    split: str
    schema: pa.Schema
    shard_bytes: int
    waiting: list[pa.Table] = field(default_factory=list)
    n_waiting: int = 0
    waiting_bytes: int = 0
    dictionary: list[str] | None = None
    open: pq.ParquetWriter | None = None
    rows: int = 0  # of the open file
    content: int = 0  # bytes of the open file before compression
    closed: list[_Closed] = field(default_factory=list)

    def add(self, rows: pa.Table) -> None:
        self.waiting.append(rows)
        self.n_waiting += rows.num_rows
        self.waiting_bytes += _table_bytes(rows)
        while self.n_waiting >= ROW_GROUP_ROWS or (self.waiting_bytes > _GROUP_BYTES and self.n_waiting > 1):
            together = pa.concat_tables(self.waiting)  # copied once, when it is cut
            n = _fitting(together)
            self._write(together.slice(0, n).combine_chunks())
            self.waiting, self.n_waiting = [together.slice(n)], self.n_waiting - n
            self.waiting_bytes = _table_bytes(self.waiting[0])

    def close(self) -> list[_Closed]:
        if self.n_waiting:
            self._write(pa.concat_tables(self.waiting).combine_chunks())
        if self.open is None and not self.closed:
            self._begin(self.schema.empty_table())
        self._finish()
        return self.closed

    def _write(self, group: pa.Table) -> None:
        if self.open is None:
            self._begin(group)
        assert self.open is not None
        self.open.write_table(group, row_group_size=group.num_rows)
        pa.default_memory_pool().release_unused()
        self.rows += group.num_rows
        self.content += _table_bytes(group)
        if self.content >= self.shard_bytes:
            self._finish()

    def _begin(self, first: pa.Table) -> None:
        if self.dictionary is None:
            self.dictionary = [
                path
                for name, column in zip(first.column_names, _arrays(first), strict=True)
                for path in _repeating(name, column)
            ]
        self.open = pq.ParquetWriter(
            self._aside(),
            self.schema,
            compression="zstd",
            compression_level=1,
            version="2.6",
            use_dictionary=self.dictionary or False,
            write_statistics=True,
            write_page_index=True,
        )
        self.rows = self.content = 0

    def _finish(self) -> None:
        if self.open is None:
            return
        self.open.close()
        self.open = None
        with self._aside().open("rb") as file:
            os.fsync(file.fileno())
        self.closed.append(_Closed(self._aside(), self.rows))

    def _aside(self) -> Path:
        return self.folder / f".{self.split}-{len(self.closed):05d}.aside"


def _arrays(table: pa.Table) -> list[pa.Array]:
    """Each column as one array; columns of an empty table have no chunk at all."""
    return [column.chunk(0) if column.num_chunks else pa.array([], column.type) for column in table.columns]


def _table_bytes(rows: pa.Table) -> int:
    return sum(_content_bytes(array) for column in rows.columns for array in column.chunks)


def _fitting(rows: pa.Table) -> int:
    """How many rows, from the first on, make one row group: at least one, however rows came in tables."""
    low, high = 1, min(rows.num_rows, ROW_GROUP_ROWS)
    if _table_bytes(rows.slice(0, high)) <= _GROUP_BYTES:
        return int(high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _table_bytes(rows.slice(0, middle)) <= _GROUP_BYTES else (low, middle)
    return int(low)


def _content_bytes(array: pa.Array) -> int:
    """Bytes of the values, null or not, counted the same for equal values whatever buffers hold them."""
    kind = array.type
    if pa.types.is_struct(kind):
        return sum(map(_content_bytes, array.flatten()))
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return 4 * len(array) + _content_bytes(array.flatten())
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return 4 * len(array) + int(pc.sum(pc.binary_length(array)).as_py() or 0)
    return len(array) * max(int(kind.bit_width) // 8, 1)


def _repeating(path: str, array: pa.Array) -> Iterator[str]:
    """Leaf columns whose values repeat, and for which a dictionary therefore pays."""
    kind = array.type
    if pa.types.is_struct(kind):
        for part, values in zip(kind, array.flatten(), strict=True):
            yield from _repeating(f"{path}.{part.name}", values)
    elif pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _repeating(f"{path}.list.element", array.flatten())
    elif len(array) and pc.count_distinct(array, mode="all").as_py() <= len(array) // 2 + 1:
        yield path
