"""`pack`: beside every row a list of others that belong to it: a history, examples, a shelf to choose from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import polars as pl
from pydantic import Field, field_validator, model_validator

from prefgen.errors import one_of
from prefgen.seeds import rng_for
from prefgen.spec.condition import ConditionError, condition_over
from prefgen.spec.fields import Name
from prefgen.spec.pipeline import Grain
from prefgen.steps.context import Context
from prefgen.steps.step import Parts, Step
from prefgen.steps.table.glue import kept
from prefgen.store.table import Table

_TAKEN = ("reject_reason", "split")


class Pack(Step):
    """The rows of a table, each with a list of the rows of another that agree with it in some columns.

    ```yaml
    histories: {pack: events, onto: events, by: [persona_id], order: [time], before: true, last: 20, each: [prompt, response], into: history}
    evidence:  {pack: parts, onto: people, by: [persona_id], where: "split = 'train'", draw: 20, into: evidence}
    ```

    With `before: true` only what is earlier than the row itself is packed, by the columns of `order`, which both tables have: what is at the
    same time is not, so nothing of the future is seen. The list is in this order, or in that of the table packed.
    """

    kind: ClassVar[str] = "pack"
    grain: ClassVar[Grain | None] = None

    pack: Name = Field(description="Step with the rows that are packed.")
    onto: Name = Field(description="Step with the rows that get a list each.")
    by: list[Name] = Field(min_length=1, description="Columns in which they agree.")
    where: str | None = Field(None, description="SQL over the rows that are packed: which of them.")
    order: list[Name] = Field(
        default_factory=list, description="Columns by which they are put in order, the earliest first."
    )
    before: bool = Field(False, description="Only what is before the row itself.")
    last: int | None = Field(None, ge=1, description="At most so many, the latest.")
    first: int | None = Field(None, ge=1, description="At most so many, the earliest.")
    draw: int | None = Field(None, ge=1, description="At most so many, drawn at random, in their order.")
    each: list[Name] = Field(
        default_factory=list, description="Columns of an element; by default all but those of `by`."
    )
    into: Name = Field("packed", description="Name of the column with the lists.")

    @field_validator("by", "order", "each")
    @classmethod
    def _each_once(cls, value: list[str]) -> list[str]:
        if len(set(value)) < len(value):
            raise ValueError("a column stands twice\nfix: name each once")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Pack:
        if sum(one is not None for one in (self.last, self.first, self.draw)) > 1:
            raise ValueError("`last`, `first` and `draw` exclude each other\nfix: keep one of them")
        if self.before and not self.order:
            raise ValueError("before what? an order is needed\nfix: write e.g. `order: [time]`")
        return self

    def reads(self) -> tuple[tuple[str, str], ...]:
        return (("onto", self.onto), ("pack", self.pack))

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """The rows of `onto`, in their order; a row with nothing to pack has an empty list."""
        packed = self._packed(tables[self.pack], tables[self.onto].schema, context)
        each = self.each or [name for name in packed.columns if name not in self.by]
        kind = pl.List(pl.Struct({name: packed.schema[name] for name in each}))
        known = packed.drop_nulls(self.by)  # what is not known agrees with nothing
        groups = {key: _Group.of(rows, self.order, each) for key, rows in known.group_by(self.by, maintain_order=True)}
        sizes: list[int] = []
        for frame in tables[self.onto].frames():
            lists = [self._of(row, groups, context) for row in frame.iter_rows(named=True)]
            sizes += map(len, lists)
            yield frame.with_columns(pl.Series(self.into, lists, dtype=kind))
        return {"rows_packed": sum(sizes), "empty": sizes.count(0)}

    def _packed(self, table: Table, onto: pl.Schema, context: Context) -> pl.DataFrame:
        """The rows that may be packed, in order; complaints about columns that are not there."""
        rows = kept(table)
        for key, names, schemas in (
            ("by", self.by, (rows.schema, onto)),
            ("order", self.order, (rows.schema, onto) if self.before else (rows.schema,)),
            ("each", self.each, (rows.schema,)),
        ):
            for place, name in enumerate(names):
                for which, schema in zip((self.pack, self.onto), schemas, strict=False):
                    if name not in schema:
                        raise context.error(
                            (key, place), f"no column {name!r} in {which!r}", f"name {one_of(name, list(schema))}"
                        )
        _check_types(rows.schema, onto, "by", self.by, context)
        _check_types(rows.schema, onto if self.before else rows.schema, "order", self.order, context)
        if self.into in onto or self.into in _TAKEN:
            said = (
                f"{self.onto!r} has a column {self.into!r} already"
                if self.into in onto
                else f"{self.into!r} means something else"
            )
            raise context.error("into", said, "choose another name")
        if self.where is not None:
            try:
                rows = rows.filter(condition_over(self.where, rows.schema).holds(rows).fill_null(value=False))
            except ConditionError as error:
                raise context.error("where", error.problem, error.fix) from None
        return rows.sort(self.order, maintain_order=True, nulls_last=True) if self.order else rows

    def _of(
        self, row: Mapping[str, Any], groups: Mapping[tuple[Any, ...], _Group], context: Context
    ) -> Sequence[dict[str, Any]]:
        group = groups.get(tuple(row[name] for name in self.by))
        if group is None:
            return []
        some = group.before(tuple(row[name] for name in self.order)) if self.before else group.rows
        if self.last is not None:
            return some[-self.last :]
        if self.first is not None:
            return some[: self.first]
        if self.draw is None or len(some) <= self.draw:
            return some
        rng = rng_for(context.seed, "pack", context.step, *(str(row[name]) for name in self.by), str(len(some)))
        return [some[place] for place in np.sort(rng.choice(len(some), size=self.draw, replace=False))]


def _check_types(packed: pl.Schema, onto: pl.Schema, key: str, names: Sequence[str], context: Context) -> None:
    """Columns that are compared hold plain values of one type."""
    for name in names:
        one, other = packed[name], onto[name]
        alike = one == other or (one.is_numeric() and other.is_numeric()) or pl.Null() in (one, other)
        if one.is_nested() or not alike:
            said = f"column {name!r} is of type {one}" + (
                "" if one == other else f" in one table and {other} in the other"
            )
            raise context.error(key, said, "compare texts, numbers or times of one type")


class _Group:
    """Rows that agree, in order, and where each moment begins among them."""

    def __init__(self, rows: list[dict[str, Any]], moments: list[tuple[Any, ...]]) -> None:
        self.rows = rows
        self._moments = moments

    @classmethod
    def of(cls, rows: pl.DataFrame, order: Sequence[str], each: Sequence[str]) -> _Group:
        return cls(rows.select(each).to_dicts(), list(rows.select(order).iter_rows()) if order else [])

    def before(self, moment: tuple[Any, ...]) -> list[dict[str, Any]]:
        """What is strictly earlier; nothing where the moment is not known."""
        if any(one is None for one in moment):
            return []
        known = (place for place, one in enumerate(self._moments) if any(part is None for part in one) or one >= moment)
        return self.rows[: next(known, len(self.rows))]
