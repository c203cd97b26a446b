"""Actors that take one request each, beside Ray Data's batch inference: `python -m tests.benchmarks.ray_data`.

Both ask one server, which takes .1 s for an answer, by two processes with 32 requests in flight each. In the second round one of the two
is killed when half of the requests have been answered; what was asked again is what that cost. A block of Ray Data's is told when all of
it is there, so of one that is lost nothing stands anywhere.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from prefgen.engines.engine import Meter
from prefgen.engines.http import OpenAIEngine
from prefgen.engines.ray_engine import RayEngine
from tests.benchmarks.ray import _request, _spec
from tests.caches import own_caches
from tests.dispatch.answering import answer_all
from tests.servers.running import Served, serve

_EACH = 32
_N = 4000
_BLOCK = 256


class Asker:
    """What Ray Data calls with one batch after the other."""

    def __init__(self, base_url: str) -> None:
        self._engine = OpenAIEngine(_spec(base_url, 1, _EACH))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        texts: dict[int, str] = {}
        requests = {_request(int(n)).request_id: int(n) for n in batch["id"]}

        def put(request: Any, response: Any) -> None:
            texts[requests[request.request_id]] = response.text

        answer_all(self._engine, [_request(int(n)) for n in batch["id"]], put, Meter())
        return {"id": batch["id"], "text": [texts[int(n)] for n in batch["id"]]}


def by_actors(server: Served, start: int) -> int:
    engine = RayEngine(_spec(server.base_url, 2, _EACH), _EACH)
    found: set[str] = set()
    requests = [_request(start + n) for n in range(_N)]
    answer_all(engine, requests, lambda request, _: found.add(request.request_id), Meter())
    engine.close()
    return len(found)


def by_ray_data(server: Served, start: int) -> int:
    import ray

    rows = ray.data.range(_N).map(lambda row: {"id": row["id"] + start}).repartition(_N // _BLOCK)
    asked = rows.map_batches(
        Asker, fn_constructor_args=(server.base_url,), batch_size=_BLOCK, concurrency=2, num_cpus=0.25
    )
    return len({row["id"] for row in asked.iter_rows()})


@contextmanager
def killed_half_way(server: Served, before: int, word: str) -> Iterator[None]:
    """One process of Ray's whose title has the word is killed when half of the requests have been answered."""

    def watch() -> None:
        while server.log()["answered"] - before < _N // 2:
            time.sleep(0.02)
        ours = psutil.Process().children(recursive=True)  # Ray's processes are below the one that started it
        os.kill(next(one.pid for one in ours if word in " ".join(one.cmdline())), signal.SIGKILL)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    yield
    watcher.join(5)


@own_caches()
def main() -> None:
    import ray

    os.environ.setdefault("OPENAI_API_KEY", "sk-of-a-benchmark")
    ray.init("local", num_cpus=4, include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    ways: list[tuple[str, Callable[[Served, int], int], str]] = [
        ("an actor takes one request at a time", by_actors, "ray::Worker"),
        (f"Ray Data, blocks of {_BLOCK}", by_ray_data, "MapWorker"),
    ]
    print("| way | requests/s | driver CPU a request | found after a kill | asked again |\n|---|---:|---:|---:|---:|")
    with serve({"latency_s": [0.1, 0.1]}) as server:
        for number, (name, way, word) in enumerate(ways):
            began, cpu = time.perf_counter(), time.process_time()
            way(server, 10 * number * _N)
            rate, spent = _N / (time.perf_counter() - began), (time.process_time() - cpu) / _N * 1e6
            before = server.log()
            with killed_half_way(server, before["answered"], word):
                found = way(server, (10 * number + 5) * _N)
            again = server.log()["requests"] - before["requests"] - _N
            print(f"| {name} | {rate:,.0f} | {spent:,.0f} us | {found:,} of {_N:,} | {again:,} |", flush=True)
    ray.shutdown()


if __name__ == "__main__":
    main()
