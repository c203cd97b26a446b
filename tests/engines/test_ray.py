"""`--on ray` with Ray itself, on a cluster of this machine: `pytest -m ray tests/engines`."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prefgen.engines.engine import Meter
from prefgen.engines.ray_engine import RayEngine
from prefgen.errors import EngineError
from prefgen.records import Request, Response
from prefgen.spec.models import Actors, OpenAIModel
from tests.dispatch.answering import answer_all
from tests.faults.kills import stored
from tests.faults.pipelines import command, data_bytes, environment, judgments, run, write_pipeline
from tests.servers.running import serve

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(400),
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed"),
    pytest.mark.filterwarnings("ignore"),  # those of Ray
]
SLOW = {"latency_s": [0.1, 0.1]}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of two CPUs on this machine."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    made.add_node(num_cpus=2)
    yield made
    made.shutdown()


@pytest.fixture(autouse=True)
def _in_it(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import ray

    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    yield
    ray.shutdown()


def question(n: int) -> Request:
    page = f"Which one, at {n} o'clock?\n\nA) tea\nB) coffee\n\nReply with one of A, B and nothing else."
    messages = (("system", f"You are person {n // 10}."), ("user", page))
    return Request("test-model", None, messages, "logprobs", ("A", "B"))


def spec(base_url: str, actors: int | None, cpus: float = 0.5) -> OpenAIModel:
    told = {"engine": "openai", "model": "test-model", "base_url": base_url, "concurrency": 4}
    return OpenAIModel.model_validate(told | {"ray": {"actors": actors, "num_cpus": cpus}})


def answers(engine: RayEngine, requests: list[Request]) -> tuple[dict[str, Response], Meter]:
    found, meter = {}, Meter()
    answer_all(engine, requests, lambda one, response: found.update({one.request_id: response}), meter)
    return found, meter


def workers(cluster: Any) -> list[int]:
    """Processes in which an actor of this cluster is; others may test beside us."""
    psutil = pytest.importorskip("psutil")
    found = [one for one in psutil.process_iter(["cmdline"]) if "ray::Worker" in " ".join(one.info["cmdline"] or [])]
    return [one.pid for one in found if cluster.address in " ".join(one.parent().cmdline())]


def test_two_actors_one_of_which_is_killed_half_way_make_the_bytes_of_a_local_run(tmp_path: Path, cluster: Any) -> None:
    keys = {"concurrency": 4, "ray": {"actors": 2, "num_cpus": 0.5}}
    with serve(SLOW | {"latency_s": [0.02, 0.02]}) as server:
        made = write_pipeline(tmp_path, server.base_url, personas=20, items=10, model=keys)
        here = run(made, tmp_path / "here")
        assert here.code == 0, here.err
        assert server.log()["requests"] == 400
        child = subprocess.Popen(
            command(made, tmp_path / "there", "--on", "ray"), env=environment(), stderr=subprocess.PIPE, text=True
        )
        while stored(tmp_path / "there") < 150:
            assert child.poll() is None, child.stderr.read() if child.stderr else ""
            time.sleep(0.02)
        os.kill(workers(cluster)[0], signal.SIGKILL)
        _, said = child.communicate(timeout=200)
        asked = server.log()["requests"] - 400
    assert child.returncode == 0, said
    assert judgments(tmp_path / "there")["failure"].null_count() == 400
    assert 400 <= asked <= 400 + 4  # what that actor was at is asked of the other
    assert data_bytes(tmp_path / "there") == data_bytes(tmp_path / "here")
    assert "Traceback" not in said
    assert not workers(cluster)


def test_a_node_that_goes_and_one_that_comes_lose_nothing(cluster: Any) -> None:
    third = cluster.add_node(num_cpus=2)
    with serve(SLOW) as server:
        engine = RayEngine(spec(server.base_url, 9, 1.0), 4)  # more than there is room for: the rest waits
        threading.Timer(3.0, lambda: cluster.remove_node(third, allow_graceful=False)).start()
        threading.Timer(6.0, lambda: cluster.add_node(num_cpus=2)).start()
        found, meter = answers(engine, [question(n) for n in range(1500)])
        engine.close()
    assert len(found) == 1500
    assert {one.failure for one in found.values()} == {None}
    assert meter.in_flight == 0


@pytest.mark.parametrize("actors", [1, 2, 4])
def test_requests_go_to_all_actors(actors: int) -> None:
    with serve(SLOW) as server:
        engine = RayEngine(spec(server.base_url, actors), 4)
        answers(engine, [question(n) for n in range(20)])  # the actors are there now
        before, began = server.log()["requests"], time.perf_counter()
        found, _ = answers(engine, [question(n) for n in range(100, 100 + 60 * actors)])
        seconds = time.perf_counter() - began
        log = server.log()
        engine.close()
    assert len(found) == log["requests"] - before == 60 * actors
    assert engine.room == 4 * actors
    assert log["most_in_flight"] > 4 * (actors - 1)  # all of them work at once
    print(f"{actors} actors: {60 * actors / seconds:.0f} requests/s")


def test_a_wrong_key_is_the_error_of_a_local_run() -> None:
    with serve({"key": "another"}) as server:
        engine = RayEngine(spec(server.base_url, 2), 4)
        with pytest.raises(EngineError, match="HTTP 401") as caught:
            answers(engine, [question(n) for n in range(20)])
        engine.close()
    assert "OPENAI_API_KEY" in str(caught.value)


def test_an_actor_for_which_no_node_has_room_is_an_error_with_a_fix() -> None:
    engine = RayEngine(OpenAIModel(engine="openai", model="m", ray=Actors(num_gpus=1)), 4)
    with pytest.raises(EngineError, match="no node has room for an actor of 1 GPUs") as caught:
        answers(engine, [question(1)])
    assert "ray: {num_gpus: 0}" in str(caught.value)
    engine.close()


def test_a_cluster_that_is_not_there_is_an_error_with_a_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    engine = RayEngine(spec("http://127.0.0.1:9/v1", 1), 4)
    with pytest.raises(EngineError, match=r"RAY_ADDRESS 127\.0\.0\.1:9"):
        answers(engine, [question(1)])
