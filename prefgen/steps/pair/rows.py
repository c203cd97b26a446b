"""`pair: rows`: of two candidates for one question the one that a rule prefers, without a judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import polars as pl
from pydantic import Field

from prefgen.errors import first_words
from prefgen.judging.candidates import OF_OPTIONS, of_options
from prefgen.seeds import unit_for
from prefgen.spec.condition import ConditionError, condition_over, read_expression
from prefgen.spec.fields import Spec as Part
from prefgen.steps.context import Context
from prefgen.steps.pair.of_candidates import PairOfCandidates
from prefgen.steps.pair.sides import flattened, pairs_of
from prefgen.steps.step import Parts
from prefgen.store.table import Table


class Widest(Part):
    """The one pair of a question with the largest difference."""

    widest: str = Field(description='How far two candidates are apart: SQL, e.g. "chosen.score - rejected.score".')


class PairRows(PairOfCandidates):
    """Pairs of candidates for one question by a rule over their columns.

    ```yaml
    pairs: {pair: rows, from: drafts, where: "chosen.score > rejected.score + 2"}
    pairs: {pair: rows, from: drafts, within: [item_id], where: "chosen.level > rejected.level", take: {widest: "chosen.level - rejected.level"}}
    ```

    Both orders of two candidates are tried. A pair belongs to the persona that both candidates name in `persona_id`, else to nobody.
    """

    pair: Literal["rows"] = Field(description="`rows`: two candidates of one question, by a rule.")
    where: str = Field(description="SQL over `chosen.<column>` and `rejected.<column>`: which is preferred to which.")
    take: Literal["all"] | Annotated[int, Field(ge=1, strict=True)] | Widest = Field(
        "all", description="Of each question: all such pairs, so many drawn at random, or `{widest: SQL}`."
    )

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """The pairs, question by question."""
        for part in tables[self.items].frames():
            yield self._taken(pairs_of(self._preferred(part, context)), context)
        return None

    def _preferred(self, items: pl.DataFrame, context: Context) -> pl.DataFrame:
        """Sets of two with `_chosen`, the place of the one that is preferred; sets where neither is are left out."""
        found = []
        for chosen in (0, 1):
            sides = _sides(items, chosen)
            try:
                holds = condition_over(flattened(self.where), sides.schema).holds(sides)
            except ConditionError as error:
                raise context.error("where", error.problem, error.fix) from None
            told = items.filter(holds.fill_null(value=False)).with_columns(pl.lit(chosen).alias("_chosen"))
            found.append(told.with_columns(self._gap(_sides(told, chosen), context)))
        return pl.concat(found)

    def _gap(self, sides: pl.DataFrame, context: Context) -> pl.Series:
        if not isinstance(self.take, Widest):
            return pl.zeros(sides.height, dtype=pl.Float64, eager=True).alias("_gap")
        try:
            return (
                read_expression(flattened(self.take.widest)).value(sides).cast(pl.Float64).fill_nan(None).alias("_gap")
            )
        except (ConditionError, pl.exceptions.PolarsError) as error:
            problem, fix = (
                (error.problem, error.fix)
                if isinstance(error, ConditionError)
                else (first_words(error), "write a number")
            )
            raise context.error(("take", "widest"), problem, fix) from None

    def _taken(self, pairs: pl.DataFrame, context: Context) -> pl.DataFrame:
        if self.take == "all":
            return pairs.drop("_gap")
        if isinstance(self.take, Widest):
            order, most = pl.col("_gap").rank("ordinal", descending=True), 1
        else:
            drawn = [unit_for(context.seed, "pair rows", name) for name in pairs["pair_id"]]
            pairs = pairs.with_columns(pl.Series("_gap", drawn, dtype=pl.Float64))
            order, most = pl.col("_gap").rank("ordinal"), self.take
        return pairs.filter(order.over(self.question) <= most).drop("_gap")


def _sides(items: pl.DataFrame, chosen: int) -> pl.DataFrame:
    """`chosen_<x>` and `rejected_<x>` for every `option_<x>`, and `chosen_response`, `rejected_response`."""
    columns = {name: f"{OF_OPTIONS}{name}" for name in of_options(items.schema)} | {"response": "options"}
    return items.select(
        pl.col(column).list.get(place).alias(f"{side}_{name}")
        for name, column in columns.items()
        for side, place in (("chosen", chosen), ("rejected", 1 - chosen))
    )
