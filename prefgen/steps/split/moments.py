"""Times that are cut: numbers, dates, times of day and their text, compared as what they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from pydantic import StrictFloat, StrictInt, StrictStr

from prefgen.errors import SpecError
from prefgen.steps.context import Context
from prefgen.store.table import Table

Moment = StrictInt | StrictFloat | StrictStr
"""A moment as YAML has it: a number, or the text of a date or time."""

_ISO = r"^\d{4}(-\d{2}(-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?Z?)?)?)?$"


@dataclass(frozen=True, slots=True)
class Cuts:
    """A column of times made comparable, and where it is cut; `test` is None where there are no rows to find it in."""

    column: pl.Expr
    test: Any
    validation: Any = None

    def from_test(self) -> pl.Expr:
        """Whether a row is held out."""
        return pl.lit(False) if self.test is None else self.column >= pl.lit(self.test)

    def from_validation(self) -> pl.Expr:
        """Whether a row is past the first cut."""
        return self.column >= pl.lit(self.validation)


def cuts_of(
    table: Table, name: str, *, test: Moment | None, validation: Moment | None, share: float | None, context: Context
) -> Cuts:
    """The column `name` of a table and its cuts; SpecError for a cut or a row that is no time of that column's type."""
    column = comparable(table, name, context)
    dtype = table.schema[name]
    if share is not None:
        return Cuts(column, _by_share(table, column, share, context))
    at_test = _cut(test, dtype, ("time", "test"), context)
    if validation is None:
        return Cuts(column, at_test)
    at_validation = _cut(validation, dtype, ("time", "validation"), context)
    if not at_validation < at_test:
        problem = f"{validation!r} is not before `test`, {test!r}"
        raise context.error(("time", "validation"), problem, "write an earlier moment")
    return Cuts(column, at_test, at_validation)


def comparable(table: Table, name: str, context: Context) -> pl.Expr:
    """A column of times as what can be compared; SpecError where it is none, or a row has no time."""
    if name not in table.schema:
        fix = f"use one of {', '.join(table.schema)}"
        raise context.error(("time", "column"), f"no column {name!r} in {table.name!r}", fix)
    dtype = table.schema[name]
    column = _comparable(name, dtype, context)
    _check_rows(table, name, dtype, context)
    return column


def _comparable(name: str, dtype: pl.DataType, context: Context) -> pl.Expr:
    column = pl.col(name)
    if dtype == pl.String:
        return column.str.replace(" ", "T", literal=True).str.strip_suffix("Z")
    if dtype == pl.Date:
        return column.cast(pl.Datetime("us"))
    if dtype.is_numeric() or dtype == pl.Datetime or dtype == pl.Null:
        return column
    problem = f"{name!r} is of type {dtype}, which is no time"
    raise context.error(("time", "column"), problem, "name a column of numbers, dates, times, or their text")


def _check_rows(table: Table, name: str, dtype: pl.DataType, context: Context) -> None:
    column = pl.col(name)
    bad = ~column.str.contains(_ISO) if dtype == pl.String else column.is_nan() if dtype.is_float() else pl.lit(False)
    found = table.scan().select(column.null_count().alias("empty"), column.filter(bad).first().alias("odd"))
    empty, odd = found.collect(engine="streaming").row(0)
    if empty:
        fix = "give every row its time; a row without one could come from after the cut"
        raise context.error(("time", "column"), f"{empty:,} row(s) have no {name!r}", fix)
    if odd is not None:
        raise context.error(
            ("time", "column"),
            f"{name!r} holds {odd!r}, whose order with others nobody knows",
            "write times as 2026-09-01 or 2026-09-01T12:00, all in one zone, or as numbers",
        )


def _cut(cut: Moment | None, dtype: pl.DataType, key: tuple[str, ...], context: Context) -> Any:
    if dtype.is_numeric():
        if isinstance(cut, str):
            raise context.error(key, f"{cut!r} is not a number, and the column holds numbers", "write e.g. 2026")
        return cut
    text = str(cut)
    if not re.match(_ISO, text) and not (isinstance(dtype, pl.Datetime) and dtype.time_zone):
        raise _no_time(key, text, context)
    if dtype in (pl.String, pl.Null):
        _read(text, key, context)
        return text.replace(" ", "T").removesuffix("Z")
    moment = _read(text, key, context)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone:
        return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(dtype.time_zone))
    return moment.replace(tzinfo=None)


def _read(text: str, key: tuple[str, ...], context: Context) -> datetime:
    """A moment from its text; a year or month is its first moment."""
    whole = f"{text}-01-01" if len(text) == 4 else f"{text}-01" if len(text) == 7 else text
    try:
        moment = datetime.fromisoformat(whole)
    except ValueError:
        raise _no_time(key, text, context) from None
    return moment if moment.tzinfo is None else moment.astimezone(UTC)


def _no_time(key: tuple[str, ...], text: str, context: Context) -> SpecError:
    return context.error(key, f"{text!r} is no date or time", "write it as 2026-09-01 or 2026-09-01T12:00")


def _by_share(table: Table, column: pl.Expr, share: float, context: Context) -> Any:
    """The moment from which about `share` of the rows are: rows of one moment stay together."""
    times = table.scan().select(column.alias("time")).collect(engine="streaming")["time"].sort()
    if times.is_empty():
        return None
    cut = times[min(round(len(times) * (1 - share)), len(times) - 1)]
    if cut == times[0]:
        later = times.filter(times > cut)
        if later.is_empty():
            moment = cut.isoformat() if isinstance(cut, date) else cut
            fix = "name a column with several moments"
            raise context.error(("time", "share"), f"all rows are of one moment, {moment!r}: nothing to part", fix)
        cut = later[0]
    return cut
