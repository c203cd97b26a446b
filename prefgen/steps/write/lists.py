"""Lists beside a row: the rows of further tables that share its ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from prefgen.steps.context import Context
from prefgen.steps.table.glue import kept
from prefgen.steps.write.joined import shared_ids
from prefgen.store.table import Table

Found = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Lists:
    """Rows of further tables by the ids in which they agree with a row, under the name of their step."""

    groups: Mapping[str, tuple[tuple[str, ...], Mapping[tuple[Any, ...], Found]]]

    @classmethod
    def of(cls, tables: Sequence[Table], columns: Sequence[str], context: Context) -> Lists:
        """The kept rows of `tables`; SpecError for one that shares no id with the rows, or is named as a column of theirs.

        columns    of the rows
        """
        groups = {}
        for place, table in enumerate(tables):
            rows = kept(table)
            keys = tuple(shared_ids(columns, rows.columns))
            if not keys:
                problem = f"{table.name!r} has no id that the rows have: its columns are {', '.join(rows.columns)}"
                raise context.error(("with", place), problem, "name a step that was made from the same rows")
            if table.name in columns:
                problem = f"the rows have a column {table.name!r}, and the list would have the same name"
                raise context.error(("with", place), problem, "name the step otherwise")
            groups[table.name] = (keys, _by(rows, keys))
        return cls(groups)

    def beside(self, row: Mapping[str, Any]) -> dict[str, Found]:
        """The lists of one row, empty where nothing shares its ids."""
        return {name: found.get(tuple(row[key] for key in keys), []) for name, (keys, found) in self.groups.items()}


def _by(rows: pl.DataFrame, keys: Sequence[str]) -> dict[tuple[Any, ...], Found]:
    found: dict[tuple[Any, ...], Found] = {}
    for row in rows.drop_nulls(list(keys)).iter_rows(named=True):  # what is not known agrees with nothing
        found.setdefault(tuple(row[key] for key in keys), []).append(row)
    return found
