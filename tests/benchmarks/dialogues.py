"""Dialogues over a scripted server, killed with -9 at random moments: `python -m tests.benchmarks.dialogues [--dialogues 10000]`.

Ten turns each, every one about all that was said before; 64 requests in flight. What each dialogue came to is replayed
in order from the store and written to a file, once after a calm drive and once after a drive that was killed again and again.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from prefgen.dialogues import Call, Dialogue, replayed
from prefgen.dispatch.dispatcher import Dispatcher
from prefgen.engines.store import ResponseStore
from prefgen.records import Request
from prefgen.spec.models import OpenAIModel
from tests.benchmarks.measure import Row, Usage, machine, measured, table
from tests.caches import own_caches
from tests.servers.running import Served, serve

_ROOT = Path(__file__).parents[2]
_CONCURRENCY = 64


def _talk(number: int, turns: int) -> Dialogue[str]:
    said = f"dialogue {number}"
    for turn in range(turns):
        page = f"{said}\n\nTurn {turn}. Which one?\n\nA) tea\nB) coffee"
        (answer,) = yield [Call("m", Request("test-model", messages=(("user", page),)))]
        said = f"{said}\n{answer.text or answer.failure}"
    return f"{number} {hashlib.sha256(said.encode()).hexdigest()}"


def _hold(base_url: str, path: Path, dialogues: int, turns: int) -> None:
    spec = OpenAIModel(engine="openai", model="test-model", base_url=base_url, concurrency=_CONCURRENCY)
    with ResponseStore(path) as store:
        asker = Dispatcher(store, {"m": spec})
        asker.drive(["m"], (_talk(n, turns) for n in range(dialogues)), planned=dialogues * turns)
        with path.with_suffix(".txt").open("w") as file:
            file.writelines(f"{line}\n" for line in replayed((_talk(n, turns) for n in range(dialogues)), store.read))


def _command(server: Served, path: Path, dialogues: int, turns: int) -> list[str]:
    words = ["--hold", server.base_url, str(path), str(dialogues), str(turns)]
    return [sys.executable, "-m", "tests.benchmarks.dialogues", *words]


def _killed(server: Served, path: Path, dialogues: int, turns: int, kills: int) -> int:
    """Drive it to its end through so many kills; the kills that met it alive."""
    chance, met, total = random.Random(3), 0, dialogues * turns
    for kill in range(kills):
        reach = (kill + chance.random()) / kills * total
        process = subprocess.Popen(_command(server, path, dialogues, turns), cwd=_ROOT)
        while process.poll() is None and server.log()["answered"] < reach:
            time.sleep(0.02)
        met += process.poll() is None
        process.kill()
        process.wait()
    measured(_command(server, path, dialogues, turns), cwd=_ROOT)
    return met


def compare(dialogues: int, turns: int, kills: int) -> tuple[Usage, Usage, int, int, int, bool]:
    """(all of them, a tenth of them, requests beyond one each, kills met, requests, whether the bytes are the same)."""
    with tempfile.TemporaryDirectory() as name, serve({}) as server:
        calm, torn, tenth = (Path(name) / f"{one}.sqlite" for one in ("calm", "torn", "tenth"))
        small = measured(_command(server, tenth, max(1, dialogues // 10), turns), cwd=_ROOT)
        whole = measured(_command(server, calm, dialogues, turns), cwd=_ROOT)
        server.reset()
        met = _killed(server, torn, dialogues, turns, kills)
        asked = server.log()["requests"]
        same = calm.with_suffix(".txt").read_bytes() == torn.with_suffix(".txt").read_bytes()
    return whole, small, asked - dialogues * turns, met, dialogues * turns, same


def rows(dialogues: int = 10_000, turns: int = 10, kills: int = 5) -> list[Row]:
    whole, small, again, met, n, same = compare(dialogues, turns, kills)
    what = f"{dialogues:,} dialogues of {turns} turns, {_CONCURRENCY} at once"
    return [
        Row(
            f"asked again, {what}, {met} kills -9",
            f"{again}",
            f"in flight: {met} x {_CONCURRENCY}",
            "",
            f"<= {met * _CONCURRENCY}",
            again <= met * _CONCURRENCY,
        ),
        Row(
            "what they came to, byte by byte against a calm drive",
            "the same" if same else "another",
            "",
            "",
            "the same",
            same,
        ),
        Row(
            f"peak memory, {what}",
            f"{whole.peak_mb:.0f} MB",
            f"a tenth of them {small.peak_mb:.0f} MB",
            f"{whole.peak_mb / small.peak_mb:.2f}",
            "<= 1.3",
            whole.peak_mb / small.peak_mb <= 1.3,
        ),
        Row(f"CPU a request, {what}", f"{whole.cpu_s / n * 1e6:.0f} us", "", ""),
    ]


@own_caches()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dialogues", type=int, default=10_000)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--hold", nargs=4)
    asked = parser.parse_args()
    if asked.hold:
        url, path, dialogues, turns = asked.hold
        _hold(url, Path(path), int(dialogues), int(turns))
        return
    print(table(rows(asked.dialogues, asked.turns, asked.kills)), machine(), sep="\n\n")


if __name__ == "__main__":
    main()
