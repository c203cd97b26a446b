"""`keep`: the same rows, each with the reason why it is dropped, or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import polars as pl
from pydantic import Field

from prefgen.errors import one_of
from prefgen.spec.condition import Condition, condition_over
from prefgen.spec.document import Key
from prefgen.spec.fields import Name
from prefgen.spec.fields import Spec as Part
from prefgen.spec.pipeline import Grain
from prefgen.steps.context import Context
from prefgen.steps.product import complaints_of
from prefgen.steps.step import Parts, Step
from prefgen.steps.write.measures import shared, words_of
from prefgen.store.table import Table, in_parts


class Apart(Part):
    """Rows that say different things."""

    column: Name = Field(description="Column with the text.")
    within: list[Name] = Field(
        default_factory=list, description="Columns in which rows agree that are compared; all rows without."
    )
    below: float = Field(
        0.6,
        gt=0,
        le=1,
        description="Share of the different words of two texts that may stand in both; from here on they are alike.",
    )
    most: int | None = Field(None, ge=1, description="At most so many rows of those that agree.")


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
        default_factory=dict,
        description="A polars SQL expression over the columns, or several by the reason each gives; the first that is not true counts.",
    )
    apart: Apart | None = Field(
        None, description="Drop rows whose text is nearly that of an earlier kept row, after `where`."
    )

    grain: ClassVar[Grain | None] = None

    def reads(self) -> tuple[tuple[str, str], ...]:
        return (("keep", self.keep),)

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """The rows of the table read, with `reject_reason` filled."""
        table = tables[self.keep]
        if not self.where and self.apart is None:
            raise context.error("where", "no condition", 'write e.g. where: "order_agreement", or `apart:`')
        if self.apart is not None:
            marked = pl.concat(list(self._by_conditions(table, context)))
            made = _apart(marked, self.apart, context)
            yield from in_parts(made)
            return None
        yield from self._by_conditions(table, context)
        return None

    def _by_conditions(self, table: Table, context: Context) -> Iterator[pl.DataFrame]:
        """The rows with the reason of the first condition that is not true."""
        rules = {self.where: self.where} if isinstance(self.where, str) else self.where
        conditions: dict[str, Condition] = {}
        for reason, where in rules.items():
            with complaints_of(context, _at(self, reason)):
                conditions[reason] = condition_over(where, table.schema)
        if all(condition.row_wise for condition in conditions.values()):
            for frame in table.frames():
                yield _marked(frame, _passed(self, conditions, frame, context))
            return
        # A condition that looks at other rows (an average, a window) needs them all; parts keep their boundaries.
        passed = [answer.rechunk() for answer in _passed(self, conditions, table.read(), context)]
        start = 0
        for frame in table.frames():
            yield _marked(frame, [answer.slice(start, frame.height) for answer in passed])
            start += frame.height


def _apart(rows: pl.DataFrame, apart: Apart, context: Context) -> pl.DataFrame:
    """The same rows; of those kept so far, one that is alike to an earlier one of its group, or beyond `most`, gets a reason."""
    for name in (apart.column, *apart.within):
        if name not in rows.columns:
            raise context.error("apart", f"no column {name!r}", f"name {one_of(name, rows.columns)}")
    if rows.schema[apart.column] != pl.String:
        raise context.error(
            "apart", f"{apart.column!r} is of type {rows.schema[apart.column]}, not text", "name another"
        )
    for name in apart.within:
        if rows.schema[name].is_nested():
            raise context.error("apart", f"{name!r} is of type {rows.schema[name]}", "agree in texts, numbers or times")
    reasons: list[str | None] = []
    seen: dict[tuple[Any, ...], list[frozenset[str]]] = {}
    for text, reason, *key in rows.select(apart.column, "reject_reason", *apart.within).iter_rows():
        told = seen.setdefault(tuple(key), [])
        if reason is None:
            said = words_of(text or "")
            reason = "too alike" if any(shared(said, other) >= apart.below for other in told) else None
            if reason is None and apart.most is not None and len(told) >= apart.most:
                reason = f"more than {apart.most}"
            if reason is None:
                told.append(said)
        reasons.append(reason)
    return rows.with_columns(pl.Series("reject_reason", reasons, dtype=pl.String))


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
