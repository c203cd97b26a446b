"""The provider's files and batches, through the openai package: its errors become ours, its retries too."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import openai
from openai.types import Batch, FileObject
from yarl import URL

from prefgen.engines.addresses import is_near
from prefgen.engines.capabilities import ErrorBody
from prefgen.engines.retry import Attempts, PassingError, Policy, is_passing, wait_asked_s
from prefgen.engines.words import discreet, without_key, words_of
from prefgen.errors import EngineError

_T = TypeVar("_T")
_Found = TypeVar("_Found", Batch, FileObject)
_TRIES = 6
_TIMEOUT_S = 600.0  # an upload of 200 MB over a slow line
_KEY = "prefgen"
_CLOCKS_DIFFER_S = 86_400.0

# The package has changed the HTTP library below it; whichever it is, this is the root of its errors.
_HTTP_ERROR: type[Exception] = importlib.import_module(
    openai.DefaultHttpxClient.__bases__[0].__module__.partition(".")[0]
).HTTPError


class Provider:
    """One address that has a Batch API. EngineError for what no retry cures, naming the address.

    sleep    waits so many seconds
    """

    def __init__(
        self, base_url: str, key: str | None, key_env: str, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.base_url = base_url
        self._key = key
        self._key_env = key_env
        self._policy = Policy(_TRIES)
        self._sleep = sleep
        self._client = openai.OpenAI(
            base_url=base_url,
            api_key=key or "none",
            max_retries=0,
            http_client=openai.DefaultHttpxClient(
                follow_redirects=False, timeout=_TIMEOUT_S, trust_env=not is_near(URL(base_url).host or "")
            ),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def upload(self, path: Path) -> str:
        """Hand over a file of rows; its id."""

        def upload() -> str:
            with path.open("rb") as rows:
                return _checked(self._client.files.create(file=(path.name, rows), purpose="batch")).id

        return self._patiently("upload", upload)

    def create(self, file_id: str, chunk_key: str, *, began: float, sure: bool) -> Batch:
        """The batch of a file, made once: where an earlier try may have made it, it is looked for first.

        began   no batch of ours is older (seconds since 1970)
        sure    nothing can have been made under this key yet
        """
        first = True

        def create() -> Batch:
            nonlocal first
            if not (first and sure):
                found = self._find(chunk_key, began)
                if found is not None:
                    return found
            first = False
            return self._client.batches.create(
                input_file_id=file_id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                metadata={_KEY: chunk_key},
            )

        return self._patiently("create a batch", create)

    def find(self, chunk_key: str, *, began: float) -> Batch | None:
        """The batch that was made under this key, or None."""
        return self._patiently("list batches", lambda: self._find(chunk_key, began))

    def look(self, batch_id: str) -> Batch:
        """A batch as it stands now."""
        return self._patiently("look at a batch", lambda: _checked(self._client.batches.retrieve(batch_id)))

    def download(self, file_id: str, path: Path) -> None:
        """A file's content, streamed to disk; `path` appears when it is whole."""
        aside = path.with_name(path.name + ".part")

        def download() -> None:
            with self._client.files.with_streaming_response.content(file_id) as reply, aside.open("wb") as file:
                for piece in _without_key(reply.iter_bytes(1 << 20), self._key):
                    file.write(piece)

        self._patiently("download a file", download)
        aside.replace(path)

    def discreet(self, words: str) -> str:
        """The provider's words without the key."""
        return discreet(words, key=self._key, prompt="")

    def _find(self, chunk_key: str, began: float) -> Batch | None:
        for batch in self._client.batches.list(limit=100):
            if batch.created_at < began - _CLOCKS_DIFFER_S:
                return None
            if (batch.metadata or {}).get(_KEY) == chunk_key:
                return batch
        return None

    def _patiently(self, what: str, call: Callable[[], _T]) -> _T:
        tries = Attempts()
        while True:
            try:
                return call()
            except openai.APIStatusError as error:
                trouble = self._trouble(what, error)
            except (openai.OpenAIError, _HTTP_ERROR, ValueError) as error:
                trouble = PassingError(self.discreet(f"{type(error).__name__}: {error}"))
            tries.add(trouble)
            if self._policy.gives_up(tries):
                raise EngineError(
                    f"{self.base_url}: cannot {what}: {trouble.words}",
                    fix="run the same command again later; nothing is submitted twice",
                )
            self._sleep(self._policy.wait_s(tries, trouble))

    def _trouble(self, what: str, error: openai.APIStatusError) -> PassingError:
        words = _words(error)
        said = f"HTTP {error.status_code}: {self.discreet(words.message)}"
        if is_passing(error.status_code) and words.code != "insufficient_quota":
            return PassingError(said, wait_s=wait_asked_s(error.response.headers), throttled=error.status_code == 429)
        fix = "see that this server has a Batch API at /v1/files and /v1/batches; otherwise use `engine: openai`"
        if error.status_code in (401, 403):
            fix = f"put a key that may use batches into the environment variable {self._key_env}"
        elif error.status_code == 429:
            fix = "see to the account's credit, then run the same command again"
        raise EngineError(f"{self.base_url}: cannot {what}: {said}", fix=fix) from None


def _without_key(pieces: Iterator[bytes], key: str | None) -> Iterator[bytes]:
    """What comes in pieces, the key masked also where it is cut in two."""
    keep = max(0, len(key or "") - 1)
    held = b""
    for piece in pieces:
        held = without_key(held + piece, key)
        sure = max(0, len(held) - keep)
        yield held[:sure]
        held = held[sure:]
    yield held


def _checked(found: _Found) -> _Found:
    """The package takes any JSON for what it asked for: a thing without an id is an error in disguise."""
    if not isinstance(getattr(found, "id", None), str) or not getattr(found, "status", None):
        raise ValueError("the reply is not what was asked for")
    return found


def _words(error: openai.APIStatusError) -> ErrorBody:
    try:
        return words_of(error.response.content)
    except RuntimeError:  # a streamed reply whose body was not read
        return ErrorBody(error.message)
