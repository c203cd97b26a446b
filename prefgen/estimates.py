"""A number with its 95 % interval, over items that may share topics, groups and other crossed factors (see `crossing`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from prefgen.crossing import Codes, Crossing, Floats, Variance, crossing_of, variance_of


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
_NO_VARIANCE = 1e-18  # what rounding leaves where all say the same


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


def _leaning(mean: float, error: float, t: float, units: int) -> Estimate:
    """Interval of the mean of a measure of 0 to 1, as skewed as a beta distribution with this mean and standard error.

    By the cubic transformation of Hall (1992, doi:10.1111/j.2517-6161.1992.tb01872.x), which undoes the skewness of Student's t.
    """
    if not math.isfinite(t):
        return Estimate(mean, 0.0, 1.0, units)
    skewness = 2 * error * (1 - 2 * mean) / (mean * (1 - mean))

    def end(at: float) -> float:
        if abs(skewness) < 1e-6:
            return mean - error * at
        return mean - error * 3 / skewness * (math.cbrt(1 + skewness * (at - skewness / 6)) - 1)

    return Estimate(mean, max(0.0, min(mean, end(t))), min(1.0, max(mean, end(-t))), units)


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
    the factors, shows; of a measure one that leans to where its values lie thin. Where every item says the same, the items are
    what is counted.
    """
    won, of = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    asked, total = of > 0, float(of.sum())
    m = int(asked.sum())
    if m == 0:
        return NOTHING
    share = min(1.0, max(0.0, float(won.sum()) / total))
    found = variance_of((won - share * of) / total, crossing_of(factors), asked=asked)
    if m == 1 or share in (0.0, 1.0) or found.value <= _NO_VARIANCE:
        return wilson(share * m, m, level=level, units=m)
    t = quantile_of_t(level, round(found.freedom, 2))
    if not binary:
        return _leaning(share, math.sqrt(found.value), t, m)
    return _score(share, max(min(total, share * (1 - share) / found.value), 1.0), t, m)


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
    if found.value <= _NO_VARIANCE * max(1.0, mean * mean):
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
