"""One export of a finished run, written to a folder of its own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from prefgen.errors import FileError, UsageError, one_of
from prefgen.publish.exports.chat import chat_template
from prefgen.publish.exports.line import line_of
from prefgen.publish.exports.presets import PRESETS, want
from prefgen.publish.exports.source import source_of
from prefgen.publish.exports.write import check_out, swap, write_config
from prefgen.store.folder import RunFolder, file_errors
from prefgen.store.shards import ShardFile


def export_run(
    run: Path, preset: str, out: Path, *, jsonl: bool = False, template: str | None = None,
    from_step: str | None = None, shots: int = 4,
) -> dict[str, Any]:  # fmt: skip
    """Write one export of a finished run as `out/<split>-00000-of-00001.parquet`; `out` is whole or not there.

    jsonl      the same rows as JSONL beside every Parquet file
    template   a chat template by name or file: conversations become texts
    from_step  step to make it from; by default the last one that it can use
    shots      earlier choices beside each row of `fewshot`

    Returns name, grain, step and splits (rows by split).
    Raises UsageError for an unknown preset, FileError for a folder that is no finished run or an `out` that is not empty.
    """
    if preset not in PRESETS:
        raise UsageError(f"--to {preset!r}: no such export", fix=f"use {one_of(preset, PRESETS)}")
    check_out(out)
    render = chat_template(template) if template is not None else None
    folder = RunFolder(run)
    manifest = folder.read_manifest()
    if manifest["status"] != "finished":
        raise FileError(f"{run}: the run is not finished", fix="run the pipeline again; it goes on where it stopped")
    line = line_of(folder, seed=manifest["seed"])
    grains = {step["name"]: step["grain"] for step in manifest["steps"]}
    options = {"shots": shots} | ({"from": from_step} if from_step else {})
    wanted = want(line, grains, preset, options, at=("publish", "exports"))
    tables = {step: folder.table(step) for step in grains}
    source = source_of(line, tables, wanted.step, shots=shots)
    aside = out.with_name(f".{out.name}.aside")
    with file_errors(aside):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        config = write_config(wanted, source, aside, int(manifest["publish"]["shard_mb"]) * 1_000_000, render=render)
        for shard in config.shards if jsonl else ():
            _write_jsonl(shard)
        swap(aside, out)
    return config.entry()


def _write_jsonl(shard: ShardFile) -> None:
    file = pq.ParquetFile(shard.path)
    with shard.path.with_suffix(".jsonl").open("wb") as out:
        for group in range(file.num_row_groups):
            rows = pl.from_arrow(file.read_row_group(group))
            assert isinstance(rows, pl.DataFrame)
            rows.write_ndjson(out)
