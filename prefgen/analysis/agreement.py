"""Do different personas answer differently? Alpha over all, kappa and divergence between two, blocs on an item."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from prefgen.analysis.distance import (
    Floats,
    alpha_columns,
    alpha_parts,
    cohen_kappa,
    jensen_shannon,
    kappa_parts,
    krippendorff_alpha,
)
from prefgen.analysis.response_matrix import ResponseMatrix
from prefgen.crossing import Codes, variance_of
from prefgen.estimates import NOTHING, Estimate, from_patterns, shrinkage
from prefgen.judging.units import Units

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
class Bloc:
    """Items on which the largest bloc of like-minded personas has `personas` members."""

    personas: int
    items: int
    share: Estimate


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement between the drawn persons of a matrix.

    alpha       Krippendorff's, nominal, over every person
    unanimous   share of items, among those everybody answered, on which all chose the same
    blocs       by size of the largest bloc, on the items everybody answered
    compared    the persons in `pairs`: all of them, or those farthest apart
    """

    alpha: Estimate
    unanimous: Estimate
    blocs: tuple[Bloc, ...]
    compared: tuple[str, ...]
    pairs: tuple[PairAgreement, ...]


def estimate_agreement(
    matrix: ResponseMatrix, *, rng: np.random.Generator, draws: int = 300, most_compared: int = MOST_COMPARED
) -> Agreement:
    """Agreement between the drawn persons; controls are left out."""
    people = matrix.people
    counts = matrix.options_chosen(people)
    blocs = largest_blocs(counts, matrix.units, len(people))
    compared = far_apart(matrix, people, most_compared)
    return Agreement(
        alpha=estimate_alpha(counts, matrix.units, rng=rng, draws=draws),
        unanimous=blocs[-1].share if blocs else NOTHING,
        blocs=blocs,
        compared=tuple(matrix.personas[row] for row in compared),
        pairs=compare_pairs(matrix, compared, rng=rng, draws=draws),
    )


def estimate_alpha(counts: NDArray[np.int64], units: Units, *, rng: np.random.Generator, draws: int = 1000) -> Estimate:
    """Krippendorff's nominal alpha from (items, options) counts, with its interval.

    The interval is drawn from the posterior of how often each pattern of answers occurs, as many items strong as the variance
    over units and the factors they share allows, and reaches as far up as on Fisher's scale of a correlation. Beforehand one item
    divided by the number of personas is taken to have been seen of each pattern in which all choose one option, or all options
    equally often: Jeffreys' prior for two personas.
    """
    columns = alpha_columns(counts)
    paired = counts.sum(axis=1) >= 2
    answered = units.sum(paired.astype(np.int64)) > 0
    total = columns.sum(axis=0)
    if np.isnan(krippendorff_alpha(total)):
        return Estimate(None, None, None, int(answered.sum()))
    by_unit = units.sum(columns)
    apart = alpha_parts(columns, total)

    def over_levels(codes: Codes, _: int) -> tuple[float, float] | None:
        of_level = np.stack([np.bincount(codes, weights=column) for column in by_unit.T], axis=1)
        without = krippendorff_alpha(total - of_level[of_level[:, 1:].any(axis=1)])
        if np.isnan(without).any():
            return None
        return _jackknife(without, float(krippendorff_alpha(total)))

    variance = variance_of(units.sum(apart), units.crossing, asked=answered, by_level=over_levels)
    patterns, seen = _patterns(counts[paired])
    fixed, prior = _alpha_prior(counts[paired])
    found = from_patterns(
        np.concatenate([alpha_columns(patterns), alpha_columns(fixed)]),
        np.concatenate([seen, np.zeros(len(fixed))]),
        np.concatenate([np.zeros(len(seen)), prior]),
        krippendorff_alpha,
        rng=rng,
        draws=draws,
        units=int(answered.sum()),
        bias=variance.bias,
        shrink=shrinkage(_of_items(apart[paired]), variance),
    )
    return _on_fishers_scale(found, float(counts[paired].sum(axis=1).mean()))


def _on_fishers_scale(alpha: Estimate, personas: float) -> Estimate:
    """The same reach upwards where the error of an intraclass correlation hardly depends on it, log((1 + (k - 1) alpha) / (1 - alpha)):
    an alpha that is found too low has too small an error.

    Source: Fisher, Statistical Methods for Research Workers (1925), section 39. The low end stays: of few answers it is near enough.
    """
    value, high, more = alpha.value, alpha.high, personas - 1
    if value is None or high is None or not -1 / more < value < 1:
        return alpha
    scaled = math.log((1 + more * value) / (1 - value))
    steep = more / (1 + more * value) + 1 / (1 - value)
    reached = math.exp(min(700.0, scaled + steep * (high - value)))
    return replace(alpha, high=max(high, (reached - 1) / (reached + more)))


def _jackknife(without: Floats, value: float) -> tuple[float, float]:
    """Variance and bias of a statistic, from its values without each level of a factor."""
    n = len(without)
    return (n - 1) / n * float(((without - without.mean()) ** 2).sum()), (n - 1) * (float(without.mean()) - value)


def _of_items(apart: Floats) -> float:
    """What the variance would be over independent items."""
    return len(apart) / max(1, len(apart) - 1) * float((apart**2).sum())


def _patterns(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], Floats]:
    """The different rows, and how often each occurs."""
    patterns, seen = np.unique(counts, axis=0, return_counts=True)
    return patterns, seen.astype(np.float64)


