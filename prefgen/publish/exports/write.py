"""Exports on disk: the `data/` folder of a run, and one export written elsewhere."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from prefgen.errors import FileError
from prefgen.publish.exports.chat import Render, as_text
from prefgen.publish.exports.presets import ALWAYS, PRESETS, Wanted, wanted_exports
from prefgen.publish.exports.rows import rows_of
from prefgen.publish.exports.source import Source, nearest, source_of
from prefgen.spec.pipeline import Pipeline
from prefgen.store.folder import file_errors
from prefgen.store.shards import ShardFile, write_shards
from prefgen.store.table import Table


@dataclass(frozen=True, slots=True)
class Config:
    """One export as it lies on disk: a config of the dataset.

    name     of the export and of its folder
    grain    what one row is
    step     whose table it was made from
    schema   of its files
    """

    name: str
    grain: str
    step: str
    schema: pl.Schema
    shards: tuple[ShardFile, ...]

    @property
    def splits(self) -> dict[str, int]:
        """Rows by split, in the order in which splits are listed."""
        rows: dict[str, int] = {}
        for shard in self.shards:
            rows[shard.split] = rows.get(shard.split, 0) + shard.rows
        return rows

    def entry(self) -> dict[str, Any]:
        """Its line in the manifest's `configs`."""
        return {"name": self.name, "grain": self.grain, "step": self.step, "splits": self.splits}


def write_exports(
    pipeline: Pipeline, tables: Mapping[str, Table], grains: Mapping[str, str], data: Path
) -> list[dict[str, Any]]:
    """Write every export that the pipeline publishes, then `personas` and `items`, as `data/<name>/<split>-*.parquet`.

    grains    what one row of each step's table is

    Returns the manifest's `configs`: name, grain, step, splits (rows by split), in the order written.
    Written beside `data` and renamed, so that `data` is there whole or not at all. Memory stays flat.
    Raises SpecError for an export that these tables cannot give, FileError for a full disk.
    """
    wanted = wanted_exports(pipeline, grains)
    aside = data.with_name(f".{data.name}.aside")
    with file_errors(aside):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        shard_bytes = pipeline.publish.shard_mb * 1_000_000
        configs = [
            write_config(one, source_of(pipeline, tables, one.step, shots=one.shots), aside / one.name, shard_bytes)
            for one in wanted
        ]
        configs += [
            write_config(Wanted(name, PRESETS[name], table.name), _alone(table, pipeline), aside / name, shard_bytes)
            for name, table in _beside(pipeline, tables, wanted)
        ]
        swap(aside, data)
    return [config.entry() for config in configs]


def write_config(
    wanted: Wanted, source: Source, folder: Path, shard_bytes: int, *, render: Render | None = None
) -> Config:
    """Write one export into `folder`; `render` turns its conversations into texts."""
    frames = rows_of(wanted.preset, source)
    if render is not None:
        frames = (as_text(frame, render) for frame in frames)
    first = next(frames)
    shards = write_shards(
        itertools.chain([first], frames), folder, schema=first.schema, shard_bytes=shard_bytes, split_column="split"
    )
    schema = pl.Schema({name: dtype for name, dtype in first.schema.items() if name != "split"})
    return Config(wanted.name, wanted.preset.unit, wanted.step, schema, tuple(shards))


def swap(aside: Path, final: Path) -> None:
    """Put a finished folder in the place of an older one."""
    old = final.with_name(f".{final.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    aside.rename(final)
    shutil.rmtree(old, ignore_errors=True)


def check_out(out: Path) -> None:
    """FileError unless `out` is a folder that can be filled: not there yet, or empty."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        kind = "is not empty" if out.is_dir() else "is a file"
        raise FileError(f"{out}: {kind}", fix="choose a new folder with --out, or empty this one")


def _beside(pipeline: Pipeline, tables: Mapping[str, Table], wanted: list[Wanted]) -> Iterator[tuple[str, Table]]:
    start = wanted[0].step if wanted else list(tables)[-1]
    for name in ALWAYS:
        table = nearest(pipeline, tables, start, name)
        if table is not None and table.parts:
            yield name, table


def _alone(table: Table, pipeline: Pipeline) -> Source:
    return Source(table, pl.DataFrame(), pl.DataFrame(), pipeline.seed, 0)
