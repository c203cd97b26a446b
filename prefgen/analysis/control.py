"""What a persona adds: its answers against those of the same judge with no persona, or with another's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prefgen.analysis.agreement import choice_shares, mean_divergence, same_share
from prefgen.analysis.distance import Floats, jensen_shannon
from prefgen.analysis.sheet import Sheet
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


def controls_of(sheet: Sheet, row: int) -> list[int]:
    """Rows of the controls that stand beside a person: its own, and those that stand beside everyone."""
    name = sheet.personas[row]
    return [at for at, kind in enumerate(sheet.controls) if kind is not None and sheet.control_of[at] in (name, None)]


def estimate_control_effects(
    sheet: Sheet, *, rng: np.random.Generator, halvings: int = 50
) -> tuple[ControlEffect, ...]:
    """Every drawn person against each of its controls; empty without controls."""
    pairs = [(int(row), at) for row in sheet.people for at in controls_of(sheet, int(row))]
    shares = choice_shares(sheet, np.arange(len(sheet.personas)))
    halves = {a: half_divergence(sheet, a, rng=rng, halvings=halvings) for a in dict.fromkeys(a for a, _ in pairs)}
    return tuple(_effect(sheet, a, b, shares, halves[a]) for a, b in pairs)


def half_divergence(sheet: Sheet, row: int, *, rng: np.random.Generator, halvings: int) -> float | None:
    """Mean Jensen-Shannon divergence, bits, between the choices of two random halves of a persona's items."""
    chosen = sheet.choice[row][sheet.choice[row] >= 0]
    if chosen.size < 4:
        return None
    counts = np.bincount(chosen, minlength=len(sheet.options))
    first = rng.multivariate_hypergeometric(counts, chosen.size // 2, size=halvings)
    second = counts - first
    return float(
        jensen_shannon(first / first.sum(axis=1, keepdims=True), second / second.sum(axis=1, keepdims=True)).mean()
    )


def _effect(sheet: Sheet, a: int, b: int, shares: Floats, halves: float | None) -> ControlEffect:
    overall = float(jensen_shannon(shares[a], shares[b]))
    return ControlEffect(
        persona_id=sheet.personas[a],
        control=sheet.controls[b] or "",
        control_id=sheet.personas[b],
        differs=same_share(sheet.choice[a], sheet.choice[b], sheet.units, differ=True),
        divergence=mean_divergence(sheet.p[a], sheet.p[b], sheet.units),
        overall=None if np.isnan(overall) else overall,
        halves=halves,
        changes_mind=sheet.units.share(sheet.changed[a], sheet.pairs[a]),
    )
