"""`keep`: the same rows, each with the reason why it is dropped, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import polars as pl
from pydantic import Field

from prefgen.spec.condition import Condition, condition_over
from prefgen.spec.document import Key
from prefgen.spec.pipeline import Grain
from prefgen.steps.context import Context
from prefgen.steps.product import complaints_of
from prefgen.steps.step import Parts, Step
from prefgen.store.table import Table


class Keep(Step):
    """Every row stays, in its order; a row for which a condition is not true gets a `reject_reason`.

    ```yaml
    kept: {keep: answers, where: "order_agreement and p_choice >= 0.6"}
    kept: {keep: answers, where: {unsure: "p_choice >= 0.6", swayed by order: "order_agreement"}}
    ```

    A condition that cannot be told (a measure that is null) counts as not true. A row dropped before keeps its reason.
    """

    kind: ClassVar[str] = "keep"

    keep: str = Field(description="Name of the step whose rows are judged.")
    where: str | dict[str, str] = Field(
        description="A polars SQL expression over the columns, or several by the reason each gives; the first that is not true counts."
    )

    grain: ClassVar[Grain | None] = None

    def reads(self) -> tuple[tuple[str, str], ...]:
        return (("keep", self.keep),)

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """The rows of the table read, with `reject_reason` filled."""
        table = tables[self.keep]
        rules = {self.where: self.where} if isinstance(self.where, str) else self.where
        conditions: dict[str, Condition] = {}
        for reason, where in rules.items():
            with complaints_of(context, _at(self, reason)):
                conditions[reason] = condition_over(where, table.schema)
        if all(condition.row_wise for condition in conditions.values()):
            for frame in table.frames():
                yield _marked(frame, _passed(self, conditions, frame, context))
            return None
        # A condition that looks at other rows (an average, a window) needs them all; parts keep their boundaries.
        passed = [answer.rechunk() for answer in _passed(self, conditions, table.read(), context)]
        start = 0
        for frame in table.frames():
            yield _marked(frame, [answer.slice(start, frame.height) for answer in passed])
            start += frame.height
        return None


def _at(spec: Keep, reason: str) -> Key:
    return ("where",) if isinstance(spec.where, str) else ("where", reason)


def _passed(spec: Keep, conditions: Mapping[str, Condition], rows: pl.DataFrame, context: Context) -> list[pl.Series]:
    """For every condition whether it holds, under the name of its reason."""
    found = []
    for reason, condition in conditions.items():
        with complaints_of(context, _at(spec, reason)):
            found.append(condition.holds(rows).alias(reason))
    return found


def _marked(rows: pl.DataFrame, passed: Sequence[pl.Series]) -> pl.DataFrame:
    """The rows with the first reason whose condition did not hold."""
    reasons = [pl.when(~answer.fill_null(False)).then(pl.lit(answer.name)) for answer in passed]
    earlier = pl.col("reject_reason") if "reject_reason" in rows.columns else pl.lit(None, dtype=pl.String)
    return rows.with_columns(pl.coalesce(earlier, *reasons).alias("reject_reason"))
