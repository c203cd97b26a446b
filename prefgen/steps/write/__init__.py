"""`write`: a model writes texts about the rows of a table, what it wrote is checked, and what fails is written anew.

What is written and how it is checked is a preset: a module in this folder with a `Write`. Adding a preset is adding a file.
"""

from __future__ import annotations

import difflib
import importlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import polars as pl
from pydantic import Field

from prefgen.dialogues import Call, Dialogue, replayed
from prefgen.errors import one_of
from prefgen.judging.prompts import MAX_TOKENS, Messages
from prefgen.judging.prose import Prose, prose
from prefgen.judging.readout import read
from prefgen.judging.requests import request_of
from prefgen.records import Reading, Request
from prefgen.spec.models import ModelSpec
from prefgen.spec.pipeline import StepSpec
from prefgen.steps.context import Bound, Context, StepEstimate
from prefgen.steps.step import Parts, Step
from prefgen.steps.write.different import Different
from prefgen.store.table import Table, in_parts

PRESETS: tuple[str, ...] = ("backstory", "vignettes")
"""Names of the presets."""

_TOKENS_PER_WORD = 1.4


@dataclass(frozen=True, slots=True)
class Question:
    """What a reader is asked about a text, and the letters it may answer."""

    messages: Messages
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tried:
    """What the last try made of one row.

    texts       one for every page of the row; '' where there is none
    reason      why they cannot be used, null where they can
    readings    answers to the row's questions, in their order; empty where none were asked
    """

    texts: tuple[str, ...]
    reason: str | None = None
    readings: tuple[Reading, ...] = ()


class Work(Protocol):
    """The rows that a preset has texts written about, by number. Pure: what it is told decides what it says."""

    @property
    def n_rows(self) -> int:
        """Rows to be written about."""
        ...

    @property
    def usable(self) -> Bound:
        """Whether all rows of the table can be used by later steps."""
        ...

    def pages(self, row: int) -> Sequence[Messages]:
        """What is asked to be written about a row: one text for each."""
        ...

    def fault(self, row: int, texts: Sequence[str]) -> str | None:
        """Why the texts cannot be used, as far as it can be seen without asking anybody."""
        ...

    def questions(self, row: int, texts: Sequence[str]) -> Sequence[Question]:
        """What a reader is asked about texts without such a fault."""
        ...

    def verdict(self, row: int, texts: Sequence[str], readings: Sequence[Reading]) -> str | None:
        """Why texts that were read back so cannot be used, or None."""
        ...

    def table(self, tried: Mapping[int, Tried]) -> pl.DataFrame:
        """The whole table."""
        ...

    def summary(self, tried: Mapping[int, Tried]) -> dict[str, Any]:
        """Facts about the table, for the manifest."""
        ...


