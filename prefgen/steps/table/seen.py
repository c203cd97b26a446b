"""What must hold over a whole table whose parts are looked at one after the other: an id stands for one thing."""

from __future__ import annotations

import polars as pl

from prefgen.steps.context import Context

_ITEM = ("have the same item_id {id}", "remove one of them, or give them different item_ids")
_CANDIDATE = ("are the same candidate", "remove one of them, or give them different candidate_ids")


class Seen:
    """The ids of the parts so far. Texts are remembered by their hashes, so that memory does not grow with their length.

    rows    of all parts so far: what is to be added to a place in the next one
    """

    def __init__(self) -> None:
        self.rows = 0
        self._ids: list[pl.Series] = []
        self._prompts: list[pl.DataFrame] = []

    def items(self, ids: pl.Series) -> None:
        """Take in the next items by their ids, null for one that is dropped."""
        self._ids.append(ids)
        self.rows += len(ids)

    def candidates(self, rows: pl.DataFrame) -> None:
        """Take in the next candidates."""
        self._ids.append(rows["candidate_id"])
        self._prompts.append(rows.select("item_id", pl.col("prompt").hash()))
        self.rows += rows.height

    def check(self, context: Context) -> None:
        """SpecError where two rows have the same id, or an item_id has several prompts."""
        if self._prompts:
            _check_prompts(pl.concat(self._prompts), context)
        if self._ids:
            said, fix = _CANDIDATE if self._prompts else _ITEM
            _check_different(pl.concat(self._ids), said, fix, context)


def _check_different(ids: pl.Series, said: str, fix: str, context: Context) -> None:
    twice = (ids.is_duplicated() & ids.is_not_null()).arg_true()
    if len(twice):
        first, second = (ids == ids[twice[0]]).arg_true()[:2]
        problem = f"rows {first + 1} and {second + 1} {said.format(id=repr(ids[twice[0]]))}"
        raise context.error("table", problem, fix)


def _check_prompts(rows: pl.DataFrame, context: Context) -> None:
    each = rows.group_by("item_id", maintain_order=True).agg(pl.col("prompt").n_unique())
    for name, n in each.filter(pl.col("prompt") > 1).iter_rows():
        problem = f"item_id {name!r} has {n} different prompts"
        raise context.error("table", problem, "give every prompt an item_id of its own")
