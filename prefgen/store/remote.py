"""One dataset repository on the Hub: reading its state, committing to it, and what can go wrong on the way."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, HfFileSystem, get_token
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils.tqdm import disable_progress_bars
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from prefgen.errors import FileError, UsageError
from prefgen.ids import file_sha256

T = TypeVar("T")

ATTEMPTS = 6
"""Tries of one call before the Hub is given up for now."""

WAIT_S = 20.0
"""Longest wait between two tries, in seconds."""

_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)

Content = Path | bytes
"""A file to publish: where it lies, or what it holds."""


class StaleError(Exception):
    """Somebody else committed since the state was read."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file as the Hub lists it. `sha256` is None for a small file, whose `blob` is its git hash."""

    path: str
    size_bytes: int
    sha256: str | None
    blob: str | None

    def holds(self, content: Content) -> bool:
        """Whether this is just that content."""
        size = content.stat().st_size if isinstance(content, Path) else len(content)
        if size != self.size_bytes:
            return False
        if self.sha256 is not None:
            return self.sha256 == (
                file_sha256(content) if isinstance(content, Path) else hashlib.sha256(content).hexdigest()
            )
        held = content.read_bytes() if isinstance(content, Path) else content
        return self.blob == hashlib.sha1(b"blob %d\0" % len(held) + held, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class State:
    """A repository at one commit."""

    commit: str
    files: Mapping[str, RemoteFile]


@dataclass(frozen=True, slots=True)
class Remote:
    """A dataset repository. Every method retries what may pass, and raises FileError for what does not."""

    repo_id: str
    api: HfApi
    endpoint: str
    _secret: str = field(repr=False, default="")

    @property
    def url(self) -> str:
        """Where people look at it."""
        return f"{self.endpoint}/datasets/{self.repo_id}"

    def create(self, *, private: bool) -> None:
        """Make the repository unless it is there; one that is there keeps its visibility."""
        self.calls(lambda: self.api.create_repo(self.repo_id, repo_type="dataset", private=private, exist_ok=True))

    def state(self, revision: str | None = None) -> State:
        """The files of a branch, tag or commit."""
        info = self.calls(
            lambda: self.api.dataset_info(self.repo_id, revision=revision, files_metadata=True), revision=revision
        )
        assert info.sha is not None
        files = {one.rfilename: RemoteFile(one.rfilename, one.size or 0, one.lfs.sha256 if one.lfs else None, one.blob_id)
                 for one in info.siblings or ()}  # fmt: skip
        return State(info.sha, files)

    def commit(self, changed: Mapping[str, Content], deleted: Iterable[str], *, parent: str, message: str) -> None:
        """One commit on top of `parent`; StaleError when that is not the head any more. Not retried here: see `settle`."""
        operations = [CommitOperationAdd(path, content) for path, content in changed.items()]
        gone = [CommitOperationDelete(path) for path in deleted]
        try:
            self.api.create_commit(self.repo_id, [*operations, *gone], commit_message=message, repo_type="dataset",
                                   parent_commit=parent)  # fmt: skip
        except HfHubHTTPError as error:
            if _status(error) == 412:
                raise StaleError from None
            raise

    def tags(self) -> dict[str, str]:
        """Commit by tag."""
        refs = self.calls(lambda: self.api.list_repo_refs(self.repo_id, repo_type="dataset"))
        return {tag.name: tag.target_commit for tag in refs.tags}

    def tag(self, name: str, commit: str) -> None:
        """Name a commit; a tag that exists stays where it is."""
        self.calls(
            lambda: self.api.create_tag(self.repo_id, tag=name, revision=commit, repo_type="dataset", exist_ok=True)
        )

    def read(self, path: str, commit: str) -> bytes:
        """A small file at a commit."""
        found: bytes = self.calls(lambda: self.files().cat_file(f"datasets/{self.repo_id}@{commit}/{path}"))
        return found

    def files(self) -> HfFileSystem:
        """The repository as a file system, read in ranges."""
        return HfFileSystem(endpoint=self.endpoint, token=self.api.token)

    def settle(self, attempt: Callable[[], T]) -> T:
        """Repeat an attempt that begins by reading the state, so that one whose answer was lost is not made twice."""
        return self.calls(attempt)

    def calls(self, call: Callable[[], T], *, revision: str | None = None) -> T:
        """What `call` returns, tried again while the Hub is busy; what it raises otherwise, as a FileError."""
        tries = Retrying(
            stop=stop_after_attempt(ATTEMPTS), wait=wait_random_exponential(0.5, WAIT_S),
            retry=retry_if_exception(_may_pass), reraise=True,
        )  # fmt: skip
        try:
            return tries(call)
        except Exception as raised:
            error = _origin(raised)
            translated = self._translated(error, revision)
            if translated is None:
                raise
            raise translated from None

    def _translated(self, error: BaseException, revision: str | None) -> FileError | None:
        place = f"{self.repo_id} on {self.endpoint}"
        status = _status(error)
        if isinstance(error, RevisionNotFoundError):
            return FileError(f"{place}: no revision {revision!r}", fix="give a branch, a tag or a commit that it has")
        if isinstance(error, GatedRepoError) or status == 403:
            return FileError(f"{place}: this token may not do that (HTTP 403)",
                fix="use a token with write access to this namespace, or ask its owner")  # fmt: skip
        if isinstance(error, RepositoryNotFoundError):
            return FileError(f"{place}: no such dataset, or one that this token cannot see",
                fix="check the name; for a private dataset set HF_TOKEN or log in with `hf auth login`")  # fmt: skip
        if status == 401:
            return FileError(f"{place}: the token is missing or not accepted (HTTP 401)",
                fix="set HF_TOKEN, or log in with `hf auth login`")  # fmt: skip
        if status is not None:
            said = self._masked(getattr(error, "server_message", None) or "")
            return FileError(f"{place}: HTTP {status}{f' ({said})' if said else ''}",
                fix="run the same command again; what was uploaded is not uploaded twice")  # fmt: skip
        if _is_transport(error):
            return FileError(f"{place}: cannot be reached ({type(error).__name__})",
                fix="check the network and HF_ENDPOINT, then run the same command again")  # fmt: skip
        return None

    def _masked(self, text: str) -> str:
        return (text.replace(self._secret, "***") if self._secret else text)[:300]


def who_am_i(*, endpoint: str | None = None) -> str:
    """Whose token is used and what it may do, in words; FileError when the Hub does not take it or is not there."""
    address = _address(endpoint)
    api = HfApi(endpoint=address, token=get_token(), library_name="prefgen")
    try:
        found = api.whoami()
    except Exception as error:
        if _status(error) == 401:
            raise FileError(f"{address}: the token is not accepted (HTTP 401)",
                fix="set HF_TOKEN, or log in with `hf auth login`") from None  # fmt: skip
        if _status(error) is None and not _is_transport(error):
            raise
        raise FileError(f"{address}: cannot be reached ({_status(error) or type(error).__name__})",
            fix="check the network and HF_ENDPOINT") from None  # fmt: skip
    role = ((found.get("auth") or {}).get("accessToken") or {}).get("role")
    return f"{address} knows {found['name']}" + (f", with a token that may {role}" if role else "")


def connect(repo_id: str, *, endpoint: str | None = None) -> Remote:
    """A repository by name, with the token from HF_TOKEN or from `hf auth login`; nothing is asked yet."""
    if not _REPO_ID.fullmatch(repo_id):
        raise UsageError(
            f"{repo_id!r} is not the name of a dataset", fix="write NAMESPACE/NAME, in letters, digits, '.', '_', '-'"
        )
    if not sys.stderr.isatty():
        disable_progress_bars()
    address = _address(endpoint)
    token = get_token()
    return Remote(repo_id, HfApi(endpoint=address, token=token, library_name="prefgen"), address, token or "")


def _address(endpoint: str | None) -> str:
    return (endpoint or os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def _origin(error: BaseException) -> BaseException:
    """What went wrong in truth: the client wraps a failed upload in a RuntimeError."""
    while type(error) is RuntimeError and error.__cause__ is not None:
        error = error.__cause__
    return error


def _status(error: BaseException) -> int | None:
    response: Any = getattr(error, "response", None)
    return getattr(response, "status_code", None)


def _is_transport(error: BaseException) -> bool:
    """Whether the network failed: connection refused, reset, timed out. The client wraps its HTTP library's errors rarely."""
    return isinstance(error, ConnectionError | TimeoutError) or type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore2", "httpcore")  # fmt: skip


def _may_pass(error: BaseException) -> bool:
    error = _origin(error)
    status = _status(error)
    return (status is not None and (status >= 500 or status == 429)) or (status is None and _is_transport(error))
