"""`product`: every combination of its axes, coordinates kept as columns."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from prefgen.ids import content_id
from prefgen.seeds import rng_for
from prefgen.spec.condition import ConditionError, condition_over
from prefgen.spec.document import Key
from prefgen.spec.fields import InputPath, Name
from prefgen.spec.fields import Spec as SpecPart
from prefgen.steps.context import Context
from prefgen.steps.step import Parts, Step
from prefgen.steps.table.glue import kept
from prefgen.steps.table.items import hashable
from prefgen.store.objects import frame_of
from prefgen.store.rows import read_rows_with_notes
from prefgen.store.table import Table

MAX_ROWS = 20_000_000
MOST_DRAWN_FROM = 2**62
"""Combinations of which some can be drawn: places are numbers of 64 bits."""


class Tree(SpecPart):
    """An axis written as nested mappings whose leaves are the axis's values."""

    by: list[Name] = Field(min_length=1, description="Column for each level of keys, the outermost first.")
    tree: dict[str, Any] = Field(description="Mappings as deep as `by` is long, with lists of values at the leaves.")


Scalar = str | int | float | bool


class FromFile(SpecPart):
    """An axis whose rows stand in a file."""

    file: InputPath = Field(description="A jsonl, csv, tsv or parquet file with a column named as the axis.")


class FromStep(SpecPart):
    """An axis whose rows another step made."""

    step: str = Field(description="Name of an earlier step.")


Axis = list[Scalar] | list[dict[str, Scalar]] | Tree | FromFile | FromStep


class Product(Step):
    """Every combination of the axes, the last axis changing fastest.

    ```yaml
    cells:
      product:
        group: [women, men]
        topic: {by: [theme], tree: {fair rewards: [wages, bonuses]}}
        dimension: [{dimension: care, first: "...", second: "..."}]
    some: {product: {persona_id: {step: people}, item_id: {step: problems}}, draw: 1000}
    ```
    """

    kind: ClassVar[str] = "product"

    product: dict[Name, Axis] = Field(
        min_length=1,
        description="Axes: a list of values, a list of rows, `{by, tree}`, `{file}` or `{step}`. "
        "An axis of rows must have a column named as the axis; `<step>_id` is made of the rows of a step without ids. Dropped rows are left out.",
    )
    where: str | None = Field(
        None, description="polars SQL expression over the columns; only rows for which it is true are made."
    )
    draw: int | None = Field(
        None,
        ge=1,
        le=MAX_ROWS,
        description="Only so many of the combinations, drawn evenly at random and in their order.",
    )

    def reads(self) -> tuple[tuple[str, str], ...]:
        return tuple(("product", axis.step) for axis in self.product.values() if isinstance(axis, FromStep))

    def inputs(self) -> tuple[Path, ...]:
        return tuple(axis.file for axis in self.product.values() if isinstance(axis, FromFile))

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """One row per combination: the columns of every axis."""
        frames = {name: _axis(name, axis, tables, context) for name, axis in self.product.items()}
        _check_columns(frames, context)
        n_rows = math.prod(frame.height for frame in frames.values())
        straight = self.draw is not None and self.where is None  # so only those drawn have to be made
        if n_rows > (MOST_DRAWN_FROM if straight else MAX_ROWS):
            most = f"at most {MOST_DRAWN_FROM if straight else MAX_ROWS:,}"
            raise context.error("product", f"{n_rows:,} combinations, {most}", "shorten an axis")
        rows = _combined([*frames.values()], self._drawn(n_rows, context) if straight else np.arange(n_rows))
        if self.where is not None:
            rows = filtered(rows, self.where, "where", context)
        yield rows if straight else rows[self._drawn(rows.height, context)]
        return None

    def _drawn(self, n: int, context: Context) -> NDArray[np.int64]:
        """Places of those drawn of n, in order; of all where no number is given, or as many."""
        if self.draw is None or self.draw >= n:
            return np.arange(n)
        return np.sort(rng_for(context.seed, "product", context.step).choice(n, size=self.draw, replace=False))


