"""An OpenAI-compatible endpoint that misbehaves on request, over real sockets.

    python -m tests.servers.endpoint --port 0 --script script.json

prints one line of JSON, {"base_url", "admin", "elsewhere"}, and serves until it is ended. Tests start it with
`serve(script)` (a process of its own) or `thread(script)` (a thread of this one). On the admin address:
GET /admin/log (counts), GET /admin/journal (every request, JSONL), POST /admin/script (a new script),
POST /admin/reset (forget what was counted), POST /admin/advance (finish all batches).
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import time
from pathlib import Path
from typing import Any

import orjson
import uvloop

from tests.servers.answers import RefusedError, completion
from tests.servers.batches import Desk
from tests.servers.faults import FAULT, error, throttled
from tests.servers.journal import Entry, Journal, digest_of
from tests.servers.script import ANSWERS, CHAT, Script, parse_script
from tests.servers.tokens import tokenized
from tests.servers.wire import Asked, Delivery, Wire, reply

_UNFAULTY = (None, "drip", *ANSWERS)


class Endpoint:
    """The public address: models, chat, files and batches, with the script's faults."""

    def __init__(self, script: Script) -> None:
        self.journal = Journal()
        self.desk = Desk(script)
        self.wires: set[Wire] = set()
        self.listener: asyncio.Server | None = None
        self.elsewhere = ""
        self.obey(script)

    def obey(self, script: Script) -> None:
        """Follow another script from now on; what was counted stays."""
        self.script = script
        self.desk.script = script
        self.room = script.rate_limit or 0.0
        self.filled = time.monotonic()

    def opened(self, wire: Wire) -> None:
        self.journal.connections += 1
        self.wires.add(wire)

    def closed(self, wire: Wire) -> None:
        self.wires.discard(wire)

    def done(self) -> None:
        self.journal.in_flight -= 1

    def answer(self, asked: Asked, wire: Wire) -> None:
        journal, script = self.journal, self.script
        journal.in_flight += 1
        journal.most_in_flight = max(journal.most_in_flight, journal.in_flight)
        digest = digest_of(asked.body)
        path = asked.target.partition("?")[0]
        entry = journal.enter(path, asked.body, digest)
        if script.die_after is not None and len(journal.entries) > script.die_after:
            self.die()
            return
        delivery = self._delivery(asked, path, entry)
        least, most = script.latency_s
        if most:
            wait = least if least == most else random.uniform(least, most)
            delivery = Delivery(((wait, b""), *delivery.pieces), delivery.end)
        entry.answered = wire.deliver(delivery) and entry.answered

    def die(self) -> None:
        """Nobody listens any more, and those who were being answered are cut off."""
        if self.listener is not None:
            self.listener.close()
            self.listener = None
        for wire in list(self.wires):
            wire.deliver(Delivery((), "abort"))

    def _delivery(self, asked: Asked, path: str, entry: Entry) -> Delivery:
        script = self.script
        if script.key is not None and asked.header("authorization") != f"Bearer {script.key}":
            entry.fault = "401"
        elif script.rate_limit is not None and not self._within_rate(script.rate_limit):
            entry.fault = "rate_limit"
            return throttled(script, "seconds")
        else:
            entry.fault = script.fault(path, entry.digest, entry.attempt, asked.body)
        found: dict[str, Any] = {}
        try:
            if path == CHAT:
                found = completion(orjson.loads(asked.body), script, entry.digest.hex())
                body = orjson.dumps(found)
            elif path == "/tokenize" and script.tells_tokens:
                body = orjson.dumps(tokenized(orjson.loads(asked.body)))
            elif path == "/v1/models":
                body = orjson.dumps({"object": "list", "data": [_model(name, script) for name in script.models]})
            elif path.startswith(("/v1/files", "/v1/batches")) and entry.fault in (None, "lost"):
                body = self.desk.answer(asked)
            else:
                raise RefusedError(404, f"Invalid URL ({asked.method} {path})")
        except RefusedError as refused:
            if entry.fault is None:
                entry.fault = f"refused_{refused.status}"
                return Delivery(((0.0, reply(refused.status, orjson.dumps(refused.body))),))
            body = b"{}"
        good = reply(200, body)
        if entry.fault is None:
            entry.answered = True
            return Delivery(((0.0, good),))
        entry.answered = entry.fault in _UNFAULTY
        return FAULT[entry.fault](good, found, script, self.elsewhere)

    def _within_rate(self, rate: float) -> bool:
        """A bucket of one second's requests."""
        now = time.monotonic()
        self.room = min(max(rate, 1.0), self.room + (now - self.filled) * rate)
        self.filled = now
        if self.room < 1:
            return False
        self.room -= 1
        return True


