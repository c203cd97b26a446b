"""Processes measured from outside, and one table for all benchmarks."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process used: wall-clock seconds, CPU seconds (user + system, threads included), peak memory in MB."""

    wall_s: float
    cpu_s: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `goal` in words; `ok` whether it was reached, None where there is no goal."""

    what: str
    ours: str
    reference: str
    ratio: str
    goal: str = ""
    ok: bool | None = None


def measured(command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Usage:
    """Run a process to its end. RuntimeError, with what it said, when it fails.

    It may keep its bytecode, as whatever pip installs has it: else what is compared is how long prefgen takes to compile.
    """
    kept = {key: value for key, value in (env or os.environ).items() if key != "PYTHONDONTWRITEBYTECODE"}
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py"))]
    launched = subprocess.run([*launcher, *command], env=kept, cwd=cwd, stdout=subprocess.PIPE, check=True)
    told = orjson.loads(launched.stdout)
    if told["status"] != 0:
        raise RuntimeError(f"{command[:4]} exited with {told['status']}:\n{told['said']}")
    # ru_maxrss is in KiB on Linux, in bytes on macOS
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return Usage(told["wall_s"], told["cpu_s"], told["peak"] / unit)


def interleaved(repetitions: int, *each: Callable[[int], Usage]) -> list[Usage]:
    """The median of each measurement, all of them taken in turns so that a busy moment meets all alike."""
    taken: list[list[Usage]] = [[] for _ in each]
    for repetition in range(repetitions):
        for place, measure in enumerate(each):
            taken[place].append(measure(repetition))
    return [
        Usage(*(statistics.median(getattr(one, key) for one in ones) for key in ("wall_s", "cpu_s", "peak_mb")))
        for ones in taken
    ]


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    head = "| what | prefgen | reference in the same run | ratio | goal | reached |\n|---|---|---|---|---|---|"
    reached = {True: "yes", False: "no", None: ""}
    lines = [f"| {r.what} | {r.ours} | {r.reference} | {r.ratio} | {r.goal} | {reached[r.ok]} |" for r in rows]
    return "\n".join([head, *lines])


def machine() -> str:
    """One line about where this was measured."""
    import platform

    return f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores"
