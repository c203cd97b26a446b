"""What is to be written: every row, by every persona and model, as often as asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
import polars as pl
from jinja2 import TemplateError

from prefgen.judging.prompts import Messages, Prompts
from prefgen.seeds import rng_for
from prefgen.spec.document import Key
from prefgen.spec.template import Blank, blank_of
from prefgen.steps.context import Context
from prefgen.steps.write.joined import Rows
from prefgen.steps.write.memory import NAME
from prefgen.store.table import Table

_MOST_SHOWN = 20  # columns named in a complaint


@dataclass(frozen=True, slots=True)
class Job:
    """One reply to be asked for.

    row        the columns of the row that it is about
    person     who writes, or None
    """

    row: dict[str, Any]
    person: dict[str, Any] | None
    model: str
    repeat: int
    messages: Messages
    jobs: Jobs

    @property
    def persona(self) -> str | None:
        """The persona_id of who writes, or None."""
        return None if self.person is None else self.person["persona_id"]

    @property
    def size(self) -> int:
        """Characters of the row and of what is asked about it, about: what it takes to hold it."""
        return 2 * sum(len(text) for _, text in self.messages)

    @property
    def asked_of(self) -> tuple[str, str | None, int]:
        """Whoever has a memory of its own."""
        return self.model, self.persona, self.repeat

    def remembering(self, memory: list[Any]) -> Job:
        """The same with what earlier rows of its group gave."""
        return replace(self, messages=self.jobs.messages(self.row, self.person, memory))

    def again(self, messages: Sequence[tuple[str, str]], text: str, facts: Mapping[str, Any]) -> Messages:
        """What is said before the next try; the same as before where there is no `again`.

        text     what was answered
        facts    what the template sees besides the row
        """
        if self.jobs.again is None or not text:
            return tuple(messages)
        said = self.jobs.filled(self.jobs.again, {**self.jobs.rows.named(self.row), **facts}, "again")
        return (*messages, ("assistant", text), ("user", said))


@dataclass(frozen=True, slots=True)
class Jobs:
    """All of them, made as they are asked for."""

    rows: Rows
    people: Sequence[dict[str, Any]] | None
    models: Sequence[str]
    repeats: int
    per_row: int | None
    system: Blank | None
    prompt: Blank
    again: Blank | None
    context: Context
    prompt_key: str = "prompt"  # where its template was written
    remembers: bool = False  # whether templates see `memory`

    @classmethod
    def of(
        cls,
        rows: Rows,
        people: Sequence[dict[str, Any]] | None,
        *,
        system: str | None,
        prompt: str,
        again: str | None = None,
        **more: Any,
    ) -> Jobs:
        """Compile the templates; a complaint about one that is none."""
        context: Context = more["context"]
        blanks = {
            name: _blank(text, more.get("prompt_key", name) if name == "prompt" else name, context)
            for name, text in (("system", system), ("prompt", prompt), ("again", again))
        }
        compiled = blanks["prompt"]
        assert compiled is not None
        return cls(rows, people, system=blanks["system"], prompt=compiled, again=blanks["again"], **more)

    @property
    def n(self) -> int:
        """How many there are."""
        each = len(self.models) * self.repeats
        if self.people is None:
            return self.rows.n_rows * each
        if "persona_id" not in self.rows.schema:
            return self.rows.n_rows * min(self.per_row or len(self.people), len(self.people)) * each
        return sum(len(self._writers(number, row)) for number, row in self._rows()) * each

    def __iter__(self) -> Iterator[Job]:
        for number, row in self._rows():
            for person in self._writers(number, row):
                of = partial(Job, row, person, messages=self.messages(row, person, []), jobs=self)
                yield from (of(model=model, repeat=repeat) for model in self.models for repeat in range(self.repeats))

    def messages(self, row: dict[str, Any], person: dict[str, Any] | None, memory: list[Any]) -> Messages:
        """What is asked about a row of one who writes."""
        facts = self.rows.named(row) | ({} if person is None else {"persona": person})
        if self.remembers:
            facts = facts | {NAME: memory}
        portrait = () if person is None else _told_of_persona()(person["text"])
        return (*self._system(portrait, facts), ("user", self.filled(self.prompt, facts, self.prompt_key).strip()))

    def some(self, about: int) -> Jobs:
        """The jobs of some of the rows, evenly from all; as many rows as make about so many jobs."""
        per_row = max(1, self.n // max(1, self.rows.n_rows))
        return replace(self, rows=self.rows.some(max(1, about // per_row)))

    def _rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        return enumerate(row for frame in self.rows.frames() for row in frame.iter_rows(named=True))

    def _system(self, portrait: Messages, facts: dict[str, Any]) -> Messages:
        """The system message: who writes, and what else is said of it."""
        parts = [text for _, text in portrait]
        if self.system is not None:
            parts.append(self.filled(self.system, facts, "system").strip())
        return (("system", "\n\n".join(parts)),) if parts else ()

    def _writers(self, number: int, row: dict[str, Any]) -> Sequence[dict[str, Any] | None]:
        """Who writes about a row: its own persona where it has one, some of the others, or nobody in particular."""
        if self.people is None:
            return (None,)
        own = row.get("persona_id")
        if own is not None:
            return [person for person in self.people if person["persona_id"] == own]
        if self.per_row is None or self.per_row >= len(self.people):
            return self.people
        rng = rng_for(self.context.seed, "per row", self.context.step, str(row.get("item_id", number)))
        some = np.sort(rng.choice(len(self.people), size=self.per_row, replace=False))
        return [self.people[place] for place in some]

    def filled(self, blank: Blank, facts: dict[str, Any], key: str | Key) -> str:
        """A template with the columns of a row; a complaint about one that it cannot be filled with."""
        try:
            return blank.filled(facts)
        except Exception as error:  # a stranger's template may raise anything
            columns = ", ".join([*facts][:_MOST_SHOWN])
            raise self.context.error(key, f"{type(error).__name__}: {error}", f"use the columns {columns}") from None


@cache
def _told_of_persona() -> Callable[[str], Messages]:
    return Prompts.load(readout="text", extra=()).system


def people_of(table: Table | None, context: Context) -> Sequence[dict[str, Any]] | None:
    """The drawn personas of the step that `as` names, controls left out; None where there is none."""
    if table is None:
        return None
    if not {"persona_id", "text", "control"} <= set(table.schema):
        raise context.error("as", f"{table.name!r} has no personas (no column `persona_id`)", "name a `draw` step")
    return table.read().filter(pl.col("control").is_null()).to_dicts()


def _blank(text: str | None, key: str, context: Context) -> Blank | None:
    try:
        return None if text is None else blank_of(text)
    except TemplateError as error:
        raise context.error(key, f"not a template: {error}", "write columns as {{ name }}") from None
