"""A server that says any bytes whatever: for replies that are no HTTP, or endless, or repeat what they were sent."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Says = Callable[[int, bytes, bytes], bytes | Iterable[bytes]]
"""(number of the POST, head of the request, body) -> what is sent back before hanging up."""


@dataclass(slots=True)
class Raw:
    """A running server. `bodies` are those of all POSTs; GETs are answered with `listed`, or 404."""

    base_url: str
    bodies: list[bytes] = field(default_factory=list)


@contextmanager
def raw_server(says: Says, *, listed: bytes | None = None) -> Iterator[Raw]:
    listener = socket.create_server(("127.0.0.1", 0))
    raw = Raw(f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
    lock = threading.Lock()

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            head, body = _read(connection)
            if head.startswith(b"GET"):
                connection.sendall(http("404 Not Found", b"{}") if listed is None else http("200 OK", listed))
                return
            with lock:
                number = len(raw.bodies)
                raw.bodies.append(body)
            said = says(number, head, body)
            for piece in [said] if isinstance(said, bytes) else said:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield raw
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _read(connection: socket.socket) -> tuple[bytes, bytes]:
    held = b""
    while b"\r\n\r\n" not in held:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError
        held += piece
    head, _, body = held.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head, body


def http(status: str, body: bytes, *headers: str) -> bytes:
    """A whole reply after which the connection ends."""
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Length: {len(body)}",
        "Content-Type: application/json",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
