"""A table as steps see it: rows in order, in parts small enough to hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import polars as pl

PART_ROWS = 16_384
"""Rows of one part, about; a part never cuts through the judgments of one persona and item.

What a step holds at once: with 131,072 a run over a million judgments took 790 MB, with 16,384 it takes 430 and no longer.
"""


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one step, in order.

    parts     lazy frames of one schema, each at most a few hundred thousand rows when collected
    n_rows    rows of all parts together
    """

    name: str
    parts: tuple[pl.LazyFrame, ...]
    n_rows: int

    @classmethod
    def of(cls, name: str, frames: Iterable[pl.DataFrame]) -> Table:
        """A table held in memory."""
        held = list(frames)
        return cls(name, tuple(frame.lazy() for frame in held), sum(frame.height for frame in held))

    def frames(self) -> Iterator[pl.DataFrame]:
        """One collected part after the other: flat memory whatever the number of rows."""
        for part in self.parts:
            yield part.collect()

    def scan(self) -> pl.LazyFrame:
        """All rows, lazily, for counts and sums.

        polars' streaming engine does not always keep the order of rows across parts (seen with 2.1.0: a
        `when().then(literal)` over several parts comes back permuted). Where order matters, use `frames` or `read`.
        """
        return pl.concat(self.parts, how="vertical") if len(self.parts) > 1 else self.parts[0]

    def read(self) -> pl.DataFrame:
        """All rows at once, in order; for tables that are known to be small (personas, items)."""
        return pl.concat(self.frames())

    @property
    def schema(self) -> pl.Schema:
        """Column names and types."""
        return self.parts[0].collect_schema()
