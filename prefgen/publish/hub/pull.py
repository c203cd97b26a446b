"""`prefgen pull`: what was published, listed, downloaded and checked, or read row by row."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from prefgen.errors import FileError, UsageError, one_of
from prefgen.ids import file_sha256
from prefgen.publish.exports.write import check_out, swap
from prefgen.publish.hub.push import json_bytes, remote_manifest
from prefgen.publish.hub.skipping import may_hold, ranges_of
from prefgen.spec.condition import Condition, ConditionError, read_expression
from prefgen.store.files import file_errors
from prefgen.store.remote import Remote, State, connect
from prefgen.store.shards import write_shards


@dataclass(frozen=True, slots=True)
class Published:
    """One version of a published dataset: a commit, and what its manifest says."""

    remote: Remote
    state: State
    manifest: Mapping[str, Any]
    others: tuple[str, ...]  # files that the manifest does not list: card, report, pipeline

    @property
    def commit(self) -> str:
        """The commit that it is."""
        return self.state.commit

    @property
    def configs(self) -> dict[str, dict[str, int]]:
        """Rows by config and split."""
        return {config["name"]: dict(config["splits"]) for config in self.manifest["configs"]}

    def shards(self, config: str, split: str | None = None) -> list[str]:
        """Paths of a config's files, in order; UsageError for one that is not there."""
        if config not in self.configs:
            raise UsageError(
                f"{self.remote.repo_id} has no config {config!r}", fix=f"use {one_of(config, self.configs)}"
            )
        if split is not None and split not in self.configs[config]:
            raise UsageError(
                f"config {config!r} has no split {split!r}", fix=f"use {one_of(split, self.configs[config])}"
            )
        found = [PurePosixPath(entry["path"]) for entry in self.manifest["files"]]
        mine = [path for path in found if path.parts[:2] == ("data", config)]
        return sorted(str(path) for path in mine if split is None or path.name.split("-")[0] == split)


def open_published(repo_id: str, *, revision: str | None = None, endpoint: str | None = None) -> Published:
    """One version of a dataset; everything read afterwards is of this commit, whatever is pushed meanwhile."""
    remote = connect(repo_id, endpoint=endpoint)
    state = remote.state(revision)
    manifest = remote_manifest(remote, state)
    if manifest is None:
        raise FileError(
            f"{repo_id}: prefgen did not publish this dataset (no manifest.json)",
            fix="load it with datasets.load_dataset, or check the name",
        )
    listed = {entry["path"] for entry in manifest["files"]}
    others = ("README.md", "pipeline.yaml", "report.html")
    return Published(
        remote, state, manifest, tuple(name for name in others if name in state.files and name not in listed)
    )


def download(published: Published, out: Path, *, configs: Sequence[str] = ()) -> Path:
    """The version as a folder, every data file checked against the manifest; the folder is whole or not there.

    configs    only these; by default all

    Going on after an interruption fetches only what is missing. A folder that holds this version already is left alone.
    """
    wanted = [path for name in configs or published.configs for path in published.shards(name)]
    entries = {entry["path"]: entry for entry in published.manifest["files"] if entry["path"] in wanted}
    if out.is_dir() and (out / "manifest.json").is_file() and _is_whole(out, entries, published):
        return out
    check_out(out)
    aside = out.with_name(f".{out.name}.aside")
    with file_errors(aside):
        aside.mkdir(parents=True, exist_ok=True)
        for path in [*entries, *published.others]:
            _fetch(published, path, aside, entries.get(path))
        (aside / "manifest.json").write_bytes(json_bytes(published.manifest))
        shutil.rmtree(aside / ".cache", ignore_errors=True)
        kept = {*entries, *published.others, "manifest.json"}
        for path in [path for path in aside.rglob("*") if path.is_file()]:
            if path.relative_to(aside).as_posix() not in kept:
                path.unlink()  # of another version, left by an interrupted pull
        if out.exists():
            out.rmdir()
        swap(aside, out)
    return out


def pull_rows(
    published: Published,
    config: str,
    *,
    split: str | None = None,
    where: str | None = None,
    columns: Sequence[str] | None = None,
    head: int | None = None,
) -> Iterator[pl.DataFrame]:
    """Rows of a config, a row group at a time, fetching only the columns and row groups that are needed.

    where      a polars SQL expression over the columns; NaN is no number, so nothing holds of it
    columns    only these, in this order
    head       only the first rows

    Raises UsageError for what the config does not have. At least one frame, so that the columns are known.
    """
    condition = _condition(where)
    left = head
    for path in published.shards(config, split):
        for place, rows in enumerate(_rows_of(published, path, condition, columns)):
            if condition is not None:
                rows = _filtered(rows, condition, where)
            rows = rows.select(columns) if columns else rows
            rows = rows if left is None else rows.head(left)
            left = None if left is None else left - rows.height
            if rows.height or not place:
                yield rows
            if left == 0:
                return


