"""What the Hub of `hub.py` holds: files, commits, branches and tags, and how the Hub lists them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Stored:
    """One file of a commit: its bytes, and whether they lie in LFS."""

    content: bytes
    lfs: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def blob(self) -> str:
        held = self.pointer() if self.lfs else self.content
        return hashlib.sha1(b"blob %d\0" % len(held) + held).hexdigest()

    def pointer(self) -> bytes:
        return (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.content)}\n".encode()
        )


@dataclass(frozen=True)
class Commit:
    oid: str
    parent: str | None
    files: dict[str, Stored]
    summary: str


@dataclass
class Repo:
    private: bool
    commits: dict[str, Commit] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def at(self, revision: str) -> Commit | None:
        oid = self.heads.get(revision) or self.tags.get(revision) or revision
        return self.commits.get(oid)

    def add(self, branch: str, files: dict[str, Stored], summary: str) -> Commit:
        parent = self.heads.get(branch)
        seed = json.dumps([parent, summary, len(self.commits), {path: one.blob for path, one in files.items()}])
        commit = Commit(hashlib.sha1(seed.encode()).hexdigest(), parent, files, summary)
        self.commits[commit.oid] = commit
        self.heads[branch] = commit.oid
        return commit

    def history(self, branch: str = "main") -> list[Commit]:
        """Newest first."""
        found, oid = [], self.heads.get(branch)
        while oid:
            found.append(self.commits[oid])
            oid = self.commits[oid].parent
        return found


def lfs(one: Stored, oid: str) -> dict[str, Any]:
    return {"lfs": {oid: one.sha256, "size": len(one.content), "pointerSize": len(one.pointer())}} if one.lfs else {}


def _entry(path: str, one: Stored) -> dict[str, Any]:
    return {"type": "file", "oid": one.blob, "size": len(one.content), "path": path} | lfs(one, "oid")


def _folder(path: str) -> dict[str, Any]:
    return {"type": "directory", "oid": hashlib.sha1(path.encode()).hexdigest(), "size": 0, "path": path}


def _folders(commit: Commit) -> list[str]:
    return sorted({path.rsplit("/", depth)[0] for path in commit.files for depth in range(1, path.count("/") + 1)})


def tree(commit: Commit, folder: str, recursive: bool) -> list[dict[str, Any]] | None:
    start = f"{folder.strip('/')}/" if folder.strip("/") else ""
    if start and start[:-1] not in _folders(commit):
        return None
    inside = [_folder(path) for path in _folders(commit)] + [
        _entry(path, one) for path, one in sorted(commit.files.items())
    ]
    return [
        one for one in inside if one["path"].startswith(start) and (recursive or "/" not in one["path"][len(start) :])
    ]


def paths(commit: Commit, paths: list[str]) -> list[dict[str, Any]]:
    folders = _folders(commit)
    return [
        _entry(path, commit.files[path]) if path in commit.files else _folder(path)
        for path in (one.strip("/") for one in paths)
        if path in commit.files or path in folders
    ]
