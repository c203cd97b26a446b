"""Parquet files that were right, changed: other types, odd values, odd names, and bytes as a disk may lose them."""

from __future__ import annotations

import datetime
import decimal
import io
import random
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

VALUES: list[Any] = [
    None,
    True,
    0,
    1,
    -1,
    10**6,
    2**63 - 1,
    -(2**63),
    2**53 + 1,
    0.0,
    -0.0,
    -0.5,
    1e-320,
    1e308,
    float("nan"),
    float("inf"),
    float("-inf"),
    "",
    " ",
    "none",
    "NA",
    "18-34",
    "-99",
    "9" * 400,
    "x" * 100_000,
    "\0",
    "\x1b[31m",
    "\u202e",
    "\U0001f600",
    '{"ImportId"',
    "{{ age }}",
    "a\nb",
    b"",
    b"\xff\xfe",
    datetime.date(1, 1, 1),
    datetime.datetime(2020, 1, 1),
    datetime.time(1),
    datetime.timedelta(1),
    decimal.Decimal("1E+30"),
    [],
    [None],
    ["x"],
    [[1]],
    {"x": None},
    {"x": [1]},
    {},
]
TYPES: list[pa.DataType] = [
    pa.null(),
    pa.bool_(),
    pa.int8(),
    pa.uint64(),
    pa.int64(),
    pa.float16(),
    pa.float32(),
    pa.float64(),
    pa.string(),
    pa.large_string(),
    pa.binary(),
    pa.binary(3),
    pa.decimal128(38, 2),
    pa.decimal256(60, 2),
    pa.date32(),
    pa.timestamp("ns", "Mars/Phobos"),
    pa.timestamp("s", "+01:00"),
    pa.time64("ns"),
    pa.duration("us"),
    pa.dictionary(pa.int32(), pa.string()),
    pa.list_(pa.string()),
    pa.list_(pa.int8(), 2),
    pa.struct([("x", pa.int64())]),
    pa.map_(pa.string(), pa.int64()),
]
NAMES = [
    "",
    " ",
    "age",
    "vote",
    "weight",
    "w",
    "q1",
    "share",
    "count",
    "persona_id",
    "text",
    "_row",
    "control",
    "\x1b[31m",
    "x" * 3000,
    "Age",
    "\0",
]


def parquet(table: pa.Table) -> bytes:
    """A table as a Parquet file of small row groups."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, row_group_size=max(1, table.num_rows // 2))
    return buffer.getvalue()


def read(content: bytes) -> pa.Table:
    """The table of a Parquet file."""
    return pq.read_table(io.BytesIO(content))


def changed(table: pa.Table, rng: random.Random) -> bytes:
    """The table as a file, with something changed before or after it was written."""
    if rng.random() < 0.25:
        return broken(parquet(table), rng)
    for _ in range(rng.choice([1, 1, 2, 3])):
        table = _other(table, rng)
    try:
        return parquet(table)
    except (pa.ArrowException, ValueError):  # of a type that Parquet does not have
        return broken(parquet(table.slice(0, 0).select([])), rng)


def broken(content: bytes, rng: random.Random) -> bytes:
    """Bytes changed, cut, taken out or put in; the last, where a file has its footer, as often as all others."""
    found = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 6])):
        at = rng.randrange(len(found) + 1) if rng.random() < 0.5 else max(0, len(found) - rng.randrange(800))
        kind = rng.random()
        if kind < 0.5:
            found[at : at + 1] = bytes([rng.randrange(256)])
        elif kind < 0.7:
            del found[at : at + rng.choice([1, 3, 50])]
        elif kind < 0.8:
            del found[at:]
        else:
            found[at:at] = rng.choice([b"\0", b"\xff", b"PAR1", b"\x80" * 9, content[:40]])
    return bytes(found)


def _other(table: pa.Table, rng: random.Random) -> pa.Table:
    """One column of other values or of another type, one renamed, doubled, or gone; fewer rows or none."""
    if not table.num_columns:
        return table
    place, kind = rng.randrange(table.num_columns), rng.random()
    name, column = table.column_names[place], table.column(place)
    if kind < 0.35:
        return table.set_column(place, name, _column(_some(_values(column), rng)))
    if kind < 0.65:
        return table.set_column(place, name, _typed(column, rng.choice(TYPES)))
    if kind < 0.8:
        other = rng.choice(NAMES)
        return table.rename_columns([other if at == place else one for at, one in enumerate(table.column_names)])
    if kind < 0.9:
        return table.append_column(rng.choice([name, *NAMES]), column)
    return table.remove_column(place) if kind < 0.95 else table.slice(0, rng.choice([0, 0, 1, 2]))


def _values(column: pa.ChunkedArray) -> list[Any]:
    """The values; those of a column that was made no UTF-8 as what is left of them."""
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        return [None if value is None else value[3:].decode() for value in column.cast(pa.binary()).to_pylist()]


def _some(values: list[Any], rng: random.Random) -> list[Any]:
    """One odd value in some rows, or in all."""
    odd, share = rng.choice(VALUES), rng.choice([0.02, 0.5, 1.0])
    return [odd if rng.random() < share else value for value in values]


def _column(values: Sequence[Any]) -> pa.Array:
    """Of their own type where they have one together, else all as text."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, ValueError):
        return pa.array([None if value is None else str(value)[:200] for value in values])


def _typed(column: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    """The column in another type; of bytes that are no UTF-8 for binary, empty where there is no way."""
    if pa.types.is_string(kind):
        raw = pa.array([b"\xed\xa0\xbd" + str(value).encode() for value in _values(column)], pa.binary())
        return raw.view(pa.string())
    try:
        return pa.array(_values(column.cast(kind)), kind)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return pa.nulls(len(column), kind)
