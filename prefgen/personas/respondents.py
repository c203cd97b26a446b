"""Survey rows as they stand in the file: values as levels, weights as numbers, missing values treated as the spec says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.errors import Complaint, SpecError, one_of
from prefgen.personas.cells import Shares
from prefgen.personas.levels import (
    holds_levels,
    missing_codes,
    number_fix,
    number_of,
    oddities,
    texts_of,
    told_levels,
    without_missing,
)
from prefgen.spec.document import Key
from prefgen.spec.population import Microdata, Population
from prefgen.store.delimited import read_delimited
from prefgen.store.rows import read_parquet

_IMPORT_ID = '{"ImportId"'  # the second row under the header of a Qualtrics file; question texts stand in the first


@dataclass(frozen=True, slots=True)
class Places:
    """Where each row stands in its file."""

    word: Literal["line", "row"]
    numbers: NDArray[np.int64]

    def __getitem__(self, row: int) -> str:
        return f"{self.word} {self.numbers[row]}"

    def rows(self, chosen: NDArray[np.bool_]) -> Places:
        """Those of some rows."""
        return Places(self.word, self.numbers[chosen])


@dataclass(frozen=True, slots=True)
class Respondents:
    """Survey rows that take part.

    levels    a text column by attribute, null for a missing value that is a level of its own
    weight    survey weight of every row, 0 or more
    places    `line 7` of the file by row; `row 7` of a Parquet file
    notes     what looks odd and what was dropped, in sentences
    found     the levels of each attribute, in sentences
    """

    levels: pl.DataFrame
    weight: Shares
    places: Places
    notes: tuple[str, ...]
    found: tuple[str, ...]


def read_respondents(population: Population) -> Respondents:
    """The survey rows of a spec; SpecError for what cannot be."""
    data = population.microdata
    assert data is not None
    frame, places, notes = _read(population, data)
    weight = _weights(population, data, frame, places)
    levels = frame.select(texts_of(frame[column]).alias(name) for name, column in data.sources.items())
    _check_respondents(data, levels, places)
    levels = levels.select(
        without_missing(levels[name], _declared(population, data, name), data.missing_codes(name))
        for name in levels.columns
    )
    complete, said = _without_missing(population, data, frame, levels, weight, places)
    kept = complete.to_numpy()
    levels, weight, places = levels.filter(complete), weight[kept], places.rows(kept)
    levels = levels.select(_labelled(population, data, levels[name], places) for name in levels.columns)
    odd: list[str] = []
    found: list[str] = []
    for name in levels.columns:
        attribute = population.attributes.get(name)
        if attribute is None or attribute.bins is None:  # numbers are checked against their bins
            respondents = dict(levels[name].drop_nulls().value_counts(sort=True).iter_rows())
            _check_codes(population, data, name, respondents)
            odd += _odd(levels[name], respondents, places)
            found.append(told_levels(name, respondents))
    return Respondents(levels, weight, places, (*odd, *notes, *said), tuple(found))


def _read(population: Population, data: Microdata) -> tuple[pl.DataFrame, Places, tuple[str, ...]]:
    """Columns wanted (text for a CSV), line of every row, and notes."""
    wanted = list(dict.fromkeys([*data.sources.values(), *([data.weight] if data.weight else [])]))
    notes: tuple[str, ...] = ()
    if data.file.suffix.lower() == ".parquet":
        frame = _parquet(population, data)
        places = Places("row", np.arange(1, frame.height + 1))
    else:
        read = read_delimited(data.file)
        frame, places, notes = read.frame, Places("line", read.lines), read.notes
    for column in wanted:
        if column not in frame.columns:
            at: Key = ("microdata", "weight" if column == data.weight else "columns")
            raise population.error(
                at, f"{data.file.name} has no column {column!r}", f"use {one_of(column, frame.columns)}"
            )
        if not holds_levels(frame.schema[column]):
            raise population.error(
                ("microdata", "columns"),
                f"column {column!r} holds {frame.schema[column]}, not levels",
                "use columns with one text, number or truth value in each row",
            )
    if frame.is_empty():
        raise population.error(("microdata", "file"), f"{data.file.name} has no rows", "give survey rows")
    return frame.select(wanted), places, notes


def _parquet(population: Population, data: Microdata) -> pl.DataFrame:
    try:
        return read_parquet(data.file)
    except ValueError as error:
        raise population.error(
            ("microdata", "file"), f"{data.file.name} cannot be read: {error}", "give a CSV with a header, or Parquet"
        ) from None


def _weights(population: Population, data: Microdata, frame: pl.DataFrame, places: Places) -> Shares:
    if data.weight is None:
        return np.ones(frame.height)
    column = frame[data.weight]
    key: Key = ("microdata", "weight")
    if column.dtype == pl.String:
        numbers = {text: number_of(text) for text in column.unique().drop_nulls()}
        if any(number is not None for number in numbers.values()):
            column = column.replace_strict(_checked(data, column, numbers, places), return_dtype=pl.Float64)
    if not column.dtype.is_numeric():
        what = "text" if column.dtype == pl.String else str(column.dtype)
        fix = number_fix(str(column.drop_nulls().first() or "")) if what == "text" else "name a column of numbers"
        raise population.error(key, f"column {data.weight!r} holds {what}, not weights", fix)
    weight = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    problem = (
        "has missing, negative or only zero weights"
        if not np.all(np.isfinite(weight)) or weight.min() < 0 or not weight.any()
        else "has weights too large to add up"
        if weight.max() > 1e300
        else None
    )
    if problem is not None:
        raise population.error(key, f"column {data.weight!r} {problem}", "give every row a weight of 0 or more")
    return np.asarray(weight, dtype=np.float64)


def _checked(
    data: Microdata, column: pl.Series, numbers: Mapping[str, float | None], places: Places
) -> dict[str, float]:
    """The number of every text of a column; SpecError with the line of the first that is none."""
    for row, text in enumerate(column):
        if text is None or numbers[text] is None:
            what = "an empty field" if text is None else repr(text)
            raise SpecError(
                Complaint(
                    str(data.file),
                    int(places.numbers[row]),
                    column.name,
                    f"{what} is no number",
                    number_fix(text or ""),
                )
            )
    return {text: number for text, number in numbers.items() if number is not None}


def _check_respondents(data: Microdata, levels: pl.DataFrame, places: Places) -> None:
    """No row may be one that a survey platform put between the header and its respondents."""
    for name in levels.columns:
        ids = levels[name].str.starts_with(_IMPORT_ID).fill_null(value=False).arg_true()
        if len(ids):
            line = int(places.numbers[ids[0]])
            raise SpecError(
                Complaint(
                    str(data.file),
                    line,
                    data.sources[name],
                    f"a row of the survey platform ({levels[name][ids[0]]!r:.50}), not a respondent",
                    "take the rows between the header and the first respondent out: question texts and import ids",
                )
            )


def _declared(population: Population, data: Microdata, name: str) -> Sequence[str]:
    """Levels that the spec names itself."""
    attribute = population.attributes.get(name)
    named = attribute.names if attribute is not None and attribute.bins is None else ()
    return (*named, *data.labels.get(name, ()))


def _without_missing(
    population: Population,
    data: Microdata,
    frame: pl.DataFrame,
    levels: pl.DataFrame,
    weight: Shares,
    places: Places,
) -> tuple[pl.Series, list[str]]:
    """Which rows take part, and what is said about the others."""
    missing = levels.null_count().row(0, named=True)
    lacking = {name: count for name, count in missing.items() if count}
    everybody = pl.repeat(value=True, n=levels.height, dtype=pl.Boolean, eager=True)
    if not lacking:
        return everybody, []
    if data.missing == "level":
        return everybody, [
            f"{count:,} missing values of {name} are a level of their own" for name, count in lacking.items()
        ]
    if data.missing == "error":
        worst = max(lacking, key=lambda name: lacking[name])
        rows = levels[worst].is_null()
        written = texts_of(frame[data.sources[worst]]).filter(rows).fill_null("").unique(maintain_order=True)
        shown = ", ".join("nothing" if not text else repr(text) for text in written[:4])
        raise population.error(
            ("microdata", "file"),
            f"column {data.sources[worst]!r} has {lacking[worst]:,} missing values of {levels.height:,} "
            f"(written: {shown}; the first on {places[rows.arg_true()[0]]})",
            "say `missing: drop` or `missing: level`; a level that only looks missing is one when `attributes:` names it",
        )
    complete = levels.select(pl.all_horizontal(pl.all().is_not_null())).to_series()
    if not complete.any() or weight[complete.to_numpy()].sum() <= 0:
        raise population.error(
            ("microdata", "missing"),
            "no row is complete, so dropping leaves nobody",
            "say `missing: level`, or use fewer columns",
        )
    return complete, [f"{levels.height - int(complete.sum()):,} of {levels.height:,} rows dropped for a missing value"]


def _labelled(population: Population, data: Microdata, column: pl.Series, places: Places) -> pl.Series:
    """Codes as the spec labels them."""
    labels = data.labels.get(column.name)
    if not labels:
        return column
    unknown = (column.is_not_null() & ~column.is_in(list(labels))).arg_true()
    if len(unknown):
        raise population.error(
            ("microdata", "labels", column.name),
            f"no label for {column[unknown[0]]!r} ({places[unknown[0]]} of {data.file.name})",
            "add it, or list it under `na:` if it is a missing value",
        )
    return column.replace(labels)


def _check_codes(population: Population, data: Microdata, name: str, respondents: Mapping[str, int]) -> None:
    """No level may be a code of a missing value, unless the spec names it."""
    codes = [] if _declared(population, data, name) else missing_codes(list(respondents))
    if codes:
        raise population.error(
            ("microdata", "columns"),
            f"{name!r} has {codes[0]!r} ({respondents[codes[0]]:,} rows), which looks like the code of a missing value",
            f"say `na: [{', '.join(codes)}]`, or name it under `attributes:` if it is a level",
        )


def _odd(column: pl.Series, respondents: Mapping[str, int], places: Places) -> Iterator[str]:
    """Sentences about the levels of one attribute that look unlike the others."""
    for level, what in oddities(respondents):
        where = places[column.index_of(level) or 0]
        yield (
            f"{column.name}: {level!r:.60} ({respondents[level]:,} respondents, first on {where}) looks like {what}; "
            "if it is no answer, take the row out or list it under `na:`"
        )
