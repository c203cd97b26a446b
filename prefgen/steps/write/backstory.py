"""`write: backstory`: each persona's attributes become a short life, and a reader finds the facts in it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import polars as pl
from pydantic import BeforeValidator, Field

from prefgen.judging.prompts import Messages
from prefgen.personas.backstory import (
    Fact,
    Telling,
    backstory_messages,
    check_choices,
    check_messages,
    facts_of,
    number_told_in,
    told_in,
)
from prefgen.records import Reading
from prefgen.spec.pipeline import Grain
from prefgen.steps.context import Bound, Context
from prefgen.steps.write import Question, Tried, Write
from prefgen.store.table import Table


def _renamed(said: object) -> object:
    return "backstory" if said == "life" else said


class Backstory(Write):
    """The same personas, portrayed by a model; where it does not keep the facts they keep the text they had.

    ```yaml
    lives: {write: backstory, as: people, model: writer, words: 120}
    ```
    """

    grain: ClassVar[Grain | None] = "personas"

    write: Annotated[Literal["backstory"], BeforeValidator(_renamed)] = Field(
        description="`backstory`: a short life of each persona."
    )
    as_: str = Field(alias="as", description="Name of the step with the personas.")
    facts: list[str] | None = Field(None, min_length=1, description="Attributes that must be kept; by default all.")
    voice: Literal["second", "first"] = Field("second", description="`second`: You ...; `first`: I ...")
    words: int = Field(120, ge=20, le=1000, description="Length asked for, in words.")

    def reads(self) -> tuple[tuple[str, str], ...]:
        return (("as", self.as_),)

    def work(self, tables: Mapping[str, Table], context: Context) -> Backstories:
        people, facts = _people(self, tables, context)
        rows = [row for row in people.iter_rows(named=True) if row["control"] != "none"]
        return Backstories(self, people, rows, facts)


@dataclass(frozen=True, slots=True)
class Backstories:
    """The personas to be portrayed; the control without a portrait is not."""

    spec: Backstory
    people: pl.DataFrame
    rows: list[dict[str, Any]]
    facts: list[Fact]

    @property
    def n_rows(self) -> int:
        """Personas to be portrayed."""
        return len(self.rows)

    @property
    def usable(self) -> Bound:
        """`exact`: who gets no backstory keeps the text there was."""
        return "exact"

    def pages(self, row: int) -> Sequence[Messages]:
        """One backstory."""
        return (backstory_messages(self.rows[row], self.facts, words=self.spec.words, voice=self.spec.voice),)

    def fault(self, row: int, texts: Sequence[str]) -> None:
        """None: what can be seen without asking counts as a telling like any other."""

    def questions(self, row: int, texts: Sequence[str]) -> Sequence[Question]:
        """One for each fact of the persona that is not a number."""
        return [Question(check_messages(texts[0], fact), check_choices(fact)) for fact in self._asked(row)]

    def verdict(self, row: int, texts: Sequence[str], readings: Sequence[Reading]) -> str | None:
        """`contradicted` or `unread` when a fact is."""
        found = self._tellings(row, texts[0], readings).values()
        return next((bad for bad in ("contradicted", "unread") if bad in found), None)

    def table(self, tried: Mapping[int, Tried]) -> pl.DataFrame:
        """The personas with a new `text`, and before it

        facts           the text they had
        written         whether the new text is a model's; false where it failed or contradicted a fact, and for `none`
        contradicted, omitted    attributes that the last backstory written contradicts, or does not tell
        """
        told = {self.rows[row]["persona_id"]: self._told(row, one) for row, one in tried.items()}
        lives = {self.rows[row]["persona_id"]: one.texts[0] for row, one in tried.items() if one.reason is None}
        names = self.people["persona_id"].to_list()

        def which(telling: Telling) -> pl.Series:
            lists = [[fact for fact, one in told.get(name, {}).items() if one == telling] for name in names]
            return pl.Series(telling, lists, dtype=pl.List(pl.String))

        written = pl.Series("written", [name in lives for name in names], dtype=pl.Boolean)
        texts = [lives.get(name, old) for name, old in zip(names, self.people["text"], strict=True)]
        return self.people.drop("text").with_columns(
            self.people["text"].alias("facts"),
            written,
            which("contradicted"),
            which("omitted"),
            pl.Series("text", texts, dtype=pl.String),
        )

    def summary(self, tried: Mapping[int, Tried]) -> dict[str, Any]:
        """Personas, how many have a new text, and how often facts were kept, omitted, contradicted, unread."""
        good = sum(one.reason is None for one in tried.values())
        counts = Counter(telling for row, one in tried.items() for telling in self._told(row, one).values())
        return {
            "personas": self.people.height,
            "written": good,
            "kept_their_text": len(self.rows) - good,
            "facts": dict(sorted(counts.items())),
        }

    def _asked(self, row: int) -> list[Fact]:
        return [fact for fact in self.facts if fact.levels and self.rows[row][fact.name] is not None]

    def _told(self, row: int, one: Tried) -> dict[str, Telling]:
        """What a backstory does with each fact; nothing where there is no backstory, or none that was read back."""
        return self._tellings(row, one.texts[0], one.readings) if len(one.readings) == len(self._asked(row)) else {}

    def _tellings(self, row: int, backstory: str, readings: Sequence[Reading]) -> dict[str, Telling]:
        if not backstory:
            return {}
        person = self.rows[row]
        symbols = {fact.name: read.symbol for fact, read in zip(self._asked(row), readings, strict=True)}
        return {
            fact.name: told_in(fact, person[fact.name], symbols[fact.name])
            if fact.levels
            else number_told_in(fact, float(person[fact.name]), backstory)
            for fact in self.facts
            if person[fact.name] is not None
        }


def _people(spec: Backstory, tables: Mapping[str, Table], context: Context) -> tuple[pl.DataFrame, list[Fact]]:
    people = tables[spec.as_].read()
    if not {"persona_id", "text", "control"} <= set(people.columns):
        raise context.error("as", f"{spec.as_!r} has no personas (no column `persona_id`)", "name a `draw` step")
    taken = {"facts", "written", "contradicted", "omitted"} & set(people.columns)
    if taken:
        raise context.error(
            "as", f"{spec.as_!r} has a column {sorted(taken)[0]!r} already", "rename that attribute, or write once"
        )
    for name in spec.facts or ():
        if name not in people.columns:
            raise context.error(
                "facts", f"the personas have no attribute {name!r}", f"use some of {', '.join(people.columns)}"
            )
    facts = facts_of(people, spec.facts)
    if not facts:
        raise context.error(
            "as", f"the personas of {spec.as_!r} have no attributes to tell", "draw people with attributes"
        )
    return people, facts
