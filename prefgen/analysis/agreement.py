"""Do different personas answer differently? Alpha over all, kappa and divergence between two, camps on an item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prefgen.analysis.distance import Floats, alpha_columns, cohen_kappa, entropy, jensen_shannon, krippendorff_alpha
from prefgen.analysis.sheet import Sheet
from prefgen.estimates import NOTHING, Estimate, clustered_share, from_draws, resampled_units, unit_starts

MOST_COMPARED = 14
"""Personas compared two by two; beyond, those farthest apart."""


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two personas on the items both answered.

    same            share of items with the same choice
    kappa           Cohen's, over choices
    divergence      Jensen-Shannon, bits, mean over items of that between their probabilities on the item
    overall         Jensen-Shannon, bits, between how often each chooses each option over all items
    """

    first: str
    second: str
    same: Estimate
    kappa: Estimate
    divergence: Estimate
    overall: float | None


@dataclass(frozen=True, slots=True)
class Camp:
    """Items on which the largest camp of like-minded personas has `personas` members."""

    personas: int
    items: int
    share: Estimate


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement between the drawn persons of a sheet.

    alpha       Krippendorff's, nominal, over every person; bootstrap over items
    unanimous   share of items, among those everybody answered, on which all chose the same
    camps       by size of the largest camp, on the items everybody answered
    compared    the persons in `pairs`: all of them, or those farthest apart
    """

    alpha: Estimate
    unanimous: Estimate
    camps: tuple[Camp, ...]
    compared: tuple[str, ...]
    pairs: tuple[PairAgreement, ...]


def estimate_agreement(
    sheet: Sheet, *, rng: np.random.Generator, draws: int = 300, most_compared: int = MOST_COMPARED
) -> Agreement:
    """Agreement between the drawn persons; controls are left out."""
    people = sheet.people
    counts = sheet.options_chosen(people)
    camps = largest_camps(counts, sheet.unit_of, len(people))
    compared = far_apart(sheet, people, most_compared)
    return Agreement(
        alpha=estimate_alpha(counts, sheet.unit_of, rng=rng, draws=draws),
        unanimous=camps[-1].share if camps else NOTHING,
        camps=camps,
        compared=tuple(sheet.personas[row] for row in compared),
        pairs=compare_pairs(sheet, compared, rng=rng, draws=draws),
    )  # fmt: skip


def estimate_alpha(
    counts: NDArray[np.int64], unit_of: NDArray[np.intp], *, rng: np.random.Generator, draws: int
) -> Estimate:
    """Krippendorff's nominal alpha from (items, options) counts, with its bootstrap interval over items."""
    columns = alpha_columns(counts)
    sums = np.zeros((1 + draws, columns.shape[1]))
    for rows, begins, weights in resampled_units(unit_of, rng=rng, draws=draws):
        sums += weights @ np.add.reduceat(columns[rows], begins, axis=0)
    return from_draws(krippendorff_alpha(sums), int((counts.sum(axis=1) >= 2).sum()))


