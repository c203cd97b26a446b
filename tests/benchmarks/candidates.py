"""Very many candidates, judged and written from stored responses: `python -m tests.benchmarks.candidates [--rows 1000000]`.

Three pipelines, each planned and then run in a process of its own: `judge: pick` over sets of two, `judge: score` over every candidate,
and `write` over a tenth as many rows with pages of 4 kB.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from tests.benchmarks.measure import Row, Usage, machine, measured, table
from tests.caches import own_caches
from tests.faults.pipelines import COMMAND, environment

_ROOT = Path(__file__).parents[2]
_MOST_MB = 600
_MOST_PLAN_S = 3.0

_PICK = {"judge": "pick", "items": "rows", "show": 2, "model": "m", "orders": ["given"]}
_SCORE = {"judge": "score", "items": "rows", "model": "m", "criteria": {"good": "it is good"}}
_WRITE = {"write": "response", "for": "rows", "model": "m", "prompt": "{{ prompt }}"}


def candidates(n: int) -> pl.DataFrame:
    """Two answers to each of n / 2 questions."""
    number = pl.int_range(n, eager=True)
    return pl.DataFrame({"number": number}).select(
        pl.format("What is to be done about matter number {}?", pl.col("number") // 2).alias("prompt"),
        pl.format("Answer {} would do this and that, and leave the rest as it is.", "number").alias("response"),
        ("item-" + (pl.col("number") // 2).cast(pl.String)).alias("item_id"),
        ("candidate-" + pl.col("number").cast(pl.String)).alias("candidate_id"),
    )


def pages(n: int) -> pl.DataFrame:
    """Prompts of 4 kB, all different."""
    return pl.DataFrame({"prompt": [f"{number}: " + "some words about it " * 200 for number in range(n)]})


def usage(rows: pl.DataFrame, step: Mapping[str, Any]) -> tuple[Usage, Usage]:
    """(of the plan, of the run) of one step over some rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows.write_parquet(folder / "rows.parquet", row_group_size=50_000)
        pipeline = {
            "name": "many",
            "models": {"m": {"engine": "replay", "model": "m", "responses": "responses.sqlite"}},
            "steps": {"rows": {"table": "rows.parquet"}, "x": dict(step)},
            "publish": {"exports": [{"rows": {"from": "x"}}]},
        }
        path = folder / "p.yaml"
        path.write_text(yaml.safe_dump(pipeline, sort_keys=False))
        filling = [sys.executable, "-m", "tests.benchmarks.replayed", str(path), str(folder / "responses.sqlite")]
        measured(filling, cwd=_ROOT)
        env = environment()
        planned = measured([COMMAND, "plan", str(path)], env=env)
        return planned, measured([COMMAND, "run", str(path), "--out", str(folder / "run")], env=env)


def rows_of(what: str, rows: pl.DataFrame, step: Mapping[str, Any]) -> list[Row]:
    planned, ran = usage(rows, step)
    n = f"{rows.height:,}"
    return [
        Row(
            f"{what} of {n}: plan",
            f"{planned.wall_s:.1f} s",
            "",
            "",
            f"<= {_MOST_PLAN_S:.0f} s",
            planned.wall_s <= _MOST_PLAN_S,
        ),
        Row(f"{what} of {n}: peak memory of the plan", f"{planned.peak_mb:.0f} MB", "", "", "", None),
        Row(
            f"{what} of {n}: peak memory of the run ({ran.wall_s:.0f} s)",
            f"{ran.peak_mb:.0f} MB",
            "",
            "",
            f"<= {_MOST_MB} MB",
            ran.peak_mb <= _MOST_MB,
        ),
    ]


@own_caches()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", choices=["pick", "score", "write"])
    said = parser.parse_args()
    found: list[Row] = []
    if said.only in (None, "score"):
        found += rows_of("score", candidates(said.rows), _SCORE)
    if said.only in (None, "pick"):
        found += rows_of("pick", candidates(said.rows), _PICK)
    if said.only in (None, "write"):
        found += rows_of("write", pages(said.rows // 10), _WRITE)
    print(table(found), machine(), sep="\n\n")


if __name__ == "__main__":
    main()
