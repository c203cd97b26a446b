"""Columns of vectors, as the analyses take them."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from prefgen.analysis.asked.found import NotAnalysedError


def is_vector(kind: pl.DataType) -> bool:
    """Whether a column holds lists of numbers."""
    return isinstance(kind, pl.List | pl.Array) and kind.inner.is_numeric()


def spread_out(rows: pl.DataFrame, name: str) -> tuple[pl.DataFrame, list[str]]:
    """(the rows with a column for each number of a vector, rows without one left out; names of these columns)."""
    rows = rows.drop_nulls(name)
    vectors = rows[name].cast(pl.List(pl.Float64))
    lengths = vectors.list.len().unique().to_list()
    if len(lengths) > 1:
        raise NotAnalysedError(
            f"{name!r} holds vectors of {min(lengths)} and of {max(lengths)} numbers", "ask one model"
        )
    if lengths == [0] or not vectors.explode().is_finite().fill_null(value=False).all():
        raise NotAnalysedError(f"{name!r} holds vectors of which numbers are missing, or not finite")
    names = [f"{name}.{place}" for place in range(lengths[0] if lengths else 0)]
    numbers = vectors.list.to_struct(fields=names).struct.unnest()
    return rows.drop(name).hstack(numbers) if names else rows.drop(name), names


def check_plain(rows: pl.DataFrame, names: Sequence[str]) -> None:
    """NotAnalysedError for a column by which rows cannot be told apart: lists, vectors."""
    for name in names:
        if rows.schema[name].is_nested():
            raise NotAnalysedError(f"{name!r} is of type {rows.schema[name]}", "name a column with one value a row")
