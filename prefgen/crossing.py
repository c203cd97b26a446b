"""The variance of a total over items that share topics, groups and other crossed factors.

The items of a questionnaire are rarely independent: those of one topic share what people think of the topic, those
about one group what they think of the group. An interval that speaks of other topics and groups of the same kind has to
count topics and groups, not items. The variance of a total is therefore put together from clusters of items in several
ways at once (Cameron, Gelbach and Miller 2011, doi:10.1198/jbes.2010.07136; the pigeonhole bootstrap of Owen 2007,
doi:10.1214/07-AOAS122, has the same target), with the degrees of freedom that Satterthwaite (1946) gives to such a sum.
A factor enters where its clusters vary more than items alone would with a chance of 1 in 5 (Bancroft 1944), else intervals
of items that share nothing would be far too wide. Of normal effects that is the middle: whatever their size, and of 5 to 50 levels,
intervals cover 93.1 to 96.8 %, with a chance of 1 in 4 up to 97.2 where nothing is shared, with 1 in 10 down to 91 where
a little is. `tests/benchmarks/coverage.py` measures how often the printed intervals do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

_Z_OF_ENTRY = NormalDist().inv_cdf(0.8)


class Crossing:
    """The factors that units share, and those that two of them make together (each topic with each group).

    factors    per factor one code a unit, 0 and up; the same parting under two names counts once
    """

    def __init__(self, factors: Sequence[ArrayLike] = ()) -> None:
        self._given = [_dense(np.asarray(codes)) for codes in factors]

    @cached_property
    def clusters(self) -> tuple[tuple[Codes, tuple[int, ...]], ...]:
        """Every way to cluster, the finest first: codes, and which of those before are finer than it (each of its clusters is
        made of whole ones of theirs)."""
        together = [_dense(a * (int(b.max()) + 1) + b) for a, b in combinations(self._given, 2) if a.size]
        found: list[tuple[Codes, tuple[int, ...]]] = []
        for codes in sorted((*together, *self._given), key=lambda codes: -int(codes.max(initial=-1))):
            n = int(codes.max(initial=-1)) + 1
            finer = tuple(at for at, (other, _) in enumerate(found) if _is_finer(other, codes))
            same = any(int(found[at][0].max()) + 1 == n for at in finer)
            if 1 < n < codes.size and not same:
                found.append((codes, finer))
        return tuple(found)

    @property
    def factors(self) -> tuple[Codes, ...]:
        """The factors as given, with codes 0 and up."""
        return tuple(self._given)

    def among(self, units: NDArray[np.bool_] | Codes) -> Crossing:
        """The same factors of some of the units."""
        return Crossing([codes[units] for codes in self._given])


def _dense(codes: NDArray[np.int64]) -> Codes:
    return np.unique(codes, return_inverse=True)[1].astype(np.intp)


def _is_finer(fine: Codes, coarse: Codes) -> bool:
    """Whether all units of one code of `fine` have one code of `coarse`."""
    of = np.zeros(int(fine.max(initial=-1)) + 1, np.intp)
    of[fine] = coarse
    return bool((of[fine] == coarse).all())


ALONE = Crossing()
"""Of units that share nothing."""


def crossing_of(factors: Sequence[ArrayLike] | Crossing) -> Crossing:
    """Factors as one `Crossing`; of those that many estimates share, make it once."""
    return factors if isinstance(factors, Crossing) else Crossing(factors)


@dataclass(frozen=True, slots=True)
class Variance:
    """Of a total over units.

    value      variance, 0 where every unit says the same
    freedom    degrees of freedom behind it
    bias       what delete-one-level of the factors shows the statistic to be off by; 0 for a total itself
    """

    value: float
    freedom: float
    bias: float = 0.0


def variance_of(
    apart: Floats,
    crossing: Crossing = ALONE,
    *,
    asked: NDArray[np.bool_] | None = None,
    by_level: Callable[[Codes, int], tuple[float, float] | None] | None = None,
) -> Variance:
    """Variance of the sum of `apart`, each unit's share of how far a statistic is from its mean (they sum to 0).

    asked       units that say anything; None for all
    by_level    (variance, bias) over the levels of one factor, in place of the sums of `apart`; None where it cannot be told
    """
    m = apart.size if asked is None else int(asked.sum())
    if m < 2:
        return Variance(0.0, 0.0)
    alone = m / (m - 1) * float((apart**2).sum())
    ways = len(crossing.clusters)
    parts, freedom, bias = np.zeros(ways + 1), np.ones(ways + 1), 0.0
    parts[0], freedom[0] = alone, m - 1
    whole = np.eye(ways + 1)[
        0
    ]  # the variance as a sum of whole parts; of each way below, what it has beyond the finer ones
    beyond: dict[int, Floats] = {}
    for at, (codes, finer) in enumerate(crossing.clusters):
        n = _levels(codes, asked)
        found = (
            None if n < 2 or n >= m or alone <= 0 else by_level(codes, n) if by_level else _over_levels(apart, codes, n)
        )
        without = np.eye(ways + 1)[0] + sum((beyond[other] for other in finer if other in beyond), np.zeros(ways + 1))
        if found is None or found[0] <= float(without @ parts) * _ratio_of_entry(n - 1):
            continue
        parts[at + 1], freedom[at + 1], bias = found[0], _freedom(apart, codes, n), bias + found[1]
        beyond[at] = np.eye(ways + 1)[at + 1] - without
        whole = whole + beyond[at]
    value, spread = float(whole @ parts), float(((whole * parts) ** 2 / freedom).sum())
    return Variance(value, value**2 / spread if spread > 0 else 0.0, bias)


def _levels(codes: Codes, asked: NDArray[np.bool_] | None) -> int:
    return int(codes.max()) + 1 if asked is None else int(np.count_nonzero(np.bincount(codes, weights=asked)))


def _over_levels(apart: Floats, codes: Codes, n: int) -> tuple[float, float]:
    return n / (n - 1) * float((np.bincount(codes, weights=apart) ** 2).sum()), 0.0


def _freedom(apart: Floats, codes: Codes, n: int) -> float:
    """Degrees of freedom of a variance over n levels: n - 1, or what the spread of the levels' squares shows where a few of
    them make most of it."""
    squares = np.bincount(codes, weights=apart) ** 2
    squares = squares[squares > 0]
    spread = float(squares.var()) if squares.size else 0.0
    shown = 2 * (n - 1) * float(squares.mean()) ** 2 / spread if spread > 0 else math.inf
    return min(n - 1.0, max(1.5, shown))


def _ratio_of_entry(freedom: float) -> float:
    """How often larger than that of items alone a factor's variance has to be to enter: the upper fifth of chi-square
    over its degrees of freedom (Wilson and Hilferty)."""
    off = 2 / (9 * freedom)
    return float((1 - off + _Z_OF_ENTRY * math.sqrt(off)) ** 3)
