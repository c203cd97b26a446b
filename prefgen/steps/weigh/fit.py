"""`weigh: fit`: from pairs, how much each attribute of what was chosen weighs for whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field

from prefgen.errors import one_of
from prefgen.judging.attribute_weights import Floats, fit_weights
from prefgen.spec.fields import Name
from prefgen.spec.pipeline import Grain
from prefgen.steps.context import Context
from prefgen.steps.step import Parts, Step
from prefgen.steps.table.glue import kept
from prefgen.store.table import Table

_COLUMNS = ("attribute", "weight", "error", "n_pairs")


class WeighFit(Step):
    """One row per person (or other group) and attribute: its weight in log-odds per unit, with its standard error.

    ```yaml
    tastes: {weigh: fit, from: pairs, of: [price, speed], by: [persona_id]}
    ```

    The model: of two, the first is preferred with probability 1 / (1 + exp(-w . (a - b))), a and b their attributes, which pairs have
    as `chosen_<attribute>` and `rejected_<attribute>` (McFadden 1974, Bradley and Terry 1952). Where pairs have probabilities, as
    those of a judge, these are fitted, and a utility's weights come back as they were, divided by its noise.
    """

    kind: ClassVar[str] = "weigh"
    grain: ClassVar[Grain] = "rows"

    weigh: Literal["fit"] = Field(description="`fit`: which attribute weighs how much.")
    from_: Name = Field(alias="from", description="Name of a step with pairs of candidates.")
    of: Annotated[list[Name], Field(min_length=1)] = Field(
        description="Attributes: numbers, or true and false, that the pairs have of both sides."
    )
    by: list[Name] = Field(
        default_factory=lambda: ["persona_id"],
        description="Columns whose values are fitted apart; an empty list for all together.",
    )
    ridge: float = Field(
        0.1,
        ge=0,
        description="Takes ridge / 2 x the sum of squared weights from the log-likelihood, so that few or one-sided choices have finite weights; 0: nothing.",
    )
    standardize: bool = Field(False, description="Bring every attribute to standard deviation 1 first.")

    def reads(self) -> tuple[tuple[str, str], ...]:
        return (("from", self.from_),)

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """The weights, group by group in the order in which they first appear."""
        rows = kept(tables[self.from_])
        check_counts(rows, context)
        self._check(rows, context)
        numbers = [f"{side}_{name}" for name in self.of for side in ("chosen", "rejected")]
        told = rows.drop_nulls(numbers)
        if told.height < rows.height:
            context.note(f"{rows.height - told.height:,} of {rows.height:,} pairs lack an attribute, and are left out")
        scale = self._scale(told)
        schema = {name: rows.schema[name] for name in self.by}
        schema |= {"attribute": pl.String(), "weight": pl.Float64(), "error": pl.Float64(), "n_pairs": pl.Int64()}
        groups = told.group_by(self.by, maintain_order=True) if self.by else [((), told)]
        found = [row for key, some in groups for row in self._fitted(key, some, scale)]
        made = pl.DataFrame(found, schema=schema, orient="row").with_columns(pl.col("weight", "error").fill_nan(None))
        if untold := made["weight"].null_count():
            context.note(
                f"{untold:,} weights cannot be told from these pairs: raise `ridge`, or fit more of them together"
            )
        yield made
        return {"groups": made.select(self.by).n_unique() if self.by else 1}

    def _check(self, rows: pl.DataFrame, context: Context) -> None:
        known = [name.removeprefix("chosen_") for name in rows.columns if name.startswith("chosen_")]
        for place, name in enumerate(self.of):
            kinds = [rows.schema.get(f"{side}_{name}") for side in ("chosen", "rejected")]
            if not all(kind is not None and (kind.is_numeric() or kind == pl.Boolean) for kind in kinds):
                said = f"{self.from_!r} has no numbers `chosen_{name}` and `rejected_{name}`"
                fix = f"name {one_of(name, known)}" if known else "name a step with pairs of candidates"
                raise context.error(("of", place), said, fix)
        for place, name in enumerate(self.by):
            if name not in rows.columns or name in _COLUMNS:
                others = [one for one in rows.columns if one not in _COLUMNS]
                raise context.error(("by", place), f"{name!r} cannot part the pairs", f"name {one_of(name, others)}")

    def _scale(self, rows: pl.DataFrame) -> Floats:
        """What every attribute is divided by."""
        if not self.standardize:
            return np.ones(len(self.of))
        both = [np.r_[numbers(rows, f"chosen_{name}"), numbers(rows, f"rejected_{name}")] for name in self.of]
        return np.array([float(values.std()) or 1.0 if len(values) else 1.0 for values in both])

    def _fitted(self, key: tuple[object, ...], rows: pl.DataFrame, scale: Floats) -> Iterator[tuple[object, ...]]:
        sides = [
            np.column_stack([numbers(rows, f"{side}_{name}") for name in self.of]) for side in ("chosen", "rejected")
        ]
        counts = counts_of(rows)
        found = fit_weights((sides[0] - sides[1]) / scale, preferred_by(rows), counts, self.ridge)
        for name, weight, error in zip(self.of, found.weight, found.error, strict=True):
            yield (*key, name, float(weight), float(error), rows.height)


def check_counts(rows: pl.DataFrame, context: Context) -> None:
    """A complaint where pairs have a `weight` that is no number."""
    if "weight" in rows.columns and not (rows.schema["weight"].is_numeric() or rows.schema["weight"] == pl.Null):
        raise context.error(
            "from", f"its `weight` is of type {rows.schema['weight']}", "bring numbers, or rename the column"
        )


def counts_of(rows: pl.DataFrame) -> Floats:
    """What each pair counts: its weight, 0 where that is missing or below 0; 1 where pairs have none."""
    if "weight" not in rows.columns:
        return np.ones(rows.height)
    found: Floats = np.nan_to_num(np.clip(rows["weight"].cast(pl.Float64).fill_null(0.0).to_numpy(), 0.0, 1e9))
    return found


def numbers(rows: pl.DataFrame, name: str) -> Floats:
    """A column as numbers."""
    return rows[name].cast(pl.Float64).to_numpy()


def preferred_by(rows: pl.DataFrame) -> Floats:
    """How far the chosen one was preferred to the rejected one: its share of what both have, 1 where no probability is known."""
    if not {"p_chosen", "p_margin"} <= set(rows.columns):
        return np.ones(rows.height)
    chosen, margin = numbers(rows, "p_chosen"), numbers(rows, "p_margin")
    both = 2 * chosen - margin
    return np.divide(chosen, both, out=np.ones(rows.height), where=both > 0)