class Admin:
    """The address of the test itself."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def opened(self, wire: Wire) -> None: ...

    def closed(self, wire: Wire) -> None: ...

    def done(self) -> None: ...

    def answer(self, asked: Asked, wire: Wire) -> None:
        path = asked.target.partition("?")[0]
        if path == "/admin/log":
            found = self.endpoint.journal.summary(CHAT) | {"batch": self.endpoint.desk.summary()}
            body = orjson.dumps(found)
        elif path == "/admin/journal":
            body = b"".join(orjson.dumps(line) + b"\n" for line in self.endpoint.journal.lines())
        elif path == "/admin/script":
            self.endpoint.obey(parse_script(orjson.loads(asked.body)))
            body = b"{}"
        elif path == "/admin/reset":
            self.endpoint.journal = Journal(in_flight=self.endpoint.journal.in_flight)
            self.endpoint.desk = Desk(self.endpoint.script)
            body = b"{}"
        elif path == "/admin/advance":
            self.endpoint.desk.advance()
            body = b"{}"
        else:
            body = error(f"no {path}")
        wire.deliver(Delivery(((0.0, reply(200, body)),)))


class Elsewhere:
    """Another host, to which redirects point: it answers nobody and remembers who brought a key."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def opened(self, wire: Wire) -> None: ...

    def closed(self, wire: Wire) -> None: ...

    def done(self) -> None: ...

    def answer(self, asked: Asked, wire: Wire) -> None:
        with_key = asked.header("authorization") is not None
        self.endpoint.journal.strays.append({"path": asked.target, "key": with_key, "bytes": len(asked.body)})
        wire.deliver(Delivery(((0.0, reply(404, b"{}")),)))


def _model(name: str, script: Script) -> dict[str, Any]:
    """One entry of GET /models; who owns it is how a client recognises the server."""
    owner = "library" if script.personality == "plain" else script.personality
    return {"id": name, "object": "model", "created": 1_760_000_000, "owned_by": owner}


async def listen(script: Script, *, port: int = 0) -> tuple[Endpoint, dict[str, str]]:
    """Open the three addresses on 127.0.0.1."""
    loop = asyncio.get_running_loop()
    endpoint = Endpoint(script)
    backlog = 4096
    endpoint.listener = await loop.create_server(lambda: Wire(endpoint), "127.0.0.1", port, backlog=backlog)
    admin = await loop.create_server(lambda: Wire(Admin(endpoint)), "127.0.0.1", 0)
    elsewhere = await loop.create_server(lambda: Wire(Elsewhere(endpoint)), "127.0.0.1", 0)
    ports = [server.sockets[0].getsockname()[1] for server in (endpoint.listener, admin, elsewhere)]
    endpoint.elsewhere = f"http://localhost:{ports[2]}"
    addresses = {
        "base_url": f"http://127.0.0.1:{ports[0]}/v1",
        "admin": f"http://127.0.0.1:{ports[1]}/admin",
        "elsewhere": endpoint.elsewhere,
    }
    endpoint.held = (admin, elsewhere)  # type: ignore[attr-defined]  # uvloop closes servers nobody holds
    return endpoint, addresses


async def _main(port: int, script: Script) -> None:
    ended = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, ended.set)
    endpoint, addresses = await listen(script, port=port)
    print(orjson.dumps(addresses).decode(), flush=True)
    await ended.wait()
    endpoint.die()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", type=Path, help="JSON file with the script; without one the server behaves.")
    asked = parser.parse_args()
    script = parse_script(orjson.loads(asked.script.read_bytes())) if asked.script else Script()
    uvloop.run(_main(asked.port, script))


if __name__ == "__main__":
    main()
