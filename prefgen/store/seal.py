"""The seal of what prefgen writes for itself: a hash of all of it, so that damage shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefgen.ids import content_id

SEAL = "seal"
"""Key of the hash of all other keys."""


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The same content with its hash, by which damage is seen."""
    rest = {key: value for key, value in content.items() if key != SEAL}
    return rest | {SEAL: content_id("seal", rest)}
