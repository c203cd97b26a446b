"""Likelihoods: what the words of every option are worth as the answer, and what that makes of the options."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import orjson

from prefgen.records import Reading, Response
from prefgen.schemas import LETTERS

Score = Literal["sum", "mean", "gain"]
"""`sum` of the log-probabilities of an option's tokens, their `mean`, or the `gain` of the sum over that without a persona."""

_SAME = 1e-12  # probabilities that are no further apart are a tie, as everywhere


def read_likelihood(response: Response, k: int, score: Score, plain: Response | None = None) -> Reading:
    """One response as a reading of an item's `k` options: `p` is the softmax of their scores.

    plain    the response to the same page without a persona; a `gain` needs it

    `symbol` is the likeliest option, None where several are, which is a tie. There is no `p_read`: the options are a
    handful of all the texts that a model could write, so what they hold of its probability says nothing.
    """
    if response.failure is not None:
        return Reading(None, "failed")
    scores = _scores(response, k, score)
    if score == "gain" and scores is not None:
        without = _scores(plain, k, score) if plain is not None else None
        scores = None if without is None else [one - other for one, other in zip(scores, without, strict=True)]
    if scores is None:
        return Reading(None, "unparsed")
    p = softmax(scores)
    best = max(p)
    likeliest = [letter for letter, one in zip(LETTERS, p, strict=False) if one >= best - _SAME]
    if len(likeliest) > 1:
        return Reading(None, "tie", p)
    return Reading(likeliest[0], "ok", p)


def softmax(scores: Sequence[float]) -> tuple[float, ...]:
    """Probabilities in proportion to exp(score).

    >>> softmax([-1000.0, -1000.0])
    (0.5, 0.5)
    """
    top = max(scores)
    odds = [math.exp(score - top) for score in scores]
    total = sum(odds)
    return tuple(one / total for one in odds)


def token_logprobs(text: str, k: int) -> list[list[float]] | None:
    """The log-probabilities of every option's tokens, from the text of a response; None where it holds no such thing."""
    try:
        told = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(told, list) or len(told) != k:
        return None
    numbers = all(
        isinstance(one, list) and one and all(isinstance(each, int | float) and math.isfinite(each) for each in one)
        for one in told
    )
    return told if numbers else None


def _scores(response: Response, k: int, score: Score) -> list[float] | None:
    told = token_logprobs(response.text, k)
    if told is None or response.failure is not None:
        return None
    return [math.fsum(one) / (len(one) if score == "mean" else 1) for one in told]
