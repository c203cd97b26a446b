"""CPU and wall of a whole `prefgen run` over an HTTP endpoint, against a bare aiohttp loop in the same run.

    python -m tests.benchmarks.http [--requests 20000] [--repetitions 3] [--slow-ms 50]

Both ask a server of their own kind, in a process of its own, 64 requests in flight. A whole process begins with about 1.6 s of CPU that no
judgment causes (imports, the plan, the card; the loop .3 s), so that what each further judgment costs is told apart. The loop keeps its answers
in a list and writes them once; prefgen renders, stores durably, parses, filters and writes Parquet, the card (the report page, some
seconds whatever the size, is left out: --no-report).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import orjson

from tests.benchmarks.measure import Row, Usage, interleaved, machine, measured, table
from tests.caches import own_caches
from tests.faults.pipelines import command, environment, write_pipeline
from tests.servers.running import serve

_ROOT = Path(__file__).parents[2]
_ITEMS = 50


def compare(requests: int, repetitions: int, latency_s: float) -> tuple[Usage, Usage, float]:
    """(prefgen, bare loop, seconds of prefgen's judge step), medians; the step asks, reads, measures and writes its table."""
    asking_s: list[float] = []
    personas = requests // (2 * _ITEMS)
    with tempfile.TemporaryDirectory() as name, serve({"latency_s": latency_s}) as server:
        folder = Path(name)
        pipeline = write_pipeline(folder, server.base_url, personas=personas, items=_ITEMS)

        def ours(repetition: int) -> Usage:
            out = folder / f"run-{repetition}"
            used = measured(command(pipeline, out), env=environment())
            steps = orjson.loads((out / "manifest.json").read_bytes())["steps"]
            asking_s.append(next(step["seconds"] for step in steps if step["name"] == "answers"))
            server.reset()
            return used

        def bare(repetition: int) -> Usage:
            words = [server.base_url, str(personas), str(_ITEMS), str(folder / f"bare-{repetition}.jsonl")]
            used = measured([sys.executable, "-m", "tests.benchmarks.bare_loop", *words], cwd=_ROOT)
            server.reset()
            return used

        found = interleaved(repetitions, ours, bare)
        return found[0], found[1], statistics.median(asking_s)


def rows(requests: int = 20_000, repetitions: int = 3, slow_ms: float = 50) -> list[Row]:
    ours, bare, _ = compare(requests, repetitions, 0.0)
    cpu = ours.cpu_s / bare.cpu_s
    more, more_bare, _ = compare(3 * requests, 1, 0.0)
    each, each_bare = (
        (some.cpu_s - few.cpu_s) / (2 * requests) * 1e6 for some, few in ((more, ours), (more_bare, bare))
    )
    slow_ours, slow_bare, slow_s = compare(requests, 1 if requests >= 20_000 else repetitions, slow_ms / 1000)
    pace = slow_bare.wall_s / slow_s
    size = f"{requests:,} HTTP judgments, 64 at once"
    return [
        Row(
            f"CPU, {size}, instant answers, whole process",
            f"{ours.cpu_s:.2f} s",
            f"bare loop {bare.cpu_s:.2f} s",
            f"{cpu:.2f}",
            "<= 1.5",
            cpu <= 1.5,
        ),
        Row(
            f"... of each further judgment, up to {3 * requests:,}",
            f"{each:.0f} us",
            f"bare loop {each_bare:.0f} us",
            f"{each / each_bare:.2f}",
            "<= 1.25",
            each / each_bare <= 1.25,
        ),
        Row(
            f"wall, {size}, instant answers",
            f"{ours.wall_s:.2f} s",
            f"bare loop {bare.wall_s:.2f} s",
            f"{ours.wall_s / bare.wall_s:.2f}",
        ),
        Row(
            f"throughput of the judge step, {size}, answers after {slow_ms:g} ms",
            f"{requests / slow_s:,.0f}/s",
            f"bare loop {requests / slow_bare.wall_s:,.0f}/s",
            f"{pace:.2f}",
            ">= 0.9",
            pace >= 0.9,
        ),
        Row(
            f"CPU, {size}, answers after {slow_ms:g} ms",
            f"{slow_ours.cpu_s:.2f} s",
            f"bare loop {slow_bare.cpu_s:.2f} s",
            f"{slow_ours.cpu_s / slow_bare.cpu_s:.2f}",
        ),
    ]


@own_caches()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--slow-ms", type=float, default=50)
    asked = parser.parse_args()
    print(table(rows(asked.requests, asked.repetitions, asked.slow_ms)), machine(), sep="\n\n")


if __name__ == "__main__":
    main()
