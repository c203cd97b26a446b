"""What an export of histories or of multiple-choice questions names besides its step: which column is what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args

import polars as pl

Sample = Literal["recent", "long", "random"]
"""Which elements of a history stand in a shorter one: the latest, those with the longest texts, or some drawn once for every row."""

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "history": ("history", "target", "input", "peers", "twin", "sizes", "sample"),
    "mcq": ("history", "answer", "shuffle"),
    "fewshot": ("lists",),
    "critique": ("draft", "feedback", "revision", "input"),
    "table": ("user", "item", "level", "time"),
    "dialogue": ("turns", "roles"),
}
"""Options of single exports, by their preset."""

ROLES = frozenset(["user", "assistant", "system"])
"""What trainers call those who speak."""

_SAID: Mapping[str, str] = {
    "history": "the column with the lists, e.g. history: liked",
    "target": "a column, e.g. target: response",
    "input": "a column, e.g. input: prompt",
    "peers": "a column with lists, e.g. peers: others",
    "user": "a column, e.g. user: persona_id",
    "item": "a column, e.g. item: item_id",
    "level": "a column, e.g. level: rating",
    "time": "a column, e.g. time: day",
    "answer": "the column with the right option or its letter, e.g. answer: gold",
    "draft": "a column, e.g. draft: response",
    "feedback": "a column, e.g. feedback: critique",
    "revision": "a column, e.g. revision: better",
    "turns": "the column with the conversations, e.g. turns: turns",
    "roles": "what trainers call a side, e.g. roles: {person: user, agent: assistant}",
    "twin": "true or false",
    "lists": "true or false",
    "shuffle": "true or false",
    "sizes": "a list of numbers from 0 on, each once, e.g. sizes: [1, 5, 20]",
    "sample": f"one of {', '.join(get_args(Sample))}",
}


@dataclass(frozen=True, slots=True)
class Details:
    """Columns and choices of one export; a column is None where it is not named.

    history    with lists, the earlier things; by default the last column with lists
    target     what is to be foreseen
    input      what is asked; by default `prompt`, where there is one
    peers      with lists, what others did
    answer     of `mcq`: the right option, as its text or letter
    twin       whether every row has a twin without history
    sizes      the history of every row cut to these sizes, a row each
    sample     how it is cut
    shuffle    of `mcq`: whether options stand in an order drawn for every row
    draft, feedback, revision    of `critique`: columns with the three texts
    user, item, level, time    of `table` over rows that somebody brought: who did what with what, and when
    turns      of `dialogue`: the column with the conversations; by default `turns`
    roles      of `dialogue`: (side, what trainers call it); those not named are `user`, but for one called `assistant`
    lists      of `fewshot`: lists of what was chosen and of what was not, in the place of shots
    """

    history: str | None = None
    target: str | None = None
    input: str | None = None
    peers: str | None = None
    answer: str | None = None
    twin: bool = False
    sizes: tuple[int, ...] = ()
    sample: Sample = "recent"
    shuffle: bool = True
    lists: bool = False
    draft: str | None = None
    feedback: str | None = None
    revision: str | None = None
    user: str | None = None
    item: str | None = None
    level: str | None = None
    time: str | None = None
    turns: str | None = None
    roles: tuple[tuple[str, str], ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns named."""
        of_table = (self.user, self.item, self.level, self.time, self.turns)
        of_critique = (self.draft, self.feedback, self.revision)
        named = (self.history, self.target, self.input, self.peers, self.answer, *of_critique, *of_table)
        return tuple(filter(None, named))

    @property
    def of_rows(self) -> bool:
        """Whether a `table` is made of rows as they are, and not of pairs."""
        return self.item is not None

    def over(self, schema: Mapping[str, pl.DataType], *, needs_history: bool) -> Details:
        """The same with what the columns of a table say of what is not named; ValueError for what they cannot be."""
        lists = [name for name, kind in schema.items() if isinstance(kind, pl.List) and name != "options"]
        left = [name for name in lists if name != self.peers]
        history = self.history or (left[-1] if left and needs_history else None)
        if needs_history and history is None:
            raise ValueError("it has no column with lists\nfix: name a `pack` step, whose rows have one")
        for name in (history, self.peers):
            if name is not None and name not in lists:
                found = ", ".join(lists) or "none"
                raise ValueError(f"{name!r} is no column with lists\nfix: name one that is; here are: {found}")
        asked = self.input or ("prompt" if needs_history and "prompt" in schema else None)
        return replace(self, history=history, input=asked)


def details_of(preset: str, said: Mapping[str, Any]) -> Details | None:
    """The details of an export from what is written; None for presets that have none. KeyError of key, problem and fix."""
    if preset not in OPTIONS:
        return None
    found = {key: said[key] for key in OPTIONS[preset] if said.get(key) is not None}
    for key, value in found.items():
        if not _is_right(key, value):
            raise KeyError(key, f"{value!r} is not understood", f"write {_SAID[key]}")
    if preset == "mcq" and "answer" not in found:
        raise KeyError("answer", "which option is right is not said", f"write {_SAID['answer']}")
    missing = [key for key in ("draft", "feedback", "revision") if key not in found] if preset == "critique" else []
    if missing:
        raise KeyError(missing[0], f"which column is the {missing[0]} is not said", f"write {_SAID[missing[0]]}")
    if preset == "table" and found and not {"user", "item", "level"} <= set(found):
        raise KeyError(
            "item",
            "of rows, who did what with what is to be said",
            "write user: persona_id, item: item_id, level: rating",
        )
    return Details(**{key: _fixed(value) for key, value in found.items()})


def _fixed(value: Any) -> Any:
    return tuple(value.items()) if isinstance(value, dict) else tuple(value) if isinstance(value, list) else value


def _is_right(key: str, value: Any) -> bool:
    if key in ("twin", "shuffle", "lists"):
        return isinstance(value, bool)
    if key == "sample":
        return value in get_args(Sample)
    if key == "roles":
        return isinstance(value, dict) and all(isinstance(one, str) for one in value) and set(value.values()) <= ROLES
    if key != "sizes":
        return isinstance(value, str)
    if not isinstance(value, list) or not value:
        return False
    numbers = [one for one in value if isinstance(one, int) and not isinstance(one, bool) and one >= 0]
    return len(numbers) == len(cast(Sequence[Any], value)) == len(set(numbers))
