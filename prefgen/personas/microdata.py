"""Survey rows, read once and turned into tables; no row ever leaves this file but as a count."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.personas.cells import Axis, Codes, Shares, Target, tabulate
from prefgen.personas.levels import are_numbers, in_order, number_fix, number_of
from prefgen.personas.respondents import Respondents, read_respondents
from prefgen.spec.attribute import Attribute, parse_bin
from prefgen.spec.document import Key
from prefgen.spec.population import Microdata, Population

_MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Survey:
    """Survey rows as codes.

    codes     level of every row, by axis
    weight    survey weight of every row, 0 or more
    notes     what looks odd, was dropped or merged, in sentences
    levels    the levels found of each attribute, in sentences
    merged    levels that `min_cell` merged into others
    """

    axes: tuple[Axis, ...]
    codes: tuple[Codes, ...]
    weight: Shares
    notes: tuple[str, ...] = ()
    merged: int = 0
    levels: tuple[str, ...] = ()

    def rows(self, chosen: NDArray[np.intp]) -> Survey:
        """Some of the rows."""
        return replace(self, codes=tuple(code[chosen] for code in self.codes), weight=self.weight[chosen])


def read_survey(population: Population) -> Survey:
    """The survey rows of a spec, missing values treated as it says; SpecError for what cannot be."""
    data = population.microdata
    assert data is not None
    read = read_respondents(population)
    axes, codes = [], []
    for name in data.sources:
        axis, code = _coded(population, read, name, population.attributes.get(name))
        axes.append(axis)
        codes.append(code)
    survey = Survey(tuple(axes), tuple(codes), read.weight, read.notes, levels=read.found)
    return _with_large_cells(population, data, survey)


def survey_targets(data: Microdata, survey: Survey) -> tuple[Target, ...]:
    """The tables estimated from survey rows: all pairs, or those the spec names; a lone column's marginal."""
    names = [axis.name for axis in survey.axes]
    chosen: list[tuple[str, ...]] = (
        [tuple(table) for table in data.tables] if isinstance(data.tables, list) else list(combinations(names, 2))
    )
    used = {name for table in chosen for name in table}
    chosen += [(name,) for name in names if name not in used]
    targets = []
    for table in chosen:
        share = tabulate(survey.axes, survey.codes, table, survey.weight)
        targets.append(Target(("microdata",), table, share / share.sum()))
    return tuple(targets)


def smallest_cell(data: Microdata, survey: Survey) -> int:
    """Least number of respondents behind a cell, not empty, of the tables estimated."""
    tables = [tabulate(survey.axes, survey.codes, target.names, None) for target in survey_targets(data, survey)]
    return int(min(table[table > 0].min() for table in tables))


def _coded(population: Population, read: Respondents, name: str, attribute: Attribute | None) -> tuple[Axis, Codes]:
    column = read.levels[name]
    if attribute is not None and attribute.bins is not None:
        return Axis.of(name, attribute), _binned(population, read, name, attribute)
    found = in_order(column.unique().drop_nulls().to_list())
    if attribute is not None:
        axis = Axis.of(name, attribute)
        unknown = next((level for level in found if level not in axis.levels), None)
        if unknown is not None:
            raise population.error(
                ("attributes", name),
                f"the survey has {unknown!r}, which is not among the levels {', '.join(map(repr, axis.levels[:12]))}",
                "write the levels as the survey does, map its codes with `labels:`, or leave the levels to the survey",
            )
    else:
        labels = population.microdata.labels.get(name, {}) if population.microdata else {}
        kept = [level for level in dict.fromkeys(labels.values()) if level in found] or found
        axis = Axis(name, tuple(kept), ordered=are_numbers(found))
    if attribute is not None and column.null_count() and _MISSING not in axis.levels:
        raise population.error(
            ("attributes", name),
            "its levels leave no place for the missing values of the survey",
            f"add a level {_MISSING!r}, or say `missing: drop`",
        )
    if column.null_count() and _MISSING not in axis.levels:
        axis = replace(axis, levels=(*axis.levels, _MISSING), ordered=False)
    place = {level: index for index, level in enumerate(axis.levels)}
    coded = column.fill_null(_MISSING).replace_strict(place, return_dtype=pl.Int64)
    return axis, coded.to_numpy().astype(np.intp)


