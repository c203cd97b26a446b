"""Does the judge read the options, or only where they stand?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prefgen.analysis.response_matrix import ResponseMatrix
from prefgen.estimates import Estimate, crossed_mean
from prefgen.judging.slots import PEOPLE, mean_bias

EDGES = (-1.0, -0.6, -0.2, 0.2, 0.6, 1.0)
"""Ends of the five steps by which items are counted."""

_SHUFFLES = 5


@dataclass(frozen=True, slots=True)
class PersonaBias:
    """Position bias of the judge when it plays one persona; the measures are those of `PositionBias`."""

    persona_id: str
    control: str | None
    position_bias: Estimate
    first_slot: Estimate
    changes: Estimate
    noise: float | None


@dataclass(frozen=True, slots=True)
class ItemBias:
    """One item whose position bias is not chance; the interval holds for all items together (Sidak)."""

    item_id: str
    position_bias: Estimate


@dataclass(frozen=True, slots=True)
class PositionBias:
    """Position bias of a run, controls included.

    position_bias    (share of verdicts that name the first slot - 1/k) / (1 - 1/k), over a balanced set of orders, mean over
                     personas and items: 0 for a judge that answers without regard to slots, at random too, 1 for one that
                     always names the first, below 0 for one that avoids it
    people           what it is for people
    first_slot       share of all verdicts, the option marked neither included, that name the first slot
    fair_first_slot  that share without a habit, where orders balance
    changes          share of comparisons between the first order and another in which the answer changes; a judge that answers
                     at random changes often and has no position bias
    noise            the part of `changes` that leans to no slot, as noise alone would: what is left of it besides the position bias
    items_by_bias    number of items by their own position bias, in the steps of EDGES
    items_by_chance  what those numbers would be if no item differed from another: its answers drawn from those to all
    outlying_items   items whose own position bias is beyond chance, the largest first
    """

    position_bias: Estimate
    people: float
    first_slot: Estimate
    fair_first_slot: float | None
    changes: Estimate
    noise: float | None
    by_persona: tuple[PersonaBias, ...]
    items_by_bias: tuple[int, ...]
    items_by_chance: tuple[float, ...]
    outlying_items: tuple[ItemBias, ...]


def estimate_position_bias(matrix: ResponseMatrix, *, rng: np.random.Generator, most_items: int = 5) -> PositionBias:
    """Position bias over all, by persona and by item.

    Over all it is that of every judgment of the run, as the judge step's summary has it; the rest speaks of the persons and items of the matrix.
    """
    slots = matrix.slots
    bias = slots.position_bias
    changes = matrix.units.share(*(x.sum(axis=0, dtype=np.int64) for x in (matrix.changed, matrix.pairs)))
    return PositionBias(
        position_bias=bias,
        people=PEOPLE,
        first_slot=slots.first_slot,
        fair_first_slot=float((slots.verdicts * slots.fair).sum() / slots.verdicts.sum())
        if slots.verdicts.any()
        else None,
        changes=changes,
        noise=_noise(changes, bias),
        by_persona=tuple(_of_persona(matrix, row) for row in range(len(matrix.personas))),
        items_by_bias=_in_steps(*_mean_of_items(matrix.bias)),
        items_by_chance=_by_chance(matrix.bias, rng),
        outlying_items=_outlying(matrix, most_items),
    )


def _of_persona(matrix: ResponseMatrix, row: int) -> PersonaBias:
    known = ~np.isnan(matrix.bias[row])
    bias = mean_bias(np.where(known, matrix.bias[row], 0.0), known.astype(np.float64), matrix.units)
    changes = matrix.units.share(matrix.changed[row], matrix.pairs[row])
    return PersonaBias(
        persona_id=matrix.personas[row],
        control=matrix.controls[row],
        position_bias=bias,
        first_slot=matrix.units.share(matrix.first[row], matrix.verdicts[row]),
        changes=changes,
        noise=_noise(changes, bias),
    )


def _noise(changes: Estimate, bias: Estimate) -> float | None:
    """Every slot is as likely to gain by noise as to lose: what leans to one is position bias, the rest is noise."""
    if changes.value is None or bias.value is None:
        return None
    return max(0.0, changes.value - abs(bias.value))


def _mean_of_items(bias: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean over personas of each item's position bias, and of how many."""
    known = ~np.isnan(bias)
    of = known.sum(axis=0)
    return np.where(known, bias, 0.0).sum(axis=0) / np.maximum(of, 1), of


def _in_steps(means: NDArray[np.float64], of: NDArray[np.int64]) -> tuple[int, ...]:
    steps = np.searchsorted(EDGES[1:-1], np.round(means[of > 0], 9), side="right")
    return tuple(int(n) for n in np.bincount(steps, minlength=len(EDGES) - 1))


def _by_chance(bias: NDArray[np.float32], rng: np.random.Generator) -> tuple[float, ...]:
    """`_in_steps` when each persona's values are dealt to the items anew, mean of several deals."""
    found = np.zeros(len(EDGES) - 1)
    for _ in range(_SHUFFLES):
        dealt = bias.copy()
        for row in dealt:
            known = np.flatnonzero(~np.isnan(row))
            row[known] = rng.permutation(row[known])
        found += _in_steps(*_mean_of_items(dealt))
    return tuple(float(n) for n in found / _SHUFFLES)


def _outlying(matrix: ResponseMatrix, most: int) -> tuple[ItemBias, ...]:
    """Items of which an interval over personas leaves out 0, whichever was looked at; personas are the units."""
    means, of = _mean_of_items(matrix.bias)
    looked_at = np.flatnonzero(of > 1)
    if not looked_at.size:
        return ()
    level = 0.95 ** (1 / looked_at.size)
    largest = looked_at[np.argsort(-np.abs(means[looked_at]), kind="stable")[: 20 * most]]
    names = matrix.items["item_id"]
    found = []
    for at in largest:
        own = matrix.bias[:, at]
        known = ~np.isnan(own)
        estimate = crossed_mean(np.where(known, own, 0.0), known, within=(-1.0, 1.0), level=level)
        if estimate.low is not None and estimate.high is not None and (estimate.low > 0 or estimate.high < 0):
            found.append(ItemBias(names[int(at)], estimate))
    return tuple(found[:most])
