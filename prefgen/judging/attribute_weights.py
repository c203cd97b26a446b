"""Which attributes of what was chosen weigh how much: a logistic model of choices between two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_STEPS = 100
_ENOUGH = 1e-10  # gain of a step, in log-likelihood per choice, below which it is the last
_LARGEST = 1e100  # difference of an attribute, or one that is no number, with which nothing can be computed
_FARTHEST = 50.0  # log-odds that one choice may come to: beyond, nothing in the data holds the weights back


@dataclass(frozen=True, slots=True)
class Weights:
    """One weight an attribute, in log-odds per unit, and its standard error; NaN where the choices do not tell it."""

    weight: Floats
    error: Floats


def fit_weights(differences: Floats, shares: Floats, counts: Floats, ridge: float) -> Weights:
    """Weights w for which the chance that the first of two is preferred is 1 / (1 + exp(-w . difference)).

    differences    (choices, attributes): of the first less those of the second
    shares         (choices,) how far the first was preferred, 0 to 1: 1 where it was, a probability where that is known
    counts         (choices,) how much each choice counts
    ridge          takes ridge / 2 x the sum of squared weights from the log-likelihood; 0 for nothing

    Newton's method with step halving. Errors are from the curvature at the maximum.
    """
    n, k = differences.shape
    weight = np.zeros(k)
    if not n or not np.abs(differences).max() < _LARGEST:
        return Weights(np.full(k, np.nan), np.full(k, np.nan))
    now = _likelihood(differences, shares, counts, ridge, weight)
    for _ in range(_STEPS):
        p = _logistic(differences @ weight)
        slope = differences.T @ (counts * (shares - p)) - ridge * weight
        step = np.linalg.pinv(_curvature(differences, p, counts, ridge), hermitian=True) @ slope
        after = _likelihood(differences, shares, counts, ridge, weight + step)
        while after < now and np.abs(step).max() > 1e-12:
            step = step / 2
            after = _likelihood(differences, shares, counts, ridge, weight + step)
        gained, weight, now = after - now, weight + step, max(after, now)
        if gained <= _ENOUGH * counts.sum():
            break
    return _with_errors(differences, counts, ridge, weight)


def _with_errors(differences: Floats, counts: Floats, ridge: float, weight: Floats) -> Weights:
    nothing = np.full(len(weight), np.nan)
    odds = differences @ weight
    if np.abs(odds).max() > _FARTHEST:
        return Weights(nothing, nothing)
    curvature = _curvature(differences, _logistic(odds), counts, ridge)
    values, vectors = np.linalg.eigh(curvature)
    flat = values <= 1e-9 * max(1.0, float(values.max()))
    told = ~(np.abs(vectors[:, flat]) > 1e-6).any(axis=1)  # a weight that may move along a flat direction is not told
    error = np.sqrt(np.clip(np.diag(np.linalg.pinv(curvature, hermitian=True)), 0.0, None))
    return Weights(np.where(told, weight, np.nan), np.where(told, error, np.nan))


def _likelihood(differences: Floats, shares: Floats, counts: Floats, ridge: float, weight: Floats) -> float:
    odds = differences @ weight
    said = shares * np.logaddexp(0.0, -odds) + (1 - shares) * np.logaddexp(0.0, odds)
    return float(-(counts * said).sum() - ridge / 2 * weight @ weight)


def _curvature(differences: Floats, p: Floats, counts: Floats, ridge: float) -> Floats:
    found: Floats = (differences * (counts * p * (1 - p))[:, None]).T @ differences + ridge * np.eye(
        differences.shape[1]
    )
    return found


def _logistic(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -500, 500))), np.float64)
