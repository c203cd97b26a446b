"""Whether a manifest is one: read from a disk that may be damaged, or from a Hub where anybody writes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from prefgen.ids import content_id

SEAL = "seal"
"""Key of the hash of all other keys."""

_NUMBER = (int, float)
_NONE = type(None)
_ANY = "*"  # whatever key
_COUNTS = {_ANY: int}
_FILE = {"path": str, "bytes": int, "sha256": str, "rows": (int, _NONE)}
_STEP = {
    "name": str,
    "kind": str,
    "grain": str,
    "model": (str, _NONE),
    "rows": int,
    "kept": int,
    "dropped": _COUNTS,
    "seconds": _NUMBER,
    "summary": dict,
}
_GATE = {"step": str, "gate": str, "wanted": _NUMBER, "found": (*_NUMBER, _NONE), "passed": bool}
_CONFIG = {"name": str, "preset": str, "step": str, "steps": [str], "splits": _COUNTS}
_PUBLISH = {"license": str, "shard_mb": _NUMBER}
_MANIFEST: Mapping[str, Any] = {
    "format": int,
    "name": str,
    "fingerprint": str,
    "seed": int,
    "status": str,
    "seconds": _NUMBER,
    "publish": _PUBLISH,
    "models": {_ANY: {"engine": str, "model": str}},
    "steps": [_STEP],
    "gates": [_GATE],
    "configs": [_CONFIG],
    "files": [_FILE],
}
_MAYBE: Mapping[str, Any] = {
    "steps": {
        "reads": [[str]],
        "requests": _COUNTS,
        "tokens": _COUNTS,
        "cost_usd": (*_NUMBER, _NONE),
        "notes": [str],
        "silence": [str],
    },
    "publish": {"judgments": (str, _NONE), "title": (str, _NONE), "tags": [str]},
}
"""Keys that may be missing: of each step, and of `publish`."""

_DONE = {
    "fingerprint": str,
    "rows": int,
    "account": dict,
    "parts": [{"name": str, "rows": int, "bytes": int, "sha256": str}],
}


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The same content with its hash, by which damage is seen."""
    rest = {key: value for key, value in content.items() if key != SEAL}
    return rest | {SEAL: content_id("seal", rest)}


def wrong_manifest(content: Any) -> str | None:
    """What is wrong with the content of a manifest.json; None where nothing is."""
    if not isinstance(content, dict) or content.get("format") != 1:
        return "not a manifest of this version"
    if SEAL in content and content[SEAL] != sealed(content)[SEAL]:
        return "damaged, or changed by hand"
    key = _misfit(content, _MANIFEST, "")
    if key is not None:
        return f"damaged: {key} is missing or of another type"
    for place, kinds in _MAYBE.items():
        for one in [content[place]] if isinstance(content[place], dict) else content[place]:
            there = {name: kind for name, kind in kinds.items() if name in one}
            if (key := _misfit(one, there, place)) is not None:
                return f"damaged: {key} is of another type"
    if any(len(pair) != 2 for step in content["steps"] for pair in step.get("reads", ())):
        return "damaged: steps.reads does not name what was read"
    words = [name for one in content["configs"] for name in (one["name"], *one["splits"])]
    words += [step["name"] for step in content["steps"]]
    odd = next((name for name in words if not re.fullmatch(r"[\w.-]{1,100}", name) or set(name) == {"."}), None)
    if odd is not None:
        return f"damaged: {odd!r:.80} is no name of a config, split or step"
    bad = next((entry["path"] for entry in content["files"] if not is_inside(entry["path"])), None)
    return None if bad is None else f"{bad!r:.80} is no path inside of the dataset"


def wrong_record(content: Any) -> str | None:
    """What is wrong with the content of the done.json beside a table; None where nothing is."""
    if not isinstance(content, dict) or sealed(content) != content:
        return "damaged"
    key = _misfit(content, _DONE, "")
    return None if key is None else f"damaged: {key} is missing or of another type"


def is_inside(path: str) -> bool:
    """Whether a path, as a manifest or the Hub writes it, stays inside of the folder that it is relative to."""
    parts = PurePosixPath(path).parts
    return bool(parts) and path == "/".join(parts) and ".." not in parts and not set(path) & {"\0", "\\", "\n", "\r"}


def _misfit(content: Any, wanted: Any, at: str) -> str | None:
    """Dotted key of the first value that is not as wanted: a type or several, a mapping of keys, or a list of one of these.

    Whole numbers are counts: 0 or more, and of 64 bits.
    """
    if isinstance(wanted, list):
        if not isinstance(content, list):
            return at
        return next((key for k, one in enumerate(content) if (key := _misfit(one, wanted[0], f"{at}[{k}]"))), None)
    if isinstance(wanted, Mapping):
        if not isinstance(content, dict):
            return at
        wanted = dict.fromkeys(content, wanted[_ANY]) if _ANY in wanted else wanted
        below = ((f"{at}.{key}" if at else key, content.get(key, ...), kind) for key, kind in wanted.items())
        return next((key for place, value, kind in below if (key := _misfit(value, kind, place))), None)
    kinds = wanted if isinstance(wanted, tuple) else (wanted,)
    fits = isinstance(content, kinds) and (isinstance(content, bool) == (bool in kinds))
    return None if fits and (wanted is not int or 0 <= content < 2**63) else at
