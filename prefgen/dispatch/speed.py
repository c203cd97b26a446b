"""How many requests a second a model answered here before: what a plan says of time rests on it, and nothing else does.

The figures stand in `prefgen/speed.json` in the user's folder for caches; without the file a plan goes by defaults.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from prefgen.ids import content_id
from prefgen.spec.models import EmbeddedModel, ModelSpec, OpenAIModel, VllmModel

EMBEDDED_PER_S = 5.0  # SmolLM2-135M on two cores, one judgment of the quickstart a request
ANSWER_S = 1.0  # of a server, per request in flight
_LEAST_REQUESTS = 50  # fewer say little: weights are loaded, connections opened
_MOST_KEPT = 500
_Timed = EmbeddedModel | VllmModel | OpenAIModel


@dataclass(frozen=True, slots=True)
class Speed:
    """Requests a second, and whether that was measured here."""

    requests_per_s: float
    measured: bool


def speed_of(spec: ModelSpec, task: str) -> Speed | None:
    """How fast a model answers requests of a task (the kind of step and the length of its answers), None for batches, replays and what was not seen on own GPUs."""
    if not isinstance(spec, _Timed):
        return None
    seen = _read().get(_key(spec, task))
    if seen is not None:
        return Speed(seen, measured=True)
    if isinstance(spec, EmbeddedModel):
        return Speed(EMBEDDED_PER_S, measured=False)
    if isinstance(spec, VllmModel):
        return None  # of weights and GPUs that nobody has seen, nobody knows
    return Speed(spec.at_once / ANSWER_S, measured=False)


def speeds_of(spec: ModelSpec) -> dict[str, float]:
    """Requests a second that a model was seen to answer here, by task; empty where none was."""
    if not isinstance(spec, _Timed):
        return {}
    before, after = _key(spec, "\0").split("\0")
    return {
        name.removeprefix(before).removesuffix(after): speed
        for name, speed in sorted(_read().items())
        if name.startswith(before) and name.endswith(after)
    }


def remember_speed(spec: ModelSpec, task: str, *, requests: int, seconds: float) -> None:
    """Keep what a run has just seen, in place of what an earlier one saw. A file that cannot be written is left out."""
    if requests < _LEAST_REQUESTS or seconds <= 0 or not isinstance(spec, _Timed):
        return
    key = _key(spec, task)
    known = {name: value for name, value in _read().items() if name != key}
    kept = dict(list(known.items())[-_MOST_KEPT:]) | {key: round(requests / seconds, 3)}
    path = speeds_path()
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(orjson.dumps(kept, option=orjson.OPT_INDENT_2))
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)


def speeds_path() -> Path:
    """Where the figures are kept."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(caches).expanduser() / "prefgen" / "speed.json"


def _key(spec: _Timed, task: str) -> str:
    """A model, where and how it runs, and what it is asked. Hashed: an address may be nobody's business."""
    how: tuple[object, ...]
    if isinstance(spec, EmbeddedModel):
        how = (spec.threads,)
    elif isinstance(spec, VllmModel):
        how = (spec.tensor_parallel, spec.data_parallel, spec.concurrency, spec.engine_args)
    else:
        how = (spec.base_url or os.environ.get("OPENAI_BASE_URL"), spec.concurrency)
    return f"{spec.model} {task} {content_id('at', [spec.engine, spec.identity, *how])[-8:]}"


def _read() -> Mapping[str, float]:
    try:
        found = orjson.loads(speeds_path().read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float) and value > 0}
