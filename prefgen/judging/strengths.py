"""Who wins against whom, and how strong that makes each: the model of Bradley and Terry (1952)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_STEPS = 100
_ENOUGH = 1e-10  # gain of a step, in log-likelihood per comparison, below which it is the last


@dataclass(frozen=True, slots=True)
class Strengths:
    """Log-odds with mean 0, and their standard errors: i wins against j with probability 1 / (1 + exp(s_j - s_i))."""

    strength: Floats
    error: Floats


def fit_strengths(wins: Floats, ridge: float) -> Strengths:
    """The strengths of what was compared.

    wins     (n, n): how often, or by which share of its comparisons, each won against each
    ridge    takes ridge / 2 x the sum of squared strengths from the log-likelihood; above 0, so that what always wins, or was
             never compared with the rest, has a finite strength

    Newton's method with step halving; the ridge brings the mean to 0.
    """
    n = len(wins)
    total, strength = wins + wins.T, np.zeros(n)
    now = _likelihood(wins, strength, ridge)
    for _ in range(_STEPS):
        p = _chances(strength)
        slope = (wins - total * p).sum(axis=1) - ridge * strength
        step = np.linalg.solve(_curvature(total, p, ridge), slope)
        after = _likelihood(wins, strength + step, ridge)
        while after < now and np.abs(step).max() > 1e-12:
            step = step / 2
            after = _likelihood(wins, strength + step, ridge)
        gained, strength, now = after - now, strength + step, max(after, now)
        if gained <= _ENOUGH * max(1.0, float(wins.sum())):
            break
    centred = np.eye(n) - 1 / n
    spread = centred @ np.linalg.inv(_curvature(total, _chances(strength), ridge)) @ centred
    return Strengths(strength - strength.mean(), np.sqrt(np.clip(np.diag(spread), 0.0, None)))


def _chances(strength: Floats) -> Floats:
    """(n, n): the chance of each to win against each."""
    return np.asarray(1 / (1 + np.exp(np.clip(strength[None, :] - strength[:, None], -500, 500))), np.float64)


def _curvature(total: Floats, p: Floats, ridge: float) -> Floats:
    apart = total * p * (1 - p)
    found: Floats = np.diag(apart.sum(axis=1)) - apart + ridge * np.eye(len(total))
    return found


def _likelihood(wins: Floats, strength: Floats, ridge: float) -> float:
    lost = np.logaddexp(0.0, strength[None, :] - strength[:, None])
    return float(-(wins * lost).sum() - ridge / 2 * strength @ strength)
