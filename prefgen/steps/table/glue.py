"""Tables made of others: one below the other, one row an element of a list, or what a query says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from prefgen.errors import first_words
from prefgen.spec.condition import ConditionError
from prefgen.spec.query import read_query
from prefgen.steps.context import Context
from prefgen.store.table import Table


def stacked(tables: Sequence[Table], context: Context) -> Iterator[pl.DataFrame]:
    """The kept rows of several tables, one table below the other, part by part; a column that one lacks is null there.

    SpecError where a column has types that have none in common.
    """
    whole = _together([kept_of(table.parts[0].head(0).collect()) for table in tables], context)
    for table in tables:
        for frame in table.frames():
            yield _together([whole, kept_of(frame)], context)


def _together(frames: Sequence[pl.DataFrame], context: Context) -> pl.DataFrame:
    try:
        return pl.concat(frames, how="diagonal_relaxed")
    except pl.exceptions.PolarsError as error:
        raise context.error("table", first_words(error), "rename one of the columns, or write it as text") from None


def each_element(rows: pl.DataFrame, column: str, step: str, context: Context) -> pl.DataFrame:
    """One row for every element of a list, with `<step>_place`; an element of several values becomes columns.

    Rows with an empty list have no row.
    """
    kind = rows.schema.get(column)
    if not isinstance(kind, pl.List):
        lists = ", ".join(name for name, one in rows.schema.items() if isinstance(one, pl.List)) or "none"
        raise context.error("each", f"{column!r} is no column with lists", f"name one that is; here are: {lists}")
    place = f"{step}_place"
    long = rows.with_columns(pl.int_ranges(pl.col(column).list.len()).alias(place)).filter(
        pl.col(column).list.len() > 0
    )
    long = long.explode(column, place)
    if not isinstance(kind.inner, pl.Struct):
        return long
    values = long[column].struct.unnest()
    twice = [name for name in values.columns if name in long.columns and name != column]
    if twice:
        raise context.error(
            "each", f"its elements have {twice[0]!r}, and the rows have too", "rename that column of the rows"
        )
    return long.drop(column).hstack(values)


def queried(sql: str, tables: Mapping[str, Table], context: Context) -> pl.DataFrame:
    """What a query says over the kept rows of some tables, by their names; sorted by its id columns, then by all others.

    A query has no order of its own: GROUP BY and JOIN may return rows in any. SpecError for one that cannot be answered.
    """
    try:
        found = read_query(sql).over({name: kept(table) for name, table in tables.items()})
    except ConditionError as error:
        raise context.error("sql", error.problem, error.fix) from None
    plain = [name for name, kind in found.schema.items() if not kind.is_nested()]
    first = [name for name in plain if name.endswith("_id")]
    return (
        found.sort(*first, *(name for name in plain if name not in first), maintain_order=True, nulls_last=True)
        if plain
        else found
    )


def kept(table: Table) -> pl.DataFrame:
    """The rows that no step dropped."""
    return kept_of(table.read())


def kept_of(rows: pl.DataFrame) -> pl.DataFrame:
    """Those of some rows that no step dropped, without the column of reasons."""
    if "reject_reason" not in rows.columns:
        return rows
    return rows.filter(pl.col("reject_reason").is_null()).drop("reject_reason")
