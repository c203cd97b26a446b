"""Columns that users bring, kept clear of the columns that steps and exports make.

While rows are shaped, every column of the user's own stands under a prefix that no name of ours begins with, so none
is overwritten, read as ours or lost. At the end each gets its name back, or `item_<name>` where that one is taken.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import polars as pl

PREFIX = "item:"
"""Begins the name of a user's column while rows are shaped; no column of ours has a colon."""


def set_apart(frame: pl.DataFrame, own: Collection[str]) -> pl.DataFrame:
    """The same rows, every column that is not one of `own` under its prefix."""
    apart = frame.clone()
    apart.columns = [name if name in own else PREFIX + name for name in frame.columns]  # no name is read as a pattern
    return apart


def returned(frame: pl.DataFrame, taken: Collection[str]) -> list[pl.Expr]:
    """The columns set apart, in their order, under names that are free beside `taken`."""
    apart = [name.removeprefix(PREFIX) for name in frame.columns if name.startswith(PREFIX)]
    return [pl.col(PREFIX + name).alias(free) for name, free in free_names(apart, taken).items()]


def free_names(names: Sequence[str], taken: Collection[str]) -> dict[str, str]:
    """Each name itself, or `item_<name>` where it is taken, and again until it is neither taken nor another's.

    >>> free_names(["topic", "chosen", "item_chosen"], {"chosen"})
    {'topic': 'topic', 'chosen': 'item_item_chosen', 'item_chosen': 'item_chosen'}
    """
    held = {*taken, *names}
    found = {}
    for name in names:
        free = name
        if name in taken:
            while free in held:
                free = f"item_{free}"
            held.add(free)
        found[name] = free
    return found
