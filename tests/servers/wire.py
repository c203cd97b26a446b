"""HTTP/1.1 on a bare asyncio protocol: as little work as possible per request, and full control of every byte sent."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import Literal, Protocol

End = Literal["keep", "close", "abort"]

_REASONS = {
    200: "OK",
    301: "Moved Permanently",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came over the wire."""

    method: str
    target: str
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        """A header's value in its own case, or None. `name` is lower-case."""
        start = self.head.lower().find(b"\r\n" + name.encode() + b":")
        if start < 0:
            return None
        start += len(name) + 3
        end = self.head.find(b"\r\n", start)
        return self.head[start : end if end >= 0 else None].strip().decode("latin-1")


@dataclass(frozen=True, slots=True)
class Delivery:
    """Bytes of a reply: (seconds to wait before, bytes), then what becomes of the connection; 'keep' with no pieces hangs."""

    pieces: tuple[tuple[float, bytes], ...]
    end: End = "keep"


def reply(status: int, body: bytes, *headers: str, kind: str = "application/json") -> bytes:
    """One whole HTTP reply."""
    extra = "".join(f"{header}\r\n" for header in headers)
    head = f"HTTP/1.1 {status} {_REASONS.get(status, 'Odd')}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode("latin-1") + body


class App(Protocol):
    """What stands behind the wire. `answer` must lead to one `wire.deliver`; `done` follows it, or the hanging up."""

    def opened(self, wire: Wire) -> None: ...

    def closed(self, wire: Wire) -> None: ...

    def done(self) -> None: ...

    def answer(self, asked: Asked, wire: Wire) -> None: ...


class Wire(asyncio.Protocol):
    """One connection. Requests on it are answered one after the other."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.buffer = bytearray()
        self.busy = False
        self.transport: asyncio.Transport
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.app.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if self.busy:
            self.app.done()
        self.app.closed(self)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self._serve()

    def _serve(self) -> None:
        while not self.busy and not self.transport.is_closing():
            asked = self._take()
            if asked is None:
                return
            self.busy = True
            self.app.answer(asked, self)

    def _take(self) -> Asked | None:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        raw = bytes(self.buffer[:end])
        method, target, _ = raw[: raw.index(b"\r\n")].decode("latin-1").split(" ", 2)
        asked = Asked(method, target, raw, b"")
        if asked.header("transfer-encoding") == "chunked":
            body, size = _unchunked(self.buffer, end + 4)
        else:
            length = int(asked.header("content-length") or 0)
            size = end + 4 + length
            body = bytes(self.buffer[end + 4 : size]) if len(self.buffer) >= size else None
        if body is None:
            return None
        del self.buffer[:size]
        return Asked(method, target, asked.head, body)

    def deliver(self, delivery: Delivery) -> bool:
        """Send a reply, at once or piece by piece; False where the other side has hung up."""
        if self.transport.is_closing():
            return False
        for number, (delay, piece) in enumerate(delivery.pieces):
            if delay:
                rest = Delivery(((0.0, piece), *delivery.pieces[number + 1 :]), delivery.end)
                self.timer = asyncio.get_running_loop().call_later(delay, self.deliver, rest)
                return True
            self.transport.write(piece)
        if delivery.end == "close":
            self.transport.close()
        elif delivery.end == "abort":
            self._reset()
        elif delivery.pieces:
            self.busy = False
            self.app.done()
            if self.buffer:
                asyncio.get_running_loop().call_soon(self._serve)
        return True

    def _reset(self) -> None:
        """Hang up with a TCP reset: no lingering, no polite end."""
        held: socket.socket | None = self.transport.get_extra_info("socket")
        if held is not None:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


def _unchunked(buffer: bytearray, at: int) -> tuple[bytes | None, int]:
    """Body and end of a chunked message; (None, 0) while it is not whole."""
    body = bytearray()
    while (line := buffer.find(b"\r\n", at)) >= 0:
        size = int(bytes(buffer[at:line]).split(b";")[0], 16)
        end = line + 2 + size + 2
        if len(buffer) < end:
            break
        if size == 0:
            return bytes(body), end
        body += buffer[line + 2 : line + 2 + size]
        at = end
    return None, 0
