"""Names derived from content: the same thing always has the same id, on any machine."""

from __future__ import annotations

import hashlib
from pathlib import Path

import orjson


def content_id(prefix: str, content: object) -> str:
    """`prefix-` and 24 hex digits (96 bits) of the BLAKE2b hash of `content` as canonical JSON.

    Dict keys are sorted; tuples and lists are the same thing; floats print shortest round-trip.

    >>> content_id("req", {"a": 1, "b": [2]}) == content_id("req", {"b": (2,), "a": 1})
    True
    """
    packed = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return f"{prefix}-{hashlib.blake2b(packed, digest_size=12).hexdigest()}"


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
