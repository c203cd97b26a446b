"""What Ray costs and what it brings: `python -m tests.benchmarks.ray`.

Costs: CPU of the process that hands out requests, for each of them, beside the same requests asked of the same server
from that process alone. Brings: requests a second of 1, 2 and 4 actors at a server that takes .1 s for an answer.
"""

from __future__ import annotations

import os
import time

from prefgen.engines.engine import Engine, Meter
from prefgen.engines.http import OpenAIEngine
from prefgen.engines.ray_engine import RayEngine
from prefgen.records import Request
from prefgen.spec.models import OpenAIModel
from tests.caches import own_caches
from tests.dispatch.answering import answer_all
from tests.servers.running import serve

_EACH = 32  # in flight, of one actor
_N = 3000


def _request(n: int) -> Request:
    page = f"Which one, at {n} o'clock?\n\nA) tea\nB) coffee\n\nReply with one of A, B and nothing else."
    messages = (("system", f"You are person {n // 20}, and you live in a small town."), ("user", page))
    return Request("test-model", None, messages, "logprobs", ("A", "B"))


def _spec(base_url: str, actors: int, each: int) -> OpenAIModel:
    told = {"engine": "openai", "model": "test-model", "base_url": base_url, "concurrency": each}
    return OpenAIModel.model_validate(told | {"ray": {"actors": actors, "num_cpus": 0.25}})


def _measure(engine: Engine, start: int, n: int) -> tuple[float, float]:
    """(requests a second, CPU microseconds of this process for each), once everything is open."""
    ignored: list[object] = []
    answer_all(engine, [_request(-one) for one in range(64)], lambda _, response: ignored.append(response), Meter())
    began, cpu = time.perf_counter(), time.process_time()
    answer_all(
        engine, [_request(start + one) for one in range(n)], lambda _, response: ignored.append(response), Meter()
    )
    return n / (time.perf_counter() - began), (time.process_time() - cpu) / n * 1e6


@own_caches()
def main() -> None:
    os.environ.setdefault("OPENAI_API_KEY", "sk-of-a-benchmark")
    with serve({}) as server:
        here = OpenAIEngine(_spec(server.base_url, 1, 2 * _EACH))
        there = RayEngine(_spec(server.base_url, 2, _EACH), _EACH)
        print("| a fast server, 64 in flight | requests/s | driver CPU a request |\n|---|---:|---:|")
        costs = {}
        for name, engine, start in (("in process", here, 0), ("2 actors", there, _N)):
            rate, costs[name] = _measure(engine, start, _N)
            print(f"| {name} | {rate:,.0f} | {costs[name]:,.0f} us |", flush=True)
        print(f"\nratio {costs['2 actors'] / costs['in process']:.2f}\n")
        there.close()
    with serve({"latency_s": [0.1, 0.1]}) as server:
        print("| .1 s an answer, 4 in flight an actor | requests/s | to one actor |\n|---|---:|---:|")
        first = None
        for actors in (1, 2, 4):
            engine = RayEngine(_spec(server.base_url, actors, 4), 4)
            rate, _ = _measure(engine, actors * 10 * _N, 100 * actors)
            first = first or rate
            print(f"| {actors} | {rate:,.0f} | {rate / first:.2f} |", flush=True)
            engine.close()


if __name__ == "__main__":
    main()
