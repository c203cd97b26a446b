"""Start the endpoint from a test: in a process of its own, or in a thread of this one."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tests.servers.endpoint import listen
from tests.servers.script import parse_script

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Served:
    """A running endpoint, as a test sees it. `script` is what `Script` takes, as plain JSON."""

    base_url: str
    admin: str
    elsewhere: str
    pid: int | None = None
    endpoint: Any = None  # itself, where it runs in a thread

    def log(self) -> dict[str, Any]:
        """Counts so far: requests, bodies, answered, twice, faults, most_in_flight, strays, batch, ..."""
        found: dict[str, Any] = orjson.loads(_ask(f"{self.admin}/log"))
        return found

    def journal(self) -> list[dict[str, Any]]:
        """Every request: at, path, body (hash), attempt, fault, answered."""
        return [orjson.loads(line) for line in _ask(f"{self.admin}/journal").splitlines()]

    def follow(self, script: Mapping[str, Any]) -> None:
        """Another script from now on; what was counted stays."""
        _ask(f"{self.admin}/script", orjson.dumps(dict(script)))

    def reset(self) -> None:
        """Forget everything that was counted, and all batches."""
        _ask(f"{self.admin}/reset", b"{}")

    def advance(self) -> None:
        """Finish every batch that is in progress."""
        _ask(f"{self.admin}/advance", b"{}")


def _ask(url: str, body: bytes | None = None) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=30) as found:
        content: bytes = found.read()
    return content


@contextmanager
def serve(script: Mapping[str, Any] | None = None, *, port: int = 0) -> Iterator[Served]:
    """The endpoint in a process of its own: for everything that is measured, and for storms."""
    parse_script(script or {})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script.json"
        path.write_bytes(orjson.dumps(dict(script or {})))
        command = [sys.executable, "-m", "tests.servers.endpoint", "--port", str(port), "--script", str(path)]
        process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            yield Served(**orjson.loads(process.stdout.readline()), pid=process.pid)
        finally:
            process.terminate()
            process.wait(10)
            process.stdout.close()


@contextmanager
def thread(script: Mapping[str, Any] | None = None, *, port: int = 0) -> Iterator[Served]:
    """The endpoint in a thread of this process: starts at once, for small tests."""
    loop = asyncio.new_event_loop()
    running = threading.Thread(target=loop.run_forever, daemon=True)
    running.start()
    opened = asyncio.run_coroutine_threadsafe(listen(parse_script(script or {}), port=port), loop)
    endpoint, addresses = opened.result(10)
    try:
        yield Served(addresses["base_url"], addresses["admin"], addresses["elsewhere"], endpoint=endpoint)
    finally:
        asyncio.run_coroutine_threadsafe(_close(endpoint), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        running.join(10)
        loop.close()


async def _close(endpoint: Any) -> None:
    endpoint.die()
    for server in endpoint.held:
        server.close()
    await asyncio.sleep(0.01)
