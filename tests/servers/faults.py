"""Each fault as the bytes it puts on the wire."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import orjson

from tests.servers.script import Script
from tests.servers.wire import Delivery, reply

Completion = dict[str, Any]


def error(message: str, kind: str = "server_error", code: str | None = None) -> bytes:
    return orjson.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})


def _whole(data: bytes) -> Delivery:
    return Delivery(((0.0, data),))


def throttled(script: Script, manner: str) -> Delivery:
    """HTTP 429 with Retry-After in the given manner: seconds, date, ms or bare (none)."""
    wait = script.retry_after_s
    headers = {
        "seconds": (f"Retry-After: {wait:g}",),
        "date": (f"Retry-After: {formatdate(time.time() + wait, usegmt=True)}",),
        "ms": (f"retry-after-ms: {wait * 1000:.0f}", "x-ratelimit-remaining-requests: 0"),
        "bare": (),
    }[manner]
    body = error("Rate limit reached for requests", "rate_limit_error", "rate_limit_exceeded")
    return _whole(reply(429, body, *headers))


def _answer(status: int, message: str, code: str | None = None) -> Callable[[bytes, Completion, Script, str], Delivery]:
    kind = "invalid_request_error" if status < 500 else "server_error"

    def given(_good: bytes, _completion: Completion, _script: Script, _elsewhere: str) -> Delivery:
        return _whole(reply(status, error(message, kind, code)))

    return given


def _said(completion: Completion, **changes: Any) -> Delivery:
    """The reply with other words: `message` and `finish_reason` replaced, no log-probabilities."""
    choice = {"index": 0, "message": {"role": "assistant", "content": None}, "finish_reason": "stop"} | changes
    return _whole(reply(200, orjson.dumps(completion | {"choices": [choice]})))


def _wrong_option(completion: Completion) -> Delivery:
    lines = [{"token": token, "logprob": -1.0 - i, "bytes": None} for i, token in enumerate(("Q", "The", "%"))]
    first = {"token": "Q", "logprob": -1.0, "bytes": None, "top_logprobs": lines}
    return _said(completion, message={"role": "assistant", "content": "Q"}, logprobs={"content": [first]})


def _redirect(status: int, elsewhere: str) -> Delivery:
    return _whole(reply(status, b"", f"Location: {elsewhere}/v1/chat/completions"))


def _drip(good: bytes, script: Script) -> Delivery:
    pieces = 20
    size = len(good) // pieces + 1
    return Delivery(tuple((script.drip_s / pieces, good[at : at + size]) for at in range(0, len(good), size)))


def _cut(good: bytes) -> bytes:
    """Head and about half of the body, whose announced length is the whole."""
    head = good.index(b"\r\n\r\n") + 4
    return good[: head + (len(good) - head) // 2]


def _huge(completion: Completion, size: int) -> Delivery:
    return _said(completion, message={"role": "assistant", "content": "B" * size}, finish_reason="length")


_Fault = Callable[[bytes, Completion, Script, str], Delivery]

FAULT: dict[str, _Fault] = {
    "429_seconds": lambda _good, _all, script, _else: throttled(script, "seconds"),
    "429_date": lambda _good, _all, script, _else: throttled(script, "date"),
    "429_ms": lambda _good, _all, script, _else: throttled(script, "ms"),
    "429_bare": lambda _good, _all, script, _else: throttled(script, "bare"),
    "500": _answer(500, "The server had an error while processing your request."),
    "503": _answer(503, "The engine is currently overloaded, please try again later."),
    "502_html": lambda *_: _whole(reply(502, b"<html><h1>502 Bad Gateway</h1></html>", kind="text/html")),
    "reset_before": lambda *_: Delivery((), "abort"),
    "reset_mid": lambda good, *_: Delivery(((0.0, _cut(good)), (0.01, b"")), "abort"),
    "close_mid": lambda good, *_: Delivery(((0.0, _cut(good)),), "close"),
    "lost": lambda *_: Delivery((), "close"),
    "truncated_json": lambda _good, all_, *_: _whole(reply(200, orjson.dumps(all_)[:-40])),
    "invalid_json": lambda *_: _whole(reply(200, b"\x00{'choices': [oops")),
    "empty_choices": lambda _good, all_, *_: _whole(reply(200, orjson.dumps(all_ | {"choices": []}))),
    "error_in_200": lambda *_: _whole(reply(200, error("Upstream provider timed out", "server_error", "502"))),
    "drip": lambda good, _all, script, _else: _drip(good, script),
    "hang": lambda *_: Delivery(()),
    "content_filter": lambda _good, all_, *_: _said(
        all_, message={"role": "assistant", "content": ""}, finish_reason="content_filter"
    ),
    "refusal": lambda _good, all_, *_: _said(
        all_, message={"role": "assistant", "content": None, "refusal": "I'm sorry, I can't help with that."}
    ),
    "wrong_option": lambda _good, all_, *_: _wrong_option(all_),
    "null_content": lambda _good, all_, *_: _said(all_),
    "huge": lambda _good, all_, script, _else: _huge(all_, script.huge_bytes),
    "400": _answer(
        400, "Invalid prompt: your prompt was flagged as potentially violating our usage policy.", "invalid_prompt"
    ),
    "401": _answer(401, "Incorrect API key provided: sk-****.", "invalid_api_key"),
    "403": _answer(403, "Your organization does not have access to this model.", "forbidden"),
    "404": _answer(404, "The model does not exist.", "model_not_found"),
    "context_length": _answer(400, "This model's maximum context length is 128 tokens.", "context_length_exceeded"),
    "redirect_301": lambda _good, _all, _script, elsewhere: _redirect(301, elsewhere),
    "redirect_307": lambda _good, _all, _script, elsewhere: _redirect(307, elsewhere),
    "redirect_308": lambda _good, _all, _script, elsewhere: _redirect(308, elsewhere),
}
"""(good reply, its body, script, address elsewhere) -> what is sent instead."""
