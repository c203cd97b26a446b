"""A number with its 95 % interval, over items that share topics, groups and other crossed factors.

The items of a questionnaire are rarely independent: those of one topic share what people think of the topic, those
about one group what they think of the group. An interval that speaks of other topics and groups of the same kind has to
count topics and groups, not items. The variance of a total is therefore put together from clusters of items in several
ways at once (Cameron, Gelbach and Miller 2011, doi:10.1198/jbes.2010.07136; the pigeonhole bootstrap of Owen 2007,
doi:10.1214/07-AOAS122, has the same target), with Student's quantile at the degrees of freedom that Satterthwaite (1946)
gives to such a sum. A factor enters where its clusters vary more than items alone would with a chance of 1 in 4
(Bancroft 1944), else intervals of items that share nothing would be far too wide; `tests/benchmarks/coverage.py` measures
how often all of this covers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

_Z_OF_ENTRY = NormalDist().inv_cdf(0.75)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A statistic and its interval.

    value, low, high   None where nothing can be said (no rows, or no variation to measure against)
    n                  independent units behind it (questions, matched contexts), not rows
    """

    value: float | None
    low: float | None
    high: float | None
    n: int


NOTHING = Estimate(None, None, None, 0)


@lru_cache(maxsize=4096)
def quantile_of_t(level: float, freedom: float) -> float:
    """Two-sided Student quantile for any degrees of freedom, 1 and more; infinite below.

    By the tail of the density over the angle arctan(t / sqrt(freedom)), summed on a grid that is dense near its end; for
    many degrees by expansion around the normal quantile.

    >>> round(quantile_of_t(0.95, 10), 3)
    2.228
    """
    if freedom < 1 or not level < 1:
        return math.inf
    if freedom > 60:
        z, v = NormalDist().inv_cdf(0.5 + level / 2), freedom
        return z + (z**3 + z) / (4 * v) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
    ends = np.concatenate([[0.0], np.geomspace(1e-12, math.pi / 2, 6000)])  # distance of the angle from a right one
    middle, width = (ends[1:] + ends[:-1]) / 2, np.diff(ends)
    tail = np.concatenate([[0.0], np.cumsum(np.sin(middle) ** (freedom - 1) * width)])
    beyond = np.interp((1 - level) * tail[-1], tail, ends)
    return math.sqrt(freedom) / math.tan(float(beyond))


def wilson(successes: float, n: float, *, level: float = 0.95, units: int | None = None) -> Estimate:
    """Wilson's score interval of a share.

    n        trials, or the effective number of them; need not be whole
    units    what `Estimate.n` says, when that is not n

    >>> e = wilson(8, 10); round(e.low, 3), round(e.high, 3)
    (0.49, 0.943)
    """
    if n <= 0:
        return NOTHING
    return _score(successes / n, n, NormalDist().inv_cdf(0.5 + level / 2), round(n) if units is None else units)


def _score(share: float, n: float, z: float, units: int) -> Estimate:
    if not math.isfinite(z):
        return Estimate(share, 0.0, 1.0, units)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Estimate(share, max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)), units)


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
    """How often larger than that of items alone a factor's variance has to be to enter: the upper quartile of chi-square
    over its degrees of freedom (Wilson and Hilferty)."""
    off = 2 / (9 * freedom)
    return float((1 - off + _Z_OF_ENTRY * math.sqrt(off)) ** 3)


def crossed_share(
    successes: ArrayLike,
    trials: ArrayLike,
    factors: Sequence[ArrayLike] | Crossing = (),
    *,
    level: float = 0.95,
    binary: bool = True,
) -> Estimate:
    """Share of successes over items that share the levels of crossed factors (topics, groups).

    successes, trials   one number an item, summed over personas, 0 <= successes <= trials; items without trials say nothing
    factors             per factor one integer code an item; may be empty
    binary              a trial is a success or not; False for measures of 0 to 1, of which a trial has any part

    The interval is Wilson's with the effective number of trials that the variance between items, and between the levels of
    the factors, shows. Where every trial says the same, the items are what is counted.
    """
    won, of = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    asked, total = of > 0, float(of.sum())
    m = int(asked.sum())
    if m == 0:
        return NOTHING
    share = min(1.0, max(0.0, float(won.sum()) / total))
    if m == 1 or share in (0.0, 1.0):
        return wilson(share * m, m, level=level, units=m)
    found = variance_of((won - share * of) / total, crossing_of(factors), asked=asked)
    told = share * (1 - share) / found.value if found.value > 0 else total
    effective = min(total, told) if binary else told
    return _score(share, max(effective, 1.0), quantile_of_t(level, round(found.freedom, 2)), m)


