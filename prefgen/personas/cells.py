"""A joint distribution as a list of possible cells, and the typed columns that cells become."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.spec.attribute import Attribute
from prefgen.spec.document import Key

Codes = NDArray[np.integer[Any]]
Shares = NDArray[np.float64]

_WHOLE = re.compile(r"^-?(0|[1-9]\d{0,17})$")


@dataclass(frozen=True, slots=True)
class Axis:
    """One attribute with levels.

    ordered    whether neighbouring levels are near each other
    bins       whether the levels are ranges of numbers, from which a number is drawn
    """

    name: str
    levels: tuple[str, ...]
    ordered: bool = False
    bins: bool = False

    @classmethod
    def of(cls, name: str, attribute: Attribute) -> Axis:
        """The axis of an attribute as written in a spec."""
        return cls(name, attribute.names, attribute.in_order, attribute.bins is not None)


@dataclass(frozen=True, slots=True)
class Target:
    """One table to reproduce.

    key        where the spec gives it
    names      its attributes, conditioned ones first: the order of the axes of `share`
    share      sums to 1; of a conditional, sums to 1 for each combination of the given attributes
    n_given    how many of its attributes are conditioned on
    """

    key: Key
    names: tuple[str, ...]
    share: Shares
    n_given: int = 0

    @property
    def label(self) -> str:
        """How people call it: `age x vote`, `vote | age`."""
        given, of = self.names[: self.n_given], self.names[self.n_given :]
        return " x ".join(of) + (f" | {' x '.join(given)}" if given else "")


@dataclass(frozen=True, slots=True)
class Cells:
    """The possible cells of a joint distribution.

    codes    one array an axis: the level (index into `axis.levels`) of every cell
    share    share of every cell; sums to 1
    """

    axes: tuple[Axis, ...]
    codes: tuple[Codes, ...]
    share: Shares


def tabulate(axes: Sequence[Axis], codes: Sequence[Codes], names: Sequence[str], weights: Shares | None) -> Shares:
    """Rows with these codes, counted (or weights summed) into a table over `names`."""
    place = {axis.name: index for index, axis in enumerate(axes)}
    shape = tuple(len(axes[place[name]].levels) for name in names)
    flat = flat_index([codes[place[name]] for name in names], shape)
    size = int(np.prod(shape))
    return summed(flat, weights, size).reshape(shape)


def summed(index: NDArray[np.integer[Any]], weights: Shares | None, size: int) -> Shares:
    """Weights (or rows) summed by position."""
    return np.bincount(index, weights=weights, minlength=size).astype(np.float64, copy=False)


def flat_index(codes: Sequence[Codes], shape: Sequence[int]) -> NDArray[np.intp]:
    """Position of every row in a table of this shape, last axis fastest."""
    flat = codes[0].astype(np.intp)
    for code, size in zip(codes[1:], shape[1:], strict=True):
        flat *= size
        flat += code
    return flat


def typed_levels(levels: Sequence[str]) -> pl.Series:
    """Levels as the values of a column: whole numbers, truth values, else text.

    Text, not a categorical type: exports must load in `datasets`, which knows no ordered categories.
    """
    if levels and all(_WHOLE.match(level) for level in levels):
        return pl.Series([int(level) for level in levels], dtype=pl.Int64)
    if levels and set(levels) <= {"true", "false"}:
        return pl.Series([level == "true" for level in levels], dtype=pl.Boolean)
    return pl.Series(list(levels), dtype=pl.String)


def level_column(axis: Axis, codes: Codes) -> pl.Series:
    """The column of an axis: the typed level of every row (for bins: the label)."""
    name = f"{axis.name}_band" if axis.bins else axis.name
    levels = pl.Series(list(axis.levels), dtype=pl.String) if axis.bins else typed_levels(axis.levels)
    return levels.gather(pl.Series(codes)).alias(name)