def _rows_of(
    published: Published, path: str, condition: Condition | None, columns: Sequence[str] | None
) -> Iterator[pl.DataFrame]:
    """No rows of one file, then its row groups that may hold what is wanted, with the columns needed for it."""
    with published.remote.files().open(
        f"datasets/{published.remote.repo_id}@{published.commit}/{path}", cache_type="none"
    ) as file:
        # Exact ranges: the footer, then the columns of a row group in as few requests as they lie together.
        shard = published.remote.calls(lambda: pq.ParquetFile(file, pre_buffer=True))
        needed = _needed(shard.schema_arrow.names, condition, columns)
        yield _read(published, shard, None, needed)
        for group in range(shard.num_row_groups):
            if condition is None or may_hold(condition.expression, ranges_of(shard.metadata, group)):
                yield _read(published, shard, group, needed)


def write_rows(frames: Iterable[pl.DataFrame], out: Path, *, jsonl: bool = False) -> int:
    """Write rows to one file (Parquet, or JSONL) that is whole or not there; the number of rows."""
    if out.exists():
        raise FileError(f"{out}: exists already", fix="choose another file with --out, or remove it")
    aside = out.with_name(f".{out.name}.aside")
    with file_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        if jsonl:
            n_rows, parts = 0, iter(frames)
            first = next(parts)  # what is wrong with the question shows before a file is begun
            with aside.open("wb") as file:
                for frame in _chained(first, parts):
                    n_rows += frame.height
                    frame.write_ndjson(file)
            aside.replace(out)
            return n_rows
        shutil.rmtree(aside, ignore_errors=True)
        parts = iter(frames)
        first = next(parts)
        (shard,) = write_shards(_chained(first, parts), aside, schema=first.schema, shard_bytes=1 << 62)
        shard.path.replace(out)
        aside.rmdir()
        return shard.rows


def _chained(first: pl.DataFrame, rest: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    yield first
    yield from rest


def _is_whole(out: Path, entries: Mapping[str, Mapping[str, Any]], published: Published) -> bool:
    same = (out / "manifest.json").read_bytes() == json_bytes(published.manifest)
    return same and all(
        (out / path).is_file() and file_sha256(out / path) == entry["sha256"] for path, entry in entries.items()
    )


def _fetch(published: Published, path: str, aside: Path, entry: Mapping[str, Any] | None) -> None:
    target = aside / path
    if entry is not None and target.is_file() and file_sha256(target) == entry["sha256"]:
        return
    remote = published.remote
    if path not in published.state.files:
        raise FileError(
            f"{remote.repo_id}: {path} is not there, and the manifest lists it",
            fix="use an earlier --revision; this version is not whole",
        )
    remote.download(path, published.state, aside, again=target.exists())
    if entry is not None and file_sha256(target) != entry["sha256"]:
        target.unlink()
        raise FileError(
            f"{remote.repo_id}: {path} is not the file that the manifest describes (sha256 differs)",
            fix="pull again; if it stays so, the published dataset is damaged: use an earlier --revision",
        )


def _condition(where: str | None) -> Condition | None:
    if where is None:
        return None
    with _about_where():
        condition = read_expression(where)
        if not condition.row_wise:  # rows are read a row group at a time
            raise ConditionError(f"{where!r} looks at more than one row", "compare the columns of a row")
        return condition


@contextlib.contextmanager
def _about_where() -> Iterator[None]:
    try:
        yield
    except ConditionError as error:
        raise UsageError(f"--where {error.problem}", fix=error.fix) from None


def _needed(names: Sequence[str], condition: Condition | None, columns: Sequence[str] | None) -> list[str]:
    asked = list(columns or names) + (condition.expression.meta.root_names() if condition is not None else [])
    unknown = [name for name in asked if name not in names]
    if unknown:
        raise UsageError(f"no column {unknown[0]!r}", fix=f"use {one_of(unknown[0], names)}")
    return [name for name in names if name in asked]


def _read(published: Published, shard: pq.ParquetFile, group: int | None, columns: list[str]) -> pl.DataFrame:
    """One row group, or none of the rows."""
    if group is None:
        found = pl.from_arrow(shard.schema_arrow.empty_table().select(columns))
    else:
        found = pl.from_arrow(published.remote.calls(lambda: shard.read_row_group(group, columns=columns)))
    assert isinstance(found, pl.DataFrame)
    return found


def _filtered(rows: pl.DataFrame, condition: Condition, where: str | None) -> pl.DataFrame:
    """The rows for which the condition is true; NaN is no number, so nothing holds of it."""
    with _about_where():
        numbers = rows.with_columns(pl.selectors.float().fill_nan(None))
        passed = condition.holds(numbers)
        if passed.dtype != pl.Boolean:
            raise ConditionError(f"{where!r} is of type {passed.dtype}, not true or false", "compare it with something")
        return rows.filter(passed)
