"""Every step that judged, for card and report: how much was read, how the answers are spread, and how far askings agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prefgen.publish.report.words import count, decimal, interval, percent

_READ = ("ok", "tie", "na")


@dataclass(frozen=True, slots=True)
class Judged:
    """One step that picked or ranked, or one criterion of a step that rated.

    name       the step, and its criterion
    said       sentences: rows and what of them was read, position bias, agreement of orders and repeats, the mean
    answers    (answer, its share in words with the interval, its share from 0 to 1), in the order of the scale
    """

    name: str
    said: tuple[str, ...]
    answers: tuple[tuple[str, str, float], ...]


def judged_steps(manifest: Mapping[str, Any]) -> list[Judged]:
    """One for every step with judgments, and for every criterion of a step with ratings, in the order of the run."""
    found: list[Judged] = []
    for step in manifest["steps"]:
        summary = step["summary"]
        if "choices" in summary:
            found.append(Judged(step["name"], tuple(_of_picks(summary)), _answers(summary["choices"])))
        if "rankings" in summary:
            found.append(Judged(step["name"], tuple(_of_rankings(summary["rankings"])), ()))
        for rating in summary.get("ratings", ()):
            name = f"{step['name']}: {rating['criterion']}"
            found.append(Judged(name, tuple(_of_ratings(rating)), _answers(rating["answers"])))
    return found


def _of_picks(summary: Mapping[str, Any]) -> Iterator[str]:
    statuses = summary.get("statuses", {})
    total = sum(statuses.values())
    read = sum(statuses.get(status, 0) for status in _READ)
    yield f"{count(total)} judgments, {percent(read / total if total else None)} of them read"
    bias = summary.get("position_bias")
    if bias and bias["value"] is not None:
        yield f"position bias {interval(bias)}"
    for name, words in (("order_agreement", "orders agree"), ("repeat_agreement", "repeats agree")):
        if summary.get(name) is not None:
            yield f"{words} {percent(summary[name])}"
    for two in summary.get("models_agree", ()):
        yield f"{' and '.join(two['models'])} choose the same as the same person {interval(two)}"


def _of_ratings(rating: Mapping[str, Any]) -> Iterator[str]:
    yield f"{count(rating['rows'])} rows, {interval(rating['read'])} of them read"
    if rating["mean"] and rating["mean"]["value"] is not None:
        yield f"mean {interval(rating['mean'], told=decimal)}"
    if rating["repeats_agree"]:
        yield f"repeats agree {interval(rating['repeats_agree'])}"


def _of_rankings(told: Mapping[str, Any]) -> Iterator[str]:
    yield f"{count(told['rows'])} rankings, {interval(told['read'])} of them read"
    if told["position_bias"]:
        yield f"position bias {interval(told['position_bias'])}"
    for name, words in (("order_agreement", "orders"), ("repeat_agreement", "repeats")):
        if told[name]:
            yield f"Kendall's tau between {words} {interval(told[name], told=decimal)}"


def _answers(shares: Any) -> tuple[tuple[str, str, float], ...]:
    return tuple((one["answer"], interval(one), one["value"]) for one in shares if one["value"] is not None)
