"""Choices that are computed and not asked: what a persona's utility function makes of the options of an item."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.judging.candidates import OF_OPTIONS, of_options
from prefgen.judging.design import qualified, unqualified_names
from prefgen.spec.condition import ConditionError, read_expression

Floats = NDArray[np.float64]

WEIGHTS = "weights"
"""The utility that is the sum of a persona's weights times the option's columns of the same names."""


@dataclass(frozen=True, slots=True)
class Utility:
    """What a persona holds of every option.

    said           `weights`, or an SQL expression over `people.<column>` and `items.<column>` (of the options: `option_x` is `x`)
    standardize    whether the options' numbers are first brought to mean 0 and standard deviation 1, column by column
    """

    said: str
    standardize: bool = False

    def of(self, persona: dict[str, object], options: pl.DataFrame) -> Floats:
        """One number for every row of `options`. Raises ConditionError where it cannot be computed."""
        both = sorted(name for name in options.columns if isinstance(persona.get(name), int | float))
        if self.said == WEIGHTS:
            if not both:
                raise ConditionError(
                    "no persona has a weight that is named as a column of the options",
                    f"name weights as columns: {', '.join(options.columns)}",
                )
            weights = np.array([persona[name] for name in both], dtype=np.float64)
            return options.select(pl.col(both).cast(pl.Float64)).to_numpy() @ weights
        told = qualified(options, persona)
        found = read_expression(unqualified_names(self.said)).value(told)
        if not found.dtype.is_numeric():
            raise ConditionError(
                f"{self.said!r} is of type {found.dtype}, not a number", "write e.g. `speed - 2 * price`"
            )
        return found.cast(pl.Float64).to_numpy()


def options_long(items: pl.DataFrame, *, standardize: bool) -> pl.DataFrame:
    """The options of all items one below the other: `_item` (row of the item), `_option`, and a column for every `option_<x>`.

    Numbers only where standardized; a column without spread is 0.
    """
    names = of_options(items.schema)
    long = (
        items.with_row_index("_item")
        .select("_item", "options", *(pl.col(f"{OF_OPTIONS}{name}").alias(name) for name in names))
        .with_columns(pl.int_ranges(pl.col("options").list.len()).alias("_option"))
        .explode("options", "_option", *names)
        .drop("options")
    )
    if not standardize:
        return long
    numbers = [name for name in names if long.schema[name].is_numeric()]
    deviation = {name: float(long[name].std() or 0.0) for name in numbers}  # type: ignore[arg-type]
    return long.with_columns(
        ((pl.col(name) - pl.col(name).mean()) / deviation[name] if deviation[name] > 0 else pl.lit(0.0)).alias(name)
        for name in numbers
    )


def shares(utility: Floats, item: NDArray[np.int64], noise: float) -> Floats:
    """The probability of every option: softmax of utility / noise within its item; for noise 0 the best share all, rounding aside.
    NaN for all options of an item of which one has no utility.

    item    the item's row of every option, in order
    """
    starts = np.flatnonzero(np.r_[True, item[1:] != item[:-1]])
    sizes = np.diff(np.r_[starts, len(item)])
    best = np.repeat(np.maximum.reduceat(utility, starts), sizes)
    with np.errstate(over="ignore", invalid="ignore"):
        raised = np.exp((utility - best) / noise) if noise > 0 else _as_good(utility, best)
        found: Floats = raised / np.repeat(np.add.reduceat(raised, starts), sizes)
    return found


def _as_good(utility: Floats, best: Floats) -> Floats:
    """1 where nothing but rounding parts an option from the best, else 0."""
    return (utility >= best - 1e-9 * np.maximum(1.0, np.abs(best))).astype(np.float64)
