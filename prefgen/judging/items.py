"""What the columns of a table must be called, and must not be called, for a judge to be asked about its rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import polars as pl

from prefgen.errors import one_of
from prefgen.judging.judgments import RESERVED

CORE = ("item_id", "prompt", "options", "neither")
"""Columns of every table of items; all others are coordinates, and travel with the judgments."""

PAIR_COLUMNS = frozenset([
    "pair_id", "persona_id", "item_id", "chosen", "rejected", "chosen_text", "rejected_text", "p_chosen", "p_margin",
    "weight", "reject_reason", "split",
])  # fmt: skip
"""Columns that pairs have of their own, beside the coordinates."""

_NEEDED = (RESERVED | PAIR_COLUMNS) - {*CORE}

RETOLD = pl.Struct({"item_id": pl.String, "prompt": pl.String, "options": pl.List(pl.String)})
"""Type of the column `retold` of items that were written anew: what they were before."""


def not_items(columns: Sequence[str]) -> tuple[str, str] | None:
    """(problem, fix) for a table that has no items, for want of `prompt` and `options`; None for one that has."""
    missing = [name for name in ("prompt", "options") if name not in columns]
    if not missing and set(CORE) <= set(columns):
        return None
    found = f"it needs the columns `prompt` and `options`, and has {_listed(columns)}"
    alike = {name.strip().casefold(): name for name in columns if name not in CORE}
    near = [f"{_key(alike[name])}: {name}" for name in missing if name in alike]
    if near:
        return found, f"write `rename: {{{', '.join(near)}}}` in that `table` step"
    if len(missing) == 1 and len(columns) > 1:
        return found, f"name it so, or one of {one_of(missing[0], columns)[len('one of ') :]} with `rename:`"
    return found, "name a `table` step with `forms:`, or with rows that have both"


def taken(columns: Sequence[str]) -> tuple[str, str] | None:
    """(problem, fix) for columns of items whose names judgments or pairs need for themselves; None where there are none."""
    bad = [name for name in columns if name in _NEEDED]
    if not bad:
        return None
    names = {name: _free(f"item_{name}", {*columns, *_NEEDED}) for name in bad}
    words = f"column{'s' if len(bad) > 1 else ''} {', '.join(map(repr, bad))}"
    new = ", ".join(f"{old}: {new}" for old, new in names.items())
    return (
        f"{words}: judgments or pairs have columns of that name",
        f"write `rename: {{{new}}}` in the `table` step that brings them",
    )


def _free(name: str, others: Collection[str]) -> str:
    while name in others:
        name += "_"
    return name


def _key(name: str) -> str:
    """A name as a key of a flow mapping in YAML."""
    return name if name.isidentifier() else repr(name)


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(map(repr, columns[:12])) + (f" and {len(columns) - 12} more" if len(columns) > 12 else "")
