"""Peak memory of a whole `prefgen run` over stored responses: `python -m tests.benchmarks.memory [--rows 1000000] [--grow 10]`.

A run over `rows` judgments is measured, then one over `rows` x `grow`, each with a responses file filled beforehand.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.measure import Row, Usage, machine, measured, table
from tests.caches import own_caches
from tests.faults.pipelines import command, environment, write_pipeline

_ROOT = Path(__file__).parents[2]
_ITEMS = 500
_LIMIT_MB = 500
_GROWTH = 1.3


def replay(n_judgments: int) -> Usage:
    """Fill a responses file, then measure the run that reads it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = {"engine": "replay", "responses": "responses.sqlite"}
        pipeline = write_pipeline(folder, personas=n_judgments // (2 * _ITEMS), items=_ITEMS, model=model)
        filling = [sys.executable, "-m", "tests.benchmarks.replayed", str(pipeline), str(folder / "responses.sqlite")]
        measured(filling, cwd=_ROOT)
        return measured(command(pipeline, folder / "run", "--report"), env=environment())


def rows(n_judgments: int = 1_000_000, grow: int = 10) -> list[Row]:
    small = replay(n_judgments)
    found = [
        Row(
            f"peak memory, {n_judgments:,} replayed judgments ({small.wall_s:.0f} s)",
            f"{small.peak_mb:.0f} MB",
            "",
            "",
            f"<= {_LIMIT_MB} MB",
            small.peak_mb <= _LIMIT_MB,
        ),
    ]
    if grow > 1:
        large = replay(n_judgments * grow)
        ratio = large.peak_mb / small.peak_mb
        found.append(
            Row(
                f"peak memory, {n_judgments * grow:,} replayed judgments ({large.wall_s:.0f} s)",
                f"{large.peak_mb:.0f} MB",
                f"{n_judgments:,} judgments {small.peak_mb:.0f} MB",
                f"{ratio:.2f}",
                f"<= {_GROWTH}",
                ratio <= _GROWTH,
            )
        )
    return found


@own_caches()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--grow", type=int, default=10, help="1: only the small run")
    asked = parser.parse_args()
    print(table(rows(asked.rows, asked.grow)), machine(), sep="\n\n")


if __name__ == "__main__":
    main()
