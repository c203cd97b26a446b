"""From shares to people: systematic rounding, and numbers inside their bins."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from prefgen.personas.cells import Codes, Shares
from prefgen.spec.attribute import Attribute, Distribution, parse_bin

Numbers = NDArray[np.int64] | NDArray[np.float64]


def systematic_counts(share: Shares, n: int, start: float) -> NDArray[np.int64]:
    """Whole counts that sum to `n`, each less than 1 away from its share of `n`.

    start    the one random number of the whole draw, in [0, 1); over it every count has the right mean

    One comb of n equally spaced teeth falls on the shares laid end to end, so that not only cells but every
    run of neighbouring cells is within 1 of its share. Source: systematic sampling, Madow 1949.
    """
    edges = np.cumsum(share, dtype=np.float64)
    edges *= n / edges[-1]
    teeth = np.floor(edges + start).astype(np.int64)
    teeth[-1] = n  # rounding of the sum must neither lose nor invent the last person
    np.minimum(teeth, n, out=teeth)
    return np.diff(teeth, prepend=0)


def numbers_in_bins(labels: tuple[str, ...], codes: Codes, unit: Shares) -> Numbers:
    """A number for every row, uniform within the bin of its code; whole numbers where all bins are whole.

    unit    where in the bin, in [0, 1)
    """
    bins = [parse_bin(label) for label in labels]
    low, high = (np.array([getattr(bin_, side) for bin_ in bins])[codes] for side in ("low", "high"))
    if all(bin_.whole for bin_ in bins):
        return np.asarray(np.floor(low + unit * (high - low + 1)), dtype=np.int64)
    return np.asarray(np.round(low + unit * (high - low), 6), dtype=np.float64)


def numbers_of(attribute: Attribute, unit: Shares) -> Numbers:
    """Numbers of a named distribution at these quantiles."""
    curve = attribute.distribution
    assert curve is not None
    if attribute.uniform is not None:
        numbers = curve.min + unit * (curve.max - curve.min)
    else:
        low, high = curve.min, curve.max
        if attribute.lognormal is not None:
            low, high = (math.log(edge) if edge > 0 else -math.inf for edge in (low, high))
        numbers = _normal_quantiles(curve, low, high, unit)
        if attribute.lognormal is not None:
            numbers = np.exp(numbers)
    rounded = np.clip(np.round(numbers, curve.decimals), curve.min, curve.max)
    return rounded.astype(np.int64) if curve.decimals == 0 else rounded


def _normal_quantiles(curve: Distribution, low: float, high: float, unit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quantiles of a normal distribution cut to [low, high], from its tabulated distribution function."""
    assert curve.mean is not None
    assert curve.sd is not None
    grid = np.linspace(max(low, curve.mean - 8 * curve.sd), min(high, curve.mean + 8 * curve.sd), 8193)
    below = np.array([math.erf((x - curve.mean) / (curve.sd * math.sqrt(2))) for x in grid])
    if below[-1] <= below[0]:  # the cut lies where the curve has no mass that floats can see
        return np.full(len(unit), grid[0] if abs(grid[0] - curve.mean) < abs(grid[-1] - curve.mean) else grid[-1])
    return np.asarray(np.interp(below[0] + unit * (below[-1] - below[0]), below, grid), dtype=np.float64)
