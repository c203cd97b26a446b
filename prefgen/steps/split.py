"""`split`: which part of the dataset a row belongs to, decided by names and not by chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import polars as pl
from pydantic import Field

from prefgen.seeds import unit_for
from prefgen.spec.fields import Name
from prefgen.spec.pipeline import Grain, StepSpec
from prefgen.steps.context import Context
from prefgen.store.table import Table

_SHORT = {"persona": "persona_id", "item": "item_id"}


class Spec(StepSpec):
    """The same rows with a column `split`.

    ```yaml
    parts: {split: pairs, by: [topic, persona], test: 0.1}
    ```

    A value of a `by` column is held out or not by a number that belongs to the value and the seed alone, so a row
    never changes side when rows are added. With one column the splits are `train` and `test`. With several, a row
    is in `train` when none of its values is held out, in `test` when all are, else in `test_<columns held out>`:
    no value of `train` is ever seen held out.
    """

    split: str = Field(description="Name of the step whose rows are parted.")
    by: list[Name] = Field(
        min_length=1, description="Columns whose values are held out whole; `persona` and `item` are the ids."
    )
    test: float = Field(gt=0, lt=1, description="Share of the values of each column that is held out.")

    grain: ClassVar[Grain | None] = None

    def reads(self) -> tuple[tuple[str, str], ...]:
        return (("split", self.split),)


def make(spec: Spec, tables: Mapping[str, Table], context: Context) -> Iterator[pl.DataFrame]:
    """The rows of the table read, with `split`."""
    table = tables[spec.split]
    columns = [_SHORT.get(name, name) for name in spec.by]
    for index, name in enumerate(columns):
        if name not in table.schema:
            raise context.error(
                ("by", index), f"no column {name!r} in {spec.split!r}", f"use one of {', '.join(table.schema)}"
            )
    held_out = {name: _held_out(table, name, spec.test, context.seed) for name in columns}
    for name, values in held_out.items():
        context.summary[f"held_out_{name}"] = len(values)
    parted = _split_name(columns, held_out)
    for frame in table.frames():
        yield frame.with_columns(parted)


def _held_out(table: Table, name: str, share: float, seed: int) -> list[Any]:
    values = table.scan().select(pl.col(name).unique()).collect(engine="streaming")[name].sort()
    # An item or persona is the same one in every split step of every run with this seed.
    return [value for value in values if unit_for(seed, "split", name, str(value)) < share]


def _split_name(columns: list[str], held_out: Mapping[str, list[Any]]) -> pl.Expr:
    outside = {name: pl.col(name).is_in(held_out[name]).fill_null(False) for name in columns}
    every = pl.all_horizontal(outside.values())
    none = ~pl.any_horizontal(outside.values())
    short = {long: word for word, long in _SHORT.items()}
    named = pl.concat_str(
        [
            pl.when(where).then(pl.lit(f"_{short.get(name, name)}")).otherwise(pl.lit(""))
            for name, where in outside.items()
        ]
    )
    return (
        pl.when(none)
        .then(pl.lit("train"))
        .when(every)
        .then(pl.lit("test"))
        .otherwise(pl.lit("test") + named)
        .alias("split")
    )
