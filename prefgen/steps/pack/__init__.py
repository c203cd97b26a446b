"""`pack`: beside every row a list of others that belong to it: a history, examples, a shelf to choose from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import polars as pl
from pydantic import Field, field_validator, model_validator

from prefgen.ids import content_id
from prefgen.spec.fields import Name
from prefgen.spec.fields import Spec as Part
from prefgen.spec.pipeline import Grain
from prefgen.steps.context import Context
from prefgen.steps.pack.checks import check_pack
from prefgen.steps.pack.choice import Chooser
from prefgen.steps.pack.rows import Events, events_of, grouped
from prefgen.steps.pack.sizes import Sizes, sizes_of
from prefgen.steps.step import Parts, Step
from prefgen.steps.write.joined import Joined, joined
from prefgen.store.numbered import NUMBER, as_lists
from prefgen.store.table import PART_BYTES, PART_ROWS, Packed, Table


class Mix(Part):
    """Distractors among what is packed."""

    from_: Name = Field(
        alias="from", description="Step with rows of other things; columns of `each` that it lacks are null."
    )
    share: float = Field(
        gt=0, lt=1, description="Share of a list that they are: of its elements, with `tokens` of its tokens."
    )


class Pack(Step):
    """The rows of a table, each with a list of the rows of another that agree with it in some columns.

    ```yaml
    histories: {pack: events, onto: events, by: [persona_id], order: [time], before: true, last: 20, each: [prompt, response], into: history}
    evidence:  {pack: parts, onto: people, by: [persona_id], where: "split = 'train'", draw: 20, into: evidence}
    peers:     {pack: reviews, onto: histories, by: [item_id], differ: [persona_id], order: [time], before: true, draw: 4, into: peers}
    long:      {pack: chats, onto: asks, by: [persona_id], order: [day], tokens: 32000, mix: {from: chatter, share: 0.5}, each: turns, into: history}
    ```

    With `before: true` only what is earlier than the row itself is packed, by the columns of `order`, which both tables have: what is at the
    same time is not, so nothing of the future is seen. The list is in this order, or in that of the table packed.

    The table on disk holds the numbers of the rows, from 0 on through the tables packed; card, exports and later steps see the rows.
    """

    kind: ClassVar[str] = "pack"
    grain: ClassVar[Grain | None] = None

    pack: Name = Field(description="Step with the rows that are packed.")
    onto: Name | list[Name] | None = Field(
        None,
        description="Step with the rows that get a list each, with others that are looked up as in `write: for`; by default one row "
        "for every value of `by`.",
    )
    by: list[Name] = Field(min_length=1, description="Columns in which they agree.")
    differ: list[Name] = Field(default_factory=list, description="Columns in which they do not: other people, say.")
    where: str | None = Field(None, description="SQL over the rows that are packed: which of them.")
    order: list[Name] = Field(
        default_factory=list, description="Columns by which they are put in order, the earliest first."
    )
    before: bool = Field(False, description="Only what is before the row itself.")
    last: int | None = Field(None, ge=1, description="At most so many, the latest.")
    first: int | None = Field(None, ge=1, description="At most so many, the earliest.")
    draw: int | None = Field(None, ge=1, description="At most so many, drawn at random, in their order.")
    longest: int | None = Field(
        None, ge=1, description="At most so many, those with the longest texts, in their order."
    )
    copies: int = Field(
        1, ge=1, le=10_000, description="Rows for each, with lists drawn anew; `copy` counts them from 0."
    )
    tokens: int | None = Field(
        None,
        ge=1,
        description="Most tokens of a list: of those chosen the latest that fit, with `first` the earliest, with `draw` the first drawn.",
    )
    model: Name | None = Field(
        None,
        description="Model whose tokens are counted, where its tokenizer is here; else they are estimated. It is not asked.",
    )
    mix: Mix | None = Field(None, description="Distractors, drawn at random and put in at random places.")
    each: Name | list[Name] = Field(
        default_factory=list,
        description="Columns of an element; by default all but those of `by`. One name without a list: its bare value.",
    )
    into: Name = Field("packed", description="Name of the column with the lists.")

    @field_validator("by", "differ", "order", "each", "onto")
    @classmethod
    def _each_once(cls, value: Any) -> Any:
        if isinstance(value, list) and len(set(value)) < len(value):
            raise ValueError("a column stands twice\nfix: name each once")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Pack:
        if sum(one is not None for one in (self.last, self.first, self.draw, self.longest)) > 1:
            raise ValueError("`last`, `first`, `draw` and `longest` exclude each other\nfix: keep one of them")
        if self.before and not self.order:
            raise ValueError("before what? an order is needed\nfix: write e.g. `order: [time]`")
        if self.copies > 1 and self.draw is None and self.mix is None:
            raise ValueError("all copies would be the same\nfix: add `draw: 4`, or leave `copies` out")
        if self.onto is None and (self.before or self.differ):
            raise ValueError("`before` and `differ` compare with a row\nfix: name its step with `onto:`")
        if self.model is not None and self.tokens is None:
            raise ValueError("`model` says whose tokens are counted\nfix: add e.g. `tokens: 32000`")
        return self

    @property
    def made_grain(self) -> Grain | None:
        return "rows" if self.onto is None or self.copies > 1 else None

    @property
    def onto_all(self) -> list[str]:
        """The steps with the rows that get a list, and with what is looked up for them; none for one row a group."""
        return [self.onto] if isinstance(self.onto, str) else list(self.onto or ())

    def reads(self) -> tuple[tuple[str, str], ...]:
        mixed = (("mix", self.mix.from_),) if self.mix is not None else ()
        return (*(("onto", name) for name in self.onto_all), ("pack", self.pack), *mixed)

    def counts(self) -> tuple[tuple[str, str], ...]:
        return (("model", self.model),) if self.model is not None else ()

    def packed(self, tables: Mapping[str, Table]) -> Packed:
        """How the column of row numbers is read."""
        plain = isinstance(self.each, str)
        each = [self.each] if isinstance(self.each, str) else self.each
        each = each or [name for name in tables[self.pack].schema if name not in (*self.by, "reject_reason")]
        mixed = (self.mix.from_,) if self.mix is not None else ()
        return Packed(self.into, (self.pack, *mixed), tuple(each), plain)

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """The rows of `onto`, in their order; a row with nothing to pack has an empty list."""
        onto = self._onto(tables, context)
        events, more = self._events(tables, context, None if onto is None else onto.schema)
        sizes = sizes_of(self, tables, context)
        chooser = Chooser.of(self, events, more, sizes, context)
        counts: list[int] = []
        for frame in grouped(events.rows, self.by) if onto is None else onto.frames():
            chosen = chooser.lists(frame)
            counts += map(len, chosen)
            yield from _cut(self._with_lists(frame, chosen, context.step), sizes, chosen)
        told = {} if sizes.method is None else {"tokens_counted": sizes.method}
        return {"rows_packed": sum(counts), "empty": counts.count(0), **told}

    def _onto(self, tables: Mapping[str, Table], context: Context) -> Joined | Table | None:
        names = self.onto_all
        if len(names) > 1:
            return joined([tables[name] for name in names], None, context, "onto")
        return tables[names[0]] if names else None

    def _events(
        self, tables: Mapping[str, Table], context: Context, onto: pl.Schema | None
    ) -> tuple[Events, Events | None]:
        """The rows that may be packed, and the distractors; complaints about columns that are not there."""
        check_pack(self, tables, onto, context)
        events = events_of(tables[self.pack], (*self.by, *self.differ, *self.order), self.order, self.where, context)
        if self.mix is None:
            return events, None
        mixed = tables[self.mix.from_]
        own = [name for name in (*self.by, *self.order) if name in mixed.schema]
        order = self.order if set(self.order) <= set(mixed.schema) and self.before else []
        begun = sum(part.height for part in tables[self.pack].frames([self.by[0]]))  # a plan holds some of its rows
        return events, events_of(mixed, own, order, None, context).from_number(begun)

    def _with_lists(self, frame: pl.DataFrame, chosen: list[np.ndarray[Any, Any]], name: str) -> pl.DataFrame:
        if self.copies > 1:
            frame = frame[np.repeat(np.arange(frame.height), self.copies)].with_columns(
                copy=pl.Series(np.tile(np.arange(self.copies), frame.height))
            )
            own = [one for one in frame.columns if one.endswith("_id") and one != "request_id"]
            ids = [content_id("row", row) for row in frame.select(*own, "copy").iter_rows()]
            frame = frame.with_columns(pl.Series(f"{name}_id", ids, dtype=pl.String)) if own else frame
        numbers = pl.Series(np.concatenate(chosen) if chosen else [], dtype=NUMBER)
        return frame.with_columns(as_lists([len(one) for one in chosen], numbers).alias(self.into))


def _cut(frame: pl.DataFrame, sizes: Sizes, chosen: list[np.ndarray[Any, Any]]) -> Iterator[pl.DataFrame]:
    """The rows in parts that are small with their lists; one empty part where there are none."""
    if not frame.height:
        yield frame
        return
    begun, size = 0, 0.0
    for row, numbers in enumerate(chosen):
        own = sizes.bytes_of(numbers)
        if row > begun and (size + own > PART_BYTES or row - begun == PART_ROWS):
            yield frame[begun:row]
            begun, size = row, 0.0
        size += own
    yield frame[begun:]
