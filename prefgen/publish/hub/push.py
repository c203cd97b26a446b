"""`prefgen push`: a finished run becomes one version of a dataset on the Hub."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from prefgen.errors import FileError, GateError, UsageError
from prefgen.publish.public import check_rows, public_manifest, public_page, public_pipeline, text_of_run, version_of
from prefgen.store.finished import finished_manifest
from prefgen.store.folder import RunFolder
from prefgen.store.manifest import check_files
from prefgen.store.remote import Content, Remote, StaleError, State, connect
from prefgen.store.shape import wrong_manifest

_OURS = ("data/", "figures/")
_OUR_FILES = frozenset({"README.md", "manifest.json", "pipeline.yaml", "report.html"})


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did.

    commit     the commit that holds this version
    uploaded   files that were new or changed; empty when everything was there
    deleted    files of an earlier version that this one does not have
    """

    repo_id: str
    url: str
    commit: str
    tag: str
    uploaded: tuple[str, ...]
    deleted: tuple[str, ...]
    unchanged: int


def push_run(
    run: Path,
    repo_id: str,
    *,
    private: bool = True,
    tag: str | None = None,
    force: bool = False,
    endpoint: str | None = None,
) -> Pushed:
    """Publish a finished run in one commit: only what changed is uploaded, and a reader sees the old version or the new.

    private    of a dataset that is created now; one that exists keeps its visibility
    tag        of this version; by default the hash of its data
    force      also a run whose gates failed, and over a dataset that this run did not begin

    Safe to repeat at any moment, also after a kill: a version that is there is not committed again.
    Raises GateError for missed gates, FileError for a run that is not finished or was changed, and for the Hub.
    """
    folder = RunFolder(run)
    manifest = publishable(folder, force=force)
    remote = connect(repo_id, endpoint=endpoint)
    version = checked_tag(tag) or version_of(manifest)
    files = published_files(folder, manifest)
    remote.create(private=private)
    _check_tag_is_free(remote, version, files, named=tag is not None)

    def attempt() -> Pushed:
        state = remote.state()
        if not force:
            _check_is_ours(remote, state, manifest)
        return settle(remote, state, files, tag=version, message=f"{manifest['name']} {version}")

    pushed = _settled(remote, attempt)
    remote.tag(version, pushed.commit)
    return pushed


def _settled(remote: Remote, attempt: Callable[[], Pushed]) -> Pushed:
    try:
        return remote.settle(attempt)
    except StaleError:
        raise FileError(
            f"{remote.repo_id}: somebody else committed while this push was on its way",
            fix="look at what changed, then push again",
        ) from None


def publishable(folder: RunFolder, *, force: bool) -> dict[str, Any]:
    """The manifest of a run that may go out: finished, its gates passed, its files as the manifest says."""
    manifest = finished_manifest(folder)
    missed = [f"{gate['step']}.{gate['gate']}" for gate in manifest["gates"] if not gate["passed"]]
    if missed and not force:
        raise GateError(
            f"{folder.path}: {len(missed)} gate(s) missed: {', '.join(missed)}",
            fix="correct the data, or push with --force to publish them as they are",
        )
    check_files(folder, manifest)
    check_rows(folder, manifest)
    if not folder.card_path.is_file():
        raise FileError(f"{folder.card_path}: there is no card", fix="run the pipeline again")
    return manifest


def published_files(folder: RunFolder, manifest: Mapping[str, Any]) -> dict[str, Content]:
    """Everything that is published of a run, by its path in the repository."""
    public = public_manifest(manifest)
    files: dict[str, Content] = {entry["path"]: folder.path / entry["path"] for entry in public["files"]}
    files["README.md"] = public_page(text_of_run(folder.card_path), folder, manifest).encode()
    files["manifest.json"] = json_bytes(public)
    files["pipeline.yaml"] = public_pipeline(text_of_run(folder.pipeline_path)).encode()
    if folder.report_path.is_file():
        files["report.html"] = public_page(text_of_run(folder.report_path), folder, manifest).encode()
    return files


def settle(remote: Remote, state: State, files: Mapping[str, Content], *, tag: str, message: str) -> Pushed:
    """Commit the difference between `state` and `files`, if there is any.

    Raises what the Hub raises: the caller reads the state anew and tries again, so that a commit whose answer was
    lost is found and not made twice.
    """
    changed = {
        path: content
        for path, content in files.items()
        if path not in state.files or not state.files[path].holds(content)
    }
    deleted = sorted(path for path in state.files if is_ours(path) and path not in files)
    commit = state.commit
    if changed or deleted:
        remote.commit(changed, deleted, parent=state.commit, message=message)
        commit = remote.state().commit
    unchanged = len(files) - len(changed)
    return Pushed(remote.repo_id, remote.url, commit, tag, tuple(sorted(changed)), tuple(deleted), unchanged)


def is_ours(path: str) -> bool:
    """Whether a file of a repository is one that a push writes, and may therefore remove."""
    return path.startswith(_OURS) or path in _OUR_FILES


def json_bytes(content: object) -> bytes:
    """Indented JSON with a newline at its end."""
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def remote_manifest(remote: Remote, state: State) -> dict[str, Any] | None:
    """The manifest that stands in a repository; None when prefgen did not publish it."""
    if "manifest.json" not in state.files:
        return None
    try:
        manifest = orjson.loads(remote.read("manifest.json", state))
    except orjson.JSONDecodeError:
        return None
    if not isinstance(manifest, dict) or manifest.get("format") != 1:
        return None
    problem = wrong_manifest(manifest)
    if problem is not None:
        raise FileError(f"{remote.repo_id}: its manifest.json is {problem}", fix="use an earlier --revision")
    return manifest


def checked_tag(tag: str | None) -> str | None:
    """A tag that git takes, or UsageError."""
    if tag is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?<!\.lock)(?<!\.)", tag):
        raise UsageError(f"--tag {tag!r} cannot be a tag", fix="use letters, digits, '.', '_' and '-', e.g. v1.0")
    return tag


def _check_tag_is_free(remote: Remote, tag: str, files: Mapping[str, Content], *, named: bool) -> None:
    there = remote.tags().get(tag) if named else None
    if there is None:
        return
    state = remote.state(there)
    if any(path not in state.files or not state.files[path].holds(content) for path, content in files.items()):
        raise FileError(
            f"{remote.repo_id}: the tag {tag!r} names another version (commit {there[:12]})",
            fix="choose another --tag; published versions do not change",
        )


def _check_is_ours(remote: Remote, state: State, manifest: Mapping[str, Any]) -> None:
    """A push replaces all data: only those of the same dataset, and not the runs that were added to it."""
    if not any(path.startswith("data/") for path in state.files):
        return
    there = remote_manifest(remote, state)
    if there is None:
        problem, fix = "holds data that prefgen did not publish", "choose another name, or --force to replace them"
    elif there["name"] != manifest["name"]:
        problem, fix = f"holds the dataset {there['name']!r}", "choose another name, or --force to replace it"
    elif there.get("appended"):
        problem = f"{len(there['appended'])} run(s) were added to it, which a push would remove"
        fix = "use `prefgen append`, or --force to replace everything"
    else:
        return
    raise FileError(f"{remote.repo_id}: {problem}", fix=fix)
