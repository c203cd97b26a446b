"""What a step is handed besides its tables: the seed, the asker, and a way to complain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import polars as pl

from prefgen.dialogues import Dialogue
from prefgen.engines.engine import Meter
from prefgen.errors import SpecError
from prefgen.records import Request, Response
from prefgen.seeds import seed_for
from prefgen.spec.document import Key
from prefgen.spec.models import ModelSpec
from prefgen.store.table import unwritable

Bound = Literal["exact", "at most", "unknown"]
"""What a count in a plan is: so many, no more than so many, or a guess."""


def weakest(*bounds: Bound) -> Bound:
    """What can be said of a count that rests on several.

    >>> weakest("exact", "at most")
    'at most'
    """
    return max(bounds, key=("exact", "at most", "unknown").index, default="exact")


class Ask(Protocol):
    """The engine room as a step sees it: send all requests, then read the answers in any order you like."""

    def spec(self, model: str) -> ModelSpec:
        """The settings of a model."""
        ...

    def send(self, model: str, requests: Iterable[Request], *, planned: int) -> Meter:
        """Return when every request has a stored response; what is stored is not sent."""
        ...

    def drive(self, models: Sequence[str], dialogues: Iterable[Dialogue[Any]], *, planned: int) -> Meter:
        """Return when every dialogue with these models came to its end; see `replayed` for what they return."""
        ...

    def read(self, request_ids: Sequence[str]) -> list[Response]:
        """The stored responses, in the order of the ids."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What a step will ask one model.

    model                its name under `models:`
    requests             distinct requests, stored ones included
    prompt_chars         characters of all prompts together
    completion_tokens    tokens of all answers together, estimated
    sample               a few prompts, to estimate tokens per character
    """

    model: str
    requests: int
    prompt_chars: int
    completion_tokens: int
    sample: tuple[str, ...]


def together(asked: Iterable[Asked]) -> tuple[Asked, ...]:
    """The same with what one model is asked for several ends in one."""
    found: dict[str, Asked] = {}
    for one in asked:
        other = found.get(one.model)
        found[one.model] = (
            one
            if other is None
            else Asked(
                one.model,
                other.requests + one.requests,
                other.prompt_chars + one.prompt_chars,
                other.completion_tokens + one.completion_tokens,
                (*other.sample, *one.sample),
            )
        )
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class StepEstimate:
    """What a step that asks a model will make and ask, found without asking.

    rows      rows its table will have, if the tables it reads are as they were foreseen
    asked     what it asks each of its models
    empty     its table without rows, so that later steps can be checked against its columns
    notes     sentences that people should read before they pay
    bound     whether so many requests will be asked, or at most so many
    usable    whether all of its rows can be used by later steps, or at most all of them
    """

    rows: int
    asked: tuple[Asked, ...]
    empty: pl.DataFrame
    notes: tuple[str, ...] = ()
    bound: Bound = "exact"
    usable: Bound = "exact"

    @property
    def requests(self) -> int:
        """Requests to all models."""
        return sum(one.requests for one in self.asked)


@dataclass(frozen=True, slots=True)
class Context:
    """Where a step stands.

    limit      most items that a step may ask a model about, or None
    lineage    names of all steps that this one rests on, in their order
    notes      what people should know of the step before they pay
    """

    step: str
    seed: int
    ask: Ask
    complain: Callable[[Key, str, str], SpecError]
    limit: int | None = None
    lineage: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    def preview(self, item_ids: Sequence[str]) -> list[int]:
        """Rows of at most `limit` items, drawn evenly from all; a smaller limit takes some of what a larger one takes."""
        rows = range(len(item_ids))
        if self.limit is None or self.limit >= len(item_ids):
            return [*rows]
        return sorted(sorted(rows, key=lambda row: seed_for(self.seed, "limit", item_ids[row]))[: self.limit])

    def note(self, *sentences: str) -> None:
        """What people should know of this step before they pay."""
        self.notes.extend(sentences)

    def check_columns(self, schema: pl.Schema, key: str | Key) -> None:
        """SpecError, with every column, where names or values are such that no table or no file can hold them."""
        patterns = [name for name in schema if name == "*" or (name.startswith("^") and name.endswith("$"))]
        if patterns:
            new = ", ".join(f"'{name}': column_{place}" for place, name in enumerate(patterns, 1))
            said = f"the name of column {patterns[0]!r} is a pattern to polars, and would stand for others"
            raise self.error(key, said, f"write `rename: {{{new}}}`")
        bad = {name: why for name, dtype in schema.items() if (why := unwritable(dtype))}
        if bad:
            said = "; ".join(f"column {name!r} holds {why}" for name, why in bad.items())
            raise self.error(key, f"{said}, which Parquet or its readers do not have", "drop it, or write it as text")

    def error(self, key: str | Key, problem: str, fix: str) -> SpecError:
        """A complaint about one key of this step, with file and line."""
        return self.complain((key,) if isinstance(key, str) else key, problem, fix)
