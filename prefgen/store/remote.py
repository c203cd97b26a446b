"""One dataset repository on the Hub: reading its state, committing to it, and what can go wrong on the way."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, HfFileSystem, get_token
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils.tqdm import disable_progress_bars
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from prefgen.errors import FileError, PrefgenError, UsageError
from prefgen.ids import file_sha256
from prefgen.store.bounded import SLACK_BYTES, at_most
from prefgen.store.hub_errors import NO_ANSWER, is_transport, may_pass, origin, status, translated
from prefgen.store.shape import is_inside

T = TypeVar("T")

ATTEMPTS = 6
"""Tries of one call before the Hub is given up for now."""

API_BYTES = 128 << 20
"""Largest answer that is no file: a list of 100,000 files is a third of it."""

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
        files = {
            one.rfilename: RemoteFile(one.rfilename, one.size or 0, one.lfs.sha256 if one.lfs else None, one.blob_id)
            for one in info.siblings or ()
        }
        listed = isinstance(info.sha, str) and all(isinstance(one.size_bytes, int) for one in files.values())
        bad = [path for path in files if not isinstance(path, str) or not is_inside(path)]
        if not listed or not re.fullmatch(r"[0-9a-f]{40}", str(info.sha)) or bad:
            what = f"it lists a file {bad[0]!r:.80}" if bad else "its list of files has no commit"
            raise FileError(f"{self.repo_id} on {self.endpoint}: {what}", fix="check HF_ENDPOINT: no Hub answers so")
        return State(str(info.sha), files)

    def commit(self, changed: Mapping[str, Content], deleted: Iterable[str], *, parent: str, message: str) -> None:
        """One commit on top of `parent`; StaleError when that is not the head any more. Not retried here: see `settle`."""
        operations = [CommitOperationAdd(path, content) for path, content in changed.items()]
        gone = [CommitOperationDelete(path) for path in deleted]
        try:
            self.api.create_commit(
                self.repo_id, [*operations, *gone], commit_message=message, repo_type="dataset", parent_commit=parent
            )
        except HfHubHTTPError as error:
            if status(error) == 412:
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

    def read(self, path: str, state: State) -> bytes:
        """A small file of a state."""
        with tempfile.TemporaryDirectory(prefix="prefgen-hub-") as folder:
            size = state.files[path].size_bytes
            if size > API_BYTES:
                raise FileError(f"{self.repo_id}: {path} has {size / 1e6:,.0f} MB", fix="use another --revision")
            return self.download(path, state, Path(folder)).read_bytes()

    def download(self, path: str, state: State, folder: Path, *, again: bool = False) -> Path:
        """A file of a state, fetched into a folder under its own path; `again`: also when one lies there.

        Raises FileError where more is sent than was listed.
        """
        most = state.files[path].size_bytes + SLACK_BYTES
        fetched = self.calls(
            lambda: self.api.hf_hub_download(
                self.repo_id,
                path,
                repo_type="dataset",
                revision=state.commit,
                local_dir=folder,
                force_download=again,
            ),
            most=most,
        )
        return Path(fetched)

    def files(self) -> HfFileSystem:
        """The repository as a file system, read in ranges."""
        return HfFileSystem(endpoint=self.endpoint, token=self.api.token)

    def settle(self, attempt: Callable[[], T]) -> T:
        """Repeat an attempt that begins by reading the state, so that one whose answer was lost is not made twice."""
        return self.calls(attempt)

    def calls(self, call: Callable[[], T], *, revision: str | None = None, most: int = API_BYTES) -> T:
        """What `call` returns, tried again while the Hub is busy; what it raises otherwise, as a FileError.

        most    bytes of one answer
        """
        tries = Retrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(0.5, WAIT_S),
            retry=retry_if_exception(may_pass),
            reraise=True,
        )
        try:
            with at_most(most):
                return tries(call)
        except (PrefgenError, StaleError):
            raise
        except Exception as raised:
            error = origin(raised)
            told = translated(error, f"{self.repo_id} on {self.endpoint}", revision, self._masked)
            if told is None:
                raise
            raise told from None

    def _masked(self, text: str) -> str:
        said = (text.replace(self._secret, "***") if self._secret else text)[:300]
        return _printable(said)


def who_am_i(*, endpoint: str | None = None) -> str:
    """Whose token is used and what it may do, in words; FileError when the Hub does not take it or is not there."""
    address = _address(endpoint)
    api = HfApi(endpoint=address, token=get_token(), library_name="prefgen")
    try:
        with at_most(API_BYTES):
            found: Any = api.whoami()
    except FileError:
        raise
    except Exception as error:
        if status(error) == 401:
            raise FileError(
                f"{address}: the token is not accepted (HTTP 401)", fix="set HF_TOKEN, or log in with `hf auth login`"
            ) from None
        if status(error) is None and not is_transport(error) and not isinstance(error, NO_ANSWER):
            raise
        raise FileError(
            f"{address}: cannot be reached ({status(error) or type(error).__name__})",
            fix="check the network and HF_ENDPOINT",
        ) from None
    auth = found.get("auth") if isinstance(found, dict) else None
    token = auth.get("accessToken") if isinstance(auth, dict) else None
    role = token.get("role") if isinstance(token, dict) else None
    name = found.get("name") if isinstance(found, dict) else None
    said = f"{name!s:.100}" + (f", with a token that may {role!s:.40}" if role else "")
    return f"{address} knows {_printable(said)}"


def _printable(text: str) -> str:
    """What a server said, without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


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
