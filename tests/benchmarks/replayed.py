"""A responses file for any pipeline, filled without a server: `python -m tests.benchmarks.replayed PIPELINE FILE`.

Every step that asks no model is made as in a run; the step that asks is stopped once its requests are answered.
The answers lean to the option with the smaller hash, so that two orders mostly agree.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from prefgen.dialogues import Dialogue
from prefgen.engines.engine import Meter
from prefgen.engines.store import ResponseStore
from prefgen.flow.pipeline import context_of, load
from prefgen.records import Request, Response
from prefgen.spec.models import ModelSpec
from prefgen.spec.pipeline import Pipeline
from prefgen.store.table import Table


class _FilledError(Exception):
    """Everything this step would ask is stored."""


class _Filling:
    """Stands where the engine room stands and answers everything at once."""

    def __init__(self, pipeline: Pipeline, store: ResponseStore) -> None:
        self._pipeline, self._store = pipeline, store

    def spec(self, model: str) -> ModelSpec:
        return self._pipeline.models[model]

    def send(self, model: str, requests: Iterable[Request], *, planned: int) -> NoReturn:
        for number, request in enumerate(requests):
            self._store.put(_answer(request, number))
        self._store.commit(sync=True)
        raise _FilledError

    def drive(self, models: Sequence[str], dialogues: Iterable[Dialogue[Any]], *, planned: int) -> NoReturn:
        """The first turn of every dialogue, answered with some words."""
        number = 0
        for dialogue in dialogues:
            for call in next(dialogue):
                text = f"Answer {number}, in a few words of its own."
                self._store.put(Response(call.request.request_id, text, None, "text", "stop", 1000, 12, 0))
                number += 1
        self._store.commit(sync=True)
        raise _FilledError

    def read(self, request_ids: Sequence[str]) -> list[Response]:
        return self._store.read(request_ids)


class AtOnce:
    """Stands where the engine room stands, keeps a few requests and answers them when they are read."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._asked: dict[str, tuple[Request, int]] = {}

    def spec(self, model: str) -> ModelSpec:
        return self._pipeline.models[model]

    def send(self, model: str, requests: Iterable[Request], *, planned: int) -> Meter:
        self._asked = {request.request_id: (request, number) for number, request in enumerate(requests)}
        return Meter(planned=planned)

    def read(self, request_ids: Sequence[str]) -> list[Response]:
        return [_answer(*self._asked[request_id]) for request_id in request_ids]


def _answer(request: Request, number: int) -> Response:
    # Orders alternate: a choice that changes its letter with them is the same option. One item in five goes by the slot.
    p = 0.55 + (number // 2 * 2654435761 % 1000) / 2500
    swapped = number % 2 if number // 2 % 5 else 0
    likely, other = request.choices[1::-1] if swapped else request.choices[:2]
    alternatives = ((likely, math.log(p)), (other, math.log(1 - p)))
    return Response(request.request_id, likely, alternatives, "logprobs+grammar", "stop", 160, 1, 120)


def fill(pipeline_path: Path, path: Path) -> None:
    """Answer every request of the pipeline's first asking step into a new responses file."""
    pipeline = load(pipeline_path)
    tables: dict[str, Table] = {}
    with ResponseStore(path) as store:
        asker = _Filling(pipeline, store)
        for name, spec in pipeline.steps.items():
            made = spec.make(tables, context_of(pipeline, name, asker))
            try:
                tables[name] = Table.of(name, made)
            except _FilledError:
                return


if __name__ == "__main__":
    fill(Path(sys.argv[1]), Path(sys.argv[2]))
