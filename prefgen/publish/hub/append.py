"""`prefgen append`: tonight's run adds its people, questions and answers to a published dataset."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from prefgen.errors import FileError
from prefgen.publish.card import card_of
from prefgen.publish.card.facts import gather
from prefgen.publish.hub.grow import Growth, grown, new_shards
from prefgen.publish.hub.pull import Published
from prefgen.publish.hub.push import Pushed, checked_tag, json_bytes, publishable, push_run, remote_manifest
from prefgen.publish.public import public_manifest, public_page, public_pipeline, text_of_run, version_of
from prefgen.store.folder import RunFolder
from prefgen.store.remote import Content, Remote, StaleError, State, connect

_TRIES = 4
"""How often the additions are worked out anew because somebody else committed meanwhile."""


@dataclass(frozen=True, slots=True)
class Appended:
    """What was added.

    rows      new rows by config; empty when this run had been added before
    skipped   rows by config that the dataset had already
    """

    repo_id: str
    url: str
    commit: str
    tag: str
    rows: Mapping[str, int]
    skipped: Mapping[str, int]


def append_run(
    run: Path,
    repo_id: str,
    *,
    private: bool = True,
    tag: str | None = None,
    force: bool = False,
    endpoint: str | None = None,
) -> Appended:
    """Add a finished run to a published dataset in one commit; the first run of all is pushed.

    Published shards stay as they are; the new rows come in shards of their own, and the card and its totals follow.
    A row that the dataset has is not added again, so the same command can be repeated at any moment.
    Raises FileError when an id means another person or question there, or when the columns differ, and NotFinished
    when another process works in the run's folder.
    """
    folder = RunFolder(run)
    manifest = publishable(folder, force=force)
    remote = connect(repo_id, endpoint=endpoint)
    remote.create(private=private)
    named = checked_tag(tag)
    if not any(path.startswith("data/") for path in remote.state().files):
        pushed = push_run(run, repo_id, private=private, tag=tag, force=force, endpoint=endpoint)
        rows = {config["name"]: sum(config["splits"].values()) for config in manifest["configs"]}
        return _appended(pushed, rows, {})

    def attempt() -> Appended:
        with _aside(folder) as aside:
            return _append(folder, manifest, remote, named, aside)

    again = Retrying(stop=stop_after_attempt(_TRIES), retry=retry_if_exception_type(StaleError), reraise=True)
    try:
        with folder.locked():
            appended = again(lambda: remote.settle(attempt))
    except StaleError:
        raise FileError(f"{repo_id}: somebody else keeps committing", fix="run the same command again") from None
    remote.tag(appended.tag, appended.commit)
    return appended


def _append(folder: RunFolder, manifest: Mapping[str, Any], remote: Remote, named: str | None, aside: Path) -> Appended:
    state = remote.state()
    there = remote_manifest(remote, state)
    if there is None:
        raise FileError(
            f"{remote.repo_id}: holds data that prefgen did not publish", fix="append to a dataset of prefgen"
        )
    version = version_of(manifest)
    if version in (there.get("version"), *(one["version"] for one in there.get("appended", []))):
        return Appended(remote.repo_id, remote.url, state.commit, named or version_of(there), {}, {})
    growth = new_shards(folder, manifest, Published(remote, state, there, ()), aside)
    merged = grown(there, public_manifest(manifest), growth, version)
    if growth.files:
        _commit(folder, remote, state, merged, growth)
        state = remote.state()
    return Appended(remote.repo_id, remote.url, state.commit, named or version_of(merged), growth.rows, growth.skipped)


@contextmanager
def _aside(folder: RunFolder) -> Iterator[Path]:
    """A folder for new shards inside the run's own, so that what a kill leaves behind is swept up by the next try.

    Every try opens it, also one that finds all rows committed: the kill may have come just after the commit.
    """
    aside = folder.path / ".append.aside"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _commit(folder: RunFolder, remote: Remote, state: State, merged: Mapping[str, Any], growth: Growth) -> None:
    ours = folder.read_manifest()
    facts = gather(folder, ours)
    files: dict[str, Content] = dict(growth.files)
    files["README.md"] = public_page(card_of(merged, facts), folder, ours).encode()
    files["manifest.json"] = json_bytes(merged)
    files["pipeline.yaml"] = public_pipeline(text_of_run(folder.pipeline_path)).encode()
    remote.commit(files, (), parent=state.commit, message=f"{merged['name']}: {sum(growth.rows.values()):,} rows added")


def _appended(pushed: Pushed, rows: Mapping[str, int], skipped: Mapping[str, int]) -> Appended:
    return Appended(pushed.repo_id, pushed.url, pushed.commit, pushed.tag, rows if pushed.uploaded else {}, skipped)
