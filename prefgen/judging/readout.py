"""Reads what was said. Never guesses: what is not clearly one of the choices is not a choice."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import cache

from prefgen.records import Reading, Readout, Response, Status

_DECORATION = " \t\r\n\"'`*_()[]{}<>.,:;!▁Ġ"
_REFUSAL = re.compile(
    r"\b(?:i(?:'m| am) (?:sorry|unable|not able)|i (?:cannot|can't|can not|won't|will not|must decline|refuse)"
    r"|as an ai\b|as a language model)",
    re.I,
)
_TIE = re.compile(r"\b(?:it'?s a tie|tie|both (?:equally|are equal)|equally (?:good|fair)|no difference)\b", re.I)
_NA = re.compile(r"\b(?:n/?a|not applicable|does not apply|doesn't apply|neither|none of (?:them|these))\b", re.I)


def read(response: Response, choices: Sequence[str], readout: Readout) -> Reading:
    """One response as a reading.

    choices    the symbols offered, slots first; `TIE` and `NA` are answers of their own kind

    A failed request stays `failed`, a content filter is a `refusal`, and text that names no choice, or
    more than one, is `unparsed`. `p` are the probabilities of the choices in their order: from
    log-probabilities where there are any (normalised over the choices), else 1 for what was said.
    """
    if response.failure is not None:
        return Reading(None, "failed")
    if response.finish in ("content_filter", "refusal"):
        return Reading(None, "refusal")
    offered = tuple(choices)
    if readout == "logprobs" and response.alternatives:
        reading = _from_alternatives(response.alternatives, offered)
        if reading is not None:
            return reading
    symbol, status = parse_choice(response.text, offered, last_line=readout == "reason")
    if symbol is None:
        return Reading(None, status)
    certainty = parse_certainty(response.text) if readout == "certainty" else None
    return Reading(symbol, _status_of(symbol), tuple(float(choice == symbol) for choice in offered), certainty)


def _status_of(symbol: str) -> Status:
    return {"TIE": "tie", "NA": "na"}.get(symbol, "ok")  # type: ignore[return-value]


def _from_alternatives(alternatives: tuple[tuple[str, float], ...], choices: tuple[str, ...]) -> Reading | None:
    """None when no choice is among the alternatives: then only the text can tell."""
    mass = dict.fromkeys(choices, 0.0)
    for token, logprob in alternatives:
        bare = token.strip(_DECORATION)
        if bare in mass:
            mass[bare] += math.exp(logprob)
        elif bare:
            # The first piece of a longer word (`T` or `TI` of `TIE`), where it can be no other choice.
            begun = [choice for choice in choices if choice.startswith(bare)]
            if len(begun) == 1:
                mass[begun[0]] += math.exp(logprob)
    total = sum(mass.values())
    if total <= 0.0:
        return None
    p = tuple(mass[choice] / total for choice in choices)
    best = max(p)
    if p.count(best) > 1:
        return Reading(None, "tie", p)
    symbol = choices[p.index(best)]
    return Reading(symbol, _status_of(symbol), p)


def parse_choice(text: str, choices: tuple[str, ...], *, last_line: bool = False) -> tuple[str | None, Status]:
    """The one choice a text names, and what became of the reading.

    last_line    only a line `Answer: X` counts, and there must be no two different ones

    >>> parse_choice("B", ("A", "B"))
    ('B', 'ok')
    >>> parse_choice("I would choose B.", ("A", "B"))
    ('B', 'ok')
    >>> parse_choice("A good question. B or A?", ("A", "B"))
    (None, 'unparsed')
    >>> parse_choice("Answer: A\\nNo, wait.\\nAnswer: B", ("A", "B"), last_line=True)
    (None, 'unparsed')
    """
    patterns = _patterns(choices)
    if last_line:
        named = {*patterns.answer_line.findall(text)}
    else:
        bare = text.strip(_DECORATION)
        if bare in choices:
            return bare, _status_of(bare)
        named = {*patterns.said.findall(text)} or {*patterns.leading.findall(text)} or {*patterns.alone.findall(text)}
    if len(named) == 1:
        symbol: str = named.pop()
        return symbol, _status_of(symbol)
    if named:
        return None, "unparsed"
    return None, _non_answer(text)


def parse_certainty(text: str) -> int | None:
    """The last whole number from 1 to 100 in a text, or None.

    >>> parse_certainty("B 80"), parse_certainty("Answer: B\\nCertainty: 7%"), parse_certainty("B 400")
    (80, 7, None)
    """
    numbers = re.findall(r"(?<![\d.])\d{1,4}(?![\d.]*\d)", text)
    return int(numbers[-1]) if numbers and 1 <= int(numbers[-1]) <= 100 else None


def _non_answer(text: str) -> Status:
    if _REFUSAL.search(text):
        return "refusal"
    if len(text) > 200:
        return "unparsed"  # a word like `neither` in an essay is no verdict
    tie, na = bool(_TIE.search(text)), bool(_NA.search(text))
    return "tie" if tie and not na else "na" if na and not tie else "unparsed"


class _Patterns:
    def __init__(self, choices: tuple[str, ...]) -> None:
        one = "|".join(sorted(map(re.escape, choices), key=len, reverse=True))
        mark = r"[\"'`*_(\[<\s]*"
        # `A` and `I` are also words: followed by another plain word they are no letters.
        word = r"(?![AI]\s+(?!(?:or|and|over|because|since|as|is)\b)[a-z])"
        self.said = re.compile(
            rf"\b(?:[Aa]nswer(?:\s+is)?|[Vv]erdict(?:\s+is)?|[Cc]hoice(?:\s+is)?|[Oo]ption|[Cc]hoose|[Pp]ick|[Ss]elect"
            rf"|[Pp]refer|[Gg]o with)\b\s*:?\s*(?:[Oo]ption\s+)?{mark}{word}({one})(?![A-Za-z'])"
        )
        self.leading = re.compile(rf"\A{mark}({one})(?=[\"'`*_)\]>]*(?:[.:,)\]]|\s*\n|\s*\Z))")
        self.alone = re.compile(rf"(?<![A-Za-z'\-]){word}({one})(?![A-Za-z'\-])")
        self.answer_line = re.compile(rf"(?:^|\n)\W*[Aa]nswer\s*:\s*{mark}({one})(?![A-Za-z'])")


@cache
def _patterns(choices: tuple[str, ...]) -> _Patterns:
    return _Patterns(choices)
