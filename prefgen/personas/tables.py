"""Tables of a spec, inline or from a file, as arrays over the levels of its attributes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from prefgen.errors import one_of
from prefgen.personas.cells import Axis, Shares, Target
from prefgen.personas.levels import holds_levels, number_fix, number_of, texts_of
from prefgen.spec.attribute import share_problem
from prefgen.spec.document import Key
from prefgen.spec.population import Population, TableSpec
from prefgen.store.delimited import read_delimited
from prefgen.store.rows import read_parquet


@dataclass(frozen=True, slots=True)
class _Entry:
    """One cell as written: its levels, its value, and where it stands."""

    levels: tuple[str, ...]
    value: float
    place: str


def table_target(population: Population, index: int, axes: Sequence[Axis]) -> Target:
    """The `index`-th table of a spec; SpecError for levels, numbers or sums that cannot be."""
    table = population.tables[index]
    key: Key = ("tables", index)
    over = [next(axis for axis in axes if axis.name == name) for name in table.names]
    if table.file is not None:
        scale, entries = _from_file(population, table, index)
        key = (*key, "file")
    else:
        content = table.shares if table.shares is not None else table.counts
        scale, key = table.shares is None, (*key, "counts" if table.shares is None else "shares")
        entries = list(_from_mapping(population, key, content, over))
    array = _filled(population, key, entries, over)
    return Target(
        key,
        table.names,
        _scaled(population, key, array, table, over, scale=scale or population.normalize),
        len(table.given),
    )


def _from_file(population: Population, table: TableSpec, index: int) -> tuple[bool, list[_Entry]]:
    """Whether the file has counts, and its cells."""
    key: Key = ("tables", index, "file")
    assert table.file is not None
    frame, lines = _read(population, key, table)
    missing = [name for name in table.names if name not in frame.columns]
    value = next((name for name in ("share", "count") if name in frame.columns), None)
    if missing or value is None:
        lacks = ", ".join(map(repr, missing)) or "'share' or 'count'"
        raise population.error(
            key,
            f"{table.file.name} has no column {lacks}, only {', '.join(map(repr, frame.columns[:12]))}",
            f"name the columns {', '.join(table.names)} and share (or count)",
        )
    odd = next((name for name in (*table.names, value) if not holds_levels(frame.schema[name])), None)
    if odd is not None:
        raise population.error(
            key,
            f"column {odd!r} of {table.file.name} holds {frame.schema[odd]}, not levels or numbers",
            "use columns with one text, number or truth value in each row",
        )
    entries = []
    written = frame.select(texts_of(frame[name]) for name in (*table.names, value))
    for line, row in zip(lines, written.iter_rows(), strict=True):
        place = f"{table.file.name} line {line}"
        levels = tuple("" if level is None else str(level) for level in row[:-1])
        entries.append(_Entry(levels, _number(population, key, row[-1], f"{place}: "), place))
    return value == "count", entries


def _read(population: Population, key: Key, table: TableSpec) -> tuple[pl.DataFrame, Sequence[int]]:
    """The file of a table and the line of every row (its number in a Parquet file)."""
    assert table.file is not None
    if table.file.suffix.lower() != ".parquet":
        read = read_delimited(table.file)
        return read.frame, read.lines.tolist()
    try:
        frame = read_parquet(table.file)
    except ValueError as error:
        raise population.error(
            key, f"{table.file.name} cannot be read: {error}", "write a CSV with a header, or Parquet"
        ) from None
    return frame, range(1, frame.height + 1)


def _from_mapping(
    population: Population, key: Key, content: Any, over: Sequence[Axis], above: tuple[str, ...] = ()
) -> Iterator[_Entry]:
    depth = len(above)
    if depth == len(over):
        yield _Entry(above, _number(population, (*key, *above), content, ""), ".".join(above))
        return
    if not isinstance(content, Mapping):
        raise population.error(
            (*key, *above), f"levels of {over[depth].name!r} are wanted here", f"write {{{over[depth].levels[0]}: ...}}"
        )
    for level, inner in content.items():
        if level not in over[depth].levels:
            raise population.error(
                (*key, *above, level),
                f"{over[depth].name!r} has no level {level!r}",
                f"use {one_of(level, over[depth].levels)}",
            )
        yield from _from_mapping(population, key, inner, over, (*above, level))


def _number(population: Population, key: Key, written: object, place: str) -> float:
    value = None if isinstance(written, bool) or written is None else number_of(str(written))
    if value is None:
        raise population.error(
            key, f"{place}{written!r} is not a number", f"write a share or a count; {number_fix(str(written or ''))}"
        )
    if value < 0 or not math.isfinite(value):
        raise population.error(key, f"{place}{value:g} cannot be a share or a count", "write a number of 0 or more")
    return value


def _filled(population: Population, key: Key, entries: Sequence[_Entry], over: Sequence[Axis]) -> Shares:
    place = [{level: index for index, level in enumerate(axis.levels)} for axis in over]
    array = np.zeros(tuple(len(axis.levels) for axis in over))
    seen: set[tuple[str, ...]] = set()
    for entry in entries:
        for axis, level, known in zip(over, entry.levels, place, strict=True):
            if level not in known:
                raise population.error(
                    key,
                    f"{entry.place}: {axis.name!r} has no level {level!r}",
                    f"use {one_of(level, axis.levels)}, the same in every table",
                )
        if entry.levels in seen:
            raise population.error(
                key, f"{entry.place}: {' x '.join(entry.levels)} stands twice", "keep one of the rows"
            )
        seen.add(entry.levels)
        array[tuple(known[level] for level, known in zip(entry.levels, place, strict=True))] = entry.value
    for position, axis in enumerate(over):
        absent = sorted(set(axis.levels) - {levels[position] for levels in seen})
        if absent:
            raise population.error(
                key,
                f"no cell for {axis.name} {', '.join(map(repr, absent[:5]))}",
                "give every level a cell (0 if nobody has it)",
            )
    return array


def _scaled(
    population: Population, key: Key, array: Shares, table: TableSpec, over: Sequence[Axis], *, scale: bool
) -> Shares:
    """`array` with sum 1; of a conditional, with sum 1 for every combination of the given attributes."""
    groups = array.reshape(math.prod(array.shape[: len(table.given)]), -1)
    for row, group in enumerate(groups):
        problem = share_problem(group.tolist(), normalize=scale)
        if problem is not None:
            at = np.unravel_index(row, array.shape[: len(table.given)]) if table.given else ()
            given = ", ".join(f"{axis.name} {axis.levels[level]!r}" for axis, level in zip(over, at, strict=False))
            raise population.error(key, f"given {given}: {problem.problem}" if given else problem.problem, problem.fix)
    return np.asarray((groups / groups.sum(axis=1, keepdims=True)).reshape(array.shape), dtype=np.float64)


def impossible_masks(population: Population, axes: Sequence[Axis]) -> tuple[dict[str, Shares], ...]:
    """For each impossible combination, by attribute, 1 at the levels that take part in it."""
    by_name = {axis.name: axis for axis in axes}
    masks = []
    for index, combination in enumerate(population.impossible):
        mask = {}
        for name, levels in population.impossible_levels(index).items():
            axis = by_name[name]
            wrong = [level for level in levels if level not in axis.levels]
            if wrong:
                raise population.error(
                    ("impossible", index, name),
                    f"{name!r} has no level {wrong[0]!r}",
                    f"use {one_of(wrong[0], axis.levels)}",
                )
            mask[name] = np.isin(axis.levels, levels).astype(np.float64)
        if combination:
            masks.append(mask)
    return tuple(masks)
