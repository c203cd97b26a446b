"""Stopped, cut off or out of room in every phase of a run: said as README promises, and the same command goes on.

A phase lasts some milliseconds here. So that what happens in it happens in it, the real command is started in a process
that waits where the phase begins until the test has done its harm.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.pipelines import command, data_bytes, environment, judgments, manifest, run, write_pipeline
from tests.servers.running import Served, serve

pytestmark = pytest.mark.slow

PEOPLE, ITEMS, AT_ONCE = 8, 10, 8
ROWS = PEOPLE * ITEMS * 2
STEPS = {
    "pairs": {"pair": "chosen_vs_other", "from": "kept", "items": "items"},
    "parts": {"split": "pairs", "by": ["item"], "test": 0.3},
}
PHASES = {
    "drawing": ("prefgen.steps.draw", "draw_audited", 0),
    "first table": ("prefgen.store.tables", "_write_part", 0),
    "asking": ("prefgen.engines.store", "to_row", 30),
    "table of answers": ("prefgen.store.tables", "_write_part", 2),
    "last table": ("prefgen.store.tables", "_write_part", 5),
    "data": ("prefgen.store.shards", "_named", 0),
    "second export": ("prefgen.store.shards", "_named", 1),
    "manifest": ("prefgen.flow.run", "file_entries", 0),
    "card": ("prefgen.publish.card", "write_card", 0),
    "report": ("prefgen.publish.report", "write_report", 0),
}
"""Where a phase begins: module, function, and how many calls of it come before."""

_HELD = """
import resource, sys, time
from importlib import import_module
from pathlib import Path
module, name, before, harm, mark = sys.argv[1:6]
owner = import_module(module)
true, calls = getattr(owner, name), []

def held(*args, **keys):
    calls.append(1)
    if len(calls) == int(before) + 1:
        if harm == "full":
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        else:
            Path(mark).touch()
            until = time.monotonic() + 0.6
            while time.monotonic() < until:
                time.sleep(0.01)
    return true(*args, **keys)

setattr(owner, name, held)
sys.argv = ["prefgen", *sys.argv[6:]]
from prefgen.cli import main
main()
"""


def terminated(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)


def hung_up(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGHUP)


def twice(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)


def unread(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None


HARMS: dict[str, tuple[Callable[[Any], None] | None, int]] = {
    "SIGTERM": (terminated, 130),
    "SIGHUP": (hung_up, 130),
    "SIGINT twice": (twice, 130),
    "stdout closed": (unread, 141),
    "full": (None, 4),
}


@pytest.fixture(scope="module")
def server() -> Any:
    with serve({"latency_s": 0.01}) as running:
        yield running


def write(folder: Path, server: Served) -> Path:
    model = {"concurrency": AT_ONCE}
    return write_pipeline(folder, server.base_url, personas=PEOPLE, items=ITEMS, model=model, steps=STEPS)


@pytest.fixture(scope="module")
def calm(server: Served, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The data of a run that nothing happened to."""
    folder = tmp_path_factory.mktemp("calm")
    ran = run(write(folder, server), folder / "run")
    assert ran.code == 0, ran.err
    return data_bytes(folder / "run")


def harmed(pipeline: Path, out: Path, phase: str, harm: str) -> tuple[int, str]:
    """A run that meets a harm in a phase: its exit code, and what it said to people."""
    mark, (do, _) = out.with_name("mark"), HARMS[harm]
    words = [word for word in command(pipeline, out, "--json")[1:] if phase != "report" or word != "--no-report"]
    process = subprocess.Popen(
        [sys.executable, "-c", _HELD, *map(str, PHASES[phase]), harm, str(mark), *words],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until = time.monotonic() + 60
        while do is not None and not mark.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until, "the phase never began"
            time.sleep(0.005)
        if do is not None:
            do(process)
        _, said = process.communicate(timeout=60)
        return process.returncode, said
    finally:
        process.kill()
        process.wait()


FEW = {"last table": ("SIGTERM", "full"), "second export": ("SIGTERM", "full"), "manifest": ("SIGTERM", "full")}
HUNG_UP = ("drawing", "asking", "data", "card")
CASES = [(phase, harm) for phase in PHASES for harm in FEW.get(phase, HARMS) if harm != "SIGHUP" or phase in HUNG_UP]


@pytest.mark.parametrize(("phase", "harm"), CASES)
def test_whatever_happens_in_a_phase_costs_nothing_but_what_was_in_flight(
    server: Served, calm: dict[str, bytes], folder: Path, phase: str, harm: str
) -> None:
    server.reset()
    pipeline, out = write(folder, server), folder / "run"
    code, said = harmed(pipeline, out, phase, harm)
    assert code == HARMS[harm][1], said
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    assert "fix: " in said if harm == "full" else "run the same command again to go on" in said
    asked = server.log()["requests"]
    again = run(pipeline, out)
    assert again.code == 0, again.err
    log = server.log()
    assert log["requests"] - log["bodies"] <= AT_ONCE
    if phase not in ("drawing", "first table", "asking"):
        assert log["requests"] == asked, "something was asked again that had been answered"
    rows = judgments(out)
    assert rows.height == rows["judgment_id"].n_unique() == ROWS
    assert data_bytes(out) == calm
    assert manifest(out)["status"] == "finished"
    assert not [path for path in out.rglob("*") if ".aside" in path.name or ".old" in path.name]
