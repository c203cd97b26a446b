"""An OpenAI-compatible server on loopback that answers by a rule: a judge or writer whose preferences are known."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Said = str | Mapping[str, float]
"""A text, or the probability of each first token."""

Rule = Callable[[str, str], Said]
"""(system message, last message of the user) -> what is said."""


@dataclass
class Ruled:
    """A server at work: where, and what it was asked."""

    base_url: str
    asked: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def ruled(rule: Rule, *, vector: Callable[[str], list[float]] | None = None) -> Iterator[Ruled]:
    """Serve until the block ends.

    vector    what /embeddings says a text is; None for a server without it
    """
    served = Ruled("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words: object) -> None:
            """Quiet."""

        def do_GET(self) -> None:
            self._send({"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "vllm"}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path.endswith("/embeddings") and vector is not None:
                served.asked.append(body)
                data = [{"object": "embedding", "index": 0, "embedding": vector(body["input"])}]
                self._send({"object": "list", "data": data, "usage": {"prompt_tokens": 3, "total_tokens": 3}})
                return
            if not self.path.endswith("/chat/completions"):
                self.send_error(404)
                return
            if "messages" not in body:  # it tells no tokens
                self._send({"error": {"message": "no such route"}}, status=404)
                return
            served.asked.append(body)
            by_role = {one["role"]: one["content"] for one in body["messages"]}
            self._send(_reply(rule(by_role.get("system", ""), by_role["user"]), wanted=bool(body.get("logprobs"))))

        def _send(self, content: Mapping[str, Any], status: int = 200) -> None:
            raw = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served.base_url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()


def _reply(said: Said, *, wanted: bool) -> dict[str, Any]:
    text = said if isinstance(said, str) else max(said, key=lambda token: said[token])
    choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    if wanted and not isinstance(said, str):
        top = [{"token": token, "logprob": math.log(p)} for token, p in said.items() if p > 0]
        choice["logprobs"] = {"content": [{"token": text, "logprob": math.log(said[text]), "top_logprobs": top}]}
    return {
        "id": "x",
        "object": "chat.completion",
        "model": "m",
        "choices": [choice],
        "usage": {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25},
    }
