"""A stand-in for the engine room: it answers by a rule and remembers what it was asked."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from prefgen.dialogues import Dialogue
from prefgen.engines.engine import Meter
from prefgen.errors import SpecError
from prefgen.records import Request, Response
from prefgen.spec.document import Document, Key
from prefgen.spec.models import ModelSpec, OpenAIModel
from prefgen.steps.context import Context
from prefgen.steps.step import Output, Step
from prefgen.store.table import Table


class Answering:
    """Answers every request by `rule`, which sees the request and returns the text said."""

    def __init__(self, rule: Callable[[Request], str | Response]) -> None:
        self.rule = rule
        self.asked: list[Request] = []
        self._answers: dict[str, Response] = {}

    def spec(self, model: str) -> ModelSpec:
        return OpenAIModel(engine="openai", model=model)

    def send(self, model: str, requests: Iterable[Request], *, planned: int) -> Meter:
        for request in requests:
            self.asked.append(request)
            said = self.rule(request)
            self._answers[request.request_id] = (
                said if isinstance(said, Response) else Response(request.request_id, text=said)
            )
        return Meter(planned=planned)

    def drive(self, models: Sequence[str], dialogues: Iterable[Dialogue[Any]], *, planned: int) -> Meter:
        for dialogue in dialogues:
            answers: list[Response] | None = None
            while True:
                try:
                    calls = next(dialogue) if answers is None else dialogue.send(answers)
                except StopIteration:
                    break
                self.send("", [call.request for call in calls], planned=len(calls))
                answers = self.read([call.request.request_id for call in calls])
        return Meter(planned=planned)

    def read(self, request_ids: Sequence[str]) -> list[Response]:
        return [self._answers[one] for one in request_ids]


def context(rule: Callable[[Request], str | Response] = lambda _: "A", **facts: object) -> Context:
    """Where a step stands in a test."""
    from pathlib import Path

    def complain(key: Key, problem: str, fix: str) -> SpecError:
        return Document(Path("p.yaml"), {}, {}).error(("steps", "s", *key), problem, fix)

    return Context(step="s", seed=1, ask=Answering(rule), complain=complain, **facts)  # type: ignore[arg-type]


PEOPLE = pl.DataFrame(
    {
        "persona_id": ["ann", "bob", "none"],
        "population": ["town"] * 3,
        "control": [None, None, "none"],
        "control_of": [None, None, None],
        "weight": [1.5, 0.5, 1.0],
        "text": ["You are Ann.", "You are Bob.", ""],
    },
    schema_overrides={"control": pl.String, "control_of": pl.String},
)


def summary_of(step: Step, tables: Mapping[str, Table], here: Context) -> dict[str, Any]:
    """What a step says of its table."""
    output = Output(step, tables, here)
    list(output)
    return output.summary
