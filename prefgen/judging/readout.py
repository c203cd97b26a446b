"""Reads what was said. Never guesses: what is not clearly one of the choices is not a choice."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from prefgen.judging.verdict import Choices, clean, labelled_choice, named_choice, symbol_of
from prefgen.records import LEAST_P, Reading, Readout, Response, Status
from prefgen.thoughts import answer_of

_REFUSAL = re.compile(
    r"\bi(?:['\u2019]m| am) (?:sorry|unable|not able|not comfortable|afraid i)\b|\bi (?:cannot|can['\u2019]?t|can not|won['\u2019]?t|will not|would not|must decline|decline|refuse)\b"
    r"|\bi(?:['\u2019]d| would) (?:rather|prefer) not\b|\bi do(?:n['\u2019]t| not) (?:feel comfortable|have (?:any )?(?:personal )?(?:opinions?|preferences?|views?|beliefs?))\b"
    r"|\bas an? (?:ai|artificial intelligence|language model|assistant)\b|\b(?:against|violates?) (?:my|our) (?:guidelines|polic(?:y|ies))\b",
    re.I,
)
_TIE = re.compile(r"\b(?:it'?s a tie|tie|both (?:equally|are equal)|equally (?:good|fair)|no difference)\b", re.I)
_NA = re.compile(r"\b(?:n/?a|not applicable|does not apply|doesn't apply|neither|none of (?:them|these))\b", re.I)
_DENIED = re.compile(r"\b(?:not|never|isn['\u2019]t|no)\s+(?:a\s+|an\s+|really\s+|quite\s+)*\Z", re.I)
_MOST_TOKENS = 10_000  # kept as read
_MOST_WORDS = 200  # characters in which a word like `neither` is a verdict; in an essay it is none


def read(response: Response, choices: Sequence[str], readout: Readout, texts: Sequence[str] = ()) -> Reading:
    """One response as a reading.

    choices    the symbols offered, slots first; `TIE` and `NA` are answers of their own kind
    texts      the option beside each slot, where an answer may name it by its text

    The answer given decides: a failed request stays `failed`, a content filter is a `refusal`, and text that names no
    choice, or more than one, is `unparsed`, however likely some letter was. `p` are the probabilities of the choices
    in their order: from the log-probabilities at the answer's token where the answer is a choice there, normalised
    over the choices (`p_read` says how much they hold before that), else 1 for what was said.
    """
    if response.failure is not None:
        return Reading(None, "failed")
    if response.finish in ("content_filter", "refusal"):
        return Reading(None, "refusal")
    said = answer_of(response.text)
    if said is None:  # cut off while it was thinking
        return Reading(None, "unparsed")
    offered = Choices(tuple(choices), tuple(texts))
    symbol, status = parse_choice(said, offered, readout)
    if symbol is None and _is_held(response):  # one token may be but the beginning of `TIE`
        symbol = _symbol(said, offered.symbols, True)
    reason = _words_beside(said, offered) if readout in ("reason", "certainty") else None
    if symbol is None:
        return Reading(None, status, reason=reason)
    status = _STATUS_OF.get(symbol, "ok")
    if readout == "logprobs" and response.alternatives:
        p, p_read = _probabilities(response, offered.symbols)
        if p is not None:
            return Reading(symbol, status, p, p_read=p_read, by="logprobs")
    certainty = parse_certainty(said) if readout == "certainty" else None
    votes = tuple(float(choice == symbol) for choice in offered.symbols)
    return Reading(symbol, status, votes, certainty, reason=reason)


def parse_choice(text: str, choices: Choices, readout: Readout = "text") -> tuple[str | None, Status]:
    """The one choice that a text names, and what became of the reading.

    >>> parse_choice("I would choose B.", Choices(("A", "B"))), parse_choice("A good question. B or A?", Choices(("A", "B")))
    (('B', 'ok'), (None, 'unparsed'))
    >>> parse_choice("Answer: A\nNo, wait.\nAnswer: B", Choices(("A", "B")), "reason")
    (None, 'unparsed')
    """
    symbol = (
        labelled_choice(text, choices)
        if readout == "reason"
        else named_choice(text, choices, certainty=readout == "certainty")
    )
    if symbol is None:
        return None, _non_answer(clean(text))
    return symbol, _STATUS_OF.get(symbol, "ok")


_STATUS_OF: dict[str, Literal["tie", "na"]] = {"TIE": "tie", "NA": "na"}


def _probabilities(response: Response, symbols: tuple[str, ...]) -> tuple[tuple[float, ...] | None, float | None]:
    """(p of every symbol, the mass they hold before normalising); (None, None) where the token is no choice.

    A symbol that is not among the alternatives is no likelier than the least likely of them, nor than all that they leave,
    and gets that much: less certain than the truth, never more.
    """
    held = _is_held(response)
    known = _symbols_of(symbols, held)
    if known[response.chosen or response.text] is None:
        return None, None
    mass = dict.fromkeys(symbols, 0.0)
    left, least = 1.0, 1.0
    for token, logprob in response.alternatives or ():
        p = math.exp(logprob) if logprob < 0.0 else 1.0
        left -= p
        if p < least:
            least = p
        symbol = known[token]
        if symbol is not None:
            mass[symbol] += p
    p_read = sum(mass.values())
    if p_read <= 0.0:
        return None, None
    floor = max(LEAST_P, min(least, left))
    floored = [mass[symbol] or floor for symbol in symbols]
    total = sum(floored)
    return tuple(one / total for one in floored), min(p_read, 1.0) if response.raw else None


def _is_held(response: Response) -> bool:
    """Whether the model could say nothing but a choice: held by a grammar or schema, or asked for the tokens of the choices alone."""
    return any(hold in response.method for hold in ("grammar", "structured_outputs", "json_schema", "token_ids"))


class _Symbols(dict[str, str | None]):
    """The symbol of every token met, read once: the same tokens stand among the likeliest of most answers."""

    def __init__(self, symbols: tuple[str, ...], held: bool) -> None:
        super().__init__()
        self._offered = symbols, held

    def __missing__(self, token: str) -> str | None:
        found = _symbol(token, *self._offered)
        if len(self) < _MOST_TOKENS:
            self[token] = found
        return found


@lru_cache(maxsize=64)
def _symbols_of(symbols: tuple[str, ...], held: bool) -> _Symbols:
    return _Symbols(symbols, held)


def _symbol(token: str, symbols: tuple[str, ...], held: bool) -> str | None:
    """The symbol that a token is; where a grammar holds the answer, also the only one that it begins (`T` of `TIE`)."""
    found = symbol_of(token, symbols)
    bare = token.strip()
    if found is None and held and bare:
        begun = [symbol for symbol in symbols if symbol.startswith(bare)]
        return begun[0] if len(begun) == 1 else None
    return found


def parse_certainty(text: str) -> int | None:
    """The certainty that a text states, from 1 to 100, or None where it states none, or several.

    >>> [parse_certainty(said) for said in ("B 80", "Certainty: 80/100", "B, 8 out of 10", "Answer: B\\nCertainty: 7%", "B 400")]
    [80, 80, 80, 7, None]
    """
    ends = clean(text)[-_MOST_WORDS:]
    for form in _CERTAINTIES:
        stated = {100 * int(of) // int(whole or 100) if int(whole or 100) else 0 for of, whole in form.findall(ends)}
        if stated:
            number = stated.pop()
            return number if not stated and 1 <= number <= 100 else None
    return None


_CERTAINTIES = tuple(
    re.compile(form, re.I)
    for form in (
        r"(?<![\d.,])(\d{1,3})\s?(?:/|out of)\s?(10{1,2})(?![\d.])",
        r"\b(?:certain|certainty|confidence|confident|sure)\b[\s:*=(]{1,5}(?:is |of |at |level )?(\d{1,4})()(?![\d.])",
        r"\A\W{0,5}[A-Z]{1,4}[\s,;:.)-]{1,5}(\d{1,4})()(?![\d.])",
        r"(?<![\d.,-])(\d{1,4})()\s?(?:%|percent\b)",
        r"(?<![\d.,-])(\d{1,4})()(?![\d.,/]*\d)",
    )
)
"""How a certainty is stated, the plainest form first: of a whole, with its name, after the letter, in percent, as the only number."""


def _words_beside(text: str, choices: Choices) -> str | None:
    """What a judge says besides its verdict, without the line that only gives the answer; None where it says nothing more."""
    lines = [line for line in clean(text).split("\n") if not _is_verdict(line, choices)]
    return "\n".join(lines).strip() or None


def _is_verdict(line: str, choices: Choices) -> bool:
    bare = line.strip()
    if not bare or labelled_choice(bare, choices) is not None:
        return True
    return (
        len(bare) <= 40 and named_choice(bare, choices, certainty=True) is not None and not re.search(r"[a-z]{4}", bare)
    )


def _non_answer(text: str) -> Status:
    if _REFUSAL.search(text):
        return "refusal"
    if len(text) > _MOST_WORDS:
        return "unparsed"
    tie, na = (_said(pattern, text) for pattern in (_TIE, _NA))
    return "tie" if tie and not na else "na" if na and not tie else "unparsed"


def _said(pattern: re.Pattern[str], text: str) -> bool:
    """Whether a text says so and does not deny it (`not a tie`)."""
    found = pattern.search(text)
    return found is not None and not _DENIED.search(text[: found.start()])
