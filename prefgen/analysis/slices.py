"""Where answers differ: an option's share in every slice, wording and length, and who gets no answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.analysis.sheet import STATUSES, Sheet
from prefgen.estimates import Estimate, clustered_share

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
class Silence:
    """Judgments without a choice, in one level of a coordinate (or of one persona: coordinate 'persona_id')."""

    coordinate: str
    level: str
    judgments: int
    statuses: dict[str, int]
    share: Estimate


def levels_of(sheet: Sheet, coordinate: str) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """Levels of a coordinate in order of appearance, and each item's place among them (-1 for null)."""
    column = sheet.items[coordinate]
    levels = tuple(column.drop_nulls().unique(maintain_order=True).to_list())
    places = {level: place for place, level in enumerate(levels)}
    return levels, column.replace_strict(places, default=-1, return_dtype=pl.Int64).to_numpy().astype(np.intp)


def estimate_shares(sheet: Sheet, *, option: str, rows: str, columns: str | None = None) -> OptionShares:
    """P(option) for every level of `rows` x every level of `columns`; items are the clusters."""
    chose, choices = _weighted(sheet, option)
    row_names, row_of = levels_of(sheet, rows)
    column_names, column_of = levels_of(sheet, columns) if columns else (("",), np.zeros(sheet.items.height, np.intp))
    slices = []
    for r, row in enumerate(row_names):
        for c, column in enumerate(column_names):
            at = (row_of == r) & (column_of == c)
            if choices[at].any():
                slices.append(
                    Slice(row, column, clustered_share(sheet.by_unit(chose * at), sheet.by_unit(choices * at)))
                )
    return OptionShares(
        option, rows, columns, clustered_share(sheet.by_unit(chose), sheet.by_unit(choices)), tuple(slices)
    )


def estimate_profiles(sheet: Sheet, *, option: str, coordinate: str) -> tuple[PersonaSlice, ...]:
    """Every persona's P(option) by level of one coordinate; controls included."""
    wanted = sheet.options.index(option)
    names, level_of = levels_of(sheet, coordinate)
    chose, choices = (sheet.choice == wanted).astype(np.int64), (sheet.choice >= 0).astype(np.int64)
    return tuple(
        PersonaSlice(persona, sheet.controls[k], level, clustered_share(sheet.by_unit(chose[k] * (level_of == at)), sheet.by_unit(choices[k] * (level_of == at))))
        for k, persona in enumerate(sheet.personas)
        for at, level in enumerate(names)
    )  # fmt: skip


def _weighted(sheet: Sheet, option: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Per item: weight of the drawn persons who chose `option`, and of those who chose at all."""
    people = sheet.people
    chosen, weight = sheet.choice[people], sheet.weights[people][:, None]
    wanted = sheet.options.index(option)
    return ((chosen == wanted) * weight).sum(axis=0), ((chosen >= 0) * weight).sum(axis=0)


def estimate_length_sensitivity(sheet: Sheet, *, steps: int = 3) -> LengthSensitivity | None:
    """Choices for the one longest substantive option.

    None when no item has one, and when it is the same option everywhere: length and option are then one thing.
    """
    longest = sheet.items["longest"].fill_null(-1).to_numpy()
    if not (longest >= 0).any() or (len(np.unique(longest[longest >= 0])) == 1 < np.count_nonzero(longest >= 0)):
        return None
    chosen = sheet.choice[sheet.people]
    neither = sheet.items["neither"].fill_null(-1).to_numpy()
    real = (chosen >= 0) & (chosen != neither[None, :]) & (longest >= 0)[None, :]
    won, of = (real & (chosen == longest[None, :])).sum(axis=0), real.sum(axis=0)
    if not of.any():
        return None
    n_real = np.maximum(1, sheet.items["n_options"].to_numpy() - (neither >= 0))
    stretch = sheet.items["stretch"].to_numpy()
    ranked = np.flatnonzero(of > 0)
    ranked = ranked[np.argsort(stretch[ranked], kind="stable")]
    parts = [part for part in np.array_split(ranked, steps) if part.size >= 5]
    return LengthSensitivity(
        longest=clustered_share(sheet.by_unit(won), sheet.by_unit(of)),
        chance=float((of / n_real).sum() / of.sum()),
        steps=tuple(
            (float(stretch[part[0]]), float(stretch[part[-1]]), clustered_share(won[part], of[part])) for part in parts
        ),
    )


def count_silence(sheet: Sheet, coordinates: Sequence[str]) -> tuple[Silence, ...]:
    """Judgments without a choice by persona and by level of each coordinate that has at most MOST_LEVELS."""
    silent = [STATUSES.index(status) for status in NO_CHOICE]
    found = []
    for k, persona in enumerate(sheet.personas):
        found.append(_silence("persona_id", persona, sheet.by_unit(sheet.statuses[k].astype(np.int64)), silent))
    by_item = sheet.statuses.sum(axis=0, dtype=np.int64)
    for coordinate in coordinates:
        names, level_of = levels_of(sheet, coordinate)
        if len(names) <= MOST_LEVELS:
            found += [
                _silence(coordinate, level, sheet.by_unit(by_item * (level_of == at)[:, None]), silent)
                for at, level in enumerate(names)
            ]
    return tuple(found)


def _silence(coordinate: str, level: str, by_unit: NDArray[np.int64], silent: list[int]) -> Silence:
    totals = by_unit.sum(axis=0)
    return Silence(
        coordinate=coordinate,
        level=level,
        judgments=int(totals.sum()),
        statuses={name: int(count) for name, count in zip(STATUSES, totals, strict=True) if count},
        share=clustered_share(by_unit[:, silent].sum(axis=1), by_unit.sum(axis=1)),
    )
