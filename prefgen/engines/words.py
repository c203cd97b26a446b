"""What a server said when it did not answer, and how much of that may be shown."""

from __future__ import annotations

import base64
import json
import re
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import orjson

from prefgen.engines.capabilities import ErrorBody
from prefgen.errors import printable

_MOST_READ = 4000  # characters of a message; errors of ten megabytes have been seen


def loads(raw: bytes | str) -> Any:
    """JSON as servers write it: NaN and infinities, a byte order mark, and lines of comment before it are borne.

    ValueError for what is no JSON even so.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        pass
    text = raw if isinstance(raw, str) else raw.decode("utf-8", "replace")
    text = text.lstrip("\ufeff \t\r\n")
    while text.startswith(":"):  # comments of an event stream, sent to keep a connection open
        text = text.partition("\n")[2].lstrip()
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def words_of(raw: bytes) -> ErrorBody:
    """What a server said in an error's body: its message field, else the text of the page."""
    try:
        return words_in(loads(raw))
    except ValueError:
        page = re.sub(r"<[^<>]*>", " ", raw[:_MOST_READ].decode("utf-8", "replace"))
        return ErrorBody(" ".join(page.split()) or "no reason given")


def words_in(reply: Any) -> ErrorBody:
    """The same of a body that has been read."""
    error = reply.get("error", reply) if isinstance(reply, dict) else reply
    if isinstance(error, list) and error and isinstance(error[0], dict):
        error = error[0].get("error", error[0])  # Google wraps its errors in a list
    if isinstance(error, str):
        return ErrorBody(_printable(error) or "no reason given")
    if not isinstance(error, dict):
        return ErrorBody("no reason given")
    message = error.get("message")
    if not isinstance(message, str):
        message = _detail(error.get("detail"))
    param, code, kind = (error.get(key) for key in ("param", "code", "type"))
    return ErrorBody(
        _printable(message) or "no reason given", str(param or "")[:100], str(code or "")[:100], str(kind or "")[:100]
    )


def _detail(detail: Any) -> str:
    """FastAPI's validation errors: `loc: msg` of the first, without the input it repeats."""
    if isinstance(detail, str):
        return detail
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        loc = detail[0].get("loc")
        place = ".".join(str(part) for part in loc) if isinstance(loc, list | tuple) else str(loc or "")
        return f"{place}: {detail[0].get('msg', '')}"
    return "no reason given"


def _printable(words: str) -> str:
    """On one line, without the characters that steer a terminal."""
    return printable(" ".join(words[:_MOST_READ].split()))


_KEYLIKE = re.compile(r"\b(?:sk|pk|rk|gsk|xai|hf|key)[-_][A-Za-z0-9_\-*]{6,}|\bBearer\s+\S+", re.I)
_PIECE_OF_PROMPT = 32
_PIECE_OF_KEY = 8
_SHORTEST_KEY = 5  # shorter ones (`none`, `k`) are words, and no secrets
_MOST_SHOWN = 300


def discreet(words: str, *, key: str | None, prompt: str) -> str:
    """Words without the key or a piece of it, anything like a key, and any piece of the prompt; on one line of 300 characters.

    The key is also found backwards, in other letters' case, percent-encoded and in base64.
    """
    words = _printable(words)
    for form in _forms_of(key or ""):
        least = min(_PIECE_OF_KEY, max(_SHORTEST_KEY, len(form) // 2))
        words = _without_pieces(words, form, least, "***", fold=True)
    words = _KEYLIKE.sub("***", words)
    words = _without_pieces(words, " ".join(prompt.split()), _PIECE_OF_PROMPT, "[...]", fold=False)
    return words if len(words) <= _MOST_SHOWN else words[: _MOST_SHOWN - 3] + "..."


def without_key(raw: bytes, key: str | None) -> bytes:
    """What a server sent, the key masked: some repeat the header that brought it, in errors and even in answers."""
    secret = (key or "").encode()
    return raw.replace(secret, b"***") if len(secret) >= _SHORTEST_KEY and secret in raw else raw


@lru_cache(maxsize=8)
def _forms_of(key: str) -> tuple[str, ...]:
    """What a key looks like where it has been written down in another way."""
    if len(key) < _SHORTEST_KEY:
        return ()
    forms = [key, quote(key, safe="")]
    for before in ("", ":", "Bearer ", "a", "ab"):  # base64 depends on where in its triple a key begins
        coded = base64.b64encode(f"{before}{key}".encode()).decode().rstrip("=")
        forms += [coded, coded.replace("+", "-").replace("/", "_")]
    forms += [form[::-1] for form in forms]
    return tuple(dict.fromkeys(form.casefold() for form in forms))


def _without_pieces(words: str, secret: str, least: int, instead: str, *, fold: bool) -> str:
    """Words with every run of at least `least` characters that also stands in `secret` replaced."""
    looked = words.casefold() if fold else words
    if len(looked) != len(words):
        words = looked  # letters that fold into several
    kept, start, begun = [], 0, 0
    while start + least <= len(looked):
        if looked[start : start + least] not in secret:
            start += 1
            continue
        end = start + least
        while end < len(looked) and looked[start : end + 1] in secret:
            end += 1
        kept += [words[begun:start], instead]
        start = begun = end
    return "".join((*kept, words[begun:]))


__all__ = ["ErrorBody", "discreet", "loads", "without_key", "words_in", "words_of"]