def largest_camps(counts: NDArray[np.int64], unit_of: NDArray[np.intp], n_people: int) -> tuple[Camp, ...]:
    """Items by the size of their largest camp, smallest first; only items that all `n_people` answered."""
    complete = counts.sum(axis=1) == n_people
    if n_people < 2 or not complete.any():
        return ()
    starts = unit_starts(unit_of)
    largest, of = np.where(complete, counts.max(axis=1), -1), np.add.reduceat(complete.astype(np.int64), starts)
    smallest = -(-n_people // counts.shape[1])
    return tuple(
        Camp(
            size,
            int((largest == size).sum()),
            clustered_share(np.add.reduceat((largest == size).astype(np.int64), starts), of),
        )
        for size in range(max(1, smallest), n_people + 1)
    )


def far_apart(sheet: Sheet, rows: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """At most `most` of `rows`, in their order: the first, then always the one farthest from those chosen."""
    if len(rows) <= most:
        return rows
    shares = choice_shares(sheet, rows)
    taken = [0]
    nearest = jensen_shannon(shares, shares[0])
    while len(taken) < most:
        farthest = int(np.nanargmax(np.where(np.isin(np.arange(len(rows)), taken), -1.0, np.nan_to_num(nearest))))
        taken.append(farthest)
        nearest = np.fmin(nearest, jensen_shannon(shares, shares[farthest]))
    return np.asarray(rows[np.sort(taken)], np.intp)


def choice_shares(sheet: Sheet, rows: Sequence[int] | NDArray[np.intp]) -> Floats:
    """(personas, options): how often each chooses each option; NaN for one who never chose."""
    counts = np.stack([(sheet.choice[rows] == option).sum(axis=1) for option in range(len(sheet.options))], axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(counts / counts.sum(axis=1, keepdims=True), np.float64)


def compare_pairs(
    sheet: Sheet, rows: NDArray[np.intp], *, rng: np.random.Generator, draws: int
) -> tuple[PairAgreement, ...]:
    """Every two of `rows` against each other, all on the same bootstrap draws of items."""
    pairs = [(a, b) for place, a in enumerate(rows) for b in rows[place + 1 :]]
    return compare(sheet, pairs, rng=rng, draws=draws)


def compare(
    sheet: Sheet, pairs: Sequence[tuple[int, int]], *, rng: np.random.Generator, draws: int
) -> tuple[PairAgreement, ...]:
    """The given pairs of rows against each other, all on the same bootstrap draws of items."""
    o = len(sheet.options)
    sums = np.zeros((len(pairs), 1 + draws, o * o + 2))
    for items, begins, weights in resampled_units(sheet.unit_of, rng=rng, draws=draws):
        p = sheet.p[:, items].astype(np.float64)
        own = {row: entropy(p[row]) for row in {row for pair in pairs for row in pair}}
        for number, (a, b) in enumerate(pairs):
            between = entropy((p[a] + p[b]) / 2) - (own[a] + own[b]) / 2
            columns = pair_columns(sheet.choice[a, items], sheet.choice[b, items], between, o)
            sums[number] += weights @ np.add.reduceat(columns, begins, axis=0)
    shares = choice_shares(sheet, np.arange(len(sheet.personas)))
    return tuple(_pair(sheet, a, b, sums[number], shares) for number, (a, b) in enumerate(pairs))


def pair_columns(first: NDArray[np.int8], second: NDArray[np.int8], between: Floats, o: int) -> Floats:
    """Per item: its place in the o x o confusion table, then its divergence and whether that is known."""
    both = (first >= 0) & (second >= 0)
    cell = np.where(both, first.astype(np.int64) * o + second, o * o)
    known = ~np.isnan(between)
    table = np.eye(o * o + 1)[cell][:, : o * o]
    return np.column_stack([table, np.where(known, np.clip(between, 0, 1), 0.0), known])


def read_pair_sums(sums: Floats, o: int) -> tuple[Floats, Floats, Floats, int]:
    """(same, kappa, divergence, items) per draw from sums of `pair_columns`."""
    table = sums[..., : o * o].reshape(*sums.shape[:-1], o, o)
    with np.errstate(invalid="ignore", divide="ignore"):
        same = np.trace(table, axis1=-2, axis2=-1) / table.sum(axis=(-2, -1))
        divergence = sums[..., -2] / sums[..., -1]
    return same, cohen_kappa(table), divergence, int(table[0].sum())


def same_choices(sheet: Sheet, a: int, b: int, *, differ: bool = False) -> Estimate:
    """Share of the items both answered on which two rows choose the same, or with `differ` do not."""
    first, second = sheet.choice[a], sheet.choice[b]
    both = (first >= 0) & (second >= 0)
    wanted = both & ((first != second) if differ else (first == second))
    return clustered_share(sheet.by_unit(wanted.astype(np.int64)), sheet.by_unit(both.astype(np.int64)))


def _pair(sheet: Sheet, a: int, b: int, sums: Floats, shares: Floats) -> PairAgreement:
    _, kappa, divergence, n = read_pair_sums(sums, len(sheet.options))
    overall = float(jensen_shannon(shares[a], shares[b]))
    return PairAgreement(
        first=sheet.personas[a],
        second=sheet.personas[b],
        same=same_choices(sheet, a, b),
        kappa=from_draws(kappa, n),
        divergence=from_draws(divergence, int(sums[0, -1])),
        overall=None if np.isnan(overall) else overall,
    )
