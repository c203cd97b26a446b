"""What a kill -9 half-way costs: `python -m tests.benchmarks.kill [--requests 10000]`."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.benchmarks.measure import Row, machine, table
from tests.caches import own_caches
from tests.faults.kills import kill_half_way
from tests.faults.pipelines import write_pipeline
from tests.servers.running import serve

_CONCURRENCY = 64


def rows(requests: int = 10_000) -> list[Row]:
    with tempfile.TemporaryDirectory() as name, serve({"latency_s": 0.02}) as server:
        folder = Path(name)
        pipeline = write_pipeline(folder, server.base_url, personas=requests // 100, items=50)
        after = kill_half_way(pipeline, folder / "run", server, requests=requests)
    size = f"kill -9 after {after.sent_before:,} of {requests:,} requests"
    lost = requests - after.rows + after.unanswered
    return [
        Row(
            f"sent again, {size}",
            f"{after.resent}",
            f"in flight: {_CONCURRENCY}",
            f"{after.resent / _CONCURRENCY:.2f}",
            f"<= {_CONCURRENCY}",
            after.resent <= _CONCURRENCY,
        ),
        Row(f"rows lost / doubled, {size}", f"{lost} / {after.doubled}", "", "", "0 / 0", lost == after.doubled == 0),
        Row("requests when everything is stored (third run)", f"{after.third_run}", "", "", "0", after.third_run == 0),
    ]


@own_caches()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    print(table(rows(parser.parse_args().requests)), machine(), sep="\n\n")


if __name__ == "__main__":
    main()
