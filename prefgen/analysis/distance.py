"""How far two judges are apart: Jensen-Shannon divergence, Cohen's kappa, Krippendorff's alpha, from sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def entropy(p: ArrayLike) -> Floats:
    """Shannon entropy in bits over the last axis; 0 log 0 is 0, NaN stays NaN."""
    p = np.asarray(p, np.float64)
    logs = np.log2(np.where(p > 0, p, 1.0))
    return np.asarray(np.where(np.isnan(p).any(axis=-1), np.nan, -(p * logs).sum(axis=-1)), np.float64)


def jensen_shannon(p: ArrayLike, q: ArrayLike) -> Floats:
    """Jensen-Shannon divergence in bits over the last axis: 0 (the same) to 1 (nothing in common).

    >>> float(jensen_shannon([1, 0], [0, 1]))
    1.0
    """
    p, q = np.asarray(p, np.float64), np.asarray(q, np.float64)
    between = entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2
    return np.asarray(np.clip(between, 0.0, 1.0), np.float64)


def cohen_kappa(confusion: ArrayLike) -> Floats:
    """Cohen's kappa from confusion tables of shape (..., k, k); NaN where chance agreement is certain."""
    table = np.asarray(confusion, np.float64)
    total = table.sum(axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = np.trace(table, axis1=-2, axis2=-1) / total
        chance = (table.sum(axis=-1) * table.sum(axis=-2)).sum(axis=-1) / total**2
        return np.asarray(np.where(chance < 1, (observed - chance) / (1 - chance), np.nan), np.float64)


def kappa_parts(confusion: ArrayLike) -> Floats:
    """How far one item in each cell of a (k, k) confusion table moves Cohen's kappa: its derivative by the cell's count, which
    sums to 0 over the items."""
    table = np.asarray(confusion, np.float64)
    n = table.sum()
    first, second = table.sum(axis=1) / n, table.sum(axis=0) / n
    observed, chance = np.trace(table) / n, float((first * second).sum())
    kappa = (observed - chance) / (1 - chance)
    moved = second[:, None] + first[None, :] - 2 * chance
    return np.asarray((np.eye(len(table)) - observed - (1 - kappa) * moved) / (1 - chance) / n, np.float64)


def alpha_columns(counts: ArrayLike) -> Floats:
    """What nominal alpha needs of every item, summable over items: its disagreement, then its counts.

    counts    (items, options): how many judges chose each option; items with fewer than two say nothing
    """
    n = np.asarray(counts, np.float64)
    judges = n.sum(axis=1)
    paired = judges >= 2
    disagreement = np.zeros(len(n))
    disagreement[paired] = (judges[paired] ** 2 - (n[paired] ** 2).sum(axis=1)) / (judges[paired] - 1)
    return np.column_stack([disagreement, np.where(paired[:, None], n, 0.0)])


def krippendorff_alpha(sums: ArrayLike) -> Floats:
    """Krippendorff's alpha for nominal data from sums of `alpha_columns`, over the last axis.

    NaN where every judge always chose one and the same option: then there is nothing to agree on.
    """
    sums = np.asarray(sums, np.float64)
    observed, counts = sums[..., 0], sums[..., 1:]
    n = counts.sum(axis=-1)
    spread = n**2 - (counts**2).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(spread > 0, 1 - (n - 1) * observed / spread, np.nan), np.float64)


def alpha_parts(columns: Floats, total: Floats) -> Floats:
    """How far each item moves alpha: its derivative by the item's weight, which sums to 0 over the items.

    columns, total    `alpha_columns` of the items, and their sum
    """
    disagreement, counts = total[0], total[1:]
    n = counts.sum()
    spread = n**2 - (counts**2).sum()
    judges = columns[:, 1:].sum(axis=1)
    moved = judges * disagreement + (n - 1) * columns[:, 0]
    widened = 2 * n * judges - 2 * columns[:, 1:] @ counts
    parts = -(moved / spread - (n - 1) * disagreement * widened / spread**2)
    # Alpha corrects for the size of the sample, so the derivatives sum to a little more than 0.
    return np.asarray(np.where(judges > 0, parts - parts.sum() / max(1, np.count_nonzero(judges)), 0.0), np.float64)
