"""Rows of a dataset on the Hub: of one commit, and kept here once they have come."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from prefgen.errors import FileError, one_of
from prefgen.ids import content_id
from prefgen.store.folder import file_errors
from prefgen.store.remote import Remote, State, connect
from prefgen.store.rows import read_rows
from prefgen.store.shards import split_rank

_READABLE = (".parquet", ".jsonl", ".csv")


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
            return pl.read_parquet(kept)
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
    paths = _paths(remote, state, config, split)
    with tempfile.TemporaryDirectory(prefix="prefgen-hub-") as folder:
        frames = []
        for path in paths:
            remote.calls(lambda path=path: remote.api.hf_hub_download(  # type: ignore[misc]
                remote.repo_id, path, repo_type="dataset", revision=commit, local_dir=folder))  # fmt: skip
            frames.append(read_rows(Path(folder) / path))
        try:
            return pl.concat(frames, how="vertical_relaxed")
        except pl.exceptions.PolarsError as error:
            said = str(error).splitlines()[0]
            raise FileError(f"{remote.repo_id}: its files do not have the same columns: {said}",
                fix="name a `config` or a `split`") from None  # fmt: skip


def _paths(remote: Remote, state: State, config: str | None, split: str | None) -> list[str]:
    """The files that are meant, split by split."""
    readable = sorted(path for path in state.files if path.endswith(_READABLE))
    configs = _configs(remote, state)
    names = [str(one.get("config_name", "default")) for one in configs]
    if config is not None and config not in names:
        fix = f"use {one_of(config, names)}" if names else "its card names no configs: leave `config` out"
        raise FileError(f"{remote.repo_id} has no config {config!r}", fix=fix)
    if configs:
        chosen = configs[names.index(config)] if config is not None else _default(configs)
        splits = _splits(chosen.get("data_files"))
    else:  # nothing but files: a split is what their names begin with
        splits = {re.split(r"\W", Path(path).name)[0]: [] for path in readable}
        splits = {name: [path for path in readable if re.split(r"\W", Path(path).name)[0] == name] for name in splits}
    if split is not None and split not in splits:
        raise FileError(f"{remote.repo_id} has no split {split!r}", fix=f"use {one_of(split, splits)}")
    wanted = [split] if split is not None else sorted(splits, key=split_rank)
    paths = [path for name in wanted for path in readable if any(fnmatch(path, like) for like in splits[name])]
    if not paths:
        raise FileError(f"{remote.repo_id}: no Parquet, JSONL or CSV file for these rows at commit {state.commit[:12]}",
            fix="name another `config`, `split` or `revision`")  # fmt: skip
    return paths


def _configs(remote: Remote, state: State) -> list[dict[str, Any]]:
    """The configs that the dataset's card names."""
    if "README.md" not in state.files:
        return []
    card = remote.read("README.md", state.commit).decode("utf-8", "replace")
    block = re.match(r"---\n(.*?)\n---", card, flags=re.DOTALL)
    try:
        said = yaml.safe_load(block[1]) if block else None
    except yaml.YAMLError:
        return []
    found = said.get("configs") if isinstance(said, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _default(configs: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    listed = list(configs)
    return next((one for one in listed if one.get("default")), listed[0])


def _splits(data_files: Any) -> dict[str, list[str]]:
    """Patterns by split, however the card writes them."""
    if not isinstance(data_files, list) or not all(isinstance(one, dict) for one in data_files):
        return {"train": _texts(data_files)}
    return {str(one.get("split", "train")): _texts(one.get("path")) for one in data_files}


def _texts(said: Any) -> list[str]:
    return [str(one) for one in said] if isinstance(said, list) else [str(said)] if said is not None else []


def _cache_folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "prefgen" / "hub"
