"""What a persona adds: its answers against those of the same judge with no persona, or with another's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prefgen.analysis.agreement import choice_shares, pair_columns, read_pair_sums, same_choices
from prefgen.analysis.distance import Floats, entropy, jensen_shannon
from prefgen.analysis.sheet import Sheet
from prefgen.estimates import Estimate, clustered_share, from_draws, resampled_units


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
    sheet: Sheet, *, rng: np.random.Generator, draws: int = 300, halvings: int = 50
) -> tuple[ControlEffect, ...]:
    """Every drawn person against each of its controls; empty without controls."""
    pairs = [(int(row), at) for row in sheet.people for at in controls_of(sheet, int(row))]
    if not pairs:
        return ()
    o = len(sheet.options)
    sums = np.zeros((len(pairs), 1 + draws, o * o + 2))
    for items, begins, weights in resampled_units(sheet.unit_of, rng=rng, draws=draws):
        for number, (a, b) in enumerate(pairs):
            p, q = sheet.p[a, items].astype(np.float64), sheet.p[b, items].astype(np.float64)
            between = entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2
            columns = pair_columns(sheet.choice[a, items], sheet.choice[b, items], between, o)
            sums[number] += weights @ np.add.reduceat(columns, begins, axis=0)
    shares = choice_shares(sheet, np.arange(len(sheet.personas)))
    halves = {a: half_divergence(sheet, a, rng=rng, halvings=halvings) for a in dict.fromkeys(a for a, _ in pairs)}
    return tuple(_effect(sheet, a, b, sums[number], shares, halves[a]) for number, (a, b) in enumerate(pairs))


def half_divergence(sheet: Sheet, row: int, *, rng: np.random.Generator, halvings: int) -> float | None:
    """Mean Jensen-Shannon divergence, bits, between the choices of two random halves of a persona's items."""
    chosen = sheet.choice[row][sheet.choice[row] >= 0]
    if chosen.size < 4:
        return None
    o, half = len(sheet.options), chosen.size // 2
    apart = []
    for _ in range(halvings):
        mixed = rng.permutation(chosen)
        first, second = (np.bincount(part, minlength=o) for part in (mixed[:half], mixed[half:]))
        apart.append(float(jensen_shannon(first / first.sum(), second / second.sum())))
    return float(np.mean(apart))


def _effect(sheet: Sheet, a: int, b: int, sums: Floats, shares: Floats, halves: float | None) -> ControlEffect:
    _, _, divergence, _ = read_pair_sums(sums, len(sheet.options))
    overall = float(jensen_shannon(shares[a], shares[b]))
    return ControlEffect(
        persona_id=sheet.personas[a],
        control=sheet.controls[b] or "",
        control_id=sheet.personas[b],
        differs=same_choices(sheet, a, b, differ=True),
        divergence=from_draws(divergence, int(sums[0, -1])),
        overall=None if np.isnan(overall) else overall,
        halves=halves,
        changes_mind=clustered_share(
            sheet.by_unit(sheet.follows[a].astype(np.int64)), sheet.by_unit(sheet.pairs[a].astype(np.int64))
        ),
    )
