"""What must hold over a whole table whose parts are looked at one after the other: an id stands for one thing."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.steps.context import Context

_ITEM = ("have the same item_id{}", "remove one of them, or give them different item_ids")
_CANDIDATE = ("are the same candidate", "remove one of them, or give them different candidate_ids")
_PROMPT = ("have the same item_id{} and different prompts", "give every prompt an item_id of its own")


class Seen:
    """The parts so far: their ids and prompts by hash, 24 bytes a row however long they are.

    rows    of all parts so far: what is to be added to a place in the next one

    Hashes have 64 bits: that any two of a million different texts are taken for one is as likely as 1 in 40 million.
    """

    def __init__(self, context: Context) -> None:
        self.rows = 0
        self._context = context
        self._ids: list[pl.Series] = []
        self._prompts: list[pl.DataFrame] = []

    def items(self, ids: pl.Series) -> None:
        """Take in the next items by their ids, null for one that is dropped. SpecError where two of them are the same."""
        self._refuse(_same(_hashed(ids)), *_ITEM, ids)
        self._ids.append(_hashed(ids))
        self.rows += len(ids)

    def candidates(self, rows: pl.DataFrame) -> None:
        """Take in the next candidates. SpecError where two of them are the same, or one item_id has different prompts."""
        ids, prompts = _hashed(rows["candidate_id"]), rows.select(pl.col("item_id", "prompt").hash())
        self._refuse(_contradiction(prompts), *_PROMPT, rows["item_id"])
        self._refuse(_same(ids), *_CANDIDATE, rows["candidate_id"])
        self._ids.append(ids)
        self._prompts.append(prompts)
        self.rows += rows.height

    def check(self) -> None:
        """SpecError for the same where the rows are of different parts."""
        if len(self._prompts) > 1:
            self._refuse(_contradiction(pl.concat(self._prompts)), *_PROMPT)
        if len(self._ids) > 1:
            self._refuse(_same(pl.concat(self._ids)), *(_CANDIDATE if self._prompts else _ITEM))

    def _refuse(self, pair: tuple[int, int] | None, said: str, fix: str, ids: pl.Series | None = None) -> None:
        """SpecError for two rows, where there are such.

        ids    of the part that they are in, where it is known
        """
        if pair is None:
            return
        first, second = (row + 1 if ids is None else self.rows + row + 1 for row in pair)
        value = "" if ids is None else f" {ids[pair[0]]!r}"
        raise self._context.error("table", f"rows {first:,} and {second:,} {said.format(value)}", fix)


def _hashed(ids: pl.Series) -> pl.Series:
    return pl.select(pl.when(ids.is_not_null()).then(ids.hash())).to_series()


def _same(hashes: pl.Series) -> tuple[int, int] | None:
    """The first two rows with the same value; those without one aside."""
    rows = hashes.is_not_null().arg_true().to_numpy()
    values = hashes.drop_nulls().to_numpy()
    order = np.argsort(values, kind="stable")
    return _earliest(rows[order], values[order][1:] == values[order][:-1])


def _contradiction(hashes: pl.DataFrame) -> tuple[int, int] | None:
    """The first two rows with the same `item_id` and different values of `prompt`."""
    items, prompts = (hashes[name].to_numpy() for name in ("item_id", "prompt"))
    order = np.argsort(items, kind="stable")
    items, prompts = items[order], prompts[order]
    return _earliest(order, (items[1:] == items[:-1]) & (prompts[1:] != prompts[:-1]))


def _earliest(rows: NDArray[np.int64], found: NDArray[np.bool_]) -> tuple[int, int] | None:
    """Of neighbouring rows those that come first; None where none were found.

    found    whether it is so of each row and the next
    """
    places = np.flatnonzero(found)
    if not len(places):
        return None
    place = places[np.argmin(rows[places])]
    return int(rows[place]), int(rows[place + 1])
