"""`split`: which part of the dataset a row belongs to, decided by names and times and not by chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import polars as pl
from pydantic import Field, field_validator, model_validator

from prefgen.seeds import unit_for
from prefgen.spec.fields import Name
from prefgen.spec.pipeline import Grain
from prefgen.steps.context import Context
from prefgen.steps.split.last import last_of_each
from prefgen.steps.split.moments import Cuts, cuts_of
from prefgen.steps.split.names import split_name
from prefgen.steps.split.time import Time
from prefgen.steps.step import Parts, Step, Summary
from prefgen.steps.table.glue import kept_of
from prefgen.store.leakage import can_measure, near_duplicate_leakage, question_texts
from prefgen.store.table import Table

_SHORT = {"persona": "persona_id", "item": "item_id"}
_QUESTION = "prompt_id"
_TEXT = ("item_id", "prompt")


class Split(Step):
    """The same rows with a column `split`.

    ```yaml
    parts: {split: pairs, by: [topic, persona], test: 0.1}
    parts: {split: pairs, time: {column: asked, validation: 2026-06-01, test: 2026-09-01}}
    parts: {split: pairs, by: [persona], test: 0.1, time: {column: asked, test: 2026-09-01}}
    parts: {split: events, time: {column: day, last: 1, per: persona, validation: 1}}
    ```

    A value of a `by` column is held out or not by a number that belongs to the value and the seed alone, and a moment
    by the cut that is written here, so a row never changes side when rows are added (`time: {share: ...}` and `{last: ...}` excepted).
    With one column the splits are `train` and `test`. With several, or with time beside them, a row is in `train`
    when nothing of it is held out, in `test` when all is, else in `test_<columns held out>`: no value of `train` is
    ever seen held out. A person is on one side with all wordings of the portrait and all models that play them. How many of the questions held out are nearly the same as one of `train` is measured where
    `prefgen[dedup]` is installed; `expect: {parts: {max_near_duplicates: 0.01}}` is the gate.
    """

    kind: ClassVar[str] = "split"

    split: str = Field(description="Name of the step whose rows are parted.")
    by: list[Name] = Field(
        default_factory=list, description="Columns whose values are held out whole; `persona` and `item` are the ids."
    )
    test: float | None = Field(
        None, gt=0, lt=1, description="Share of the values of each column of `by` that is held out."
    )
    time: Time | None = Field(None, description="Hold out what is late.")

    grain: ClassVar[Grain | None] = None

    @field_validator("by")
    @classmethod
    def _each_once(cls, value: list[str]) -> list[str]:
        if len({_SHORT.get(name, name) for name in value}) < len(value):
            raise ValueError("a column stands twice\nfix: name each once")
        return value

    @model_validator(mode="after")
    def _something(self) -> Split:
        if not self.by and self.time is None:
            raise ValueError("nothing to part the rows by\nfix: write `by: [persona]` and `test: 0.1`, or `time:`")
        if self.by and self.test is None:
            raise ValueError("which share of `by` is held out?\nfix: add e.g. `test: 0.1`")
        if not self.by and self.test is not None:
            raise ValueError("`test` is a share of the values of `by`, which is empty\nfix: name columns in `by`")
        if self.by and self.time is not None and self.time.validation is not None:
            raise ValueError("`time.validation` goes without `by`\nfix: leave one of them out")
        return self

    def reads(self) -> tuple[tuple[str, str], ...]:
        return (("split", self.split),)

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """The rows of the table read, with `split`."""
        table = tables[self.split]
        if "split" in table.schema:
            problem = f"{self.split!r} has a column 'split' already"
            raise context.error(
                "split",
                problem,
                "write `rename: {split: item_split}` in the `table` step that brings it, or part the rows once",
            )
        summary: Summary = {}
        people = _people(tables, context)
        parted = _split_of(self, table, people, context, summary)
        texts = _texts(table, tables, context)
        seen = _Seen()
        for frame in table.frames():
            made = parted(frame)
            if texts is not None:
                seen.add(made)
            yield made
        if texts is not None:
            summary["near_duplicates"] = None
            if can_measure():
                summary |= _leakage(seen.rows(), texts)
        return summary


Parted = Callable[[pl.DataFrame], pl.DataFrame]
"""A part of a table with its column `split`."""


def _split_of(spec: Split, table: Table, people: Mapping[str, str], context: Context, summary: Summary) -> Parted:
    """Gives parts of the table their column `split`; how it was cut goes into the summary."""
    for index, name in enumerate(spec.by):
        column = _column(name, table.schema)
        if column not in table.schema:
            fix = f"use one of {', '.join(table.schema)}"
            raise context.error(("by", index), f"no column {column!r} in {spec.split!r}", fix)
    held_out: dict[str, pl.Expr] = {}
    for name in spec.by:
        column = _column(name, table.schema)
        same = people if column == "persona_id" else {}
        values = _held_out(table, column, spec.test or 0.0, context.seed, same)
        summary[f"held_out_{column}"] = len(values)
        held_out[{long: word for word, long in _SHORT.items()}.get(name, name)] = (
            pl.col(column).is_in(values).fill_null(False)
        )
    if spec.time is not None and spec.time.last is not None:
        per = _SHORT.get(spec.time.per or "", spec.time.per or "")
        return last_of_each(table, spec.time, per, held_out, context, summary)
    if spec.time is not None:
        time = spec.time
        cuts = cuts_of(
            table, time.column, test=time.test, validation=time.validation, share=time.share, context=context
        )
        if cuts.test is not None:
            summary["cut_at"] = str(cuts.test)
        held_out["time"] = cuts.from_test()
        if time.validation is not None:
            return lambda frame: frame.with_columns(_three(cuts))
    return lambda frame: frame.with_columns(split_name(held_out))


def _column(name: str, schema: pl.Schema) -> str:
    """The column that a word of `by` means; an item shown in sets is held out with all sets of its question."""
    column = _SHORT.get(name, name)
    return _QUESTION if column == "item_id" and _QUESTION in schema else column


def _held_out(table: Table, name: str, share: float, seed: int, same: Mapping[str, str]) -> list[Any]:
    """Values that are held out. `same`: of a persona that is one of several of a person, the person, who is on one side with all of them."""
    values = table.scan().select(pl.col(name).unique()).collect(engine="streaming")[name].sort()
    # An item or persona is the same one in every split step of every run with this seed.
    return [value for value in values if unit_for(seed, "split", name, same.get(str(value), str(value))) < share]


def _people(tables: Mapping[str, Table], context: Context) -> dict[str, str]:
    """persona_id -> person, of those who are told in several wordings or played by several models."""
    found: dict[str, str] = {}
    for name in context.lineage:
        if {"persona_id", "person"} <= set(tables[name].schema):
            both = tables[name].scan().select("persona_id", "person").drop_nulls().unique()
            found |= dict(both.collect(engine="streaming").iter_rows())
    return found


def _three(cuts: Cuts) -> pl.Expr:
    late = pl.when(cuts.from_validation()).then(pl.lit("validation")).otherwise(pl.lit("train"))
    return pl.when(cuts.from_test()).then(pl.lit("test")).otherwise(late).alias("split")


def _texts(table: Table, tables: Mapping[str, Table], context: Context) -> pl.DataFrame | None:
    """item_id and text of the questions that the rows are about; None where there are none."""
    if "item_id" not in table.schema:
        return None
    for source in (table, *(tables[name] for name in reversed(context.lineage))):
        if set(_TEXT) <= set(source.schema):
            columns = [name for name in (*_TEXT, "options") if name in source.schema]
            rows = source.scan().select(columns).unique("item_id").collect(engine="streaming")
            return question_texts(rows.sort("item_id"))
    return None


class _Seen:
    """Which questions stand in which split; as many rows as there are of those, however many rows there were."""

    def __init__(self) -> None:
        self._rows: list[pl.DataFrame] = []
        self._n_waiting = self._n_settled = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Note the rows that are not dropped."""
        self._rows.append(kept_of(frame).select("item_id", "split").unique())
        self._n_waiting += self._rows[-1].height
        if self._n_waiting > max(self._n_settled, 100_000):
            self._rows = [self.rows()]
            self._n_settled, self._n_waiting = self._rows[0].height, 0

    def rows(self) -> pl.DataFrame:
        """item_id and split, each pair once, in the order of the ids."""
        columns = pl.Schema({"item_id": pl.String, "split": pl.String})
        return pl.concat(self._rows or [pl.DataFrame(schema=columns)]).unique().sort("item_id", "split")


def _leakage(seen: pl.DataFrame, texts: pl.DataFrame) -> dict[str, Any]:
    found = near_duplicate_leakage(seen.join(texts, on="item_id", how="inner", maintain_order="left"))
    assert found is not None, "rensa is installed"
    return found.to_summary()
