"""Which row groups a condition can hold in, told from the least and largest values that Parquet keeps of each column."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl

_COMPARED: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}


@dataclass(frozen=True, slots=True)
class Range:
    """Values of one column in one row group: none is below `least` or above `most`."""

    least: Any
    most: Any


def ranges_of(metadata: Any, group: int) -> dict[str, Range]:
    """The columns of a row group (of a `pyarrow.parquet.FileMetaData`) whose ranges are known."""
    found = {}
    for place in range(metadata.num_columns):
        column = metadata.row_group(group).column(place)
        statistics = column.statistics
        if statistics is not None and statistics.has_min_max:
            found[column.path_in_schema] = Range(statistics.min, statistics.max)
    return found


def may_hold(condition: pl.Expr, ranges: Mapping[str, Range]) -> bool:
    """Whether a row within `ranges` may fulfil the condition; True wherever that cannot be told.

    Understands comparisons of a column with a value, IN, AND and OR; a null or NaN fulfils none of them.
    """
    parts = condition.meta.pop()
    if len(parts) == 2:
        right, left = parts
        if condition.meta.eq(left & right):
            return may_hold(left, ranges) and may_hold(right, ranges)
        if condition.meta.eq(left | right):
            return may_hold(left, ranges) or may_hold(right, ranges)
        return _may_compare(condition, left, right, ranges)
    return True


def _may_compare(condition: pl.Expr, left: pl.Expr, right: pl.Expr, ranges: Mapping[str, Range]) -> bool:
    turned = left.meta.is_literal()
    column, value = (right, left) if turned else (left, right)
    if not column.meta.is_column() or not value.meta.is_literal():
        return True
    name = column.meta.output_name()
    if name not in ranges:
        return True
    said = pl.select(value).to_series().to_list()
    said = said[0] if said and isinstance(said[0], list) else said  # the values of an IN
    quoted = '"' + name.replace('"', '""') + '"'
    if not said or any(_written(one) is None for one in said):
        return True
    written = [str(_written(one)) for one in said]
    if _is_same(condition, pl.sql_expr(f"{quoted} IN ({', '.join(written)})")):
        return any(_within(ranges[name], "=", one) for one in said)
    for sign, plain in _COMPARED.items():
        words = f"{written[0]} {sign} {quoted}" if turned else f"{quoted} {sign} {written[0]}"
        if len(said) == 1 and (condition.meta.eq(plain(left, right)) or _is_same(condition, pl.sql_expr(words))):
            return _within(ranges[name], _TURNED[sign] if turned else sign, said[0])
    return True


def _is_same(condition: pl.Expr, written: pl.Expr) -> bool:
    """Whether two conditions over the same column and values compare them alike.

    polars makes operators of some comparisons and functions of others, by type; functions never count as equal.
    """
    return condition.meta.eq(written) or str(condition) == str(written)


def _written(value: object) -> str | None:
    """A value as SQL has it; None for one that is not compared here."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return f"DATE '{value}'" if isinstance(value, date) and not isinstance(value, datetime) else None


def _within(range: Range, sign: str, value: Any) -> bool:
    if isinstance(value, Decimal) and not isinstance(range.least, Decimal):
        value = float(value)  # as polars compares it with a column of floats
    try:
        return bool(
            {
                "=": range.least <= value <= range.most,
                "<": range.least < value,
                "<=": range.least <= value,
                ">": range.most > value,
                ">=": range.most >= value,
            }[sign]
        )
    except TypeError:
        return True  # polars will say that these are not compared