def _alpha_prior(counts: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Patterns seen beforehand, of the options that anybody chose: everybody for one of them, and all equally often."""
    used = np.flatnonzero(counts.any(axis=0))
    personas = float(counts.sum(axis=1).mean())
    alike, split = np.zeros((2, len(used), counts.shape[1]))
    alike[np.arange(len(used)), used] = personas
    split[:, used] = personas / len(used)
    return np.concatenate([alike, split]), np.full(2 * len(used), 1 / personas)


def largest_blocs(counts: NDArray[np.int64], units: Units, n_people: int) -> tuple[Bloc, ...]:
    """Items by the size of their largest bloc, smallest first; only items that all `n_people` answered."""
    complete = counts.sum(axis=1) == n_people
    if n_people < 2 or not complete.any():
        return ()
    largest = np.where(complete, counts.max(axis=1), -1)
    smallest = -(-n_people // counts.shape[1])
    return tuple(
        Bloc(size, int((largest == size).sum()), units.share(largest == size, complete))
        for size in range(max(1, smallest), n_people + 1)
    )


def far_apart(matrix: ResponseMatrix, rows: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """At most `most` of `rows`, in their order: the first, then always the one farthest from those chosen."""
    if len(rows) <= most:
        return rows
    shares = choice_shares(matrix, rows)
    taken = [0]
    nearest = jensen_shannon(shares, shares[0])
    while len(taken) < most:
        farthest = int(np.nanargmax(np.where(np.isin(np.arange(len(rows)), taken), -1.0, np.nan_to_num(nearest))))
        taken.append(farthest)
        nearest = np.fmin(nearest, jensen_shannon(shares, shares[farthest]))
    return np.asarray(rows[np.sort(taken)], np.intp)


def choice_shares(matrix: ResponseMatrix, rows: Sequence[int] | NDArray[np.intp]) -> Floats:
    """(personas, options): how often each chooses each option; NaN for one who never chose."""
    counts = np.stack([(matrix.choice[rows] == option).sum(axis=1) for option in range(len(matrix.options))], axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(counts / counts.sum(axis=1, keepdims=True), np.float64)


def compare_pairs(
    matrix: ResponseMatrix, rows: NDArray[np.intp], *, rng: np.random.Generator, draws: int
) -> tuple[PairAgreement, ...]:
    """Every two of `rows` against each other."""
    shares = choice_shares(matrix, np.arange(len(matrix.personas)))
    return tuple(
        _pair(matrix, int(a), int(b), shares, rng=rng, draws=draws)
        for place, a in enumerate(rows)
        for b in rows[place + 1 :]
    )


def _pair(
    matrix: ResponseMatrix, a: int, b: int, shares: Floats, *, rng: np.random.Generator, draws: int
) -> PairAgreement:
    overall = float(jensen_shannon(shares[a], shares[b]))
    one, other = matrix.choice[a], matrix.choice[b]
    return PairAgreement(
        first=matrix.personas[a],
        second=matrix.personas[b],
        same=same_share(one, other, matrix.units),
        kappa=kappa_between(one, other, len(matrix.options), matrix.units, rng=rng, draws=draws),
        divergence=mean_divergence(matrix.p[a], matrix.p[b], matrix.units),
        overall=None if np.isnan(overall) else overall,
    )


def same_share(one: NDArray[np.int8], other: NDArray[np.int8], units: Units, *, differ: bool = False) -> Estimate:
    """Share of the items both answered on which their choices are the same, or with `differ` are not."""
    both = (one >= 0) & (other >= 0)
    return units.share(both & ((one != other) if differ else (one == other)), both)


def kappa_between(
    one: NDArray[np.int8], other: NDArray[np.int8], o: int, units: Units, *, rng: np.random.Generator, draws: int = 1000
) -> Estimate:
    """Cohen's kappa of two respondents' choices among `o` options.

    The interval is drawn from the posterior of the table of their choices, as many items strong as the variance over units and the
    factors they share allows; the prior is 2 items spread over the cells of the options that either chose: Jeffreys' for two.
    None where both always choose one and the same option: then there is nothing to agree on.
    """
    both = (one >= 0) & (other >= 0)
    asked = int((units.sum(both.astype(np.int64)) > 0).sum())
    cell = one[both].astype(np.intp) * o + other[both]
    table = np.bincount(cell, minlength=o * o).astype(np.float64)
    if not both.any() or np.isnan(cohen_kappa(table.reshape(o, o))):
        return Estimate(None, None, None, asked)
    used = table.reshape(o, o).any(axis=0) | table.reshape(o, o).any(axis=1)
    apart = np.zeros(len(both))
    apart[both] = kappa_parts(table.reshape(o, o)).ravel()[cell]
    variance = units.variance(apart, both)
    return from_patterns(
        np.eye(o * o),
        table,
        np.where(np.outer(used, used).ravel(), 2 / used.sum() ** 2, 0.0),
        lambda sums: cohen_kappa(sums.reshape(-1, o, o)),
        rng=rng,
        draws=draws,
        units=asked,
        shrink=shrinkage(_of_items(apart[both]), variance),
    )


def mean_divergence(p: NDArray[np.float32], q: NDArray[np.float32], units: Units) -> Estimate:
    """Jensen-Shannon divergence of two respondents' (items, options) probabilities, bits, mean over the items both answered."""
    between = jensen_shannon(p, q)
    known = ~np.isnan(between)
    return units.share(np.where(known, between, 0.0), known, binary=False)
