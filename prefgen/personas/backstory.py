"""A short backstory told by a model, and whether it keeps the facts: prompts out, text back, nothing asked here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from prefgen.spec.population_checks import RESERVED

Messages = tuple[tuple[str, str], ...]
Telling = Literal["kept", "omitted", "contradicted", "unread"]
"""What a text does with a fact; `unread` when the checker's answer could not be read."""

MOST_LEVELS = 20  # of an attribute that the checker is asked about; more do not fit on one page of letters
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SMALL = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_WORDS = {word: n for n, word in enumerate(_SMALL)} | {word: 10 * n for n, word in enumerate(_TENS, 2)}
_AGE = re.compile(r"\b(\d{1,3})[- ]years?[- ]old\b|\baged (\d{1,3})\b|\bI am (\d{1,3})\b|\byou are (\d{1,3})\b", re.I)
_VOICE = {"second": 'in the second person ("You ...")', "first": 'in the first person ("I ...")'}


@dataclass(frozen=True, slots=True)
class Fact:
    """One attribute that a backstory must keep.

    levels    what others of the population have there; empty for numbers, which are looked for in the text itself
    """

    name: str
    levels: tuple[str, ...]

    @property
    def spoken(self) -> str:
        """The attribute as words."""
        return self.name.replace("_", " ")


def facts_of(people: pl.DataFrame, names: Sequence[str] | None = None) -> list[Fact]:
    """The facts of a population: the attributes named, or all that can be checked (bands of numbers are left out)."""
    found = []
    for name in names if names is not None else people.columns:
        if name in RESERVED or (names is None and name.removesuffix("_band") != name and name[:-5] in people.columns):
            continue
        column = people[name].drop_nulls()
        if column.dtype.is_numeric():
            found.append(Fact(name, ()))
        elif 2 <= column.n_unique() <= MOST_LEVELS:
            found.append(Fact(name, tuple(column.cast(pl.String).unique().sort())))
    return found


def backstory_messages(
    person: Mapping[str, object], facts: Sequence[Fact], *, words: int, voice: Literal["first", "second"]
) -> Messages:
    """What a model is asked to write about one person."""
    told = "\n".join(f"- {fact.spoken}: {said(person[fact.name])}" for fact in facts if person[fact.name] is not None)
    return (
        (
            "user",
            f"Tell the life of one person in about {words} words, {_VOICE[voice]}, as plain running text.\n"
            f"These facts are fixed. Let each of them show, change none, and add nothing that speaks against them:\n{told}\n"
            f"In a sentence or two the person is described so: {person['text']}\n"
            "Write everyday details: work, home, people near them, what pleases and what worries them. No heading, no list.",
        ),
    )


def check_messages(backstory: str, fact: Fact) -> Messages:
    """What a checker is asked about one fact of a backstory; its answer is one of `check_choices`."""
    options = "\n".join(
        f"{letter}: {level}" for letter, level in zip(_LETTERS, (*fact.levels, "the text does not say"), strict=False)
    )
    page = f"Read this about a person:\n\n{backstory}\n\nWhat does the text say about this: {fact.spoken}?\n{options}\n\nAnswer with one letter."
    return (("user", page), ("assistant", "Answer:"))


def check_choices(fact: Fact) -> tuple[str, ...]:
    """The letters of a check: one a level, and one for what is not said."""
    return tuple(_LETTERS[: len(fact.levels) + 1])


def told_in(fact: Fact, value: object, symbol: str | None) -> Telling:
    """What a checker's letter says of a fact."""
    if symbol is None:
        return "unread"
    at = _LETTERS.index(symbol)
    if at >= len(fact.levels):
        return "omitted"
    return "kept" if fact.levels[at] == said(value) else "contradicted"


def number_told_in(fact: Fact, value: float, backstory: str) -> Telling:
    """What a text does with a number: kept where it appears in digits or words.

    Only an age can be contradicted (`40 years old`): which other numbers speak of a fact, nobody can tell.
    """
    if fact.name == "age":
        ages = [int(next(filter(None, groups))) for groups in _AGE.findall(backstory)]
        if ages and round(value) not in ages:
            return "contradicted"
    return "kept" if float(value) in numbers_in(backstory) else "omitted"


def numbers_in(text: str) -> set[float]:
    """Numbers of a text, in digits or in English words up to ninety-nine.

    >>> sorted(numbers_in("At forty-two she has 3 dogs and two cats."))
    [2.0, 3.0, 40.0, 42.0]
    """
    found = {float(digits.replace(",", "")) for digits in re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", text)}
    words = re.findall(r"[a-z]+", text.lower())
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if word in _WORDS:
            found.add(float(_WORDS[word]))
            if word in _TENS and 0 < _WORDS.get(after, 0) < 10:
                found.add(float(_WORDS[word] + _WORDS[after]))
    return found


def said(value: object) -> str:
    """A level as the checker's page shows it."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
