"""Rates and memory of the response store: `python tests/benchmarks/store_rates.py [ROWS]` (1,000,000 by default)."""

from __future__ import annotations

import hashlib
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from prefgen.engines.store import ResponseStore
from prefgen.records import Response
from tests.caches import own_caches

_CHUNK = 1000


def _ids(start: int, stop: int) -> list[str]:
    return [f"req-{hashlib.blake2b(i.to_bytes(8, 'big'), digest_size=12).hexdigest()}" for i in range(start, stop)]


def _chunks(rows: int) -> Iterator[list[str]]:
    return (_ids(start, min(start + _CHUNK, rows)) for start in range(0, rows, _CHUNK))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _row(what: str, seconds: float, rows: int, rest: str = "") -> None:
    print(
        f"{what:<28}{seconds:>9.1f} s {seconds / rows * 1e6:>7.2f} us/row {_peak_mb():>7.0f} MB peak  {rest}",
        flush=True,
    )


@own_caches()
def main(rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "responses.sqlite"
        began = time.perf_counter()
        for _ in _chunks(rows):
            pass
        _row("making ids (in every line)", time.perf_counter() - began, rows)
        with ResponseStore(path) as store:
            began = time.perf_counter()
            for ids in _chunks(rows):
                for one in ids:
                    store.put(
                        Response(
                            one, "A", (("A", -0.105361), ("B", -2.302585)), "logprobs+grammar", "stop", 226, 1, 158
                        )
                    )
            store.commit(sync=True)
            _row("insert", time.perf_counter() - began, rows)
        size = path.stat().st_size
        with ResponseStore(path) as store:
            began = time.perf_counter()
            for ids in _chunks(rows):
                assert not store.missing(ids)
            _row("missing (all stored)", time.perf_counter() - began, rows)
            began = time.perf_counter()
            for ids in _chunks(rows):
                assert len(store.read(ids)) == len(ids)
            _row("read in order", time.perf_counter() - began, rows, f"{size / rows:.0f} bytes/row on disk")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
