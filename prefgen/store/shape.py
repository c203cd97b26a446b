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
_MAYBE_DICT = (dict, type(None))
_FILE = {"path": str, "bytes": int, "sha256": str}
_STEP = {"name": str, "kind": str, "grain": str, "rows": int, "dropped": _MAYBE_DICT, "summary": dict}
_GATE = {"step": str, "gate": str, "wanted": _NUMBER, "found": (*_NUMBER, type(None)), "passed": bool}
_CONFIG = {"name": str, "splits": dict}
_MANIFEST: Mapping[str, Any] = {
    "format": int, "name": str, "fingerprint": str, "status": str, "publish": _MAYBE_DICT, "models": _MAYBE_DICT,
    "steps": [_STEP], "gates": [_GATE], "configs": [_CONFIG], "files": [_FILE],
}  # fmt: skip


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
    words = [name for one in content["configs"] for name in (one["name"], *one["splits"])]
    odd = next((name for name in words if not re.fullmatch(r"[\w.-]{1,100}", name)), None)
    if odd is not None:
        return f"damaged: {odd!r:.80} is no name of a config or split"
    bad = next((entry["path"] for entry in content["files"] if not is_inside(entry["path"])), None)
    return None if bad is None else f"{bad!r:.80} is no path inside of the dataset"


def is_inside(path: str) -> bool:
    """Whether a path, as a manifest or the Hub writes it, stays inside of the folder that it is relative to."""
    parts = PurePosixPath(path).parts
    return bool(parts) and path == "/".join(parts) and ".." not in parts and not set(path) & {"\0", "\\", "\n", "\r"}


def _misfit(content: Any, wanted: Any, at: str) -> str | None:
    """Dotted key of the first value that is not as wanted: a type or several, a mapping of keys, or a list of one of these."""
    if isinstance(wanted, list):
        if not isinstance(content, list):
            return at
        return next((key for k, one in enumerate(content) if (key := _misfit(one, wanted[0], f"{at}[{k}]"))), None)
    if isinstance(wanted, Mapping):
        if not isinstance(content, dict):
            return at
        below = ((f"{at}.{key}" if at else key, content.get(key), kind) for key, kind in wanted.items())
        return next((key for place, value, kind in below if (key := _misfit(value, kind, place))), None)
    kinds = wanted if isinstance(wanted, tuple) else (wanted,)
    fits = isinstance(content, kinds) and (isinstance(content, bool) == (bool in kinds))
    return None if fits else at
