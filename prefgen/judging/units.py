"""What an interval counts: questions that might have been others, and the topics and groups they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from prefgen.crossing import Codes, Crossing, Floats, Variance, variance_of
from prefgen.estimates import Estimate, crossed_mean, crossed_share, unit_starts

FORM = "form"
"""The coordinate that says in which wording a question is asked."""
DIMENSIONS = ("dimension", "axis", "value", "aspect")
"""Names under which people keep what is asked of a topic, the likeliest first."""
SAMPLED_FROM = 6
"""Levels from which on a coordinate's levels are taken as a sample of those that might have been."""


def sampled_coordinates(items: pl.DataFrame, coordinates: Sequence[str]) -> tuple[str, ...]:
    """The coordinates over whose levels intervals generalise: topics, groups, scenes.

    A coordinate is fixed, and an interval speaks of just its levels, where it has fewer than SAMPLED_FROM levels, or is the
    form or the dimension of a question: those are the design. One that is compared is fixed as well: within one level
    of it there is nothing to vary.
    """
    design = (FORM, *DIMENSIONS)
    return tuple(name for name in coordinates if name not in design and items[name].n_unique() >= SAMPLED_FROM)


class Units:
    """Items as the units of an interval.

    of         (I,) which unit each item belongs to, units side by side: the forms of one question are one unit, since who has
               an opinion on one has it on the other; else every item is its own
    crossing   the factors that units share
    """

    __slots__ = ("_starts", "crossing", "of")

    def __init__(self, of: Codes, crossing: Crossing) -> None:
        self.of = of
        self.crossing = crossing
        self._starts = unit_starts(of)

    @classmethod
    def over(cls, of: Codes, items: pl.DataFrame, sampled: Sequence[str]) -> Units:
        """Units of items that share the levels of `sampled`; a missing level is a level."""
        starts = unit_starts(of)
        codes = [items[name].rank("dense").fill_null(0).to_numpy()[starts].astype(np.int64) for name in sampled]
        return cls(of, Crossing(codes))

    def __len__(self) -> int:
        return len(self._starts)

    def sum(self, values: NDArray[Any]) -> NDArray[Any]:
        """(I, ...) numbers of items, added up within each unit."""
        return np.asarray(np.add.reduceat(values, self._starts, axis=0)) if len(values) else values

    def share(self, successes: ArrayLike, trials: ArrayLike, *, binary: bool = True) -> Estimate:
        """`crossed_share` of one number an item."""
        won, of = (self.sum(np.asarray(x, np.float64)) for x in (successes, trials))
        return crossed_share(won, of, self.crossing, binary=binary)

    def mean(self, sums: ArrayLike, counts: ArrayLike, *, within: tuple[float, float], level: float = 0.95) -> Estimate:
        """`crossed_mean` of one sum and count an item."""
        total, of = (self.sum(np.asarray(x, np.float64)) for x in (sums, counts))
        return crossed_mean(total, of, self.crossing, within=within, level=level)

    def variance(self, apart: Floats, asked: NDArray[np.bool_]) -> Variance:
        """`variance_of` a statistic whose items are `apart`; those not asked are 0."""
        return variance_of(self.sum(apart), self.crossing, asked=self.sum(asked.astype(np.int64)) > 0)

    def among(self, items: Codes) -> Units:
        """The units of some of the items, in their order."""
        of = self.of[items]
        starts = unit_starts(of)
        place = np.cumsum(np.concatenate([[0], np.diff(self.of) != 0])) if len(self.of) else self.of
        return Units(of, self.crossing.among(place[items][starts]))
