"""Runs that are killed from outside, and what the endpoint saw of it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prefgen.engines.store import ResponseStore
from prefgen.errors import FileError
from tests.faults.pipelines import command, environment, judgments, run
from tests.servers.running import Served


def killed_when(
    pipeline: Path, out: Path, enough: Callable[[], bool], *options: str, kill: signal.Signals = signal.SIGKILL
) -> int:
    """Start a run, end it with a signal once `enough()`; its exit code (negative: the signal), or 0 if it was faster."""
    process = subprocess.Popen(
        command(pipeline, out, *options), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    try:
        while process.poll() is None and not enough():
            assert time.monotonic() < deadline, "the run never got so far"
            time.sleep(0.005)
        if process.poll() is None:
            os.kill(process.pid, kill)
        return process.wait(60)
    finally:  # nothing outlives a test that failed
        process.kill()
        process.wait()


def stored(out: Path) -> int:
    """Responses that a run has stored so far, while it runs too; 0 as long as there is no store."""
    try:
        with ResponseStore(out / "responses.sqlite", read_only=True) as store:
            return len(store)
    except FileError:  # not there yet, or just being made
        return 0


@dataclass(frozen=True, slots=True)
class AfterKill:
    """What a kill -9 half-way cost. `resent`: requests sent beyond one for each body."""

    code: int
    sent_before: int
    resent: int
    rows: int
    doubled: int
    unanswered: int
    third_run: int  # requests of a third run
    most_in_flight: int


def kill_half_way(pipeline: Path, out: Path, server: Served, *, requests: int) -> AfterKill:
    """Run, kill -9 half-way, run again, and once more."""
    code = killed_when(pipeline, out, lambda: server.log()["requests"] >= requests // 2)
    time.sleep(0.3)  # the endpoint finishes what it was answering
    before = server.log()
    second = run(pipeline, out)
    assert second.code == 0, second.err
    after = server.log()
    third = run(pipeline, out)
    assert third.code == 0, third.err
    last = server.log()
    rows = judgments(out)
    return AfterKill(
        code=code,
        sent_before=before["requests"],
        resent=after["requests"] - after["bodies"],
        rows=rows.height,
        doubled=rows.height - rows["judgment_id"].n_unique(),
        unanswered=rows.filter(rows["status"] == "failed").height,
        third_run=sum(last["paths"].values()) - sum(after["paths"].values()),
        most_in_flight=after["most_in_flight"],
    )
