"""Rows of a dataset on the Hub: of one commit, and kept here once they have come."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path

import polars as pl

from prefgen.errors import FileError, SpecError, one_of
from prefgen.ids import content_id
from prefgen.store.files import file_errors
from prefgen.store.hub_layout import Layout, configs_of
from prefgen.store.remote import Remote, connect
from prefgen.store.rows import read_rows, read_together
from prefgen.store.shards import split_rank

MAX_BYTES = 20_000_000_000
"""Rows are held at once, so that more than this is not fetched for nothing."""


def commit_of(repo_id: str, revision: str) -> str:
    """The commit that a branch or tag names now; a commit is its own, and nobody is asked."""
    return revision if re.fullmatch(r"[0-9a-f]{40}", revision) else connect(repo_id).state(revision).commit


def hub_rows(
    repo_id: str, *, commit: str, config: str | None, split: str | None, cache: Path | None = None
) -> pl.DataFrame:
    """All rows of a config (by default the dataset's own default) and split (by default all), in the order of the files.

    cache    folder for them; by default `prefgen/hub` in XDG_CACHE_HOME or ~/.cache. What lies there is not fetched again.

    Raises FileError for a dataset, config or split that is not there, and when the Hub cannot be reached.
    """
    remote = connect(repo_id)
    name = content_id("hub", [remote.endpoint, repo_id, config, split, commit])
    kept = (cache or _cache_folder()) / f"{name}.parquet"
    with file_errors(kept):
        if kept.is_file():
            with contextlib.suppress(SpecError):  # one that was damaged here is fetched again
                return read_rows(kept)
        rows = _fetched(remote, commit, config, split)
        kept.parent.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(dir=kept.parent, prefix=f".{name}.")
        os.close(handle)
        try:
            rows.write_parquet(aside)
            Path(aside).replace(kept)
        finally:
            Path(aside).unlink(missing_ok=True)
    return rows


def _fetched(remote: Remote, commit: str, config: str | None, split: str | None) -> pl.DataFrame:
    state = remote.state(commit)
    card = remote.read("README.md", state) if "README.md" in state.files else b""
    layout = Layout(remote.repo_id, list(state.files), configs_of(remote.repo_id, card.decode("utf-8", "replace")))
    chosen = layout.config(config)
    splits = layout.splits(chosen)
    if split is not None and split not in splits:
        raise FileError(f"{remote.repo_id} has no split {split!r}", fix=f"use {one_of(split, splits)}")
    wanted = [split] if split is not None else sorted(splits, key=split_rank)
    paths = [path for name in wanted for path in splits[name]]
    size = sum(state.files[path].size_bytes for path in paths)
    if size > MAX_BYTES:
        raise FileError(
            f"{remote.repo_id}: its {len(paths):,} files have {size / 1e9:.0f} GB, at most {MAX_BYTES / 1e9:.0f} are read",
            fix="name a `config` or a `split`, or bring some of its rows as a file",
        )
    with tempfile.TemporaryDirectory(prefix="prefgen-hub-") as folder:
        local = [remote.download(path, state, Path(folder)) for path in paths]
        try:
            return read_together(local, separator=chosen.separator)
        except SpecError as error:
            said = str(error.complaints[0]).replace(f"{folder}/", "")
            problem, _, fix = said.partition("\n  fix: ")
            raise FileError(f"{remote.repo_id}: {problem}", fix=fix) from None


def _cache_folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "prefgen" / "hub"
