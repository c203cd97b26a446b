"""Exports on disk: the `data/` folder of a run, and one export written elsewhere."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from prefgen.errors import FileError
from prefgen.publish.exports.beside import Beside, beside
from prefgen.publish.exports.chat import Render, as_text
from prefgen.publish.exports.condition import texts_of
from prefgen.publish.exports.hidden import Hidden, Leaks
from prefgen.publish.exports.presets import ALWAYS, PRESETS
from prefgen.publish.exports.resampled import resampled, weighed
from prefgen.publish.exports.rows import rows_beside, rows_of
from prefgen.publish.exports.source import Source, parts_of
from prefgen.publish.exports.wanted import Wanted, wanted_exports
from prefgen.spec.pipeline import Pipeline
from prefgen.store.files import file_errors
from prefgen.store.finished import Lineage
from prefgen.store.shards import ShardFile, write_shards
from prefgen.store.table import Table


@dataclass(frozen=True, slots=True)
class Config:
    """One export as it lies on disk: a config of the dataset.

    name     of the export and of its folder
    preset   which of PRESETS it is
    steps    whose tables it was made from; several only for people and questions that exports of several share
    schema   of its files
    effective  of rows drawn by weight: the effective sample size of those that are trained on
    leaks    rows in which a hidden value stands; None where nothing is hidden
    """

    name: str
    preset: str
    steps: tuple[str, ...]
    schema: pl.Schema
    shards: tuple[ShardFile, ...]
    effective: float | None = None
    leaks: Leaks | None = None

    @property
    def splits(self) -> dict[str, int]:
        """Rows by split, in the order in which splits are listed."""
        rows: dict[str, int] = {}
        for shard in self.shards:
            rows[shard.split] = rows.get(shard.split, 0) + shard.rows
        return rows

    def entry(self) -> dict[str, Any]:
        """Its line in the manifest's `configs`."""
        told = {
            "name": self.name,
            "preset": self.preset,
            "grain": PRESETS[self.preset].unit,
            "step": self.steps[0],
            "steps": list(self.steps),
            "splits": self.splits,
        }
        drawn = {} if self.effective is None else {"effective": round(self.effective, 1)}
        return told | drawn | ({} if self.leaks is None else {"leaks": self.leaks.told()})


def write_exports(
    pipeline: Pipeline,
    tables: Mapping[str, Table],
    grains: Mapping[str, str],
    data: Path,
    say: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Write every export that the pipeline publishes, then `personas` and `items`, as `data/<name>/<split>-*.parquet`.

    grains    what one row of each step's table is

    say       told what of the hidden was found, with examples

    Returns the manifest's `configs`, in the order written.
    Written beside `data` and renamed, so that `data` is there whole or not at all. Memory stays flat.
    Raises SpecError for an export that these tables cannot give, FileError for a full disk.
    """
    wanted = wanted_exports(pipeline, grains)
    together = beside(Lineage.of_pipeline(pipeline, grains), tables, wanted)
    aside = data.with_name(f".{data.name}.aside")
    hidden = Hidden.of(pipeline.publish.hidden, tables.values())
    seed, shard_bytes = pipeline.seed, pipeline.publish.shard_mb * 1_000_000
    with file_errors(aside):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        configs = [
            write_export(one, tables, together, aside / one.name, hidden, seed=seed, shard_bytes=shard_bytes)
            for one in wanted
            if one.preset_name not in ALWAYS
        ]
        configs += [
            write_beside(what, together, aside / what, hidden, shard_bytes)
            for what in ALWAYS
            if getattr(together, what)
        ]
        swap(aside, data)
    for config in configs:
        if config.leaks is not None and config.leaks.rows:
            say(f"{config.name}: {config.leaks.in_words()}")
    return [config.entry() for config in configs]


def write_export(
    wanted: Wanted,
    tables: Mapping[str, Table],
    together: Beside,
    folder: Path,
    hidden: Hidden,
    *,
    seed: int,
    shard_bytes: int,
    render: Render | None = None,
) -> Config:
    """Write one export of judgments or pairs into `folder`; `render` turns its conversations into texts."""
    table = tables[wanted.step]
    leaving, where = _columns(wanted, table), wanted.condition
    source = Source(
        table,
        together,
        seed=seed,
        shots=wanted.shots,
        system_role=wanted.system_role,
        columns=leaving,
        details=wanted.details,
        conditions=None if where is None else texts_of(where, tables[where.step], list(table.schema)),
        parts=tuple(sorted(name for name in wanted.named if name in parts_of(table.schema))),
    )
    frames = rows_of(wanted.preset, source)
    effective = None
    if wanted.weighted == "resample":
        effective = weighed(rows_of(wanted.preset, source)).effective
        frames = resampled(partial(rows_of, wanted.preset, source), seed, wanted.name)
    if render is not None:
        frames = (as_text(frame, render) for frame in frames)
    leaks = hidden.leaks()
    frames = hidden.searched(frames, wanted.preset, wanted.named, leaks)
    schema, shards = _written(frames, folder, shard_bytes)
    return Config(wanted.name, wanted.preset_name, (wanted.step,), schema, shards, effective, leaks)


_OF_ROWS = ("candidate_id", "persona_id", "item_id", "user", "item", "prompt", "response", "time", "split")
"""What an export of labelled rows has besides its labels, of these what the rows have."""


def _columns(wanted: Wanted, table: Table) -> tuple[str, ...]:
    """The columns that leave of an export of rows, and the split that files are parted by; none named for all."""
    if wanted.details is not None:
        return tuple(dict.fromkeys((*wanted.labels, *wanted.columns)))
    if wanted.columns or not wanted.labels:
        more = (*wanted.labels, *(("split",) if wanted.columns and "split" in table.schema else ()))
        return (*wanted.columns, *(name for name in more if name not in wanted.columns))
    return (*(name for name in _OF_ROWS if name in table.schema and name not in wanted.labels), *wanted.labels)


def write_beside(what: str, together: Beside, folder: Path, hidden: Hidden, shard_bytes: int) -> Config:
    """Write the config `personas` or `items` into `folder`."""
    leaks = hidden.leaks()
    frames = hidden.searched(rows_beside(what, together), PRESETS[what], (), leaks)
    schema, shards = _written(frames, folder, shard_bytes)
    steps = tuple(table.name for table in getattr(together, what))
    return Config(what, what, steps, schema, shards, leaks=leaks)


def _written(frames: Iterator[pl.DataFrame], folder: Path, shard_bytes: int) -> tuple[pl.Schema, tuple[ShardFile, ...]]:
    first = next(frames)
    shards = write_shards(
        itertools.chain([first], frames), folder, schema=first.schema, shard_bytes=shard_bytes, split_column="split"
    )
    return pl.Schema({name: dtype for name, dtype in first.schema.items() if name != "split"}), tuple(shards)


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
