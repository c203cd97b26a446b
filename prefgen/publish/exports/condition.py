"""Conditions that stand in a step's table: `condition: STEP.column`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from prefgen.steps.table.glue import kept
from prefgen.store.table import Table

_OF_ASKING = ("request_id", "judgment_id")


@dataclass(frozen=True, slots=True)
class Condition:
    """The text of `column` in the row of `step` that shares a pair's ids."""

    step: str
    column: str


def condition_of(said: Any, steps: Collection[str]) -> Condition:
    """`STEP.column`; ValueError, with a `fix:` on its second line, for what is none."""
    step, dot, column = said.partition(".") if isinstance(said, str) else ("", "", "")
    if not dot or not column or step not in steps:
        raise ValueError(f"{said!r} names no column of a step\nfix: write e.g. condition: portraits.text")
    return Condition(step, column)


def texts_of(condition: Condition, table: Table, pairs: Sequence[str]) -> pl.DataFrame:
    """`_persona`, the condition, by the ids that the pairs have too; of the kept rows.

    ValueError, with a `fix:` on its second line, where there is no such text, or more than one for a pair.
    """
    if table.schema.get(condition.column) != pl.String:
        found = ", ".join(name for name, kind in table.schema.items() if kind == pl.String)
        raise ValueError(f"{condition.step!r} has no texts in {condition.column!r}\nfix: name one of {found}")
    keys = [name for name in pairs if name.endswith("_id") and name not in _OF_ASKING and name in table.schema]
    if not keys:
        raise ValueError(f"{condition.step!r} shares no id with the pairs\nfix: name a step with e.g. a `persona_id`")
    found_texts = kept(table).select(*keys, pl.col(condition.column).alias("_persona"))
    twice = found_texts.filter(pl.struct(keys).is_duplicated())
    if twice.height:
        named = ", ".join(f"{name} {twice[name][0]!r}" for name in keys)
        raise ValueError(f"{condition.step!r} has several rows for {named}\nfix: keep one of them")
    return found_texts
