"""What the columns of a table must be called, and must not be called, for a judge to be asked about its rows."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

import polars as pl

from prefgen.schemas import ITEMS, JUDGMENTS, PAIRS

CORE = tuple(one.name for one in ITEMS.columns if one.role != "hidden")
"""Columns of every table of items; all others are coordinates, and travel with the judgments."""

_NEEDED = (JUDGMENTS | PAIRS).names - {*CORE}

RETOLD = pl.Struct({"item_id": pl.String, "prompt": pl.String, "options": pl.List(pl.String)})
"""Type of the column `retold` of items that were written anew: what they were before."""


def not_items(columns: Sequence[str]) -> tuple[str, str] | None:
    """(problem, fix) for a table that has no items, for want of `prompt` and `options`; None for one that has."""
    missing = [name for name in ("prompt", "options") if name not in columns]
    if not missing and set(CORE) <= set(columns):
        return None
    found = f"it needs the columns `prompt` and `options`, and has {_listed(columns)}"
    near = _nearly(columns, missing)
    if near:
        new = ", ".join(f"{_key(old)}: {name}" for old, name in near.items())
        return found, f"write `rename: {{{new}}}` in that `table` step"
    if len(missing) == 1 and len(columns) > 1:
        return found, f"if another column is it, write e.g. `rename: {{question: {missing[0]}}}` in that `table` step"
    return found, "name a `table` step with `forms:`, or with rows that have both"


def notes_on_names(columns: Sequence[str]) -> list[str]:
    """Sentences about columns that are nearly called as one that means something, and are therefore only carried along."""
    near = _nearly(columns, [name for name in ("item_id", "neither") if name not in columns])
    return [
        f"column {old!r} is carried along; if it is `{name}`, write `rename: {{{_key(old)}: {name}}}`"
        for old, name in near.items()
    ]


def _nearly(columns: Sequence[str], wanted: Sequence[str]) -> dict[str, str]:
    """Columns by the wanted name that they are but for case, spaces or a letter."""
    plain = {name.strip().casefold().replace(" ", "_"): name for name in columns if name not in CORE}
    found = {name: difflib.get_close_matches(name, plain, n=1, cutoff=0.8) for name in wanted}
    return {plain[close[0]]: name for name, close in found.items() if close}


def taken(columns: Sequence[str]) -> tuple[str, str] | None:
    """(problem, fix) for columns of items whose names judgments or pairs need for themselves; None where there are none."""
    names = free_names(columns)
    if not names:
        return None
    words = f"column{'s' if len(names) > 1 else ''} {', '.join(map(repr, names))}"
    new = ", ".join(f"{old}: {new}" for old, new in names.items())
    return (
        f"{words}: judgments or pairs have columns of that name",
        f"write `rename: {{{new}}}` in the `table` step that brings them",
    )


def free_names(columns: Sequence[str], own: Collection[str] = ()) -> dict[str, str]:
    """Other names for the columns of items whose own judgments or pairs need for themselves, or are those of `own`.

    >>> free_names(["topic", "order", "choice"])
    {'order': 'item_order', 'choice': 'item_choice_'}
    """
    needed = _NEEDED | ({*own} - {*CORE})
    return {name: _free(f"item_{name}", {*columns, *needed}) for name in columns if name in needed}


def _free(name: str, others: Collection[str]) -> str:
    while name in others:
        name += "_"
    return name


def _key(name: str) -> str:
    """A name as a key of a flow mapping in YAML."""
    return name if name.isidentifier() else repr(name)


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(map(repr, columns[:12])) + (f" and {len(columns) - 12} more" if len(columns) > 12 else "")
