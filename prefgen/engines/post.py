"""One HTTP exchange: bytes out, bytes back, and every way in which it can go wrong by name."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from prefgen.engines.addresses import proxy_of
from prefgen.engines.retry import PassingError
from prefgen.engines.words import without_key

MOST_BYTES = 16 << 20
"""No answer to one question is longer; what is would only fill the memory."""

_CONNECT_S = 15.0
_NOT_REACHED = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientSSLError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientProxyConnectionError,
)


class TooLongError(Exception):
    """A reply of more bytes than an answer can have."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server replied. `headers` are looked up without regard to case."""

    status: int
    headers: Mapping[str, str]
    raw: bytes


class HttpClient:
    """A pool of connections, and the clock that ends what takes too long.

    One reporter looks after all requests: a timer for each would cost a fifth of the whole request.
    Redirects are never followed, and the key goes nowhere but to the address that was named.
    """

    def __init__(self, key: str | None, *, timeout_s: float) -> None:
        self._headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        }
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        self._key = key
        self._timeout_s = timeout_s
        self._since: dict[asyncio.Task[object], float] = {}
        self._overdue: set[asyncio.Task[object]] = set()
        self._proxies: dict[URL, str | None] = {}

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._now = loop.time
        self._session = aiohttp.ClientSession(
            # Servers hang up on idle connections after 5 s (uvicorn): let go first, or a request meets the hanging up.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=4),
            headers=self._headers,
            skip_auto_headers=("User-Agent",),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
        )
        self._watcher = loop.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watcher.cancel()
        await self._session.close()

    async def post(self, url: URL, body: bytes, task: asyncio.Task[object]) -> Reply:
        """One exchange, made by `task` (the current one). PassingError when no whole reply came."""
        self._since[task] = self._now()
        try:
            reply = await self._session.post(url, data=body, allow_redirects=False, proxy=self._proxy(url))
            raw = await _read(reply)
        except asyncio.CancelledError:
            if task not in self._overdue:
                raise
            self._overdue.discard(task)
            task.uncancel()
            raise PassingError(f"no answer within {self._timeout_s:g} s", overloaded=True) from None
        except _NOT_REACHED as error:
            raise PassingError(f"no connection: {_said(error)}", unreached=True) from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise PassingError(f"the connection broke: {_said(error)}") from None
        finally:
            del self._since[task]
        return Reply(reply.status, reply.headers, without_key(raw, self._key))

    async def get(self, url: URL, *, timeout_s: float) -> Reply | None:
        """A look at something that need not be there; None when nothing came."""
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._session.get(url, allow_redirects=False, proxy=self._proxy(url)) as reply,
            ):
                return Reply(reply.status, reply.headers, without_key(await _read(reply), self._key))
        except (aiohttp.ClientError, OSError, TimeoutError, TooLongError):
            return None

    def _proxy(self, url: URL) -> str | None:
        if url not in self._proxies:
            self._proxies[url] = proxy_of(str(url))
        return self._proxies[url]

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(min(1.0, max(0.01, self._timeout_s / 20)))
            latest = self._now() - self._timeout_s
            for task, since in self._since.items():
                if since < latest and task not in self._overdue:
                    self._overdue.add(task)
                    task.cancel()


async def _read(reply: aiohttp.ClientResponse) -> bytes:
    length = reply.content_length
    if length is not None and length <= MOST_BYTES and "Content-Encoding" not in reply.headers:
        return await reply.read()
    pieces, size = [], 0
    while piece := await reply.content.readany():
        size += len(piece)
        if size > MOST_BYTES:
            reply.close()
            raise TooLongError
        pieces.append(piece)
    return b"".join(pieces)


def _said(error: BaseException) -> str:
    """What went wrong. The library's own words may hold any bytes that came, so only those about addresses are passed on."""
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server hung up"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the reply was cut short, or its length or encoding is wrong"
    if isinstance(error, aiohttp.ClientResponseError):
        return "what came is not HTTP"
    if isinstance(error, OSError | aiohttp.ClientConnectionError):
        return str(error) or type(error).__name__
    return type(error).__name__