def _binned(population: Population, read: Respondents, name: str, attribute: Attribute) -> Codes:
    key: Key = ("attributes", name)
    column = read.levels[name]
    if column.null_count():
        raise population.error(
            key, f"{name!r} has bins, which leave no place for missing values", "say `missing: drop`"
        )
    numbers = {text: number_of(text) for text in column.unique()}
    if not any(number is not None for number in numbers.values()):
        raise population.error(key, f"column {name!r} holds text, which bins cannot order", "name its levels instead")
    for place, text in enumerate(column):
        if numbers[text] is None:
            raise population.error(
                key,
                f"{text!r} is no number, which bins need ({read.places[place]} of the survey)",
                f"{number_fix(text)}, list it under `na:`, or name levels instead of bins",
            )
    number = column.replace_strict(numbers, return_dtype=pl.Float64).to_numpy()
    code = np.full(len(number), -1, dtype=np.intp)
    for index, label in enumerate(attribute.names):
        bin_ = parse_bin(label)
        code[(number >= bin_.low) & (number < bin_.high + 1 if bin_.whole else number < bin_.high)] = index
    outside = number[code < 0]
    if len(outside):
        raise population.error(
            key,
            f"{len(outside):,} survey values lie outside all bins, e.g. {outside[0]:g}",
            "widen or add bins, or list codes of missing values under `na:`",
        )
    return code


def _with_large_cells(population: Population, data: Microdata, survey: Survey) -> Survey:
    """`survey` with levels merged until every cell behind a table has `min_cell` respondents or none."""
    before, notes = survey.notes, list(survey.notes)
    while data.min_cell > 1:
        found = _small_cell(data, survey)
        if found is None:
            break
        axis, level, count, label = found
        key: Key = ("microdata", "min_cell")
        problem = f"a cell of {label} rests on {count} respondents, fewer than {data.min_cell}"
        if data.small == "refuse":
            raise population.error(
                key, problem, "say `small: merge`, use fewer columns or broader levels, or lower `min_cell`"
            )
        if (
            len(survey.axes[axis].levels) <= 2
            or survey.axes[axis].bins
            or survey.axes[axis].name in population.attributes
        ):
            raise population.error(
                key,
                f"{problem}, and {survey.axes[axis].name!r} cannot be merged further",
                "use fewer columns, broader levels, or lower `min_cell`",
            )
        survey, note = _merged(survey, axis, level)
        notes.append(note)
    return replace(survey, notes=tuple(notes), merged=len(notes) - len(before))


def _small_cell(data: Microdata, survey: Survey) -> tuple[int, int, int, str] | None:
    """(axis, its level to merge, respondents, table) of the smallest cell under the floor, or None."""
    smallest: tuple[int, int, int, str] | None = None
    place = {axis.name: index for index, axis in enumerate(survey.axes)}
    ones = [np.bincount(code, minlength=len(axis.levels)) for axis, code in zip(survey.axes, survey.codes, strict=True)]
    for target in survey_targets(data, survey):
        counts = tabulate(survey.axes, survey.codes, target.names, None)
        low = np.where(counts > 0, counts, np.inf)
        least = low.min()
        if least >= data.min_cell or (smallest is not None and least >= smallest[2]):
            continue
        at = np.unravel_index(int(low.argmin()), counts.shape)
        levels = [(place[name], int(level)) for name, level in zip(target.names, at, strict=True)]
        mergeable = [pair for pair in levels if len(survey.axes[pair[0]].levels) > 2] or levels
        axis, level = min(mergeable, key=lambda pair: ones[pair[0]][pair[1]])
        smallest = (axis, level, int(least), target.label)
    return smallest


def _merged(survey: Survey, axis: int, level: int) -> tuple[Survey, str]:
    """One level merged: with its rarer neighbour if ordered, else into `other`."""
    old = survey.axes[axis]
    counts = np.bincount(survey.codes[axis], minlength=len(old.levels))
    if old.ordered:
        partner = min((i for i in (level - 1, level + 1) if 0 <= i < len(old.levels)), key=lambda i: counts[i])
        low, high = sorted((level, partner))
        name = f"{old.levels[low].split(' to ')[0]} to {old.levels[high].split(' to ')[-1]}"
    else:
        others = [i for i in range(len(old.levels)) if i != level]
        partner = (
            old.levels.index("other")
            if "other" in old.levels and old.levels[level] != "other"
            else min(others, key=lambda i: counts[i])
        )
        low, high, name = min(level, partner), max(level, partner), "other"
    levels = [name if i == low else label for i, label in enumerate(old.levels) if i != high]
    recode = np.array([low if i == high else i - (i > high) for i in range(len(old.levels))], dtype=np.intp)
    axes = tuple(replace(a, levels=tuple(levels)) if i == axis else a for i, a in enumerate(survey.axes))
    codes = tuple(recode[c] if i == axis else c for i, c in enumerate(survey.codes))
    note = f"{old.name}: {old.levels[low]!r} and {old.levels[high]!r} merged into {name!r}"
    return replace(survey, axes=axes, codes=codes), note
