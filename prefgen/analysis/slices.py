"""Where answers differ: an option's share in every slice, wording and length, and who gets no answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.analysis.filling import STATUSES
from prefgen.analysis.response_matrix import ResponseMatrix
from prefgen.estimates import Estimate

MOST_LEVELS = 40
NO_CHOICE = tuple(status for status in STATUSES if status not in ("ok", "na"))
"""Statuses in which no option was chosen."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Share of one option among the choices of drawn persons, weighted, in one cell of two coordinates."""

    row: str
    column: str
    share: Estimate


@dataclass(frozen=True, slots=True)
class OptionShares:
    """P(option) by two coordinates; `columns` is None where there is one coordinate only."""

    option: str
    rows: str
    columns: str | None
    overall: Estimate
    slices: tuple[Slice, ...]


@dataclass(frozen=True, slots=True)
class PersonaSlice:
    """How often one persona chooses an option within one level of a coordinate."""

    persona_id: str
    control: str | None
    level: str
    share: Estimate


@dataclass(frozen=True, slots=True)
class LengthSensitivity:
    """Is the longest option chosen for its length?

    longest    share of substantive choices for the one longest option, on items that have one
    chance     that share for a judge to whom length is nothing, were length unrelated to content
    steps      (least stretch, largest stretch, share): from the items with the least difference of length to
               those with the most; stretch is the longest option's characters over the shortest's
    """

    longest: Estimate
    chance: float | None
    steps: tuple[tuple[float, float, Estimate], ...]


@dataclass(frozen=True, slots=True)
class Nonresponse:
    """Judgments without a choice, in one level of a coordinate (or of one persona: coordinate 'persona_id')."""

    coordinate: str
    level: str
    judgments: int
    statuses: dict[str, int]
    share: Estimate


def levels_of(matrix: ResponseMatrix, coordinate: str) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """Levels of a coordinate in order of appearance, and each item's place among them (-1 for null)."""
    column = matrix.items[coordinate]
    levels = tuple(column.drop_nulls().unique(maintain_order=True).to_list())
    places = {level: place for place, level in enumerate(levels)}
    return levels, column.replace_strict(places, default=-1, return_dtype=pl.Int64).to_numpy().astype(np.intp)


def estimate_shares(matrix: ResponseMatrix, *, option: str, rows: str, columns: str | None = None) -> OptionShares:
    """P(option) for every level of `rows` x every level of `columns`; questions are the units."""
    chose, choices = _weighted(matrix, option)
    row_names, row_of = levels_of(matrix, rows)
    column_names, column_of = levels_of(matrix, columns) if columns else (("",), np.zeros(matrix.items.height, np.intp))
    slices = []
    for r, row in enumerate(row_names):
        for c, column in enumerate(column_names):
            at = (row_of == r) & (column_of == c)
            if choices[at].any():
                slices.append(Slice(row, column, matrix.units.share(chose * at, choices * at)))
    return OptionShares(option, rows, columns, matrix.units.share(chose, choices), tuple(slices))


def estimate_profiles(matrix: ResponseMatrix, *, option: str, coordinate: str) -> tuple[PersonaSlice, ...]:
    """Every persona's P(option) by level of one coordinate; controls included."""
    wanted = matrix.options.index(option)
    names, level_of = levels_of(matrix, coordinate)
    chose, choices = (matrix.choice == wanted).astype(np.int64), (matrix.choice >= 0).astype(np.int64)
    return tuple(
        PersonaSlice(
            persona,
            matrix.controls[k],
            level,
            matrix.units.share(chose[k] * (level_of == at), choices[k] * (level_of == at)),
        )
        for k, persona in enumerate(matrix.personas)
        for at, level in enumerate(names)
    )


def _weighted(matrix: ResponseMatrix, option: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Per item: weight of the drawn persons who chose `option`, and of those who chose at all.

    In persons: weights are scaled so that they sum to as many as equal weights would have to be to say as much (Kish).
    """
    people = matrix.people
    chosen, weight = matrix.choice[people], matrix.weights[people][:, None]
    weight = weight * (weight.sum() / (weight**2).sum()) if weight.any() else weight
    wanted = matrix.options.index(option)
    return ((chosen == wanted) * weight).sum(axis=0), ((chosen >= 0) * weight).sum(axis=0)


def estimate_length_sensitivity(matrix: ResponseMatrix, *, steps: int = 3) -> LengthSensitivity | None:
    """Choices for the one longest substantive option.

    None when no item has one, and when it is the same option everywhere: length and option are then one thing.
    """
    longest = matrix.items["longest"].fill_null(-1).to_numpy()
    if not (longest >= 0).any() or (len(np.unique(longest[longest >= 0])) == 1 < np.count_nonzero(longest >= 0)):
        return None
    chosen = matrix.choice[matrix.people]
    neither = matrix.items["neither"].fill_null(-1).to_numpy()
    real = (chosen >= 0) & (chosen != neither[None, :]) & (longest >= 0)[None, :]
    won, of = (real & (chosen == longest[None, :])).sum(axis=0), real.sum(axis=0)
    if not of.any():
        return None
    n_real = np.maximum(1, matrix.items["n_options"].to_numpy() - (neither >= 0))
    stretch = matrix.items["stretch"].to_numpy()
    ranked = np.flatnonzero(of > 0)
    ranked = ranked[np.argsort(stretch[ranked], kind="stable")]
    parts = [part for part in np.array_split(ranked, steps) if part.size >= 5]
    return LengthSensitivity(
        longest=matrix.units.share(won, of),
        chance=float((of / n_real).sum() / of.sum()),
        steps=tuple(
            (float(stretch[part[0]]), float(stretch[part[-1]]), _only(matrix, part, won, of)) for part in parts
        ),
    )


def _only(matrix: ResponseMatrix, items: NDArray[np.intp], won: NDArray[np.int64], of: NDArray[np.int64]) -> Estimate:
    at = np.zeros(len(of), np.int64)
    at[items] = 1
    return matrix.units.share(won * at, of * at)


def count_nonresponse(matrix: ResponseMatrix, coordinates: Sequence[str]) -> tuple[Nonresponse, ...]:
    """Judgments without a choice by persona and by level of each coordinate that has at most MOST_LEVELS."""
    silent = [STATUSES.index(status) for status in NO_CHOICE]
    found = []
    for k, persona in enumerate(matrix.personas):
        found.append(_nonresponse(matrix, "persona_id", persona, matrix.statuses[k].astype(np.int64), silent))
    by_item = matrix.statuses.sum(axis=0, dtype=np.int64)
    for coordinate in coordinates:
        names, level_of = levels_of(matrix, coordinate)
        if len(names) <= MOST_LEVELS:
            found += [
                _nonresponse(matrix, coordinate, level, by_item * (level_of == at)[:, None], silent)
                for at, level in enumerate(names)
            ]
    return tuple(found)


def _nonresponse(
    matrix: ResponseMatrix, coordinate: str, level: str, by_item: NDArray[np.int64], silent: list[int]
) -> Nonresponse:
    totals = by_item.sum(axis=0)
    return Nonresponse(
        coordinate=coordinate,
        level=level,
        judgments=int(totals.sum()),
        statuses={name: int(count) for name, count in zip(STATUSES, totals, strict=True) if count},
        share=matrix.units.share(by_item[:, silent].sum(axis=1), by_item.sum(axis=1)),
    )
