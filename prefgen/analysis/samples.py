"""Samples of single answers: their shares, how alike they are, and how far from a survey."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prefgen.analysis.distance import Floats, jensen_shannon

_GRID = np.linspace(0.0, 6.0, 1201)
_FOLDED = np.array([math.exp(-x * x / 2) * math.sqrt(2 / math.pi) + x * math.erf(x / math.sqrt(2)) for x in _GRID])
_MOST_DRAWN = 200_000  # answers to one question, over all draws: many people need few draws


@dataclass(frozen=True, slots=True)
class Told:
    """What the people of one source say to one question.

    p         (people, levels): probability of each level, summing to 1
    weight    (people, groups): 0 where somebody is not of the group, or nothing was read
    """

    p: Floats
    weight: Floats

    @property
    def parts(self) -> Floats:
        """Weights summing to 1 in every group that has somebody, else 0."""
        return np.asarray(self.weight / np.maximum(self.weight.sum(axis=0), 1e-300))

    @property
    def shares(self) -> Floats:
        """(groups, levels): mean probability."""
        return np.asarray(self.parts.T @ self.p)

    @property
    def spread(self) -> Floats:
        """By group, the chance that two of its people give different answers; NaN where there are not two."""
        squares = self.weight.T**2
        return _differing(self.weight.T @ self.p, squares @ self.p**2, squares.sum(axis=1))

    @property
    def variance_of_shares(self) -> Floats:
        """By group, squared standard error of the mean probabilities, summed over levels, as people differ.

        NaN where there are not two people.
        """
        parts = self.parts
        within = (parts**2).T @ self.p**2 - 2 * self.shares * ((parts**2).T @ self.p)
        within = within.sum(axis=1) + (parts**2).sum(axis=0) * (self.shares**2).sum(axis=1)
        freedom = 1 - (parts**2).sum(axis=0)
        return np.asarray(np.divide(within, freedom, out=np.full(len(freedom), np.nan), where=freedom > 1e-9))

    def drawn(self, rng: np.random.Generator) -> Floats:
        """(draws, groups, levels): shares when everybody gives one answer, drawn from their probabilities."""
        heard = self.p[self.weight.any(axis=1)]
        if (heard.max(axis=1, initial=0.0) > 1 - 1e-9).all():  # then every draw is the same
            return self.shares[None]
        draws = int(np.clip(_MOST_DRAWN // max(1, len(self.p)), 20, 200))
        at = rng.random((draws, len(self.p), 1))
        codes = (at >= self.p.cumsum(axis=1)[None, :, :-1]).sum(axis=2)
        return shares_of(codes, self.weight, self.p.shape[1])


def shares_of(codes: NDArray[np.int64], weight: Floats, n_levels: int) -> Floats:
    """(draws, groups, levels) from the level that each of the people named in each draw; -1 is none."""
    counts = np.stack([(codes == level) @ weight for level in range(n_levels)], axis=2)
    return np.asarray(counts / np.maximum(counts.sum(axis=2, keepdims=True), 1e-300))


def _differing(sums: Floats, squares: Floats, weights: Floats) -> Floats:
    """Chance that two people of a group differ, from sums over its people.

    sums       (..., groups, levels): of weight x probability
    squares    the same of their squares
    weights    (..., groups): of squared weights
    """
    pairs = sums.sum(axis=-1) ** 2 - weights
    same = (sums**2 - squares).sum(axis=-1)
    return np.asarray(1 - np.divide(same, pairs, out=np.full(same.shape, np.nan), where=pairs > 1e-12))


def spread_of(codes: NDArray[np.int64], weight: Floats, n_levels: int) -> Floats:
    """(draws, groups): `Told.spread` of the level that each of the people named."""
    one_hot = [(codes == level) for level in range(n_levels)]
    sums = np.stack([named @ weight for named in one_hot], axis=2)
    squares = np.stack([named @ weight**2 for named in one_hot], axis=2)
    return _differing(sums, squares, squares.sum(axis=-1))


def apart(shares: Floats, truth: Floats, *, ordered: bool) -> dict[str, Floats | None]:
    """How far distributions over the same levels (the last axis) are apart, in three measures.

    total_variation (0..1), jensen_shannon (bits, 0..1), rank_distance (difference of the mean ranks over the
    number of steps, 0..1; None for unordered levels)

    >>> apart(np.array([1.0, 0.0]), np.array([0.5, 0.5]), ordered=True)["rank_distance"]
    np.float64(0.5)
    """
    ranks = np.arange(truth.shape[-1]) / max(1, truth.shape[-1] - 1)
    return {
        "total_variation": np.abs(shares - truth).sum(axis=-1) / 2,
        "jensen_shannon": jensen_shannon(shares, truth),
        "rank_distance": np.abs((shares - truth) @ ranks) if ordered else None,
    }


def expected_apart(shares: Floats, truth: Floats, error: Floats) -> Floats:
    """Mean total variation of samples whose shares have these standard errors, as if they were normal."""
    gap = np.abs(shares - truth)
    scaled = np.minimum(gap / np.maximum(error, 1e-12), _GRID[-1])
    found = np.where(scaled < _GRID[-1], error * np.interp(scaled, _GRID, _FOLDED), gap)
    return np.asarray(found.sum(axis=-1) / 2)
