"""Rows of several tables beside each other: by the ids that they share, and never more rows than the first has."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from prefgen.steps.context import Context
from prefgen.steps.table.glue import kept
from prefgen.store.table import Table


def joined(tables: Sequence[Table], match: Sequence[str] | None, context: Context, key: str = "for") -> pl.DataFrame:
    """The kept rows of the first table, with the columns of the row that each further one has for them.

    match    columns to look up by; None for all `<name>_id` that both tables have

    A row without a partner has nulls. A column that stands in both is `<step>_<column>` of the further table. SpecError where a
    further table has several rows for one key: the join would double rows, and nothing would say so.
    """
    first = kept(tables[0])
    for place, table in enumerate(tables[1:], 1):
        other = kept(table)
        keys = list(match or [name for name in first.columns if name.endswith("_id") and name in other.columns])
        missing = [name for name in keys if name not in first.columns or name not in other.columns]
        if not keys or missing:
            said = f"no column {missing[0]!r} in both" if missing else "no id that both have"
            raise context.error(
                (key, place),
                f"{tables[0].name!r} and {table.name!r} have {said}",
                "name columns that both have with `match:`",
            )
        twice = other.filter(pl.struct(keys).is_duplicated())
        if twice.height:
            named = ", ".join(f"{name} {twice[name][0]!r}" for name in keys)
            raise context.error(
                (key, place),
                f"{table.name!r} has several rows for {named}, which would double the rows of {tables[0].name!r}",
                f"name {table.name!r} first, or look up by more columns with `match:`",
            )
        names = {name: f"{table.name}_{name}" for name in other.columns if name in first.columns and name not in keys}
        first = first.join(other.rename(names), on=keys, how="left", maintain_order="left")
    return first
