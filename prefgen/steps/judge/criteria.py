"""Criteria that are rows themselves: every row with each of those that belong to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from prefgen.steps.context import Context
from prefgen.steps.table.glue import kept
from prefgen.steps.write.joined import Rows, shared_ids
from prefgen.store.table import Table

CRITERION = "criterion"
"""Column of such rows with the text."""


@dataclass(frozen=True, slots=True)
class WithCriteria:
    """Rows, each as often as it has criteria, with the columns of one of them.

    criteria    rows with `keys`, `criterion` and columns of their own
    n_rows      how many there are, all together
    """

    rows: Rows
    criteria: pl.DataFrame
    keys: tuple[str, ...]
    n_rows: int

    @property
    def schema(self) -> pl.Schema:
        """Columns of the rows."""
        return self._joined(pl.DataFrame(schema=self.rows.schema)).schema

    def frames(self) -> Iterator[pl.DataFrame]:
        """The rows, part by part."""
        return map(self._joined, self.rows.frames())

    def some(self, about: int) -> Rows:
        """About so many of the rows, evenly from all."""
        rows = self.rows.some(max(1, round(about * self.rows.n_rows / max(1, self.n_rows))))
        return replace(self, rows=rows, n_rows=_count(rows, self.criteria, self.keys))

    def named(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row as templates see it."""
        return self.rows.named(row)

    def _joined(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.join(self.criteria, on=self.keys, how="inner", maintain_order="left_right")


def with_criteria(rows: Rows, table: Table, context: Context) -> WithCriteria:
    """The rows with the criteria that share their ids. SpecError where they share none; a row without any is left out, and told."""
    criteria = kept(table)
    if criteria.schema.get(CRITERION) != pl.String:
        found = ", ".join(criteria.columns)
        raise context.error("criteria", f"{table.name!r} has no texts in `{CRITERION}`, only {found}", "rename one")
    keys = shared_ids(rows.schema.names(), criteria.columns)
    if not keys:
        raise context.error("criteria", f"{table.name!r} shares no id with the items", "write them from the same rows")
    own = [name for name in criteria.columns if name not in rows.schema or name in keys]
    criteria = criteria.select(own)
    if CRITERION not in own:
        raise context.error("criteria", f"the items have a column `{CRITERION}` already", "rename it")
    return WithCriteria(rows, criteria, tuple(keys), _count(rows, criteria, tuple(keys)))


def _count(rows: Rows, criteria: pl.DataFrame, keys: tuple[str, ...]) -> int:
    few = criteria.select(keys)
    return sum(part.select(keys).join(few, on=keys, how="inner").height for part in rows.frames())
