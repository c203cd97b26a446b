"""Every step that held conversations, for card, report and screen: how they ended, how long they are, and who said how much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from prefgen.publish.report.words import count, percent
from prefgen.store.folder import RunFolder

_ENDS = {
    "until": "until the condition held",
    "turns": "to the last turn",
    "silence": "until nobody had anything to answer",
}


@dataclass(frozen=True, slots=True)
class Talked:
    """One step.

    said    sentences: conversations and how they ended, messages of each, what every side said and noted
    """

    name: str
    said: tuple[str, ...]


def talked_steps(manifest: Mapping[str, Any]) -> list[Talked]:
    """One for every step with conversations, in the order of the run."""
    steps = [step for step in manifest["steps"] if step["kind"] == "talk" and "ended" in step["summary"]]
    return [Talked(step["name"], tuple(_sentences(step["summary"]))) for step in steps]


def conversations(folder: RunFolder, step: str, most: int) -> list[list[tuple[str, str]]]:
    """Some kept conversations of a step, evenly from all: (side, what it said); nothing where its table is gone."""
    if not most or not folder.tables.is_there(step):
        return []
    kept = folder.table(step).scan().filter(pl.col("reject_reason").is_null()).select("turns")
    n = kept.select(pl.len()).collect(engine="streaming").item()
    places = dict.fromkeys(place * n // most for place in range(min(most, n)))
    some = pl.concat([kept.slice(place, 1).collect() for place in places]) if places else pl.DataFrame({"turns": []})
    return [[(turn["role"], turn["content"]) for turn in turns if turn["content"]] for turns in some["turns"].to_list()]


def _sentences(summary: Mapping[str, Any]) -> Iterator[str]:
    ended = sorted(summary["ended"].items(), key=lambda one: (-one[1], one[0]))
    n = sum(summary["ended"].values())
    how = ", ".join(f"{percent(k / n)} {_ENDS.get(end, f'for want of a reply ({end})')}" for end, k in ended)
    yield f"{count(n)} conversations{': ' if how else ''}{how}"
    lengths = {int(length): k for length, k in summary["messages"].items()}
    if lengths:
        mean = sum(length * k for length, k in lengths.items()) / sum(lengths.values())
        yield f"those kept have {mean:.1f} messages on average ({min(lengths)} to {max(lengths)})"
    for side, said in summary["said"].items():
        notes = summary["noted"][side]
        words = f" of {summary['words'][side] / said:.0f} words on average" if said else ""
        yield f"{side}: {count(said)} messages{words}" + (f", {count(notes)} notes" if notes else "")
