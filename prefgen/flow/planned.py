"""What is planned: rows, requests, tokens, cost and time of a run, step by step and model by model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from prefgen.steps.context import Bound
from prefgen.store.table import Table


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """What one step will ask one model.

    task      what the model is asked for, as far as that decides how long an answer takes: the kind of step, and tokens an answer
    cost_usd  None where no price is known
    batch_usd what it costs as a batch; None where no price is known or nobody is paid
    seconds   rough: see `dispatch.speed`; None where nobody can say
    measured  whether the time rests on what this model did on this machine before
    """

    model: str
    task: str
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None = None
    batch_usd: float | None = None
    seconds: float | None = None
    measured: bool = False


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What one step will make.

    rows      rows of its table; None where that depends on the answers
    asked     what it asks each model: distinct requests, stored ones included; nothing where it asks no model
    rows_are, requests_are    whether these are exact or the most there can be; tokens, cost and time are as the requests
    notes     what people should know before they pay
    """

    name: str
    kind: str
    rows: int | None
    asked: tuple[ModelPlan, ...] = ()
    notes: tuple[str, ...] = ()
    rows_are: Bound = "exact"
    requests_are: Bound = "exact"

    @property
    def model(self) -> str | None:
        """Names of its models, or None."""
        return ", ".join(one.model for one in self.asked) or None

    @property
    def requests(self) -> int:
        """Requests to all of its models."""
        return sum(one.requests for one in self.asked)

    @property
    def prompt_tokens(self) -> int:
        return sum(one.prompt_tokens for one in self.asked)

    @property
    def completion_tokens(self) -> int:
        return sum(one.completion_tokens for one in self.asked)

    @property
    def cost_usd(self) -> float | None:
        """US dollars for all of its models; None where the price of one is unknown."""
        return _sum_known(one.cost_usd for one in self.asked)

    @property
    def batch_usd(self) -> float | None:
        return _sum_known(one.batch_usd for one in self.asked)

    @property
    def seconds(self) -> float | None:
        """One model after the other; None where nobody can say of one."""
        return _sum_known(one.seconds for one in self.asked)

    @property
    def measured(self) -> bool:
        """Whether its time rests on measurements alone."""
        return bool(self.asked) and all(one.measured for one in self.asked)

    def to_json(self) -> dict[str, Any]:
        """All of it, the sums too."""
        sums = (
            "model",
            "requests",
            "prompt_tokens",
            "completion_tokens",
            "cost_usd",
            "batch_usd",
            "seconds",
            "measured",
        )
        return asdict(self) | {name: getattr(self, name) for name in sums}


def _sum_known(numbers: Iterable[float | None]) -> float | None:
    found = list(numbers)
    known = [number for number in found if number is not None]
    return sum(known) if known and len(known) == len(found) else None


@dataclass(frozen=True, slots=True)
class Made:
    """The table of a step that rests on no model: what a plan had to make, a run need not make again."""

    table: Table
    summary: Mapping[str, Any]
    seconds: float

    def __iter__(self) -> Iterator[pl.DataFrame]:
        return iter(self.table.frames())


Standing = Callable[[str], Made | None]
"""The table of a step as an earlier run of just this step left it, or None."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole run, before any call."""

    steps: tuple[StepPlan, ...]
    token_method: str | None  # how tokens were estimated; None when no model is asked
    made: dict[str, Made]  # tables of steps that rest on no model: a run writes them and lets go of them

    @property
    def requests(self) -> int:
        """Requests of all steps."""
        return sum(step.requests for step in self.steps)

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know before they pay, each with its step."""
        return tuple(f"{step.name}: {note}" for step in self.steps for note in step.notes)
