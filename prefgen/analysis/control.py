"""What a persona adds: its answers against those of the same judge with no persona, or with another's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prefgen.analysis.agreement import choice_shares, mean_divergence, same_share
from prefgen.analysis.distance import Floats, jensen_shannon
from prefgen.analysis.response_matrix import ResponseMatrix
from prefgen.estimates import Estimate


@dataclass(frozen=True, slots=True)
class ControlEffect:
    """One persona beside one control.

    differs         share of items on which their choices differ
    divergence      Jensen-Shannon, bits, mean over items
    overall         Jensen-Shannon, bits, between how often each chooses each option
    halves          the same between two random halves of the persona's own items, mean of many halvings: a
                    smaller `overall` means nothing
    changes_mind    share of the persona's own comparisons in which another order changes the option: a `differs` no larger
                    than this may be noise
    """

    persona_id: str
    control: str
    control_id: str
    differs: Estimate
    divergence: Estimate
    overall: float | None
    halves: float | None
    changes_mind: Estimate


def controls_of(matrix: ResponseMatrix, row: int) -> list[int]:
    """Rows of the controls that stand beside a person: its own, and those that stand beside everyone."""
    name = matrix.personas[row]
    return [at for at, kind in enumerate(matrix.controls) if kind is not None and matrix.control_of[at] in (name, None)]


def estimate_control_effects(
    matrix: ResponseMatrix, *, rng: np.random.Generator, halvings: int = 50
) -> tuple[ControlEffect, ...]:
    """Every drawn person against each of its controls; empty without controls."""
    pairs = [(int(row), at) for row in matrix.people for at in controls_of(matrix, int(row))]
    shares = choice_shares(matrix, np.arange(len(matrix.personas)))
    halves = {a: half_divergence(matrix, a, rng=rng, halvings=halvings) for a in dict.fromkeys(a for a, _ in pairs)}
    return tuple(_effect(matrix, a, b, shares, halves[a]) for a, b in pairs)


def half_divergence(matrix: ResponseMatrix, row: int, *, rng: np.random.Generator, halvings: int) -> float | None:
    """Mean Jensen-Shannon divergence, bits, between the choices of two random halves of a persona's items."""
    chosen = matrix.choice[row][matrix.choice[row] >= 0]
    if chosen.size < 4:
        return None
    counts = np.bincount(chosen, minlength=len(matrix.options))
    first = rng.multivariate_hypergeometric(counts, chosen.size // 2, size=halvings)
    second = counts - first
    return float(
        jensen_shannon(first / first.sum(axis=1, keepdims=True), second / second.sum(axis=1, keepdims=True)).mean()
    )


def _effect(matrix: ResponseMatrix, a: int, b: int, shares: Floats, halves: float | None) -> ControlEffect:
    overall = float(jensen_shannon(shares[a], shares[b]))
    return ControlEffect(
        persona_id=matrix.personas[a],
        control=matrix.controls[b] or "",
        control_id=matrix.personas[b],
        differs=same_share(matrix.choice[a], matrix.choice[b], matrix.units, differ=True),
        divergence=mean_divergence(matrix.p[a], matrix.p[b], matrix.units),
        overall=None if np.isnan(overall) else overall,
        halves=halves,
        changes_mind=matrix.units.share(matrix.changed[a], matrix.pairs[a]),
    )
