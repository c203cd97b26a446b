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
    passed = {
        reason: condition(where, table.schema, "where" if isinstance(spec.where, str) else ("where", reason), context)
        for reason, where in rules.items()
    }
    if all(map(_looks_at_one_row, rules.values())):
        for frame in table.frames():
            yield _marked(frame, frame.select(expression.alias(reason) for reason, expression in passed.items()))
        return
    # A condition that looks at other rows (an average, a window) needs them all; parts keep their boundaries.
    answers = table.read().select(expression.alias(reason) for reason, expression in passed.items()).rechunk()
    start = 0
    for frame in table.frames():
        yield _marked(frame, answers.slice(start, frame.height))
        start += frame.height


def _marked(rows: pl.DataFrame, passed: pl.DataFrame) -> pl.DataFrame:
    """The rows with the first reason whose column of `passed` is not true."""
    reasons = [pl.when(~column.fill_null(False)).then(pl.lit(column.name)) for column in passed.get_columns()]
    earlier = pl.col("reject_reason") if "reject_reason" in rows.columns else pl.lit(None, dtype=pl.String)
    return rows.with_columns(pl.coalesce(earlier, *reasons).alias("reject_reason"))


_ROW_FUNCTIONS = frozenset(
    [
        "in",
        "and",
        "or",
        "not",
        "abs",
        "coalesce",
        "ifnull",
        "lower",
        "upper",
        "length",
        "round",
        "floor",
        "ceil",
        "starts_with",
        "ends_with",
    ]
)


def _looks_at_one_row(where: str) -> bool:
    """Whether a condition surely needs no other row: it calls no function but those known to be row-wise."""
    return all(name.lower() in _ROW_FUNCTIONS for name in re.findall(r"(\w+)\s*\(", where))
