"""`pair: cycle`: three candidates that attributes rank in a circle: A over B by one, B over C by another, C over A by a third."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations, permutations
from typing import Any, Literal

import polars as pl
from pydantic import Field, field_validator

from prefgen.errors import one_of
from prefgen.ids import content_id
from prefgen.judging.candidates import OF_OPTIONS
from prefgen.spec.fields import Name
from prefgen.steps.context import Context
from prefgen.steps.pair.of_candidates import PairOfCandidates
from prefgen.steps.pair.sides import pairs_of
from prefgen.steps.show import check_candidates
from prefgen.steps.step import Parts
from prefgen.steps.table.glue import kept
from prefgen.store.table import Table

_LOOP = ("loop_id", "attribute")


class PairCycle(PairOfCandidates):
    """Loops of three pairs that no ranking fits, from numbers that the candidates bring.

    ```yaml
    loops: {pair: cycle, from: answers, over: [helpfulness, honesty, truthfulness]}
    ```

    Each loop takes three of the attributes, one for each of its pairs: the chosen side has strictly more of it. `loop_id` names the
    loop and `attribute` what decided the pair. Of three candidates one loop is taken, the first in the order of `over`.
    """

    pair: Literal["cycle"] = Field(description="`cycle`: three candidates that attributes rank in a circle.")
    over: list[Name] = Field(min_length=3, description="Three or more columns with numbers.")

    @field_validator("over")
    @classmethod
    def _each_once(cls, value: list[str]) -> list[str]:
        if len(set(value)) < len(value):
            raise ValueError("an attribute stands twice\nfix: name each once")
        return value

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """The pairs, loop by loop."""
        check_candidates(tables[self.from_], "from", context)
        candidates = kept(tables[self.from_])
        for place, name in enumerate(self.over):
            if not candidates.schema.get(name, pl.String()).is_numeric():
                fix = f"name {one_of(name, [one for one, kind in candidates.schema.items() if kind.is_numeric()])}"
                raise context.error(("over", place), f"no column {name!r} of numbers in {self.from_!r}", fix)
        sets = tables[self.items].read()
        yield pairs_of(self._in_loops(sets), *_LOOP).drop("_gap")
        return None

    def _in_loops(self, sets: pl.DataFrame) -> pl.DataFrame:
        """The sets of two that stand in a loop, with its id, the attribute that decides them, and `_chosen`."""
        rows: list[tuple[int, str, str, int]] = []
        for some in sets.with_row_index("_row").partition_by(self.question, maintain_order=True):
            rows += _loops(some, self.over)
        found = pl.DataFrame(
            rows,
            orient="row",
            schema={"_row": pl.UInt32, "loop_id": pl.String, "attribute": pl.String, "_chosen": pl.Int64},
        )
        return sets.select(pl.all().gather(found["_row"])).with_columns(*found.drop("_row"), pl.lit(0.0).alias("_gap"))


def _loops(sets: pl.DataFrame, over: list[str]) -> Iterator[tuple[int, str, str, int]]:
    """(row of the set, loop_id, attribute, place of the chosen one) of the loops of one question."""
    pairs: dict[tuple[str, str], tuple[int, int]] = {}  # (chosen, rejected): (row, place of the chosen one)
    values: dict[str, dict[str, Any]] = {}
    for row in sets.iter_rows(named=True):
        first, second = row[f"{OF_OPTIONS}candidate_id"]
        pairs[first, second], pairs[second, first] = (row["_row"], 0), (row["_row"], 1)
        for place, name in enumerate((first, second)):
            values[name] = {attribute: row[f"{OF_OPTIONS}{attribute}"][place] for attribute in over}
    for three in combinations(values, 3):
        found = _loop_of(three, values, over)
        if found is None:
            continue
        loop = content_id("loop", found)
        for better, worse, attribute in found:
            row_number, place = pairs[better, worse]
            yield row_number, loop, attribute, place


def _loop_of(
    three: tuple[str, str, str], values: Mapping[str, Mapping[str, Any]], over: list[str]
) -> list[tuple[str, str, str]] | None:
    """(better, worse, attribute) of the first loop of three candidates; None where there is none."""
    for attributes in permutations(over, 3):
        for a, b, c in (three, three[::-1]):
            steps = list(zip((a, b, c), (b, c, a), attributes, strict=True))
            if all(_more(values[better][name], values[worse][name]) for better, worse, name in steps):
                return steps
    return None


def _more(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and one > other
