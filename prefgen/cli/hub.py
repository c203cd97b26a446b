"""push, pull and append on the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import orjson
import polars as pl

from prefgen.errors import UsageError, one_of
from prefgen.publish.hub import append_run, download, open_published, pull_rows, push_run, write_rows
from prefgen.screen.console import people, print_json


def push(run: Path, repo_id: str, *, private: bool, tag: str | None, force: bool, as_json: bool) -> None:
    """Publish a run and say what went there."""
    pushed = push_run(run, repo_id, private=private, tag=tag, force=force)
    if as_json:
        print_json(asdict(pushed))
        return
    did = f"{len(pushed.uploaded)} file(s) uploaded, {len(pushed.deleted)} removed, {pushed.unchanged} there already"
    people.print(f"{pushed.url}  tag {pushed.tag}, commit {pushed.commit[:12]}: {did}", markup=False, soft_wrap=True)


def append(run: Path, repo_id: str, *, private: bool, tag: str | None, force: bool, as_json: bool) -> None:
    """Add a run's rows to a published dataset and say how many were new."""
    appended = append_run(run, repo_id, private=private, tag=tag, force=force)
    if as_json:
        print_json(asdict(appended))
        return
    people.print(f"{appended.url}  tag {appended.tag}, commit {appended.commit[:12]}", markup=False, soft_wrap=True)
    for config, rows in appended.rows.items():
        people.print(
            f"  {config}: {rows:,} rows added, {appended.skipped.get(config, 0):,} there already", markup=False
        )


def pull(
    repo_id: str,
    *,
    revision: str | None,
    out: Path | None,
    config: str | None,
    split: str | None,
    where: str | None,
    columns: Sequence[str],
    head: int | None,
) -> None:
    """What a dataset holds; with `out` a checked copy; with `config` its rows, into a file or as JSON lines on stdout."""
    published = open_published(repo_id, revision=revision)
    if config is None and (split or where or columns or head is not None):
        raise UsageError("rows of which config?", fix=f"add --config {one_of('', published.configs)}")
    if config is not None:
        rows = pull_rows(published, config, split=split, where=where, columns=columns or None, head=head)
        _write(rows, out)
        return
    for name, splits in published.configs.items():
        for part, n_rows in splits.items():
            people.print(f"{name}/{part}: {n_rows:,} rows", markup=False)
    if out is not None:
        folder = download(published, out)
        people.print(f"{folder}: commit {published.commit[:12]}, every file as its sha256 says", markup=False)


def _write(rows: Iterator[pl.DataFrame], out: Path | None) -> None:
    if out is not None:
        n_rows = write_rows(rows, out, jsonl=out.suffix == ".jsonl")
        people.print(f"{out}: {n_rows:,} rows", markup=False)
        return
    for frame in rows:
        for row in frame.iter_rows(named=True):
            print(orjson.dumps(row, default=str).decode())
