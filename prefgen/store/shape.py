"""Whether a manifest is one: read from a disk that may be damaged, or from a Hub where anybody writes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from prefgen.store.fitting import ANY, misfit
from prefgen.store.seal import SEAL, sealed
from prefgen.store.summary import ACCOUNT, odd_summary

_NUMBER = (int, float)
_NONE = type(None)
_COUNTS = {ANY: int}
_FILE = {"path": str, "bytes": int, "sha256": str, "rows": (int, _NONE)}
_GATE = {"step": str, "gate": str, "wanted": _NUMBER, "found": (*_NUMBER, _NONE), "passed": bool}
_LEAKS = {"rows": int, "by": _COUNTS, "searched": int, "unsearched": int}
_CONFIG = {"name": str, "preset": str, "step": str, "steps": [str], "splits": _COUNTS, "leaks?": _LEAKS}
_PUBLISH = {
    "license": str,
    "shard_mb": _NUMBER,
    "judgments?": (str, _NONE),
    "hidden?": [str],
    "title?": (str, _NONE),
    "description?": (str, _NONE),
    "tags?": [str],
}
_APPENDED = {"version": str, "fingerprint": str, "finished?": (str, _NONE), "rows": _COUNTS}
_MANIFEST: Mapping[str, Any] = {
    "format": int,
    "prefgen": str,
    "name": str,
    "fingerprint": str,
    "seed": int,
    "status": str,
    "started": str,
    "finished?": str,
    "seconds": _NUMBER,
    "publish": _PUBLISH,
    "analyse?": [dict],
    "models": {ANY: {"engine": str, "model": str}},
    "steps": [ACCOUNT],
    "gates": [_GATE],
    "configs": [_CONFIG],
    "files": [_FILE],
    "versions": {ANY: str},
    "version?": str,
    "appended?": [_APPENDED],
}
_DONE = {
    "fingerprint": str,
    "rows": int,
    "account": dict,
    "packed?": {"column": str, "steps": [str], "each": [str], "plain": bool},
    "parts": [{"name": str, "rows": int, "bytes": int, "sha256": str}],
}
_DEEPEST = 40
"""Levels of a manifest, more than any has: what speaks of one walks down all of them."""


def wrong_manifest(content: Any) -> str | None:
    """What is wrong with the content of a manifest.json; None where nothing is."""
    if not isinstance(content, dict) or content.get("format") != 1:
        return "not a manifest of this version"
    if _is_too_deep(content):
        return f"damaged: it is nested more than {_DEEPEST} levels deep"
    if SEAL in content and content[SEAL] != sealed(content)[SEAL]:
        return "damaged, or changed by hand"
    problem = misfit(content, _MANIFEST) or next(_odd(content), None)
    return None if problem is None else f"damaged: {problem}"


def _odd(content: Mapping[str, Any]) -> Iterator[str]:
    """What is odd about a manifest whose values have their types."""
    for place, step in enumerate(content["steps"]):
        odd = odd_summary(step)
        if odd is not None:
            yield f"steps[{place}].summary.{odd}"
    words = [name for one in content["configs"] for name in (one["name"], *one["splits"])]
    words += [step["name"] for step in content["steps"]]
    for name in words:
        if not re.fullmatch(r"[\w.-]{1,100}", name) or set(name) == {"."}:
            yield f"{name!r:.80} is no name of a config, split or step"
    for entry in content["files"]:
        if not is_inside(entry["path"]):
            yield f"{entry['path']!r:.80} is no path inside of the dataset"


def wrong_record(content: Any) -> str | None:
    """What is wrong with the content of the done.json beside a table; None where nothing is."""
    if not isinstance(content, dict) or _is_too_deep(content) or sealed(content) != content:
        return "damaged"
    problem = misfit(content, _DONE)
    return None if problem is None else f"damaged: {problem}"


def is_account(content: Mapping[str, Any]) -> bool:
    """Whether a table's record tells of its step what a run that goes on reads there."""
    return misfit(content, ACCOUNT) is None and odd_summary(content) is None


def is_inside(path: str) -> bool:
    """Whether a path, as a manifest or the Hub writes it, stays inside of the folder that it is relative to."""
    parts = PurePosixPath(path).parts
    return bool(parts) and path == "/".join(parts) and ".." not in parts and not set(path) & {"\0", "\\", "\n", "\r"}


def _is_too_deep(content: Any) -> bool:
    layer = [content]
    for _ in range(_DEEPEST):
        below = [one.values() if isinstance(one, dict) else one for one in layer if isinstance(one, dict | list)]
        layer = [value for values in below for value in values]
    return bool(layer)
