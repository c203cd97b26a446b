"""What vLLM in this process answers a second, by the order of requests: `python -m tests.benchmarks.vllm WEIGHTS`.

Prompts of the Fair-PP shape with their own short portraits, and with portraits of about 600 tokens; persona by persona
as a run asks them, item by item, and shuffled, which is the reference of the ratios. The last column is the share of
the prefill that bare vLLM reaches in the same process with as many prompts at once that share nothing and are answered
with one token. Every measurement has portraits of its own, so none finds what another left in the cache.

A cache that holds every portrait hides the order; `--cache-tokens` makes it as small as it is beside large weights.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefgen.engines.engine import Meter
from prefgen.engines.vllm import VllmEngine
from prefgen.records import Request, Response
from prefgen.spec.models import VllmModel
from tests.benchmarks.embedded_order import CELLS, PERSONAS, request_for
from tests.benchmarks.measure import machine
from tests.caches import own_caches
from tests.dispatch.answering import answer_all

_BLOCK = 32
_ORDERS = ((0, 1, 2), (1, 0, 2))
_LIFE = (
    "You were born in the year of the great flood, the third of five children, in the house behind the station. "
    "Your father mended shoes and your mother kept the books of the parish, and there was always enough and never more. "
)
_TIMES = 10  # of _LIFE in a portrait of about 600 tokens


@dataclass(frozen=True, slots=True)
class Rate:
    """What one order of requests reached: judgments a second, tokens of prompts a second, and those of them computed."""

    requests: int
    seconds: float
    prompt: int
    cached: int

    @property
    def computed_per_s(self) -> float:
        return (self.prompt - self.cached) / self.seconds


def _asked(n_personas: int, n_cells: int, *, long: bool, mark: str) -> list[Request]:
    """Persona by persona. `mark` stands first in every portrait."""
    portraits = [
        f"{mark}, No. {n}. {PERSONAS[n % len(PERSONAS)]} {_LIFE * (_TIMES if long else 0)}" for n in range(n_personas)
    ]
    cells = CELLS[:n_cells]
    return [request_for(*one) for one in itertools.product(portraits, cells, _ORDERS)]


def _measured(engine: VllmEngine, requests: Sequence[Request]) -> Rate:
    responses: list[Response] = []
    began = time.perf_counter()
    answer_all(engine, requests, lambda _, response: responses.append(response), Meter())
    seconds = time.perf_counter() - began
    failed = [one.failure for one in responses if one.failure]
    assert not failed, failed[0]
    return Rate(
        len(requests), seconds, sum(one.prompt_tokens for one in responses), sum(one.cached_tokens for one in responses)
    )


def _ceiling(engine: VllmEngine, *, length: int, n: int, at_once: int) -> float:
    """Tokens a second of prompts that share nothing, one token answered, by vLLM's own call."""
    running: Any = engine._running
    from vllm import SamplingParams

    draw = random.Random(3)
    places = asyncio.Semaphore(at_once)
    size = len(running._tokenizer.get_vocab()) // 2

    async def one(number: int) -> None:
        prompt = {"type": "token", "prompt_token_ids": [draw.randrange(100, size) for _ in range(length)]}
        async with places:
            async for _ in running._llm.generate(prompt, SamplingParams(max_tokens=1, temperature=0.0), f"c{number}"):
                pass

    async def all_of_them() -> float:
        began = time.perf_counter()
        await asyncio.gather(*map(one, range(n)))
        return n * length / (time.perf_counter() - began)

    return asyncio.run_coroutine_threadsafe(all_of_them(), running.loop).result()


def _orders(requests: Sequence[Request]) -> dict[str, list[Request]]:
    by_page = sorted(requests, key=lambda one: one.messages[1])
    return {
        "shuffled": random.Random(7).sample(requests, len(requests)),
        "item by item": by_page,
        "persona by persona": list(requests),
    }


@own_caches()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", help="a folder or a name on the Hub")
    parser.add_argument("--personas", type=int, default=1000)
    parser.add_argument("--cells", type=int, default=9, help="questions, each in two orders (9 at most)")
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--cache-tokens", type=int, help="tokens that the prefix cache holds; by default what fits")
    parser.add_argument("--eager", action="store_true", help="do not compile: for CPUs")
    parser.add_argument("--tensor-parallel", type=int, default=1)
    parser.add_argument("--data-parallel", type=int, default=1)
    told = parser.parse_args()
    args: dict[str, Any] = {"enforce_eager": True} if told.eager else {}
    if told.cache_tokens:
        args |= {"num_gpu_blocks_override": told.cache_tokens // _BLOCK, "block_size": _BLOCK}
    spec = VllmModel(
        engine="vllm",
        model=told.weights,
        max_model_len=2048,
        concurrency=told.concurrency,
        tensor_parallel=told.tensor_parallel,
        data_parallel=told.data_parallel,
        engine_args=args,
    )
    with tempfile.TemporaryDirectory() as folder:
        engine = VllmEngine(spec, Path(folder) / "vllm.log")
        try:
            _report(engine, told)
        finally:
            engine.close()


def _report(engine: VllmEngine, told: argparse.Namespace) -> None:
    _measured(engine, _asked(2, 2, long=False, mark="Warm up"))
    print(
        "| portrait | order | judgments | tokens a prompt | from the cache | judgments/s | to shuffled | prompt tokens/s | computed tokens/s | of bare prefill |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for long in (False, True):
        asked = _asked(told.personas, told.cells, long=long, mark="Reference")
        length = sum(len(content) for _, content in asked[0].messages) // 5
        ceiling = _ceiling(engine, length=length, n=max(told.concurrency, 32), at_once=told.concurrency)
        reference = 0.0
        for order in ("shuffled", "item by item", "persona by persona"):
            requests = _orders(_asked(told.personas, told.cells, long=long, mark=f"{order}"))[order]
            found = _measured(engine, requests)
            rate = found.requests / found.seconds
            reference = reference or rate
            print(
                f"| {'600 tokens' if long else 'short'} | {order} | {found.requests:,} | {found.prompt / found.requests:.0f} "
                f"| {found.cached / found.prompt:.0%} | {rate:,.1f} | {rate / reference:.2f} | {found.prompt / found.seconds:,.0f} "
                f"| {found.computed_per_s:,.0f} | {found.computed_per_s / ceiling:.0%} |",
                flush=True,
            )
        print(f"bare prefill of prompts of {length} tokens: {ceiling:,.0f} tokens/s\n", flush=True)
    print(_device(), machine(), sep="; ")


def _device() -> str:
    import torch

    if not torch.cuda.is_available():
        return "no GPU: vLLM on the CPU"
    return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"


if __name__ == "__main__":
    main()
