"""Whether a value of JSON has the shape that its reader counts on, and where it has not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ANY = "*"
"""Key of a mapping whose own keys may be anything."""

_WORDS = {int: "a count", float: "a number", str: "text", bool: "true or false", dict: "a mapping", type(None): "null"}


@dataclass(frozen=True, slots=True)
class Within:
    """A number between two ends, both included."""

    low: float
    high: float


SHARE = Within(-1e-6, 1 + 1e-6)
"""0 to 1, and what rounding adds."""


def misfit(content: Any, wanted: Any, at: str = "") -> str | None:
    """Where and how a value is not as wanted; None where it is.

    wanted    a type (int: a count of 64 bits, 0 or more), a `Within`, a frozenset of texts, a tuple of alternatives, `[one]` for a list of any length,
              `[one, other]` for one of that length, or a mapping of keys: `key?` may be missing
    """
    if isinstance(wanted, Mapping) and isinstance(content, dict):
        return _misfit_below(content, wanted, at)
    if isinstance(wanted, list) and isinstance(content, list) and (len(wanted) == 1 or len(content) == len(wanted)):
        kinds = wanted * len(content) if len(wanted) == 1 else wanted
        each = enumerate(zip(content, kinds, strict=True))
        return next((said for k, (one, kind) in each if (said := misfit(one, kind, f"{at}[{k}]"))), None)
    if isinstance(wanted, tuple):
        told = [said for kind in wanted if (said := misfit(content, kind, at)) is not None]
        # the longest place is that of the alternative which fits down to there
        return max(told, key=lambda one: len(one.split(" ")[0])) if len(told) == len(wanted) else None
    return None if _fits(content, wanted) else f"{at} is {content!r:.60}, not {_told(wanted)}"


def _misfit_below(content: Mapping[str, Any], wanted: Mapping[str, Any], at: str) -> str | None:
    kinds = dict.fromkeys(content, wanted[ANY]) if ANY in wanted else wanted
    for name, kind in kinds.items():
        key = name if ANY in wanted else name.removesuffix("?")
        place = f"{at}.{key}" if at else key
        if key in content:
            said = misfit(content[key], kind, place)
        else:
            said = None if name.endswith("?") else f"{place} is missing"
        if said is not None:
            return said
    return None


def _fits(content: Any, wanted: Any) -> bool:
    """Whether a value is of a type or within a range."""
    if isinstance(wanted, Within):
        if isinstance(content, bool) or not isinstance(content, int | float):
            return False
        return wanted.low <= content <= wanted.high
    if isinstance(wanted, frozenset):
        return isinstance(content, str) and content in wanted
    if not isinstance(wanted, type) or isinstance(content, bool) != (wanted is bool):
        return False
    if wanted is int:
        return isinstance(content, int) and 0 <= content < 2**63
    return isinstance(content, int | float if wanted is float else wanted)


def _told(wanted: Any) -> str:
    if isinstance(wanted, Within):
        return f"a number from {round(wanted.low)} to {round(wanted.high)}"
    if isinstance(wanted, frozenset):
        return f"one of {', '.join(sorted(wanted))}"
    if isinstance(wanted, type):
        return _WORDS[wanted]
    return "a mapping" if isinstance(wanted, Mapping) else "a list" if len(wanted) == 1 else f"a list of {len(wanted)}"
