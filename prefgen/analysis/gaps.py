"""Does an answer change when one thing alone changes? Matched contexts, their gaps and how often answers flip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.analysis.response_matrix import ResponseMatrix
from prefgen.analysis.slices import MOST_LEVELS, levels_of
from prefgen.crossing import Crossing
from prefgen.estimates import Estimate, crossed_share, mean_difference
from prefgen.judging.units import FORM


@dataclass(frozen=True, slots=True)
class Gap:
    """How much likelier an option is at level `first` than at `second`, all else equal.

    difference    mean over matched contexts of P(option | first) - P(option | second), each persona against itself;
                  its interval holds for all the gaps of all coordinates together (Sidak), so picking the largest is fair
    """

    first: str
    second: str
    difference: Estimate


@dataclass(frozen=True, slots=True)
class Deviation:
    """How much likelier an option is at one level than on average over the levels of the same context."""

    level: str
    difference: Estimate


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """What happens when `coordinate` alone changes.

    contexts      combinations of all other coordinates in which at least two levels occur
    held          the coordinates held fixed
    flips         chance that one persona's choices at two levels of one context differ
    by_chance     what that would be if the persona chose as often as it does, but without regard to the context
    option        the option that gaps and deviations speak of
    gaps          the largest, by size of the difference
    significant   how many of all `compared` gaps have an interval without 0
    """

    coordinate: str
    held: tuple[str, ...]
    contexts: int
    levels: int
    flips: Estimate
    by_chance: float | None
    option: str
    compared: int
    significant: int
    gaps: tuple[Gap, ...]
    deviations: tuple[Deviation, ...]


def coordinates_held(items: pl.DataFrame, coordinates: Sequence[str], changing: str) -> tuple[str, ...]:
    """The coordinates that can stay as they are while `changing` changes.

    A group type that follows from the group, or a topic that fixes its theme, cannot: it is left out.
    """
    held = []
    for other in coordinates:
        if other == changing:
            continue
        together = items.select(pl.struct(changing, other).n_unique()).item()
        if together not in (items[changing].n_unique(), items[other].n_unique()):
            held.append(other)
    # What follows from another that is held need not be named: the topic says the theme.
    finest = sorted(held, key=lambda name: (-items[name].n_unique(), held.index(name)))
    told: list[str] = []
    for name in finest:
        if all(items.select(pl.struct(name, finer).n_unique()).item() > items[finer].n_unique() for finer in told):
            told.append(name)
    return tuple(name for name in held if name in told)


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """Items matched on everything but one coordinate.

    level_of      per item its level of the coordinate, -1 for none
    context_of    per item which combination of the held coordinates it has
    unit_of       per context the unit it belongs to: contexts that part by the form alone hang together
    crossing      the sampled coordinates that units share; the one that changes is compared and so no sample
    """

    coordinate: str
    held: tuple[str, ...]
    names: tuple[str, ...]
    level_of: NDArray[np.intp]
    context_of: NDArray[np.intp]
    unit_of: NDArray[np.intp]
    crossing: Crossing


def estimate_counterfactuals(matrix: ResponseMatrix, *, option: str = "A") -> tuple[Counterfactual, ...]:
    """Along every coordinate that can change alone; the intervals of gaps hold for all coordinates together."""
    if not len(matrix.people):
        return ()
    found = [matched for name in matrix.coordinates if (matched := match(matrix, name)) is not None]
    made = (_counterfactual(matrix, matched, option=option, families=len(found), most_gaps=12) for matched in found)
    return tuple(one for one in made if one is not None)


def estimate_counterfactual(
    matrix: ResponseMatrix, coordinate: str, *, option: str = "A", families: int = 1, most_gaps: int = 12
) -> Counterfactual | None:
    """Gaps and flips along one coordinate, over drawn persons; None where `match` finds none, or nobody answered at two levels.

    families    of how many coordinates gaps are looked at: their intervals hold for all of them together
    """
    matched = match(matrix, coordinate)
    if matched is None:
        return None
    return _counterfactual(matrix, matched, option=option, families=families, most_gaps=most_gaps)


def match(matrix: ResponseMatrix, coordinate: str) -> Matched | None:
    """Items that differ in `coordinate` alone.

    None without two levels in any context, and where items with the same context and level are different questions:
    then more changes than the coordinate (the theme changes with the topic, a subject with everything).
    """
    names, level_of = levels_of(matrix, coordinate)
    held = coordinates_held(matrix.items, matrix.coordinates, coordinate)
    if not 2 <= len(names) <= MOST_LEVELS:
        return None
    context_of = _contexts(matrix.items, held)
    if not held or len(np.unique(context_of * len(names) + level_of)) < matrix.items.height:
        return None
    unit_of = _units(matrix, held, context_of)
    factors = []
    for name in matrix.sampled:
        of_item = matrix.items[name].rank("dense").fill_null(0).to_numpy().astype(np.int64)
        of_unit = np.zeros(int(unit_of.max()) + 1, np.int64)
        of_unit[unit_of[context_of]] = of_item
        if name != coordinate and (of_unit[unit_of[context_of]] == of_item).all():
            factors.append(of_unit)
    return Matched(coordinate, held, names, level_of, context_of, unit_of, Crossing(factors))


def _counterfactual(
    matrix: ResponseMatrix, matched: Matched, *, option: str, families: int, most_gaps: int
) -> Counterfactual | None:
    names, context_of = matched.names, matched.context_of
    shares, counts = _cells(matrix, context_of, matched.level_of, len(names), matrix.options.index(option))
    answered = np.asarray(~np.isnan(shares), np.int64).max(axis=2)
    several = answered.sum(axis=1) >= 2
    if not several.any():
        return None
    # Contexts of one level say nothing about a difference; their units stay, empty.
    shares[~several] = np.nan
    counts[~several] = 0
    level = 0.95 ** (1 / families)
    gaps = _gaps(shares, matched, level)
    return Counterfactual(
        coordinate=matched.coordinate,
        held=matched.held,
        contexts=int(several.sum()),
        levels=len(names),
        flips=_flips(counts, matched),
        by_chance=_by_chance(counts),
        option=option,
        compared=len(gaps),
        significant=sum(
            gap.difference.low is not None and (gap.difference.low > 0 or (gap.difference.high or 0) < 0)
            for gap in gaps
        ),
        gaps=tuple(sorted(gaps, key=lambda gap: -abs(gap.difference.value or 0.0))[:most_gaps]),
        deviations=_deviations(shares, matched, level),
    )


def _contexts(items: pl.DataFrame, held: tuple[str, ...]) -> NDArray[np.intp]:
    if not held:
        return np.zeros(items.height, np.intp)
    return (items.select(pl.struct(held).rank("dense")).to_series().to_numpy() - 1).astype(np.intp)


def _cells(
    matrix: ResponseMatrix, context_of: NDArray[np.intp], level_of: NDArray[np.intp], n_levels: int, wanted: int
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """(contexts, levels, people) share of `wanted` among the choices, NaN without one; and, summed over levels,
    (contexts, people, options) how often each option was chosen."""
    people = matrix.people
    n_contexts, n_options = int(context_of.max()) + 1, len(matrix.options)
    chose = np.zeros((n_contexts, n_levels, len(people)), np.float64)
    choices = np.zeros_like(chose)
    counts = np.zeros((n_contexts, len(people), n_options), np.int32)
    placed = level_of >= 0
    context = context_of[placed]
    cell, shape = context * n_levels + level_of[placed], (n_contexts, n_levels)
    for column, person in enumerate(people):
        answer = matrix.choice[person, placed]
        chose[:, :, column] = np.bincount(cell[answer == wanted], minlength=n_contexts * n_levels).reshape(shape)
        choices[:, :, column] = np.bincount(cell[answer >= 0], minlength=n_contexts * n_levels).reshape(shape)
        for option in range(n_options):
            counts[:, column, option] = np.bincount(context[answer == option], minlength=n_contexts)
    with np.errstate(invalid="ignore"):
        return chose / choices, counts


def _units(matrix: ResponseMatrix, held: tuple[str, ...], context_of: NDArray[np.intp]) -> NDArray[np.intp]:
    """Per context the unit it belongs to: contexts that part by the form alone hang together."""
    if FORM not in held or len(matrix.units) == matrix.items.height:
        return np.arange(int(context_of.max()) + 1)
    unit_of = np.zeros(int(context_of.max()) + 1, np.intp)
    unit_of[context_of] = _contexts(matrix.items, tuple(name for name in held if name != FORM))
    return unit_of


def _mean_of_units(differences: NDArray[np.float64], unit_of: NDArray[np.intp]) -> NDArray[np.float64]:
    """One difference a unit: the mean of its contexts that have one, NaN without any."""
    known = ~np.isnan(differences)
    counts = np.bincount(unit_of, weights=known)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.bincount(unit_of, weights=np.where(known, differences, 0.0)) / counts, np.float64)


def _gaps(shares: NDArray[np.float64], matched: Matched, level: float) -> list[Gap]:
    names = matched.names
    pairs = [(a, b) for a in range(len(names)) for b in range(a + 1, len(names))]
    found = []
    for a, b in pairs:
        apart = _mean_of_units(_mean_known(shares[:, a] - shares[:, b]), matched.unit_of)
        difference = mean_difference(apart, matched.crossing, level=level ** (1 / len(pairs)))
        if difference.value is not None:
            first, second = (a, b) if difference.value >= 0 else (b, a)
            found.append(Gap(names[first], names[second], difference if first == a else turned(difference)))
    return found


def turned(difference: Estimate) -> Estimate:
    """The difference the other way around."""
    value, low, high = (None if x is None else -x for x in (difference.value, difference.high, difference.low))
    return Estimate(value, low, high, difference.n)


def _deviations(shares: NDArray[np.float64], matched: Matched, level: float) -> tuple[Deviation, ...]:
    """Each level against the mean of all levels of its context; only contexts in which every level occurs."""
    whole = ~np.any(np.all(np.isnan(shares), axis=2), axis=1)
    if not whole.any():
        return ()
    apart = shares - _mean_known(np.moveaxis(shares, 1, 2))[:, None, :]
    apart[~whole] = np.nan
    return tuple(
        Deviation(
            name,
            mean_difference(
                _mean_of_units(_mean_known(apart[:, at]), matched.unit_of),
                matched.crossing,
                level=level ** (1 / len(matched.names)),
            ),
        )
        for at, name in enumerate(matched.names)
    )


def _mean_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the last axis of what is not NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, values, 0.0).sum(axis=-1) / known.sum(axis=-1), np.float64)


def _flips(counts: NDArray[np.int32], matched: Matched) -> Estimate:
    """Chance that two different choices of one persona within a context differ."""
    n = counts.sum(axis=2).astype(np.float64)
    pairs = n * (n - 1) / 2
    same = (counts * (counts - 1.0) / 2).sum(axis=2)
    changed, of = (np.bincount(matched.unit_of, weights=x.sum(axis=1)) for x in (pairs - same, pairs))
    return crossed_share(changed, of, matched.crossing)


def _by_chance(counts: NDArray[np.int32]) -> float | None:
    """Chance that two choices differ that are drawn from all of one persona's, weighted as `_flips` weighs personas."""
    n = counts.sum(axis=2).astype(np.float64)
    weight = (n * (n - 1) / 2).sum(axis=0)
    known = weight > 0
    if not known.any():
        return None
    total = counts.sum(axis=0)[known].astype(np.float64)
    shares = total / total.sum(axis=1, keepdims=True)
    return float(((1 - (shares**2).sum(axis=1)) * weight[known]).sum() / weight[known].sum())
