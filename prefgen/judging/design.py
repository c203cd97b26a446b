"""Sparse designs: who is asked about which items, where not everybody is asked about all."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.judging.item_rows import Items
from prefgen.seeds import rng_for
from prefgen.spec.condition import condition_over

_QUALIFIED = re.compile(r"""'(?:[^']|'')*'|\b(items|people)\.(?:"((?:[^"]|"")+)"|([^\W\d]\w*))""")

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Design:
    """Rows of the items that each persona is asked about, in order, by the persona's row."""

    items: tuple[Rows, ...]

    def rows_in(self, persona: int, start: int, end: int) -> Rows:
        """The items of a persona from row `start` to before `end`."""
        rows = self.items[persona]
        return rows[np.searchsorted(rows, start) : np.searchsorted(rows, end)]

    def among(self, items: Rows) -> Design:
        """The design over some of the items, in their order, by their rows among these."""
        return Design(tuple(np.searchsorted(items, np.intersect1d(rows, items)) for rows in self.items))


def design_of(
    personas: pl.DataFrame, items: Items, *, where: str | None, per_persona: int | None, seed: int
) -> Design | None:
    """The design of a judge step; None where everybody is asked about everything.

    where          an SQL expression over `items.<column>` and `people.<column>`; a pair for which it is not true is not asked
    per_persona    at most so many items of each persona, drawn by the persona's name, so that further ones move nobody

    A control of a persona is asked what that persona is, and one of nobody (`none`) what anybody is. Items with a
    `persona_id` belong to that persona, and are asked of nobody else.
    Raises ConditionError.
    """
    if where is None and per_persona is None and "persona_id" not in items.schema:
        return None
    looked_at = items.all() if where is not None else _owners(items)
    drawn = {
        name: _drawn(_fitting(persona, looked_at, where), per_persona, seed, name)
        for name, persona in zip(personas["persona_id"], personas.iter_rows(named=True), strict=True)
        if persona["control"] is None
    }
    anybody = np.unique(np.concatenate([*drawn.values(), np.array([], dtype=np.int64)]))
    of_control = personas["control_of"] if "control_of" in personas.columns else [None] * personas.height
    return Design(
        tuple(
            drawn[name] if name in drawn else drawn.get(other or "", anybody)
            for name, other in zip(personas["persona_id"], of_control, strict=True)
        )
    )


def _owners(items: Items) -> pl.DataFrame:
    """What is looked at of items where there is no condition: whose they are, where they are somebody's."""
    ids = items.shape.select("item_id")
    return ids.with_columns(items.column("persona_id")) if "persona_id" in items.schema else ids


def _fitting(persona: dict[str, object], items: pl.DataFrame, where: str | None) -> Rows:
    """Rows of the items that a persona may be asked about."""
    if "persona_id" in items.columns:
        own = [persona["persona_id"], persona.get("person")]  # of one told in several ways its own name too
        mine = (items["persona_id"].is_null() | items["persona_id"].is_in([name for name in own if name])).to_numpy()
    else:
        mine = np.ones(items.height, dtype=bool)
    if where is not None:
        told = qualified(items, persona)
        holds = condition_over(unqualified_names(where), told.schema).holds(told)
        mine &= holds.fill_null(value=False).to_numpy()
    return np.flatnonzero(mine)


def qualified(items: pl.DataFrame, persona: Mapping[str, object]) -> pl.DataFrame:
    """The rows of `items` beside one persona, every column under `items.` or `people.`."""
    told = items.rename({name: f"items.{name}" for name in items.columns})
    return told.with_columns(
        pl.lit(value, dtype=pl.String if value is None else None).alias(f"people.{name}")
        for name, value in persona.items()
    )


def unqualified_names(sql: str) -> str:
    """`people.x`, and `people."x"`, as the column of that name; what stands in single quotes is text and stays.

    >>> unqualified_names("items.axis = people.axis")
    '"items.axis" = "people.axis"'
    """
    return _QUALIFIED.sub(lambda found: f'"{found[1]}.{found[2] or found[3]}"' if found[1] else found[0], sql)


def _drawn(rows: Rows, most: int | None, seed: int, persona: str) -> Rows:
    if most is None or len(rows) <= most:
        return rows
    return np.sort(rng_for(seed, "per persona", persona).choice(rows, size=most, replace=False))


def items_asked(design: Design | None, n_personas: int, n_items: int) -> Sequence[Rows]:
    """Rows of the items of each persona."""
    return design.items if design is not None else [np.arange(n_items)] * n_personas
