"""Scales: what a rating may be, how it is asked for, and what several of them come to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prefgen.records import Reading
from prefgen.schemas import LETTERS

_RANGE = re.compile(r"(-?\d{1,4})\.\.(-?\d{1,4})")
_MOST = 101  # numbers of a scale


@dataclass(frozen=True, slots=True)
class Scale:
    """An ordered scale.

    symbols    what is answered: numbers, letters that stand for levels, or `no` and `yes`
    words      what each of them means
    values     what each is worth
    """

    symbols: tuple[str, ...]
    words: tuple[str, ...]
    values: tuple[float, ...]

    @classmethod
    def of_range(cls, said: str) -> Scale:
        """`1..5`. ValueError, with a `fix:` on its second line, for what is no range."""
        found = _RANGE.fullmatch(said)
        low, high = (int(found[1]), int(found[2])) if found else (0, 0)
        if not low < high < low + _MOST:
            raise ValueError(f"{said!r} is no range of whole numbers\nfix: write e.g. 1..5, at most {_MOST} numbers")
        numbers = range(low, high + 1)
        words = tuple(map(str, numbers))
        return cls(words, words, tuple(map(float, numbers)))

    @classmethod
    def of_words(cls, words: Sequence[str], *, as_letters: bool = True) -> Scale:
        """Levels, the least first, each worth its place from 1; without letters `no` and `yes`, worth 0 and 1."""
        if as_letters:
            return cls(
                tuple(LETTERS[: len(words)]), tuple(words), tuple(float(place) for place in range(1, len(words) + 1))
            )
        return cls(tuple(words), tuple(words), tuple(float(place) for place in range(len(words))))

    @classmethod
    def of_marks(cls, marks: Mapping[str, str]) -> Scale:
        """Names with what they mean, or '' for nothing more than they say: answered by letter, in no order, worth nothing."""
        told = tuple(f"{name}: {means}" if means else name for name, means in marks.items())
        return cls(tuple(LETTERS[: len(told)]), told, (0.0,) * len(told))

    @property
    def of_one_token(self) -> bool:
        """Whether one token tells the answers apart: of `1` and `10`, or with a sign, it does not."""
        return all(len(symbol) == 1 for symbol in self.symbols) or self.symbols == ("no", "yes")

    @property
    def texts(self) -> tuple[str, ...]:
        """What stands beside each symbol on the page, where an answer may name it by its text."""
        return self.words if self.words != self.symbols else ()

    def asked(self, criterion: str, *, person: bool, reason: bool = False) -> str:
        """The question, with all that may be answered; with a reason before the answer, where one is wanted."""
        you = "As this person would: how" if person else "How"
        if self.symbols == ("no", "yes"):
            return f"Does this hold? {criterion}\n{_replied('yes or no', reason)}"
        if self.words == self.symbols:
            number = f"one whole number from {self.symbols[0]} (not at all) to {self.symbols[-1]} (entirely)"
            return f"{you} far does this hold? {criterion}\n{_replied(number, reason)}"
        levels = "\n".join(f"{symbol}) {word}" for symbol, word in zip(self.symbols, self.words, strict=True))
        replied = _replied(f"one of {', '.join(self.symbols)}", reason)
        if not any(self.values):
            you = "As this person would: which of these is it?" if person else "Which of these is it?"
            return f"{f'{you} {criterion}'.strip()}\n\n{levels}\n\n{replied}"
        return f"{you} far does this hold? {criterion}\n\n{levels}\n\n{replied}"


def _replied(what: str, reason: bool) -> str:
    if reason:
        return f"Give your reason in one to three sentences. Then end with a line of its own: Answer: and {what}."
    return f"Reply with {what} and nothing else."


@dataclass(frozen=True, slots=True)
class Rating:
    """What several readings come to.

    mean      of the values, weighed by their probabilities
    word      the likeliest answer; the lesser, or earlier, of two that are equally likely
    shares    the probability of every answer, in the order of the scale
    """

    mean: float
    word: str
    shares: tuple[float, ...] = ()


def rating(scale: Scale, readings: Sequence[Reading]) -> Rating | None:
    """The mean over readings of one rating; None where one of them says nothing."""
    if not readings or any(one.p is None for one in readings):
        return None
    shares = [sum(p) / len(readings) for p in zip(*(one.p or () for one in readings), strict=True)]
    mean = sum(share * value for share, value in zip(shares, scale.values, strict=True))
    return Rating(mean, scale.words[shares.index(max(shares))], tuple(shares))
