"""Conversations in the shape of CUPID against as many single requests, and killed with -9: `python -m tests.benchmarks.talk [--people 252]`.

252 personas with 13 sessions each, 16 turns of a person who scores every answer and an assistant: 101,556 requests, 64 in
flight, over a scripted server. The single requests are those of a `write` step, whose prompts are as long as those of the
conversations are on average.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.benchmarks.measure import Row, Usage, interleaved, machine, measured, table
from tests.caches import own_caches
from tests.faults.pipelines import command, environment
from tests.servers.running import Served, serve

SESSIONS, TURNS, _CONCURRENCY = 13, 16, 64
_ABOUT = "You plan your week with care, you dislike being rushed, and you say what you think. " * 4


def requests_of(people: int, turns: int = TURNS) -> int:
    """Requests of so many people's conversations: the first is said and not asked."""
    return people * SESSIONS * (2 * turns - 1)


def write_talk(
    folder: Path, base_url: str, people: int, turns: int = TURNS, model: Mapping[str, Any] | None = None
) -> Path:
    """A pipeline of so many people's conversations; `model` has further keys of the model."""
    rows = [
        {
            "persona_id": f"p{who}",
            "text": f"You are number {who}. {_ABOUT}",
            "visit": visit,
            "prompt": f"Help {who} with {visit}.",
        }
        for who in range(people)
        for visit in range(SESSIONS)
    ]
    person = {"model": "m", "system": "{{ text }}", "first": "{{ prompt }}", "reply": {"say": "text", "score": "1..10"}}
    step = {
        "talk": turns,
        "for": "visits",
        "opens": "person",
        "sides": {"person": person, "assistant": {"model": "m", "system": "Six sentences at most."}},
        "until": "person.score = 1",
    }
    return _write(folder, base_url, rows, {"chats": step}, model)


def write_singles(folder: Path, base_url: str, requests: int, chars: int) -> Path:
    """A pipeline of as many requests on which no other depends, each with prompts of so many characters."""
    rows = [{"n": n, "prompt": f"{n} {'word ' * (chars // 5)}"} for n in range(requests)]
    return _write(folder, base_url, rows, {"texts": {"write": "said", "for": "visits", "model": "m"}})


def _write(
    folder: Path,
    base_url: str,
    rows: list[dict[str, Any]],
    steps: dict[str, Any],
    model: Mapping[str, Any] | None = None,
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "visits.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    asked = {"model": "test-model", "base_url": base_url}
    asked |= model or {"engine": "openai", "concurrency": _CONCURRENCY}
    pipeline = {
        "name": "visits",
        "seed": 1,
        "models": {"m": asked},
        "steps": {"visits": {"table": "visits.jsonl"}, **steps},
        "publish": {"exports": [{"rows": {"from": next(iter(steps))}}]},
    }
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump(pipeline, sort_keys=False))
    return path


def bytes_of(run: Path) -> str:
    """A hash of the tables and data of a run."""
    digest = hashlib.sha256()
    for path in sorted([*run.glob("tables/*/*.parquet"), *run.glob("data/*/*.parquet")]):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def killed(path: Path, out: Path, server: Served, requests: int, kills: int) -> int:
    """Run to the end through so many kills at random moments; those that met it alive."""
    chance, met = random.Random(3), 0
    for kill in range(kills):
        reach = (kill + chance.random()) / kills * requests
        process = subprocess.Popen(
            command(path, out), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None and server.log()["answered"] < reach:
            time.sleep(0.02)
        met += process.poll() is None
        process.kill()
        process.wait()
    measured(command(path, out), env=environment())
    return met


def mean_prompt(run: Path) -> int:
    """Characters of a prompt of a run, on average, as its manifest counts tokens of four characters."""
    manifest = json.loads((run / "manifest.json").read_text())
    (asked,) = (step for step in manifest["steps"] if step["requests"].get("planned"))
    return round(4 * asked["tokens"]["prompt"] / asked["requests"]["answered"])


def compare(people: int, kills: int, repetitions: int) -> tuple[Usage, Usage, int, int, int, bool]:
    """(conversations, single requests, requests, kills met, requests beyond one each, whether the bytes are the same)."""
    with tempfile.TemporaryDirectory() as name, serve({}) as server:
        folder = Path(name)
        path = write_talk(folder, server.base_url, people)
        measured(command(path, folder / "calm"), env=environment())
        asked = server.log()["requests"]
        alone = write_singles(folder / "alone", server.base_url, asked, mean_prompt(folder / "calm"))

        def run_of(pipeline: Path, what: str) -> Callable[[int], Usage]:
            return lambda number: measured(command(pipeline, folder / f"{what}-{number}"), env=environment())

        talk, single = interleaved(repetitions, run_of(path, "talk"), run_of(alone, "single"))
        server.reset()
        met = killed(path, folder / "torn", server, asked, kills)
        again = server.log()["requests"] - asked
        return talk, single, asked, met, again, bytes_of(folder / "calm") == bytes_of(folder / "torn")


def rows(people: int = 252, kills: int = 10, repetitions: int = 3) -> list[Row]:
    """One line a promise."""
    talk, single, asked, met, again, same = compare(people, kills, repetitions)
    what = f"{people} x {SESSIONS} conversations of {TURNS} turns"
    wall, cpu = talk.wall_s / single.wall_s, talk.cpu_s / single.cpu_s
    return [
        Row(
            f"requests a second, {what}",
            f"{asked / talk.wall_s:,.0f}",
            f"{asked:,} single requests {asked / single.wall_s:,.0f}",
            f"{wall:.2f}",
            "<= 1.3",
            wall <= 1.3,
        ),
        Row(f"CPU, {what}", f"{talk.cpu_s:.1f} s", f"single {single.cpu_s:.1f} s", f"{cpu:.2f}"),
        Row(f"peak memory, {what}", f"{talk.peak_mb:.0f} MB", f"single {single.peak_mb:.0f} MB", ""),
        Row(
            f"asked again, {met} kills -9", f"{again}", "", "", f"<= {met * _CONCURRENCY}", again <= met * _CONCURRENCY
        ),
        Row("tables and data against a calm run", "the same" if same else "others", "", "", "the same", same),
    ]


@own_caches()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=252)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--repetitions", type=int, default=3)
    asked = parser.parse_args()
    print(table(rows(asked.people, asked.kills, asked.repetitions)), machine(), sep="\n\n")


if __name__ == "__main__":
    main()
