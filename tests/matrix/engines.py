"""Cells of other engines than the one that all else is asked of, of what holds an answer, and of items from the Hub."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from tests.matrix.cells import _LIVES, _SCENES, Change

HUB = "user/town"
COMMIT = "0" * 40  # stands for the head of the published dataset
_COMMON: dict[str, list[Any]] = {
    "revision": ["r1"],
    "temperature": [0.7],
    "top_p": [0.5],
    "max_tokens": [60],
    "seed": [3],
    "prefill": [True, False],
    "system_role": [True, False],
}
_HTTP: dict[str, list[Any]] = {
    "base_url": ["HERE"],
    "api_key_env": ["KEY_OF_THE_MATRIX"],
    "logprobs": ["auto", True, False],
    "extra_body": [{"min_p": 0.1}],
}
_HOLDS = {
    "llamacpp": ["auto", "none", "grammar", "json_schema"],
    "vllm": ["auto", "none", "structured_outputs", "json_schema"],
    "sglang": ["auto", "none", "regex", "json_schema"],
    "openai": ["auto", "none", "json_schema"],
    "plain": ["auto", "none"],
}
_BATCH = {"engine": "batch", "model": "test-model"}
_EMBEDDED = {"engine": "embedded"}
_OPENAI = {"engine": "openai", "model": "test-model"}
_READOUTS = ("logprobs", "text", "certainty", "reason")


@dataclass(frozen=True, slots=True)
class Cell:
    """A change of the pipeline, and the kind of server that it is asked of."""

    change: Change
    personality: str = "llamacpp"


def _each(model: dict[str, Any], keys: dict[str, list[Any]]) -> Iterator[tuple[str, Cell]]:
    for key, values in keys.items():
        for value in values:
            said = f"{model['engine']} {key}={orjson.dumps(value).decode()}"
            yield said, Cell({"models.m": model | {key: value}})


def _held(model: dict[str, Any]) -> Iterator[tuple[str, Cell]]:
    for personality, holds in _HOLDS.items():
        for hold in holds:
            for readout in _READOUTS:
                change = {"models.m": model | {"constrain": hold}, "steps.answers.readout": readout}
                yield f"{model['engine']} {personality} constrain={hold} readout={readout}", Cell(change, personality)


def batches() -> Iterator[tuple[str, Cell]]:
    """Every key of a Batch API, and every way of holding an answer there."""
    yield from _each(_BATCH, _COMMON | _HTTP)
    yield from _each(_BATCH, {"batch_size": [7, 50_000], "batch_bytes": [10_000], "max_attempts": [1, 20]})
    yield from _held(_BATCH)
    yield "batch writes lives", Cell({"models.m": _BATCH} | _LIVES)
    yield "batch writes scenes", Cell({"models.m": _BATCH} | _SCENES)


def holds() -> Iterator[tuple[str, Cell]]:
    """Every way of holding an answer, at every kind of server that has it."""
    yield from _held(_OPENAI)
    yield from _each(_OPENAI, {"api_key_env": ["KEY_OF_THE_MATRIX"], "logprobs": [True]})
    yield from _each(_OPENAI, {"ray": [{"actors": 2}, {"num_gpus": 0.5, "num_cpus": 0}]})
    for score in ("sum", "mean", "gain"):
        scored = {"steps.answers.readout": "likelihood", "steps.answers.likelihood": score}
        yield f"openai vllm likelihood={score}", Cell({"models.m": _OPENAI} | scored, "vllm")


def embedded() -> Iterator[tuple[str, Cell]]:
    """Every key of the model in this process, `gguf: HERE` being its own weights."""
    few = {"limit": 2, "steps.people.n": 2}
    keys = _COMMON | {
        "model": ["mine"],
        "gguf": ["HERE"],
        "context": [1024, 4096],
        "threads": [1],
        "ray": [{"actors": 2}],
    }
    for name, cell in _each(_EMBEDDED, keys):
        yield name, Cell(dict(cell.change) | few)
    for readout in (*_READOUTS, "likelihood"):
        yield f"embedded readout={readout}", Cell({"models.m": _EMBEDDED, "steps.answers.readout": readout} | few)


def replays() -> Iterator[tuple[str, Cell]]:
    """Every key of stored answers, `responses: HERE` being those of the pipeline as it is."""
    model = {"engine": "replay", "model": "test-model", "responses": "HERE"}
    for key, values in _COMMON.items():
        for value in values:
            yield f"replay {key}={value}", Cell({"models.m": model | {key: value}})


def from_hub() -> Iterator[tuple[str, Cell]]:
    """Items of a published dataset."""
    for more in ({}, {"config": "items"}, {"revision": "main"}, {"revision": COMMIT}, {"commit": COMMIT}):
        source = {"hub": HUB, "config": "items", "split": "train"} | more
        yield f"hub {more}", Cell({"steps.items": {"table": source, "limit": 3}})
    yield "hub, whole", Cell({"steps.items": {"table": {"hub": HUB, "config": "items"}}})