class Write(Step):
    """What all presets share. Each has keys of its own besides."""

    kind: ClassVar[str] = "write"
    presets: ClassVar[tuple[str, ...]] = (*PRESETS, "response")  # the last for whatever is no preset

    write: str = Field(description="Name of the preset.")
    model: str = Field(description="Name of the model that writes and reads back, under `models:`.")
    words: int = Field(ge=20, le=1000, description="Length asked for, in words.")
    tries: int = Field(
        1,
        ge=1,
        le=10,
        description="How often a text that fails a check is written anew; `plan` counts the first, and says how many it can be.",
    )

    @classmethod
    def preset(cls, said: object) -> type[StepSpec]:
        """The spec class of the preset named `said`; `life` is what `backstory` was called."""
        said = "backstory" if said == "life" else said
        if said not in PRESETS:
            near = difflib.get_close_matches(str(said), PRESETS, n=1, cutoff=0.75)
            if near:
                raise ValueError(
                    f"{said!r} is no preset\nfix: use {one_of(str(said), PRESETS)}, or write `{{{said}: text}}` for a column of that name"
                )
            return importlib.import_module(f"{__name__}.free").Free  # type: ignore[no-any-return]
        found: type[Write] = getattr(importlib.import_module(f"{__name__}.{said}"), str(said).capitalize())
        return found

    def asks(self) -> tuple[tuple[str, str], ...]:
        return (("model", self.model),)

    @abstractmethod
    def work(self, tables: Mapping[str, Table], context: Context) -> Work:
        """The rows to be written about, checked."""

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """The preset's table; what was written and failed its checks is there with its reason."""
        work = self.work(tables, context)
        model = context.ask.spec(self.model)

        def dialogues() -> Iterator[Dialogue[Tried]]:
            return (_tries(self, work, row, model) for row in range(work.n_rows))

        context.ask.drive([self.model], dialogues(), planned=sum(len(work.pages(row)) for row in range(work.n_rows)))
        tried = dict(enumerate(replayed(dialogues(), context.ask.read)))
        statuses = Counter(one.reason or "ok" for one in tried.values())
        yield from in_parts(work.table(tried))
        return work.summary(tried) | {"statuses": dict(sorted(statuses.items()))}

    def estimate(self, tables: Mapping[str, Table], context: Context) -> StepEstimate:
        """The first try, as if everything passed: one text a page, and every question about it. Equal ones are asked once."""
        work = self.work(tables, context)
        filler = " word" * self.words
        asked = Different()
        tried: dict[int, Tried] = {}
        for row in range(work.n_rows):
            numbers = [asked.add(page, tokens=round(self.words * _TOKENS_PER_WORD)) for page in work.pages(row)]
            # as long as asked for, and told apart
            tried[row] = Tried(tuple(f"{number}{filler[len(str(number)) :]}" for number in numbers))
            for question in work.questions(row, tried[row].texts):
                asked.add(question.messages, tokens=2)
        table = work.table(tried)
        return StepEstimate(
            rows=table.height,
            asked=(asked.asked(self.model),),
            bound="at most" if self.tries == 1 else "unknown",  # a text that fails its checks is not read back
            usable=work.usable,
            notes=_more_tries(self, asked.n),
            empty=table,  # with rows: who or what is judged next, and how often, does not depend on the words
        )


def _tries(spec: Write, work: Work, row: int, model: ModelSpec) -> Dialogue[Tried]:
    """One row: written, looked at, read back, and written anew where that is needed and allowed."""
    tried = Tried(())
    for number in range(spec.tries):
        told = yield [Call(spec.model, _to_text(spec, page, model, number)) for page in work.pages(row)]
        tried = _first_look(work, row, list(map(prose, told)))
        if tried.reason is None:
            tried = yield from _read_back(spec, work, row, tried.texts, model, number)
        if tried.reason is None:
            break
    return tried


def _read_back(
    spec: Write, work: Work, row: int, texts: tuple[str, ...], model: ModelSpec, number: int
) -> Dialogue[Tried]:
    """What the readers say of a row's texts."""
    questions = work.questions(row, texts)
    calls = [Call(spec.model, _to_answer(question, model, number)) for question in questions]
    said = (yield calls) if calls else ()
    readings = tuple(read(one, question.choices, "text") for one, question in zip(said, questions, strict=True))
    return Tried(texts, work.verdict(row, texts, readings), readings)


def _more_tries(spec: Write, first: int) -> tuple[str, ...]:
    if spec.tries == 1:
        return ()
    return (
        f"counted as if every text passes at the first try; at most {first * spec.tries:,} requests with {spec.tries} tries",
    )


def _first_look(work: Work, row: int, told: Sequence[Prose]) -> Tried:
    texts = tuple(one.text for one in told)
    nonresponse = next((one.nonresponse for one in told if one.nonresponse is not None), None)
    return Tried(texts, nonresponse or work.fault(row, texts))


def _to_text(spec: Write, page: Messages, model: ModelSpec, number: int) -> Request:
    room = 2 * spec.words + 40  # a model that does not stop is cut at its last whole sentence
    return request_of(model, page, "prose", most=room, repeat=number)


def _to_answer(question: Question, model: ModelSpec, number: int) -> Request:
    told = {"choices": question.choices, "temperature": 0.0, "repeat": number}
    return request_of(model, question.messages, "text", most=MAX_TOKENS["text"], **told)
