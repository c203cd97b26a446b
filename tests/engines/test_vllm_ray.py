"""vLLM in actors of a Ray cluster: `PREFGEN_VLLM_WEIGHTS=FOLDER pytest -m "vllm and ray" tests/engines/test_vllm_ray.py`.

Without GPUs an actor takes a CPU in their place. See test_vllm_real.py for the weights.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engines.test_vllm_real import settings, weights
from tests.faults.kills import stored
from tests.faults.pipelines import command, data_bytes, environment, judgments, run, write_pipeline

__all__ = ["weights"]  # a fixture

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.ray,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm is not installed"),
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed"),
    pytest.mark.filterwarnings("ignore"),  # those of Ray, torch and vLLM
]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    import ray
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    monkeypatch.setenv("RAY_ADDRESS", made.address)
    yield made
    ray.shutdown()
    made.shutdown()


def actor_of(cluster: Any) -> int:
    psutil = pytest.importorskip("psutil")
    found = [one for one in psutil.process_iter(["cmdline"]) if "ray::Worker" in " ".join(one.info["cmdline"] or [])]
    (mine,) = [one.pid for one in found if cluster.address in " ".join(one.parent().cmdline())]
    return mine


def test_an_actor_with_weights_that_is_killed_half_way_is_replaced_and_judges_as_vllm_here(
    weights: Path, tmp_path: Path, cluster: Any
) -> None:
    model = settings(weights, ray={"actors": 1, "num_cpus": 1, "num_gpus": 0})
    made = write_pipeline(tmp_path, personas=10, items=8, model=model)
    here = run(made, tmp_path / "here")
    assert here.code == 0, here.err
    child = subprocess.Popen(
        command(made, tmp_path / "there", "--on", "ray"), env=environment(), stderr=subprocess.PIPE, text=True
    )
    while stored(tmp_path / "there") < 40:
        assert child.poll() is None, child.stderr.read() if child.stderr else ""
        time.sleep(0.02)
    os.kill(actor_of(cluster), signal.SIGKILL)
    _, said = child.communicate(timeout=900)
    assert child.returncode == 0, said
    assert "Traceback" not in said
    ours, theirs = (judgments(tmp_path / name) for name in ("here", "there"))
    assert theirs["failure"].null_count() == theirs.height == 160
    assert theirs["judgment_id"].equals(ours["judgment_id"])
    for mine, other in zip(ours["p"], theirs["p"], strict=True):
        assert list(mine) == pytest.approx(list(other), abs=0.05)  # the same weights, in other batches
    assert run(made, tmp_path / "again", "--replay", tmp_path / "there").code == 0
    assert data_bytes(tmp_path / "again") == data_bytes(tmp_path / "there")
    assert not [one for one in processes() if "VLLM" in one]


def processes() -> list[str]:
    psutil = pytest.importorskip("psutil")
    return [" ".join(one.info["cmdline"] or []) for one in psutil.process_iter(["cmdline"])]
