"""The rows that are packed, by their numbers: what they are found by and where they stand in time, without their texts."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from prefgen.spec.condition import Condition, ConditionError, condition_over
from prefgen.steps.context import Context
from prefgen.store.table import Table

NUMBER = "_number"

Numbers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Events:
    """Kept rows in order: the columns that are compared, and `_number`, their place in the table."""

    rows: pl.DataFrame
    order: tuple[str, ...]

    def from_number(self, first: int) -> Events:
        """The same rows, numbered on from another table's."""
        return replace(self, rows=self.rows.with_columns(pl.col(NUMBER) + first))


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that belong together, in order.

    moments    of those whose moment is known, which are the first
    values     what each is in the columns in which it must differ
    """

    numbers: Numbers
    moments: list[tuple[Any, ...]]
    values: list[tuple[Any, ...]]

    @classmethod
    def of(cls, rows: pl.DataFrame, order: Sequence[str], differ: Sequence[str] = ()) -> Group:
        known = rows.drop_nulls(order) if order else rows.clear()
        values = list(rows.select(differ).iter_rows()) if differ else []
        return cls(rows[NUMBER].to_numpy(), list(known.select(order).iter_rows()) if order else [], values)

    def before(self, moment: tuple[Any, ...]) -> int:
        """How many are strictly earlier; none where the moment is not known."""
        return 0 if any(one is None for one in moment) else bisect_left(self.moments, moment)


def events_of(
    table: Table, columns: Iterable[str], order: Sequence[str], where: str | None, context: Context
) -> Events:
    """The rows of a table that may be packed. SpecError for a condition that cannot be obeyed."""
    try:
        condition = None if where is None else condition_over(where, table.schema)
        rows = pl.concat(_kept(table, list(dict.fromkeys(columns)), condition))
    except ConditionError as error:
        raise context.error("where", error.problem, error.fix) from None
    return Events(rows.sort(order, maintain_order=True, nulls_last=True) if order else rows, tuple(order))


def _kept(table: Table, columns: Sequence[str], condition: Condition | None) -> Iterator[pl.DataFrame]:
    looked_at = [] if condition is None else list(condition.expression.meta.root_names())
    dropped = ["reject_reason"] if "reject_reason" in table.schema else []
    names = list(dict.fromkeys([*columns, *looked_at, *dropped])) or list(table.schema)[:1]
    begun, parts = 0, []
    for frame in table.frames(names):
        numbered = frame.with_columns(pl.int_range(begun, begun + frame.height, dtype=pl.Int64).alias(NUMBER))
        begun += frame.height
        kept = numbered.filter(pl.col("reject_reason").is_null()) if dropped else numbered
        parts.append(kept)
    whole = parts if condition is None or condition.row_wise else [pl.concat(parts)]
    for kept in whole:
        some = kept if condition is None else kept.filter(condition.holds(kept).fill_null(value=False))
        yield some.select(*columns, NUMBER)


def groups_of(events: Events, by: Sequence[str], differ: Sequence[str]) -> dict[tuple[Any, ...], Group]:
    """The rows by their values of `by`; what is not known agrees with nothing."""
    known = events.rows.drop_nulls(by)
    return {key: Group.of(rows, events.order, differ) for key, rows in known.group_by(by, maintain_order=True)}


def grouped(rows: pl.DataFrame, by: Sequence[str]) -> Iterator[pl.DataFrame]:
    """One row for every value of `by`, in the order in which they are met."""
    yield rows.select(by).drop_nulls().unique(maintain_order=True)


def within(sizes: Sequence[float] | np.ndarray[Any, Any], budget: float) -> int:
    """How many fit, from the first on.

    >>> within([3, 4, 5], 8)
    2
    """
    return int(np.searchsorted(np.cumsum(sizes), budget, side="right"))