def crossed_mean(
    sums: ArrayLike,
    counts: ArrayLike,
    factors: Sequence[ArrayLike] | Crossing = (),
    *,
    within: tuple[float, float],
    level: float = 0.95,
) -> Estimate:
    """Mean of a bounded measure over items that share the levels of crossed factors.

    sums, counts   of the measure, one an item; items of count 0 say nothing
    within         least and largest value of the measure

    Student's interval, cut to the bounds. Where all items say the same it reaches as far as those not seen might move the
    mean: by Wilson's bound of a share that was 0 in all of them. None for one item.
    """
    total, of = np.asarray(sums, np.float64), np.asarray(counts, np.float64)
    asked = of > 0
    m = int(asked.sum())
    if m == 0:
        return NOTHING
    mean = float(total.sum() / of.sum())
    if m == 1:
        return Estimate(mean, None, None, 1)
    apart = (total - mean * of) / of.sum()
    found = variance_of(apart, crossing_of(factors), asked=asked)
    least, most = within
    if found.value <= 1e-18 * max(1.0, mean * mean):
        unseen = wilson(0, m, level=level).high or 0.0
        return Estimate(mean, min(mean, mean + unseen * (least - mean)), max(mean, mean + unseen * (most - mean)), m)
    t = quantile_of_t(level, round(found.freedom, 2))
    half = t * math.sqrt(found.value) if math.isfinite(t) else math.inf
    return Estimate(mean, min(mean, max(least, mean - half)), max(mean, min(most, mean + half)), m)


def mean_difference(
    differences: ArrayLike, factors: Sequence[ArrayLike] | Crossing = (), *, level: float = 0.95
) -> Estimate:
    """Mean of paired differences of shares, one a unit, -1 to 1; NaN is a unit that says nothing. See `crossed_mean`."""
    found = np.asarray(differences, np.float64)
    known = ~np.isnan(found)
    return crossed_mean(np.where(known, found, 0.0), known, factors, within=(-1.0, 1.0), level=level)


def from_patterns(
    patterns: Floats,
    counts: Floats,
    prior: Floats,
    statistic: Callable[[Floats], Floats],
    *,
    rng: np.random.Generator,
    shrink: float = 1.0,
    bias: float = 0.0,
    units: int,
    draws: int = 1000,
    level: float = 0.95,
) -> Estimate:
    """A smooth statistic of how often each of a few patterns of answers occurs, drawn from the posterior of those shares.

    patterns     (patterns, columns): what one item of each pattern adds to the sums the statistic is made of
    counts       items of each pattern
    prior        what each pattern is taken to have been seen beforehand (Jeffreys and the like); patterns that nobody showed
                 stand in the table with a prior alone, so that no interval has zero width
    statistic    sums (..., columns) to values
    shrink       effective items over items
    bias         taken off the ends
    """
    total = float(counts.sum())
    value = float(statistic((counts @ patterns)[None, :])[0]) if total else math.nan
    if math.isnan(value):
        return Estimate(None, None, None, units)
    drawn = rng.standard_gamma(np.maximum(counts * shrink + prior, 1e-9), size=(draws, counts.size))
    drawn *= total / drawn.sum(axis=1, keepdims=True)
    found = statistic(drawn @ patterns)
    found = found[~np.isnan(found)]
    if units < 2 or not found.size:
        return Estimate(value, None, None, units)
    low, high = np.quantile(found, [0.5 - level / 2, 0.5 + level / 2]) - bias
    return Estimate(value, min(value, float(low)), max(value, float(high)), units)


def shrinkage(of_items: float, variance: Variance, *, level: float = 0.95) -> float:
    """Effective items over items for `from_patterns`: the variance of a statistic over independent items against the one it
    has, and the normal quantile against Student's."""
    t = quantile_of_t(level, round(variance.freedom, 2))
    if variance.value <= 0 or not math.isfinite(t):
        return 1.0
    return min(1.0, of_items / variance.value) * (NormalDist().inv_cdf(0.5 + level / 2) / t) ** 2


def from_draws(values: Floats, n: int, *, level: float = 0.95) -> Estimate:
    """The estimate whose value is `values[0]` and whose draws are the rest; NaN draws are left out."""
    draws = values[1:][~np.isnan(values[1:])]
    if math.isnan(values[0]):
        return Estimate(None, None, None, n)
    value = float(values[0])
    if draws.size == 0:
        return Estimate(value, None, None, n)
    low, high = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2])
    return Estimate(value, min(value, float(low)), max(value, float(high)), n)


def unit_starts(unit_of: Codes) -> Codes:
    """Where each unit begins among rows that stand unit by unit."""
    if not unit_of.size:
        return np.zeros(0, np.intp)
    return np.flatnonzero(np.concatenate([[True], unit_of[1:] != unit_of[:-1]]))
