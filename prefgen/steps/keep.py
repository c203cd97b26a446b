"""`keep`: the same rows, each with the reason why it is dropped, or none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import ClassVar

import polars as pl
from pydantic import Field

from prefgen.spec.pipeline import Grain, StepSpec
from prefgen.steps.context import Context
from prefgen.steps.product import condition
from prefgen.store.table import Table


class Spec(StepSpec):
    """Every row stays, in its order; a row for which a condition is not true gets a `reject_reason`.

    ```yaml
    kept: {keep: answers, where: "order_agreement and p_choice >= 0.6"}
    kept: {keep: answers, where: {unsure: "p_choice >= 0.6", swayed by order: "order_agreement"}}
    ```

    A condition that cannot be told (a measure that is null) counts as not true. A row dropped before keeps its reason.
    """

    keep: str = Field(description="Name of the step whose rows are judged.")
    where: str | dict[str, str] = Field(
        description="A polars SQL expression over the columns, or several by the reason each gives; the first that is not true counts."
    )

    grain: ClassVar[Grain | None] = None

    def reads(self) -> tuple[tuple[str, str], ...]:
        return (("keep", self.keep),)


def make(spec: Spec, tables: Mapping[str, Table], context: Context) -> Iterator[pl.DataFrame]:
    """The rows of the table read, with `reject_reason` filled."""
    table = tables[spec.keep]
    rules = {spec.where: spec.where} if isinstance(spec.where, str) else spec.where
    earlier = pl.col("reject_reason") if "reject_reason" in table.schema else pl.lit(None, dtype=pl.String)
    reasons = [earlier]
    for reason, where in rules.items():
        at = "where" if isinstance(spec.where, str) else ("where", reason)
        passed = condition(where, table.schema, at, context)
        reasons.append(pl.when(~passed.fill_null(False)).then(pl.lit(reason)))
    marked = pl.coalesce(reasons).alias("reject_reason")
    if all(map(_looks_at_one_row, rules.values())):
        yield from (frame.with_columns(marked) for frame in table.frames())
        return
    # A condition that looks at other rows (an average, a window) needs them all; parts keep their boundaries.
    column = table.scan().select(marked).collect()["reject_reason"]
    start = 0
    for frame in table.frames():
        yield frame.with_columns(column.slice(start, frame.height).alias("reject_reason"))
        start += frame.height


_ROW_FUNCTIONS = frozenset(
    "in and or not abs coalesce ifnull lower upper length round floor ceil starts_with ends_with".split()
)


def _looks_at_one_row(where: str) -> bool:
    """Whether a condition surely needs no other row: it calls no function but those known to be row-wise."""
    return all(name.lower() in _ROW_FUNCTIONS for name in re.findall(r"(\w+)\s*\(", where))
