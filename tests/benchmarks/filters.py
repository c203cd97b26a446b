"""Filters, weights, pairs and shards over many judgments, against a plain polars scan and sink of the same files.

    python -m tests.benchmarks.filters [--rows 10000000] [--repetitions 3]

The judgments are made once: a part of real ones, repeated for other people. Then, each in a process of its own and in
turns: the steps `keep`, `weigh` and `pair` and the exports `judgments` and `dpo`, and `scan_parquet(...).sink_parquet(...)`.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson
import polars as pl

from tests.benchmarks.measure import Row, Usage, interleaved, machine, measured, table
from tests.caches import own_caches
from tests.faults.pipelines import write_pipeline

_ROOT = Path(__file__).parents[2]
_ITEMS = 250
_GOAL = 4.0


def prepare(folder: Path, n_judgments: int) -> None:
    """The tables personas, items and answers of a run over `n_judgments`, as `prefgen run` would leave them."""
    from prefgen.flow.pipeline import context_of, load
    from prefgen.store.folder import RunFolder
    from prefgen.store.table import PART_ROWS, Table
    from tests.benchmarks.replayed import AtOnce

    a_part = PART_ROWS // (2 * _ITEMS)
    n_people = n_judgments // (2 * _ITEMS)
    steps = {
        "weights": {"weigh": "tier", "from": "kept"},
        "pairs": {"pair": "chosen_vs_other", "from": "kept", "items": "items", "weight": "weights"},
    }
    pipeline = load(write_pipeline(folder, "http://127.0.0.1:9/v1", personas=n_people, items=_ITEMS, steps=steps))
    out, asker = RunFolder(folder / "run"), AtOnce(pipeline)
    tables: dict[str, Table] = {}
    for name in ("personas", "items"):
        spec = pipeline.steps[name]
        made = spec.make(tables, context_of(pipeline, name, asker))
        out.tables.write(name, made, fingerprint="", account=_no_account)
        tables[name] = out.table(name)
    people = tables["personas"].read()
    few = {**tables, "personas": Table.of("personas", [people.head(a_part)])}
    spec = pipeline.steps["answers"]
    (part,) = spec.make(few, context_of(pipeline, "answers", asker))

    def tiles() -> Iterator[pl.DataFrame]:
        for start in range(0, n_people, a_part):
            ids = people["persona_id"].slice(start, a_part)
            tile = part.head(len(ids) * 2 * _ITEMS)
            yield tile.with_columns(
                persona_id=ids.gather(pl.int_range(len(tile), eager=True) // (2 * _ITEMS)),
                judgment_id=pl.col("judgment_id") + f"-{start}",
            )

    out.tables.write("answers", tiles(), fingerprint="", account=_no_account)


def _no_account(_: object) -> dict[str, object]:
    return {}


def ours(folder: Path) -> None:
    """keep, weigh, pair and the exports, from and to files; seconds of each into seconds.json."""
    from prefgen.flow.pipeline import context_of, load
    from prefgen.publish.exports.write import write_exports
    from prefgen.store.folder import RunFolder
    from tests.benchmarks.replayed import AtOnce

    pipeline, out = load(folder / "pipeline.yaml"), RunFolder(folder / "run")
    tables = {name: out.table(name) for name in ("personas", "items", "answers")}
    seconds: dict[str, float] = {}
    for name in ("kept", "weights", "pairs"):
        began = time.perf_counter()
        spec = pipeline.steps[name]
        made = spec.make(tables, context_of(pipeline, name, AtOnce(pipeline)))
        out.tables.write(name, made, fingerprint="", account=_no_account)
        tables[name] = out.table(name)
        seconds[name] = time.perf_counter() - began
    grains = {
        "personas": "personas",
        "items": "items",
        "answers": "judgments",
        "kept": "judgments",
        "weights": "rows",
        "pairs": "pairs",
    }
    for export in ("judgments", "dpo"):
        began = time.perf_counter()
        publish = pipeline.publish.model_copy(update={"exports": [export]})
        write_exports(pipeline.model_copy(update={"publish": publish}), tables, grains, out.data)
        seconds[f"shards of {export}"] = time.perf_counter() - began
    (folder / "seconds.json").write_bytes(orjson.dumps(seconds))


def reference(folder: Path) -> None:
    """The same judgments, read and written again by polars alone."""
    files = sorted((folder / "run" / "tables" / "answers").glob("*.parquet"))
    pl.scan_parquet(files).sink_parquet(folder / "plain.parquet", compression="zstd")


def compare(n_judgments: int, repetitions: int) -> tuple[Usage, Usage, Mapping[str, float]]:
    """(ours, reference, seconds by stage), medians."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        module = [sys.executable, "-m", "tests.benchmarks.filters"]
        measured([*module, "--stage", "prepare", "--rows", str(n_judgments), "--folder", name], cwd=_ROOT)
        stages: list[dict[str, float]] = []

        def all_steps(_: int) -> Usage:
            used = measured([*module, "--stage", "ours", "--folder", name], cwd=_ROOT)
            stages.append(orjson.loads((folder / "seconds.json").read_bytes()))
            shutil.rmtree(folder / "run" / "data")
            for made in ("kept", "weights", "pairs"):
                shutil.rmtree(folder / "run" / "tables" / made)
            return used

        def plain(_: int) -> Usage:
            used = measured([*module, "--stage", "reference", "--folder", name], cwd=_ROOT)
            (folder / "plain.parquet").unlink()
            return used

        found = interleaved(repetitions, all_steps, plain)
    by_stage = {stage: statistics.median(each[stage] for each in stages) for stage in stages[0]}
    return found[0], found[1], by_stage


def rows(n_judgments: int = 10_000_000, repetitions: int = 3) -> list[Row]:
    mine, plain, stages = compare(n_judgments, repetitions)
    parts = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in stages.items())
    filtered = mine.wall_s - stages["weights"] - stages["pairs"] - stages["shards of dpo"]
    weighed = filtered + stages["weights"]
    of = f"polars scan + sink {plain.wall_s:.1f} s, {plain.peak_mb:.0f} MB"
    return [
        Row(
            f"filter {n_judgments:,} judgments and write them as shards",
            f"{filtered:.1f} s",
            of,
            f"{filtered / plain.wall_s:.1f}",
            f"<= {_GOAL:g}",
            filtered / plain.wall_s <= _GOAL,
        ),
        Row(
            "the same, and weigh them",
            f"{weighed:.1f} s",
            of,
            f"{weighed / plain.wall_s:.1f}",
            f"<= {_GOAL:g}",
            weighed / plain.wall_s <= _GOAL,
        ),
        Row(
            f"the same, and weighted pairs as a table and as shards ({parts})",
            f"{mine.wall_s:.1f} s, {mine.peak_mb:.0f} MB",
            of,
            f"{mine.wall_s / plain.wall_s:.1f}",
        ),
    ]


@own_caches()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--stage", choices=["prepare", "ours", "reference"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.stage == "prepare":
        prepare(asked.folder, asked.rows)
    elif asked.stage == "ours":
        ours(asked.folder)
    elif asked.stage == "reference":
        reference(asked.folder)
    else:
        print(table(rows(asked.rows, asked.repetitions)), machine(), sep="\n\n")


if __name__ == "__main__":
    main()
