"""The log-probabilities of a reply: at which token the answer stands, and what else might have stood there."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from prefgen.thoughts import answer_begins

_LEAST_LOGPROB = -1000.0  # servers write -9999 for what cannot come, or is not told
_MOST_MASS = 1.05  # probabilities of different tokens, rounding included, are no more together
_MOST_LOGPROB = math.log(_MOST_MASS)
_JSON_ANSWER = re.compile(r'"answer"\s*:\s*"')


class NoLogprobsError(Exception):
    """An answer came without log-probabilities that say anything; why.

    at_all    the server gave none; else it gave some that cannot be used, of this answer
    """

    def __init__(self, words: str, *, at_all: bool) -> None:
        super().__init__(words)
        self.at_all = at_all


@dataclass(frozen=True, slots=True)
class Likely:
    """The tokens at the answer's place.

    chosen    the one that was taken
    tokens    (token, natural-log probability), each text once, the one that was taken first
    """

    chosen: str
    tokens: tuple[tuple[str, float], ...]


def likely_tokens(logprobs: Any, text: str, *, in_json: bool, thought: bool) -> Likely:
    """The alternatives to the token that says the answer.

    text       the answer, where it was told apart from its thoughts
    in_json    the answer stands in `{"answer": "A"}`
    thought    the reply has thoughts outside of its text; their tokens may stand among the others

    Raises NoLogprobsError.
    """
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(tokens, list) or not tokens:
        raise NoLogprobsError("no log-probabilities", at_all=True)
    said = [token["token"] if isinstance(token.get("token"), str) else "" for token in tokens]
    place = _place(said, text, in_json=in_json, thought=thought)
    if place is None:
        raise NoLogprobsError("no log-probabilities of the answer itself", at_all=False)
    return _at(tokens[place], said[place])


def _place(said: list[str], text: str, *, in_json: bool, thought: bool) -> int | None:
    """The token where the answer stands: the first with a letter or digit in it, so that `**` and quotes are passed over."""
    begin = 0
    if len(said) > 1:
        whole = "".join(said)
        found = answer_begins(whole)
        if found is None:
            return None
        begin = found
        if in_json:
            named = _JSON_ANSWER.search(whole, begin)
            begin = named.end() if named else begin
        elif thought and not begin:
            begin = whole.rfind(text.strip())
            if begin < 0:
                return None
    elif thought:
        return None  # what is told of is a thought
    at = 0
    for number, token in enumerate(said):
        at += len(token)
        if at > begin and any(letter.isalnum() for letter in token):
            return number
    return None


def _at(place: dict[str, Any], chosen: str) -> Likely:
    listed: dict[str, float] = {}
    top = place.get("top_logprobs")
    top = top if isinstance(top, list) else []
    for entry in top:
        token, logprob = entry.get("token"), entry.get("logprob")
        # nearly all are such a number: no call for each of a hundred thousand
        if type(logprob) is not float or not _LEAST_LOGPROB < logprob < math.inf:
            logprob = _number(logprob)
        if logprob is not None and isinstance(token, str) and (token not in listed or logprob > listed[token]):
            listed[token] = logprob
    # The list's own number for the token that was taken: beside it stands the same token, sometimes after sampling.
    own = listed.pop(chosen, None)
    if own is None:
        own = _number(place.get("logprob"))
    found = {chosen: own} | listed if own is not None else listed
    if len(found) < 2:
        raise NoLogprobsError("log-probabilities of one token only, which is no probability", at_all=len(top) < 2)
    most = max(found.values())
    if most > _MOST_LOGPROB or sum(map(math.exp, found.values())) > _MOST_MASS:
        raise NoLogprobsError("numbers that are no log-probabilities: they add up to more than 1", at_all=False)
    if most > 0.0:
        found = {token: min(logprob, 0.0) for token, logprob in found.items()}
    return Likely(chosen, tuple(found.items()))


def named_by(token: str, choices: tuple[str, ...]) -> tuple[str, ...]:
    """The choice that a token is, or else the only one that it begins (`T` of `TIE`); none otherwise."""
    bare = token.strip()
    if bare in choices:
        return (bare,)
    begun = tuple(choice for choice in choices if bare and choice.startswith(bare))
    return begun if len(begun) == 1 else ()


def _number(logprob: Any) -> float | None:
    """A log-probability that can be one; None for what is masked, missing or no number."""
    if isinstance(logprob, bool) or not isinstance(logprob, int | float):
        return None
    return float(logprob) if _LEAST_LOGPROB < logprob < math.inf else None
