"""Facts about one step in two runs, as of both together: counts are added, estimates pooled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_COUNTED = ("statuses", "readouts", "facts", "ended", "messages", "said", "noted", "words")
"""Mappings of a summary that count rows; all others are of one run each, but for estimates."""


def added_up(old: Any, new: Any, weights: tuple[int, int], key: str) -> Any:
    """A fact about one step in two runs, as of both together.

    weights    rows of the step in each
    """
    if isinstance(old, dict) and isinstance(new, dict):
        if key in _COUNTED:
            return {name: old.get(name, 0) + new.get(name, 0) for name in {**old, **new}}
        return _pooled(old, new) if {"value", "low", "high", "n"} <= {*old} & {*new} else new
    if isinstance(old, list) and isinstance(new, list) and key in _NAMED:
        return _by_name(old, new, weights, _NAMED[key])
    if key in ("n", "judgments", "rows", "effective_n") and _is_number(old) and _is_number(new):
        return old + new
    if isinstance(old, float) and isinstance(new, float) and (weights[0] + weights[1]):
        return (old * weights[0] + new * weights[1]) / (weights[0] + weights[1])
    return old if new is None else new


_NAMED = {"ratings": "criterion", "answers": "answer", "choices": "answer"}
"""Lists of facts, and what tells their members apart."""


def _by_name(old: list[Any], new: list[Any], weights: tuple[int, int], name: str) -> list[Any]:
    """Members of both lists, each added up with the one of its name."""
    news = {one[name]: one for one in new}
    both = [_member(one, news.pop(one[name]), weights) if one[name] in news else one for one in old]
    return [*both, *news.values()]


def _member(old: Mapping[str, Any], new: Mapping[str, Any], weights: tuple[int, int]) -> dict[str, Any]:
    if {"value", "low", "high", "n"} <= {*old}:
        return {**old, **_pooled(old, new)}
    return {key: added_up(value, new.get(key), weights, key) for key, value in old.items()}


def _pooled(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Two estimates as one, its ends weighted as its value is: they are of the same questions, and chance does not cancel."""
    if old["value"] is None or new["value"] is None:
        return dict(old if new["value"] is None else new)
    n = old["n"] + new["n"]  # of questions, of which both have the same
    known = [key for key in ("value", "low", "high") if old[key] is not None and new[key] is not None]
    means = {key: (old[key] * old["n"] + new[key] * new["n"]) / n if n else new[key] for key in known}
    return {"low": None, "high": None, **means, "n": max(old["n"], new["n"])}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
