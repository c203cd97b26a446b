"""Given words as llama.cpp's tokens, and the grammar under which it says just these."""

from __future__ import annotations

import http.client
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

_TIMEOUT_S = 60.0


class SplitError(Exception):
    """A character of the text is more than one token, and a grammar cannot lead from one to the next."""


def token_ids(server: Any, text: str) -> tuple[int, ...]:
    """The tokens of a text by itself, as the model's own tokenizer writes it; at least one. Raises SplitError."""
    return _token_ids(server.listening_address, text)


def count_tokens(server: Any, text: str) -> int:
    """How many tokens a text is."""
    return len(_tokenized(server.listening_address, text))


@lru_cache(maxsize=65536)
def _token_ids(address: str, text: str) -> tuple[int, ...]:
    found = _tokenized(address, text)
    split = next((one for one in found if not isinstance(one["piece"], str)), None)
    if split is not None:
        raise SplitError
    return tuple(one["id"] for one in found)


def _tokenized(address: str, text: str) -> list[dict[str, Any]]:
    # Only the server's address on this machine has a tokenizer; the object has no call for it.
    at = urlsplit(address)
    line = http.client.HTTPConnection(str(at.hostname), at.port, timeout=_TIMEOUT_S)
    try:
        body = json.dumps({"content": text, "add_special": False, "parse_special": False, "with_pieces": True})
        line.request("POST", "/tokenize", body, {"Content-Type": "application/json"})
        found: list[dict[str, Any]] = json.loads(line.getresponse().read())["tokens"]
    finally:
        line.close()
    return found


def forcing(tokens: Sequence[int]) -> str:
    """A grammar of these tokens, one after the other.

    >>> forcing((12, 5))
    'root ::= <[12]> <[5]>'
    """
    return "root ::= " + " ".join(f"<[{token}]>" for token in tokens)
