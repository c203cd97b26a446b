"""Does an answer survive another wording: of the question (its forms), or of the persona (its wordings)?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from prefgen.analysis.distance import jensen_shannon
from prefgen.analysis.response_matrix import ResponseMatrix
from prefgen.estimates import Estimate


@dataclass(frozen=True, slots=True)
class FormConsistency:
    """One persona asked the same question in several forms.

    same         share of pairs of forms, of questions answered in both, with the same choice
    by_chance    what that would be if the persona chose as often as it does in each form, without regard to the question
    """

    persona_id: str
    control: str | None
    same: Estimate
    by_chance: float | None


@dataclass(frozen=True, slots=True)
class WordingPair:
    """The same people portrayed in two wordings.

    differs       share of items, over people, on which the choice differs; items as clusters
    by_chance     that share if each chose as often as it does, without regard to the item
    divergence    Jensen-Shannon divergence of their answers, bits, mean over items, then over people
    """

    first: str
    second: str
    people: int
    differs: Estimate
    by_chance: float | None
    divergence: float | None


@dataclass(frozen=True, slots=True)
class WordingSensitivity:
    """How much the wording of a portrait changes.

    differs         over all pairs of wordings
    changes_mind    share of the same people's comparisons in which another order changes the option: a `differs` no
                    larger than this may be the judge's own inconsistency
    """

    wordings: tuple[str, ...]
    differs: Estimate
    changes_mind: Estimate
    pairs: tuple[WordingPair, ...]


def estimate_form_consistency(matrix: ResponseMatrix) -> tuple[FormConsistency, ...]:
    """Every persona, controls included; empty where no question was asked in several forms."""
    first, second = _forms_of_one_question(matrix.units.of)
    if not len(first):
        return ()
    found = []
    for k, persona in enumerate(matrix.personas):
        a, b = matrix.choice[k, first], matrix.choice[k, second]
        both = (a >= 0) & (b >= 0)
        same, of = (np.bincount(first, weights=x, minlength=len(matrix.units.of)) for x in (both & (a == b), both))
        chance = None if not both.any() else 1 - _by_chance(a[both], b[both], len(matrix.options))
        found.append(FormConsistency(persona, matrix.controls[k], matrix.units.share(same, of), chance))
    return tuple(found)


def _forms_of_one_question(unit_of: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Every two items of one unit; items of a unit stand side by side."""
    most = int(np.bincount(unit_of).max(initial=0))
    found = [(np.flatnonzero(unit_of[:-step] == unit_of[step:]), step) for step in range(1, most)]
    nobody = np.zeros(0, np.intp)
    return np.concatenate([nobody, *(at for at, _ in found)]), np.concatenate(
        [nobody, *(at + step for at, step in found)]
    )


def estimate_wording_sensitivity(matrix: ResponseMatrix) -> WordingSensitivity | None:
    """The same people in their several wordings; None where everybody has one."""
    by_wording: dict[str, dict[str, int]] = {}
    for k in matrix.people:
        person, wording = matrix.told_as[k]
        if wording is not None:
            by_wording.setdefault(wording, {})[person] = int(k)
    if len(by_wording) < 2:
        return None
    pairs, changed, of = [], np.zeros(matrix.items.height), np.zeros(matrix.items.height)
    for one, other in combinations(by_wording, 2):
        shared = [person for person in by_wording[one] if person in by_wording[other]]
        rows = np.array([[by_wording[one][p], by_wording[other][p]] for p in shared], dtype=np.intp).reshape(-1, 2)
        pair, differ, both = _pair(matrix, one, other, rows)
        pairs.append(pair)
        changed, of = changed + differ, of + both
    people = np.array(sorted({k for rows in by_wording.values() for k in rows.values()}), dtype=np.intp)
    by_order, compared = (x[people].sum(axis=0, dtype=np.int64) for x in (matrix.changed, matrix.pairs))
    return WordingSensitivity(
        tuple(by_wording),
        matrix.units.share(changed, of),
        matrix.units.share(by_order, compared),
        tuple(pairs),
    )


def _pair(
    matrix: ResponseMatrix, one: str, other: str, rows: NDArray[np.intp]
) -> tuple[WordingPair, NDArray[np.float64], NDArray[np.float64]]:
    """The pair, and by item how many people differ, of how many who answered both times."""
    a, b = matrix.choice[rows[:, 0]], matrix.choice[rows[:, 1]]
    both = (a >= 0) & (b >= 0)
    differ, of = (x.sum(axis=0).astype(np.float64) for x in (both & (a != b), both))
    apart = [
        np.nanmean(apiece) for p, q in rows if not np.isnan(apiece := jensen_shannon(matrix.p[p], matrix.p[q])).all()
    ]
    chances = [
        (_by_chance(p[k], q[k], len(matrix.options)), k.sum()) for p, q, k in zip(a, b, both, strict=True) if k.any()
    ]
    chance = float(np.average([c for c, _ in chances], weights=[n for _, n in chances])) if chances else None
    divergence = float(np.mean(apart)) if apart else None
    told = matrix.units.share(differ, of)
    return WordingPair(one, other, len(rows), told, chance, divergence), differ, of


def _by_chance(a: NDArray[np.int8], b: NDArray[np.int8], options: int) -> float:
    """Chance that two choices differ that are drawn independently from these two lists."""
    one, other = (np.bincount(x, minlength=options) / len(x) for x in (a, b))
    return float(1 - (one * other).sum())
