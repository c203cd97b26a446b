"""The items of a judge step: what each is called and how many options it has is held, and the rest is read as it is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.store.numbered import Numbered
from prefgen.store.table import FRAME_ROWS, PART_BYTES, Table

Numbers = NDArray[np.int64]

_SHAPE = (
    "item_id",
    pl.col("options").list.len().cast(pl.Int64).alias("n_options"),
    pl.col("neither").cast(pl.Int64),
    (pl.col("prompt").str.len_bytes() + pl.col("options").list.eval(pl.element().str.len_bytes()).list.sum()).alias(
        "bytes"
    ),
    pl.struct("prompt", "options", "neither").hash().alias("content"),
)
_LOOKED_AT = ("item_id", "prompt", "options", "neither", "reject_reason")


@dataclass(frozen=True, slots=True)
class Items:
    """Items by their row, from 0: flat memory in the length of their texts.

    shape    item_id, n_options, neither, bytes (of prompt and options) and content (their hash) of every item
    """

    shape: pl.DataFrame
    _read: Callable[[Numbers], pl.DataFrame]
    _at: Numbers  # the number of each in what is read
    _names: Mapping[str, str]  # columns, in order, by the names that they have there

    @classmethod
    def of(cls, table: Table) -> Items:
        """The rows of a table that no step dropped."""
        columns = [name for name in table.schema if name != "reject_reason"]
        shapes, kept, n = [], [], 0
        for frame in table.frames([name for name in _LOOKED_AT if name in table.schema]):
            here = (
                frame["reject_reason"].is_null()
                if "reject_reason" in frame.columns
                else pl.repeat(True, frame.height, eager=True)
            )
            kept.append(n + here.arg_true().to_numpy().astype(np.int64))
            shapes.append(frame.filter(here).select(_SHAPE))
            n += frame.height
        rows = Numbered([table], lambda _: [pl.col(columns)])
        return cls(pl.concat(shapes), rows.rows, np.concatenate(kept), dict(zip(columns, columns, strict=True)))

    @property
    def height(self) -> int:
        """How many there are."""
        return self.shape.height

    @property
    def schema(self) -> pl.Schema:
        """Columns of the rows."""
        return self.rows(np.array([], dtype=np.int64)).schema

    def rows(self, numbers: Numbers) -> pl.DataFrame:
        """Some of them, in the order of the numbers."""
        read = self._read(self._at[numbers])
        return pl.DataFrame({new: read[old] for old, new in self._names.items()})

    def between(self, start: int, end: int) -> pl.DataFrame:
        """Those from `start` to before `end`."""
        return self.rows(np.arange(start, min(end, self.height)))

    def frames(self) -> Iterator[pl.DataFrame]:
        """All of them, some at a time; one empty frame where there are none."""
        for start, end in self.spans(FRAME_ROWS, PART_BYTES):
            yield self.between(start, end)

    def spans(self, most: int, most_bytes: int) -> Iterator[tuple[int, int]]:
        """(first, after the last) of pieces of at most so many items, and about so many bytes; one empty piece where there are none."""
        ends = np.cumsum(self.shape["bytes"].to_numpy())
        start = 0
        while start < self.height or not start:
            before = ends[start - 1] if start else 0
            end = min(start + most, max(start + 1, int(np.searchsorted(ends, before + most_bytes, side="right"))))
            yield start, min(end, self.height)
            start = end

    def all(self) -> pl.DataFrame:
        """All of them at once."""
        return self.between(0, self.height)

    def column(self, name: str) -> pl.Series:
        """One column of all of them."""
        return pl.concat([frame[name] for frame in self.frames()])

    def some(self, numbers: Numbers) -> Items:
        """Those with some numbers."""
        return replace(self, shape=self.shape[numbers], _at=self._at[numbers])

    def without(self, name: str) -> Items:
        """Without a column, where they have it."""
        return replace(self, _names={old: new for old, new in self._names.items() if new != name})

    def renamed(self, names: Mapping[str, str]) -> Items:
        """With other names for some columns."""
        return replace(self, _names={old: names.get(new, new) for old, new in self._names.items()})
