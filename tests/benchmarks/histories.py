"""Peak memory of a run that packs and exports histories: `python -m tests.benchmarks.histories [--rows 20000] [--kb 128]`.

Every row of a table gets the 20 before it of the same person: as many rows of `--kb` kB each as there are rows.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import polars as pl
import yaml

from tests.benchmarks.measure import Row as Line
from tests.benchmarks.measure import machine, measured, table
from tests.caches import own_caches
from tests.faults.pipelines import command, environment

_OF_ONE = 40
_LAST = 20
_LIMIT_MB = 1000


def histories(n_rows: int, kb: int) -> Line:
    """A run over `n_rows` events."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = "x" * (kb * 1000 // _LAST - 12)
        events = pl.DataFrame({"number": range(n_rows)}).select(
            pl.format("p{}", pl.col("number") // _OF_ONE).alias("persona_id"),
            (pl.col("number") % _OF_ONE).alias("time"),
            pl.format("{} {}", pl.col("number"), pl.lit(text)).alias("said"),
        )
        events.write_parquet(folder / "events.parquet")
        steps = {
            "events": {"table": "events.parquet"},
            "history": {
                "pack": "events",
                "onto": "events",
                "by": ["persona_id"],
                "order": ["time"],
                "before": True,
                "last": _LAST,
                "each": ["said"],
                "into": "history",
            },
        }
        publish = {"exports": [{"rows": {"from": "history", "columns": ["persona_id", "time", "history"]}}]}
        path = folder / "pipeline.yaml"
        path.write_text(yaml.safe_dump({"name": "h", "steps": steps, "publish": publish}, sort_keys=False))
        usage = measured(command(path, folder / "run"), env=environment())
        on_disk = sum(file.stat().st_size for file in (folder / "run" / "tables" / "history").iterdir()) / 1e6
        what = f"{n_rows:,} histories of up to {kb} kB ({usage.wall_s:.0f} s; {on_disk:.1f} MB in the table)"
        return Line(what, f"{usage.peak_mb:.0f} MB", "", "", f"<= {_LIMIT_MB} MB", usage.peak_mb <= _LIMIT_MB)


@own_caches()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--kb", type=int, default=128)
    asked = parser.parse_args()
    print(table([histories(asked.rows // 4, asked.kb), histories(asked.rows, asked.kb)]), machine(), sep="\n\n")


if __name__ == "__main__":
    main()
