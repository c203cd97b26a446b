"""Every presentation of a judge step: persona x item x order x repeat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.judging.design import Design
from prefgen.judging.item_rows import Items
from prefgen.judging.presentations import Orders
from prefgen.judging.prompts import Messages, Page, Prompts
from prefgen.schemas import LETTERS
from prefgen.store.table import PART_BYTES, PART_ROWS

ITEM_BLOCK = 20_000
"""Items whose pages are held rendered at once; within a block all of one persona's questions follow each other,
so that an engine computes what they share only once."""

BLOCK_BYTES = 32 << 20
"""Bytes of the texts of a block, about, where items are long."""


@dataclass(frozen=True, slots=True)
class Presentation:
    """One persona seeing one item in one order, for the `repeat`-th time."""

    persona: int  # row of the personas table
    item: int  # row of the items table
    order: str
    repeat: int
    system: Messages
    page: Page


@dataclass(frozen=True, slots=True)
class _Block:
    """Items from row `start` to before `end`, rendered: (item row, order, page), in order."""

    start: int
    end: int
    pages: list[tuple[int, str, Page]]

    def of(self, rows: NDArray[np.int64]) -> Iterator[tuple[int, str, Page]]:
        """The pages of some of the items, by their rows in order."""
        known = np.array([row for row, _, _ in self.pages])
        for first, last in zip(np.searchsorted(known, rows), np.searchsorted(known, rows, "right"), strict=True):
            yield from self.pages[first:last]


@dataclass(frozen=True, slots=True)
class Questionnaire:
    """All presentations of one judge step, known before any is asked. Rendering a page raises what its template raises."""

    prompts: Prompts
    personas: pl.DataFrame  # persona_id, text, weight, control
    items: Items  # item_id, prompt, options, neither
    orders: Orders
    repeats: int
    design: Design | None = None  # who is asked about what; None for everybody about everything
    said: tuple[str, ...] | None = None  # the system message of every persona, where it is not made of its text

    @property
    def letters(self) -> tuple[str, ...]:
        """Letters of the options, for the item that has most."""
        most = self.items.shape["n_options"].max()
        assert isinstance(most, int)
        return tuple(LETTERS[:most])

    @property
    def n_presentations(self) -> int:
        """Persona x item x order x repeat."""
        per_item = self.orders_per_item()
        if self.design is None:
            return self.personas.height * int(per_item.sum()) * self.repeats
        return sum(int(per_item[rows].sum()) for rows in self.design.items) * self.repeats

    def orders_per_item(self) -> NDArray[np.int64]:
        """In how many orders each item is shown."""
        if self.orders.prior_share is not None:
            return np.array([len(orders) for orders in self.orders_by_item()], dtype=np.int64)
        shapes = self.items.shape.select(pl.struct("n_options", "neither").alias("shape"))["shape"]
        kinds = shapes.unique(maintain_order=True)
        numbers = [len(self.orders.of("", one["n_options"], one["neither"])) for one in kinds]
        known = pl.DataFrame({"shape": kinds, "n": pl.Series(numbers, dtype=pl.Int64)})
        told = shapes.to_frame().join(known, on="shape", how="left", maintain_order="left", nulls_equal=True)
        return told["n"].to_numpy().astype(np.int64)

    def orders_by_item(self) -> Iterator[tuple[str, ...]]:
        """The orders in which each item is shown, item by item."""
        return (
            self.orders.of(*item) for item in self.items.shape.select("item_id", "n_options", "neither").iter_rows()
        )

    def systems(self) -> Iterator[tuple[Messages, int]]:
        """The message that makes the model each persona, with the persona's row."""
        for row, text in enumerate(self.personas["text"] if self.said is None else self.said):
            if self.said is None:
                yield self.prompts.system(text), row
            else:
                yield ((("system", text),) if text else ()), row

    def pages(self) -> Iterator[tuple[int, str, Page]]:
        """The pages of all items: (item row, order, page)."""
        for start, end in self.items.spans(PART_ROWS, PART_BYTES):
            yield from self._pages(start, end)

    def _pages(self, start: int, end: int) -> Iterator[tuple[int, str, Page]]:
        for row, item in enumerate(self.items.between(start, end).iter_rows(named=True), start):
            for order in self.orders.of(item["item_id"], len(item["options"]), item["neither"]):
                yield row, order, self.prompts.render_page(item, order)

    def blocks(self) -> Iterator[_Block]:
        """The pages of all items, some items at a time."""
        for start, end in self.items.spans(ITEM_BLOCK, BLOCK_BYTES):
            yield _Block(start, end, list(self._pages(start, end)))

    def presentations(self) -> Iterator[Presentation]:
        """Persona by persona, item by item, the presentations of one persona and item side by side."""
        for block in self.blocks():
            for system, persona in self.systems():
                for item, order, page in self._asked(block, persona):
                    for repeat in range(self.repeats):
                        yield Presentation(persona, item, order, repeat, system, page)

    def _asked(self, block: _Block, persona: int) -> Iterable[tuple[int, str, Page]]:
        """The pages of a block that a persona sees."""
        if self.design is None:
            return block.pages
        return block.of(self.design.rows_in(persona, block.start, block.end))


def whole_groups(presentations: Iterator[Presentation], size: int) -> Iterator[list[Presentation]]:
    """Batches of about `size` that never cut through the presentations of one persona and item."""
    batch: list[Presentation] = []
    for one in presentations:
        if len(batch) >= size and (one.persona, one.item) != (batch[-1].persona, batch[-1].item):
            yield batch
            batch = []
        batch.append(one)
    yield batch
