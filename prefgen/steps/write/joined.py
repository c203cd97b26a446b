"""Rows of several tables beside each other: by the ids that they share, and never more rows than the first has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import polars as pl

from prefgen.seeds import one_of_each
from prefgen.steps.context import Context
from prefgen.steps.table.glue import kept, kept_of
from prefgen.store.table import Table


class Rows(Protocol):
    """Rows, part by part."""

    @property
    def schema(self) -> pl.Schema:
        """Columns of the rows."""
        ...

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        ...

    def frames(self) -> Iterator[pl.DataFrame]:
        """The rows: flat memory whatever their number."""
        ...

    def some(self, about: int) -> Rows:
        """About so many of the rows, evenly from all."""
        ...

    def named(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row as templates see it: its columns, and those of every further table under the name of its step."""
        ...


@dataclass(frozen=True, slots=True)
class Lookup:
    """A further table: one row for every key.

    name       of its step
    columns    its columns, by the name that each has in the joined rows
    """

    rows: pl.DataFrame
    keys: tuple[str, ...]
    name: str
    columns: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Joined:
    """The kept rows of a table, part by part, each with the columns of the row that every further one has for it.

    height    kept rows
    most      only so many of them, from the first on; None for all
    every     only one of each so many of them
    """

    first: Table
    further: tuple[Lookup, ...]
    height: int
    most: int | None = None
    every: int = 1

    @property
    def schema(self) -> pl.Schema:
        """Columns of the rows."""
        return self._looked_up(kept_of(self.first.parts[0].head(0).collect())).schema

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return -(-min(self.height, self.height if self.most is None else self.most) // self.every)

    def frames(self) -> Iterator[pl.DataFrame]:
        """The rows, part by part: flat memory whatever their number."""
        seen, most = 0, self.height if self.most is None else min(self.height, self.most)
        wanted = one_of_each(most, self.every) if self.every > 1 else None
        for frame in self.first.frames():
            rows = some = kept_of(frame).head(max(0, most - seen))
            if wanted is not None:
                some = rows[wanted[slice(*np.searchsorted(wanted, (seen, seen + rows.height)))] - seen]
            seen += rows.height
            yield self._looked_up(some)

    def some(self, about: int) -> Joined:
        """About so many of the rows, evenly from all."""
        return replace(self, every=max(1, self.n_rows // about))

    def named(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row as templates see it: its columns, and those of every further table under the name of its step."""
        return {one.name: {old: row[new] for new, old in one.columns.items()} for one in self.further} | dict(row)

    def _looked_up(self, rows: pl.DataFrame) -> pl.DataFrame:
        for other in self.further:
            rows = rows.join(other.rows, on=other.keys, how="left", maintain_order="left")
        return rows


def joined(
    tables: Sequence[Table], match: Sequence[str] | None, context: Context, key: str = "for", most: int | None = None
) -> Joined:
    """The rows of the first table with those of the others.

    match    columns to look up by; None for all `<name>_id` that both tables have (how a text was asked for is no such id)

    A row without a partner has nulls. A column that stands in both is `<step>_<column>` of the further table. SpecError where a
    further table has several rows for one key: the join would double rows, and nothing would say so.
    """
    first = tables[0]
    columns = kept_of(first.parts[0].head(0).collect()).columns
    further = []
    for place, table in enumerate(tables[1:], 1):
        other = kept(table)
        keys = list(match or shared_ids(columns, other.columns))
        _check(first.name, table.name, columns, other, keys, context, (key, place))
        names = {name: f"{table.name}_{name}" for name in other.columns if name in columns and name not in keys}
        told = {names.get(name, name): name for name in other.columns}
        other = other.rename(names)
        columns += [name for name in other.columns if name not in keys]
        further.append(Lookup(other, tuple(keys), table.name, told))
    return Joined(first, tuple(further), _n_kept(first), most)


def shared_ids(columns: Sequence[str], others: Sequence[str]) -> list[str]:
    """The ids by which rows of two tables belong together."""
    return [name for name in columns if name.endswith("_id") and name != "request_id" and name in others]


def _check(
    first: str,
    name: str,
    columns: Sequence[str],
    other: pl.DataFrame,
    keys: Sequence[str],
    context: Context,
    at: tuple[str, int],
) -> None:
    missing = [one for one in keys if one not in columns or one not in other.columns]
    if not keys or missing:
        said = f"no column {missing[0]!r} in both" if missing else "no id that both have"
        raise context.error(at, f"{first!r} and {name!r} have {said}", "name columns that both have with `match:`")
    twice = other.filter(pl.struct(keys).is_duplicated())
    if twice.height:
        named = ", ".join(f"{one} {twice[one][0]!r}" for one in keys)
        problem = f"{name!r} has several rows for {named}, which would double the rows of {first!r}"
        raise context.error(at, problem, f"name {name!r} first, or look up by more columns with `match:`")


def _n_kept(table: Table) -> int:
    if "reject_reason" not in table.schema:
        return table.n_rows
    return sum(int(part["reject_reason"].null_count()) for part in table.frames(["reject_reason"]))