def _check_columns(frames: Mapping[str, pl.DataFrame], context: Context) -> None:
    """No column stands on two axes."""
    known: set[str] = set()
    for name, frame in frames.items():
        twice = sorted(set(frame.columns) & known)
        if twice:
            raise context.error(
                ("product", name), f"column {twice[0]!r} stands on two axes", "rename it on one of them"
            )
        known |= set(frame.columns)


def _combined(axes: Sequence[pl.DataFrame], places: NDArray[np.int64]) -> pl.DataFrame:
    """The combinations at some places, the last axis changing fastest."""
    parts: list[pl.DataFrame] = []
    for frame in reversed(axes):
        parts.append(frame[places % frame.height])
        places = places // frame.height
    return pl.concat(parts[::-1], how="horizontal")


def _axis(name: str, axis: Axis, tables: Mapping[str, Table], context: Context) -> pl.DataFrame:
    at = ("product", name)
    if isinstance(axis, FromFile):
        frame, notes = read_rows_with_notes(axis.file)
        context.note(*notes)
    elif isinstance(axis, FromStep):
        frame = _with_id(kept(tables[axis.step]), name, axis.step)
    elif isinstance(axis, Tree):
        frame = _frame(list(_leaves(axis.tree, axis.by, name, context)), at, context)
    else:
        rows = [value if isinstance(value, dict) else {name: value} for value in axis]
        if len({type(row[name]) for row in rows if name in row} - {type(None)}) > 1:
            raise context.error(at, "values of different types on one axis", "quote them all")
        frame = _frame(rows, at, context)
    context.check_columns(frame.schema, at)
    if frame.is_empty() and not isinstance(axis, FromStep):  # of what a step made, nothing may be left
        raise context.error(at, "an axis without values", "give it at least one")
    if name not in frame.columns:
        raise context.error(at, f"its rows have no column {name!r}, only {frame.columns}", f"add a column {name!r}")
    if frame[name].is_duplicated().any():
        twice = frame[name].filter(frame[name].is_duplicated())[0]
        raise context.error(at, f"{twice!r} stands on it twice", "write every value once")
    return frame


def _with_id(rows: pl.DataFrame, name: str, step: str) -> pl.DataFrame:
    """The rows with ids by their content, where it is these that are asked for and they have none."""
    if name != f"{step}_id" or name in rows.columns:
        return rows
    return rows.with_columns(pl.Series(name, [content_id("row", row) for row in hashable(rows)], pl.String))


def _frame(rows: list[dict[str, Any]], at: tuple[str, ...], context: Context) -> pl.DataFrame:
    return frame_of(rows, lambda number, problem, fix: context.error((*at, number), problem, fix))


def _leaves(tree: object, by: list[str], name: str, context: Context) -> Iterator[dict[str, Any]]:
    if not by:
        values = tree if isinstance(tree, list) else None
        if values is None or not all(isinstance(value, Scalar) for value in values):
            raise context.error(
                ("product", name, "tree"),
                "the leaves must be lists of values",
                "make the mappings as deep as `by` is long",
            )
        yield from ({name: value} for value in values)
        return
    if not isinstance(tree, dict):
        raise context.error(
            ("product", name, "tree"), f"level {by[0]!r} is not a mapping", "make the mappings as deep as `by` is long"
        )
    for key, below in tree.items():
        for row in _leaves(below, by[1:], name, context):
            yield {by[0]: key, **row}


def filtered(rows: pl.DataFrame, where: str, key: str, context: Context) -> pl.DataFrame:
    """The rows for which a SQL expression is true; a bad expression is a complaint about `key`."""
    with complaints_of(context, key):
        return rows.filter(condition_over(where, rows.schema).holds(rows))


@contextlib.contextmanager
def complaints_of(context: Context, key: str | Key) -> Iterator[None]:
    """What is wrong with a condition becomes a complaint about this key of the step."""
    try:
        yield
    except ConditionError as error:
        raise context.error(key, error.problem, error.fix) from None
