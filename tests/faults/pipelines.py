"""A small pipeline of any size, written as a user would write it, and the real command line to run it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import yaml

COMMAND = str(Path(sys.executable).with_name("prefgen"))
KEY = "sk-secret-of-the-tests"

PEOPLE = """\
population: town
source: "made up for tests"
attributes:
  age: {18-34: 0.3, 35-64: 0.5, 65+: 0.2}
  vote: {left: 0.45, right: 0.35, none: 0.20}
  home: {rented: 0.4, owned: 0.6}
  number: {uniform: {min: 1, max: 999999999}}
text: >-
  You are {{ age }} years old, you live in a home that is {{ home }}, and at the last election you voted {{ vote }}.
  You have lived in this town all your life, you read the local paper, and you say what you think. (No. {{ number }})
"""
"""Nobody has the number of another, so that every presentation is a request of its own."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What one call of the command line left behind."""

    code: int
    out: str
    err: str


def write_pipeline(
    folder: Path,
    base_url: str | Sequence[str] = "",
    *,
    personas: int,
    items: int,
    orders: Sequence[str] = ("given", "swapped"),
    readout: str = "logprobs",
    options: int = 2,
    model: Mapping[str, Any] | None = None,
    steps: Mapping[str, Any] | None = None,
    exports: Sequence[str] = ("judgments", "dpo"),
) -> Path:
    """Write people.yaml, items.jsonl and pipeline.yaml; personas x items x orders requests in all.

    model    further keys of the model; with an `engine` of its own it is the whole model
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "people.yaml").write_text(PEOPLE)
    (folder / "items.jsonl").write_bytes(b"".join(_item(number, options) for number in range(items)))
    spec = {"engine": "openai", "model": "test-model", "base_url": base_url, "concurrency": 64, **(model or {})}
    if model is not None and "engine" in model:
        spec = {"model": "test-model", **model}
    pipeline = {
        "name": "storm",
        "seed": 1,
        "models": {"judge": spec},
        "steps": {
            "personas": {"draw": "people.yaml", "n": personas},
            "items": {"table": "items.jsonl"},
            "answers": {
                "judge": "pick",
                "items": "items",
                "as": "personas",
                "model": "judge",
                "orders": list(orders),
                "readout": readout,
            },
            "kept": {"keep": "answers", "where": "order_agreement"},
            **(steps or {}),
        },
        "publish": {"exports": list(exports)},
    }
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump(pipeline, sort_keys=False))
    return path


def _item(number: int, options: int) -> bytes:
    things = ("a new park", "a wider road", "a library", "a swimming pool", "lower rents")
    row = {
        "item_id": f"item-{number:05d}",
        "prompt": f"The council has money left for one thing in quarter {number}. Which of these would you rather have built?",
        "options": [f"{things[slot]} in quarter {number}" for slot in range(options)],
        "topic": ("streets", "leisure", "housing")[number % 3],
    }
    return orjson.dumps(row) + b"\n"


def command(pipeline: Path, out: Path, *more: str) -> list[str]:
    """`prefgen run` as a scheduler would call it: the report page is made when somebody wants to look."""
    return [COMMAND, "run", str(pipeline), "--out", str(out), "--no-report", *more]


def environment(**more: str) -> dict[str, str]:
    """The environment of a user with a key in it."""
    return {**os.environ, "OPENAI_API_KEY": KEY, "COLUMNS": "200", **more}


def prefgen(*words: str, timeout: float = 280, **env: str) -> Ran:
    """One call of the real command line."""
    done = subprocess.run(
        [COMMAND, *words], capture_output=True, text=True, timeout=timeout, env=environment(**env), check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def run(pipeline: Path, out: Path, *more: str, timeout: float = 280, **env: str) -> Ran:
    return prefgen(*command(pipeline, out, *more)[1:], timeout=timeout, **env)


def judgments(out: Path, step: str = "answers") -> pl.DataFrame:
    """The table of the judge step, dropped rows included."""
    return pl.read_parquet(sorted((out / "tables" / step).glob("*.parquet")))


def data_bytes(out: Path) -> dict[str, bytes]:
    """Every file below data/, by its relative path."""
    data = out / "data"
    return {str(path.relative_to(data)): path.read_bytes() for path in sorted(data.rglob("*.parquet"))}


def manifest(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads((out / "manifest.json").read_bytes())
    return found


def requests_of(out: Path, step: str = "answers") -> dict[str, int]:
    """The manifest's counts of one step."""
    found: dict[str, int] = next(each["requests"] for each in manifest(out)["steps"] if each["name"] == step)
    return found
