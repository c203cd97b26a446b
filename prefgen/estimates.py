"""A number with its interval: shares over clustered rows, and anything else by resampling items."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_CHUNK = 16_384  # rows whose resampling weights are held at once


@dataclass(frozen=True, slots=True)
class Estimate:
    """A statistic and its interval.

    value, low, high   None where nothing can be said (no rows, or no variation to measure against)
    n                  independent units behind it (items, matched contexts), not rows
    """

    value: float | None
    low: float | None
    high: float | None
    n: int


NOTHING = Estimate(None, None, None, 0)


def quantile_of_t(level: float, freedom: float) -> float:
    """Two-sided Student quantile, by expansion around the normal one (error below .02 from 4 degrees on).

    >>> round(quantile_of_t(0.95, 10), 2)
    2.23
    """
    z = NormalDist().inv_cdf(0.5 + level / 2)
    if freedom < 1:
        return math.inf
    v = freedom
    terms = (
        (z**3 + z) / (4 * v),
        (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2),
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3),
    )
    return z + sum(terms)


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


def clustered_share(successes: ArrayLike, trials: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Share of successes when the rows of one cluster (an item) hang together.

    successes, trials   one number a cluster, 0 <= successes <= trials; clusters without trials are ignored

    The interval is Wilson's with the effective number of rows that the spread between clusters shows, and
    Student's quantile for few clusters. Where every row says the same, the clusters are what is counted.
    """
    won, of = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    won, of = won[of > 0], of[of > 0]
    m, total = of.size, float(of.sum())
    if m == 0:
        return NOTHING
    share = min(1.0, max(0.0, float(won.sum()) / total))
    if m == 1 or share in (0.0, 1.0):
        return wilson(share * m, m, level=level, units=m)
    variance = m / (m - 1) * float(((won - share * of) ** 2).sum()) / total**2
    effective = total if variance == 0 else min(total, share * (1 - share) / variance)
    return _score(share, max(effective, 1.0), quantile_of_t(level, m - 1), m)


def crossed_share(
    successes: ArrayLike, trials: ArrayLike, factors: Sequence[ArrayLike], *, level: float = 0.95
) -> Estimate:
    """Share of successes over items that share the levels of crossed factors (topics, groups).

    successes, trials   one number an item, summed over personas, 0 <= successes <= trials
    factors             per factor one integer code an item; may be empty

    The variance adds, to that between items, what each factor's levels vary beyond it; the fewest levels say how
    far Student's quantile is from the normal one.
    """
    won, of = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    asked = of > 0
    won, of = won[asked], of[asked]
    m, total = of.size, float(of.sum())
    if m == 0:
        return NOTHING
    share = min(1.0, max(0.0, float(won.sum()) / total))
    if m == 1 or share in (0.0, 1.0):
        return wilson(share * m, m, level=level, units=m)
    apart, freedom = won - share * of, m - 1
    variance = between = m / (m - 1) * float((apart**2).sum()) / total**2
    for codes in factors:
        of_level = np.bincount(np.unique(np.asarray(codes)[asked], return_inverse=True)[1], weights=apart)
        n = of_level.size
        if 1 < n < m:
            more = n / (n - 1) * float((of_level**2).sum()) / total**2 - between
            variance, freedom = variance + max(0.0, more), min(freedom, n - 1) if more > 0 else freedom
    effective = total if variance == 0 else min(total, share * (1 - share) / variance)
    return _score(share, max(effective, 1.0), quantile_of_t(level, freedom), m)


def mean_difference(differences: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Mean of paired differences, one a unit, with Student's interval; NaN is a unit that says nothing."""
    known = np.asarray(differences, np.float64)
    known = known[~np.isnan(known)]
    if known.size == 0:
        return NOTHING
    mean = float(known.mean())
    if known.size == 1:
        return Estimate(mean, None, None, 1)
    half = quantile_of_t(level, known.size - 1) * float(known.std(ddof=1)) / math.sqrt(known.size)
    return Estimate(mean, mean - half, mean + half, int(known.size))


def resamples(n: int, *, rng: np.random.Generator, draws: int) -> Iterator[tuple[slice, Floats]]:
    """Bootstrap weights of `n` rows, a stretch of rows at a time.

    Yields (rows, weights of shape (1 + draws, rows)): line 0 is the sample itself (all ones), every other
    line says how often each row was drawn when n rows are drawn with replacement. Summing
    `weights @ columns[rows]` over the stretches gives the statistic's sums in every draw.
    """
    starts = range(0, n, _CHUNK)
    sizes = [min(_CHUNK, n - start) for start in starts]
    shares = np.asarray(sizes) / max(n, 1)
    drawn = rng.multinomial(n, shares, size=draws) if sizes else np.zeros((draws, 0), int)
    for number, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        weights = np.ones((1 + draws, size))
        for draw in range(draws):
            picked = rng.integers(0, size, drawn[draw, number])
            weights[1 + draw] = np.bincount(picked, minlength=size)
        yield slice(start, start + size), weights


def unit_starts(unit_of: NDArray[np.intp]) -> NDArray[np.intp]:
    """Where each unit begins among rows that stand unit by unit."""
    if not unit_of.size:
        return np.zeros(0, np.intp)
    return np.flatnonzero(np.concatenate([[True], unit_of[1:] != unit_of[:-1]]))


def resampled_units(
    unit_of: NDArray[np.intp], *, rng: np.random.Generator, draws: int
) -> Iterator[tuple[slice, NDArray[np.intp], Floats]]:
    """`resamples` of whole units: (rows, where each of their units begins within them, weights of the units).

    Summing `weights @ np.add.reduceat(columns[rows], begins, axis=0)` gives the sums in every draw.
    """
    starts = unit_starts(unit_of)
    for units, weights in resamples(len(starts), rng=rng, draws=draws):
        begin = int(starts[units.start])
        end = int(starts[units.stop]) if units.stop < len(starts) else len(unit_of)
        yield slice(begin, end), starts[units] - begin, weights


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
