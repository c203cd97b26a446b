"""Pairs as a contest: who met whom, and how far each was preferred."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.judging.strengths import Floats
from prefgen.steps.weigh.fit import counts_of, preferred_by

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Contest:
    """Pairs in whole numbers.

    values           all that compete, in order
    first, second    places of the chosen and of the rejected one among them, of every pair
    counts           what each pair counts
    share            how far its chosen one was preferred, 0 to 1
    """

    values: pl.Series
    first: Places
    second: Places
    counts: Floats
    share: Floats

    @classmethod
    def of(cls, pairs: pl.DataFrame, chosen: pl.Series, rejected: pl.Series) -> Contest:
        """The pairs, with who competes in them."""
        values = pl.concat([side.alias("value") for side in (chosen, rejected)]).unique().sort()
        place = {value: at for at, value in enumerate(values)}
        first, second = (np.array([place[value] for value in side], dtype=np.int64) for side in (chosen, rejected))
        return cls(values, first, second, counts_of(pairs), preferred_by(pairs))

    def wins(self) -> Floats:
        """What each won against each: a square of all that compete."""
        found = np.zeros((len(self.values), len(self.values)))
        np.add.at(found, (self.first, self.second), self.counts * self.share)
        np.add.at(found, (self.second, self.first), self.counts * (1 - self.share))
        return found

    def met(self) -> Places:
        """In how many pairs each is."""
        return np.bincount(np.r_[self.first, self.second], minlength=len(self.values)).astype(np.int64)
