"""The export `dialogue`: conversations as messages, the sides renamed for trainers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import polars as pl

from prefgen.judging.candidates import are_turns
from prefgen.publish.exports.details import Details
from prefgen.publish.exports.messages import MESSAGES
from prefgen.publish.exports.presets import Preset
from prefgen.publish.exports.source import Source, beside_texts

TURNS = "turns"
_OF_TRAINERS = ("system", "user", "assistant", "tool")
_PORTRAIT = "_portrait"


def dialogues(preset: Preset, source: Source) -> Iterator[pl.DataFrame]:
    """Each conversation once.

    messages      list of {role, content}; what was only noted is left out, and what one role says in a row is one message
    persona_id, item_id    where the rows have them
    then          labels and columns named, split

    A row without turns that has `prompt` and `response` is a conversation of those two; one without either is left out.
    """
    details = source.details or Details()
    people = source.personas.select("persona_id", pl.col("text").alias(_PORTRAIT)).unique("persona_id", keep="first")
    for frame in source.judgments():
        rows = source.kept(frame)
        portraits = [""] * rows.height
        if preset.context == "profile" and "persona_id" in rows.columns:
            joined = rows.select("persona_id").join(people, on="persona_id", how="left", maintain_order="left")
            portraits = [text or "" for text in joined[_PORTRAIT]]
        yield _formed(rows, portraits, details, source)


def _formed(rows: pl.DataFrame, portraits: Sequence[str], details: Details, source: Source) -> pl.DataFrame:
    roles = dict(details.roles)
    told = [
        _messages(row, portrait, roles, details.turns or TURNS, system_role=source.system_role)
        for row, portrait in zip(rows.iter_rows(named=True), portraits, strict=True)
    ]
    behind = beside_texts(rows, source.columns, ("messages",))
    made = rows.select(pl.Series("messages", told, dtype=MESSAGES), *behind)
    return made.filter(pl.col("messages").list.len() > 0)


def _messages(
    row: Mapping[str, Any], portrait: str, roles: Mapping[str, str], turns: str, *, system_role: bool
) -> list[dict[str, str]]:
    said = [(role_of(turn["role"], roles), turn["content"]) for turn in row.get(turns) or () if turn["content"]]
    if not said and row.get("prompt") and row.get("response"):
        said = [("user", row["prompt"]), ("assistant", row["response"])]
    if portrait and said:
        said = [("system" if system_role else "user", portrait), *said]
    grouped = ((role, [text for _, text in some]) for role, some in groupby(said, key=lambda one: one[0]))
    return [{"role": role, "content": "\n\n".join(texts)} for role, texts in grouped]


def role_of(side: str, roles: Mapping[str, str]) -> str:
    """What trainers call a side: what is written, its own name where that is one of theirs, else the user."""
    return roles.get(side, side if side in _OF_TRAINERS else "user")


def check_turns(schema: Mapping[str, pl.DataType], details: Details) -> None:
    """ValueError, with a `fix:` on its second line, where a table has no conversations."""
    name = details.turns or TURNS
    if not are_turns(schema.get(name)):
        said = f"its column {name!r} has no conversations" if name in schema else f"it has no column {name!r}"
        raise ValueError(f"{said}\nfix: name a step with a list of `role` and `content`, or the column: `turns: NAME`")


def check_sides(sides: Sequence[str], details: Details) -> None:
    """ValueError where a side is named that there is not, or where nobody is the assistant.

    sides    roles of the turns that are known
    """
    roles = dict(details.roles)
    unknown = [name for name in roles if name not in sides]
    if unknown:
        raise ValueError(f"nobody in its conversations is called {unknown[0]!r}\nfix: name one of {', '.join(sides)}")
    if "assistant" not in {role_of(side, roles) for side in sides}:
        raise ValueError(
            f"nobody of {', '.join(sides)} is the assistant\nfix: say who is, e.g. `roles: {{{sides[-1]}: assistant}}`"
        )
