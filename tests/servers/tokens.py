"""What vLLM's server tells of tokens: /tokenize, and log-probabilities of tokens that are named by their ids."""

from __future__ import annotations

import hashlib
import math
import re
from typing import Any

_PIECE = re.compile(r" ?\w+|\W")
_NEVER = -30.0


def tokenized(body: dict[str, Any]) -> dict[str, Any]:
    """The reply of /tokenize."""
    pieces = _PIECE.findall(body["prompt"])
    told = [piece.replace(" ", "\u0120") for piece in pieces] if body.get("return_token_strs") else None
    return {
        "count": len(pieces),
        "max_model_len": 4096,
        "tokens": [number_of(one) for one in pieces],
        "token_strs": told,
    }


def number_of(piece: str) -> int:
    """The id of a token."""
    return int.from_bytes(hashlib.blake2b(piece.encode(), digest_size=4).digest(), "big") % 150_000


def named(body: dict[str, Any], said: str, p: dict[str, float], rest: float) -> dict[str, Any]:
    """The `logprobs` of a reply of one token: those asked for by id, and the one that was taken.

    p       probability of each choice; `rest` is that of all else
    """
    space = " " if body.get("continue_final_message") else ""
    mass = {number_of(space + choice): share * (1 - rest) for choice, share in p.items()}
    asked = {token: math.log(mass[token]) if mass.get(token) else _NEVER for token in body["logprob_token_ids"]}
    told = {number_of(said): math.log(0.5), **asked}
    entries = [{"token": f"token_id:{token}", "logprob": logprob, "bytes": []} for token, logprob in told.items()]
    return {"content": [{**entries[0], "top_logprobs": entries}]}
