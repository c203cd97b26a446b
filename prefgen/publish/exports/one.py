"""One export of a finished run, written to a folder of its own."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from prefgen.errors import UsageError, one_of
from prefgen.publish.exports.beside import beside
from prefgen.publish.exports.chat import Render, chat_template
from prefgen.publish.exports.check import check_named
from prefgen.publish.exports.hidden import Hidden
from prefgen.publish.exports.presets import ALWAYS, PRESETS
from prefgen.publish.exports.wanted import Wanted, want
from prefgen.publish.exports.write import Config, check_out, swap, write_beside, write_export
from prefgen.spec.document import Key
from prefgen.store.files import file_errors
from prefgen.store.finished import Lineage, finished_manifest
from prefgen.store.folder import RunFolder
from prefgen.store.shards import ShardFile
from prefgen.store.table import Table


def export_run(
    run: Path,
    preset: str,
    out: Path,
    *,
    jsonl: bool = False,
    template: str | None = None,
    from_step: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write one export of a finished run as `out/<split>-00000-of-00001.parquet`; `out` is whole or not there.

    jsonl        the same rows as JSONL beside every Parquet file
    template     a chat template by name or file: conversations become texts
    from_step    step to make it from; by default the one that the run would take
    options      what a pipeline writes behind the export: `shots`, `labels`, which column is what, ...

    People and answers are numbered as in the run's `data`. Returns the config's entry as the manifest has it.
    Raises UsageError for an unknown preset, FileError for a folder that is no finished run or an `out` that is not empty.
    """
    if preset not in PRESETS:
        raise UsageError(f"--to {preset!r}: no such export", fix=f"use {one_of(preset, PRESETS)}")
    check_out(out)
    render = _render(preset, template)
    folder = RunFolder(run)
    manifest = finished_manifest(folder)
    said = {**(options or {})} | ({"from": from_step} if from_step else {})
    lineage = Lineage.of_manifest(manifest)
    wanted = want(lineage, preset, said, _complain)
    tables = {step: folder.table(step) for step in lineage.steps}
    check_named(wanted, tables, lambda problem, fix: UsageError(problem, fix=fix))
    aside = out.with_name(f".{out.name}.aside")
    with file_errors(aside):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        config = _written(wanted, tables, manifest, aside, render)
        for shard in config.shards if jsonl else ():
            _write_jsonl(shard)
        swap(aside, out)
    return config.entry()


def _render(preset: str, template: str | None) -> Render | None:
    if template is None:
        return None
    if PRESETS[preset].form in ("message", "ranked"):
        raise UsageError(f"--template: {preset!r} is read as conversations", fix="leave it out, or export dpo")
    return chat_template(template)


def _written(
    wanted: Wanted, tables: Mapping[str, Table], manifest: Mapping[str, Any], out: Path, render: Render | None
) -> Config:
    """The files of one export."""
    lineage, shard_bytes = Lineage.of_manifest(manifest), int(manifest["publish"]["shard_mb"]) * 1_000_000
    hidden = Hidden.of(manifest["publish"].get("hidden", ()), tables.values())
    if wanted.preset_name in ALWAYS:
        return write_beside(wanted.preset_name, beside(lineage, tables, [wanted]), out, hidden, shard_bytes)
    published = [Wanted(one["name"], one["preset"], one["step"]) for one in manifest["configs"]]
    return write_export(
        wanted,
        tables,
        beside(lineage, tables, [*published, wanted]),
        out,
        hidden,
        seed=manifest["seed"],
        shard_bytes=shard_bytes,
        render=render,
    )


def _complain(key: Key, problem: str, fix: str) -> UsageError:
    flag = {"from": "--from: "}.get(str(key[-1]), f"--set {key[-1]}: ") if len(key) > 1 else ""
    return UsageError(f"{flag}{problem}", fix=fix)


def _write_jsonl(shard: ShardFile) -> None:
    file = pq.ParquetFile(shard.path)
    with shard.path.with_suffix(".jsonl").open("wb") as out:
        for group in range(file.num_row_groups):
            rows = pl.from_arrow(file.read_row_group(group))
            assert isinstance(rows, pl.DataFrame)
            rows.write_ndjson(out)
