"""Where the verdicts of a judge stood, counted by item: what the position bias of a whole table is made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.estimates import Estimate
from prefgen.judging.item_facts import coordinates_of, in_units
from prefgen.judging.units import Units, sampled_coordinates

PEOPLE = 0.01
"""Position bias of people: they chose the option shown first in 50.5 % of 2 x 2,880 comparisons of two in which the order shown
was recorded. Source: GermanParties2009 and FirstNames of the R package psychotools (Wickelmaier and Zeileis)."""


@dataclass(frozen=True, slots=True, eq=False)
class Slots:
    """Where all verdicts of a run stood, by item, every persona counted: also those that a matrix leaves out.

    verdicts, first    judgments that named an option, the one marked neither included, and those of them in the first slot
    bias, cells        sum of the position bias of each persona on the item, and how many of them have one
    fair               one over the number of options: the share of verdicts for the first slot without a habit
    """

    units: Units
    verdicts: NDArray[np.int64]
    first: NDArray[np.int64]
    bias: NDArray[np.float64]
    cells: NDArray[np.float64]
    fair: NDArray[np.float64]

    @property
    def first_slot(self) -> Estimate:
        """Share of verdicts that name the first slot."""
        return self.units.share(self.first, self.verdicts)

    @property
    def position_bias(self) -> Estimate:
        """Mean over personas and items."""
        return mean_bias(self.bias, self.cells, self.units)


def mean_bias(sums: NDArray[np.float64], cells: NDArray[np.float64], units: Units) -> Estimate:
    """Mean position bias from its sum and the number of personas of each item."""
    return units.mean(sums, cells, within=(-1.0, 1.0))


class SlotCount:
    """Counts the verdicts of a judgments table part by part.

    at    item_id and its row in the count, `every`
    """

    def __init__(self, items: pl.DataFrame) -> None:
        self._items, self._unit_of = in_units(items)
        self._totals: NDArray[np.float64] = np.zeros((4, self._items.height))
        self.at = self._items.select("item_id", every=pl.int_range(pl.len()))

    def add(self, rows: pl.DataFrame) -> None:
        """Adds verdicts, those for the first slot, and each persona's position bias once, to their items.

        rows    judgments, with `every` of their item
        """
        once = 1 / pl.col("n_presentations")
        counted = rows.group_by("every").agg(
            pl.col("slot").count(),
            (pl.col("slot") == "A").sum().alias("first"),
            (pl.col("position_bias") * once).sum().alias("bias"),
            once.filter(pl.col("position_bias").is_not_null()).sum().alias("cells"),
        )
        self._totals[:, counted["every"].to_numpy()] += counted.drop("every").to_numpy().T

    @property
    def units(self) -> Units:
        """All items, asked or not."""
        return Units.over(self._unit_of, self._items, sampled_coordinates(self._items, coordinates_of(self._items)))

    def slots(self) -> Slots:
        """Of the items that anybody was asked."""
        asked = np.flatnonzero(self._totals[0] > 0)
        kept = self._items if len(asked) == self._items.height else self._items[asked]
        units = Units.over(self._unit_of[asked], kept, sampled_coordinates(kept, coordinates_of(kept)))
        verdicts, first, bias, cells = self._totals[:, asked]
        fair = 1 / np.maximum(1, kept["n_options"].to_numpy())
        return Slots(units, verdicts.astype(np.int64), first.astype(np.int64), bias, cells, fair)
