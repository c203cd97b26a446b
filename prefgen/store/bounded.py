"""Bodies that a Hub may send: no longer than what was asked for, so that none fills the memory or the disk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import httpx2
from huggingface_hub import set_client_factory
from huggingface_hub.utils._http import default_client_factory

from prefgen.errors import FileError

SLACK_BYTES = 1 << 20
"""A file may be so much longer than it was listed, and an answer so much longer than the range asked for."""

_most: ContextVar[int | None] = ContextVar("most", default=None)


@contextmanager
def at_most(n_bytes: int) -> Iterator[None]:
    """Within, every answer to a call of the Hub's client is cut at `n_bytes`, or at the range asked for: FileError."""
    _bound_client()
    token = _most.set(n_bytes)
    try:
        yield
    finally:
        _most.reset(token)


@cache
def _bound_client() -> None:
    """The client of the Hub's library, once a process; what others do with it outside of `at_most` is not bounded."""

    def client() -> httpx2.Client:
        made = default_client_factory()
        made.event_hooks = {**made.event_hooks, "response": [*made.event_hooks.get("response", []), _bound]}
        return made

    set_client_factory(client)


def _bound(response: httpx2.Response) -> None:
    most = _most.get()
    if most is None:
        return
    asked = re.fullmatch(r"bytes=(\d+)-(\d+)", response.request.headers.get("Range", ""))
    if asked:
        most = int(asked[2]) - int(asked[1]) + SLACK_BYTES
    if response.headers.get("Content-Encoding", "identity") != "identity":
        most //= 16  # what unpacks to more than that many times its length is no answer of a Hub
    assert isinstance(response.stream, httpx2.SyncByteStream)
    response.stream = _Bounded(response.stream, max(most, SLACK_BYTES), response.request.url.path)


class _Bounded(httpx2.SyncByteStream):
    def __init__(self, stream: httpx2.SyncByteStream, most: int, path: str) -> None:
        self._stream, self._most, self._path = stream, most, path

    def __iter__(self) -> Iterator[bytes]:
        left = self._most
        for piece in self._stream:
            left -= len(piece)
            if left < 0:
                raise FileError(
                    f"{self._path}: the Hub sends more than the {self._most:,} bytes that it may have",
                    fix="check HF_ENDPOINT and the name; what is sent is not what is listed there",
                )
            yield piece

    def close(self) -> None:
        self._stream.close()
