"""Benchmarks measure, and leave nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.measure import measured

_FOLDER = Path(__file__).parent / "benchmarks"


@pytest.mark.parametrize("path", sorted(_FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_every_benchmark_has_caches_of_its_own(path: Path) -> None:
    text = path.read_text()
    assert text.count("\ndef main(") == text.count("\n@own_caches()\ndef main(")


@pytest.mark.slow
def test_a_benchmark_teaches_no_plan_of_the_developer(tmp_path: Path) -> None:
    words = ["--requests", "200", "--repetitions", "1", "--slow-ms", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.http", *words],
        cwd=_FOLDER.parents[1],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "| throughput" in done.stdout
    assert not (tmp_path / "prefgen" / "speed.json").exists()


def test_the_memory_of_a_small_process_is_not_that_of_who_measures_it() -> None:
    held = bytearray(os.urandom(1 << 20) * 300)
    used = measured([sys.executable, "-S", "-c", "pass"])
    assert used.peak_mb < 60
    assert len(held) > 300e6
