"""`people`: the persons whom rows speak of, as personas: one for every `persona_id`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import polars as pl
from pydantic import Field

from prefgen.errors import one_of
from prefgen.personas.cast import played, row_by_row
from prefgen.schemas import ITEMS, PERSONAS
from prefgen.spec.fields import Name
from prefgen.spec.pipeline import Grain
from prefgen.steps.context import Context
from prefgen.steps.step import Parts, Step
from prefgen.steps.table.glue import kept
from prefgen.steps.table.rendering import rendered
from prefgen.store.table import Table, in_parts

MODELS = "models"
"""The population of models that answer as themselves."""

_ID = "persona_id"
_OF_ITEMS = ITEMS.names | {"response"}


class People(Step):
    """The persons of some rows, in the order in which they first appear.

    ```yaml
    voters: {people: votes, text: "You are {{ age }} and live in {{ town }}.", weight: design_weight}
    ```

    A column that is the same in all rows of each person is an attribute; the others are left out. A `judge` step without `as:`
    writes this step itself, as `<its name>_people`.
    """

    kind: ClassVar[str] = "people"
    grain: ClassVar[Grain | None] = "personas"

    people: Name | Annotated[list[Name], Field(min_length=1)] = Field(
        description="Step with rows that have a `persona_id`; or a list of models, each as itself: a persona without a portrait."
    )
    text: str | None = Field(
        None,
        min_length=1,
        description="Template of the portrait, over the attributes; without it, and without a column `text`, no model can play them.",
    )
    by: Name | None = Field(
        None,
        description="A persona a row, named by this column where the rows have it; whom the row is of stays in `person`, and all columns are kept. Rows "
        "that are personas already stay as they are.",
    )
    models: list[Name] = Field(
        default_factory=list,
        description="Every persona once for each of these models, which plays it: `persona@model`.",
    )
    weight: Name | None = Field(
        None, description="Attribute with what a person counts, brought to mean 1; by default all count alike."
    )

    def reads(self) -> tuple[tuple[str, str], ...]:
        return (("people", self.people),) if isinstance(self.people, str) else ()

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """The personas; a row without a `persona_id` speaks of nobody."""
        if not isinstance(self.people, str):
            yield models_as_people(self.people)
            return {"population": MODELS, "n": len(self.people)}
        rows = kept(tables[self.people])
        if _ID not in rows.columns:
            found = ", ".join(rows.columns)
            raise context.error("people", f"{self.people!r} has no column `persona_id`", f"rename one of {found}")
        if rows.schema[_ID].is_nested():
            raise context.error("people", f"`persona_id` is of type {rows.schema[_ID]}", "an id is a text or a number")
        people = self._personas(rows.filter(pl.col(_ID).is_not_null()), context)
        made = played(people, self.models) if self.models else people
        yield from in_parts(made)
        return {"population": self.people, "n": made.height}

    def _personas(self, rows: pl.DataFrame, context: Context) -> pl.DataFrame:
        are_personas = {"text", "weight", "control"} <= set(rows.columns) and rows[_ID].is_unique().all()
        if are_personas and (self.models or self.by):
            return rows
        if self.by in rows.columns:
            self._check_different(rows, context)
            return row_by_row(rows, self.by or _ID, str(self.people))
        people = _attributes(rows)
        return people.select(
            pl.col(_ID).cast(pl.String),
            pl.lit(self.people).alias("population"),
            pl.lit(None, dtype=pl.String).alias("control"),
            self._weights(people, context),
            self._portraits(people, context),
            pl.exclude(*PERSONAS.names),
        )

    def _check_different(self, rows: pl.DataFrame, context: Context) -> None:
        if rows[self.by or _ID].null_count() or rows[self.by or _ID].is_duplicated().any():
            problem = f"{self.by!r} does not tell the rows of {self.people!r} apart"
            raise context.error("by", problem, "name a column that differs in every row")

    def _weights(self, people: pl.DataFrame, context: Context) -> pl.Series:
        if self.weight is None:
            return pl.Series("weight", [1.0] * people.height, pl.Float64)
        if self.weight not in people.columns or not people.schema[self.weight].is_numeric():
            numbers = [name for name, kind in people.schema.items() if kind.is_numeric()]
            fix = f"name {one_of(self.weight, numbers)}" if numbers else "leave `weight` out"
            raise context.error("weight", f"{self.weight!r} is no number that every person has one of", fix)
        weights = people[self.weight].cast(pl.Float64).fill_nan(None)
        if weights.null_count() or (weights < 0).any() or not weights.sum() > 0:
            raise context.error("weight", "some weights are missing or below 0", "give every person a weight")
        return (weights / weights.sum() * people.height).alias("weight")

    def _portraits(self, people: pl.DataFrame, context: Context) -> pl.Series:
        if self.text is None:
            own = people["text"] if people.schema.get("text") == pl.String else None  # what a model wrote of them
            return own if own is not None else pl.Series("text", [None] * people.height, pl.String)
        return rendered(people, self.text, ("text",), context).alias("text")


def models_as_people(models: Sequence[str]) -> pl.DataFrame:
    """Each model as a persona of its own name, with an empty portrait."""
    names = pl.Series(_ID, list(models), pl.String)
    empty = pl.lit(None, dtype=pl.String).alias("control")
    return pl.DataFrame([names]).with_columns(
        pl.lit(MODELS).alias("population"), empty, pl.lit(1.0).alias("weight"), pl.lit("").alias("text")
    )


def are_models(people: pl.DataFrame) -> bool:
    """Whether personas are models as themselves."""
    return (
        people.height > 0
        and "population" in people.columns
        and bool(((people["population"] == MODELS) & (people["text"] == "")).all())
    )


def _attributes(rows: pl.DataFrame) -> pl.DataFrame:
    """One row a person, in the order of appearance, with the columns that do not differ within any of them."""
    others = [
        name
        for name, kind in rows.schema.items()
        if not (name.endswith("_id") or name in _OF_ITEMS or kind.is_nested())
    ]
    if not rows.height:
        return rows.select(_ID, *others)
    same = rows.group_by(_ID).agg(pl.col(others).n_unique()).select(pl.col(others).max() == 1)
    fixed = [name for name in others if same[name][0]]
    return rows.select(_ID, *fixed).unique(_ID, keep="first", maintain_order=True)
