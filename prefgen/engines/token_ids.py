"""The exact probability of every choice from one token: which tokens say a choice, and the response among them.

vLLM tells the log-probabilities of tokens that are named by their ids, in process and over HTTP: all choices, however many and however
unlikely, among all tokens, and no grammar. Pure: no network, no clock.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from prefgen.engines.alternatives import named_by
from prefgen.engines.capabilities import Capabilities
from prefgen.engines.reply import UnreadableError
from prefgen.engines.wire import Form, to_payload
from prefgen.engines.words import loads
from prefgen.records import Request, Response
from prefgen.seeds import unit_for
from prefgen.thoughts import answer_begins

MOST_IDS = 128
"""That vLLM tells the log-probability of."""

SPACES = (("", ""), ("\u0120", " "), ("\u2581", " "))
"""How vocabularies write the space in front of a token."""

_LEAST_LOGPROB = -1000.0
_LEAST_MASS = 0.01
_TOKEN_ID = re.compile(r"token_id:(\d+)")


class NoTokenIdsError(Exception):
    """The choices cannot be read from one token here; why."""


def names_one(text: str, choice: str, choices: tuple[str, ...]) -> bool:
    """Whether a token says this choice and no other."""
    return named_by(text, choices) == (choice,)


def texts_of(choices: tuple[str, ...]) -> list[tuple[str, str]]:
    """(choice, as it may be written) of every choice, with and without the space that stands before an answer."""
    return [(choice, space + choice) for choice in choices for space in ("", " ")]


def tokenize_body(model: str, text: str) -> bytes:
    """A body of vLLM's /tokenize."""
    return orjson.dumps({"model": model, "prompt": text, "add_special_tokens": False, "return_token_strs": True})


def first_token(raw: bytes) -> tuple[int, str]:
    """(id, text) of the first token in a reply of /tokenize. UnreadableError for another reply."""
    try:
        reply = loads(raw)
        token, text = reply["tokens"][0], reply["token_strs"][0]
        if not isinstance(token, int) or isinstance(token, bool):
            raise TypeError
        mark, space = next(pair for pair in (*SPACES[1:], SPACES[0]) if text.startswith(pair[0]))
        return token, space + text.removeprefix(mark)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise UnreadableError("the tokens of a text cannot be read") from None


def payload_of(
    request: Request, tokens: Mapping[int, str], features: Capabilities, *, model: str, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """A body of /chat/completions whose reply has one token and the log-probabilities of `tokens`."""
    payload = to_payload(request, form_of_ids(request), features, model=model, extra={})
    # The token that is taken is drawn from these numbers, so the server need not draw one.
    one = {features.cap: 1, "temperature": 0.0, "logprobs": True, "top_logprobs": 0}
    named = {"logprob_token_ids": list(tokens), "return_tokens_as_token_ids": True}
    unsent = {*features.omit, "top_p", "seed"}
    return {key: value for key, value in (payload | one | named).items() if key not in unsent} | dict(extra)


def form_of_ids(request: Request) -> Form:
    """How the text of the one token is read."""
    return Form(0, "none", bool(request.begun))


def logprobs_in(raw: bytes, tokens: Mapping[int, str]) -> dict[int, float]:
    """token id -> log-probability of `tokens`, from a reply that is known to be an answer.

    NoTokenIdsError where the reply does not tell them all, or the choices are next to nothing of what might have been said.
    """
    try:
        place = loads(raw)["choices"][0]["logprobs"]["content"][0]
        told = [(_TOKEN_ID.fullmatch(entry["token"]), entry["logprob"]) for entry in [*place["top_logprobs"], place]]
        found = {int(named[1]): float(logprob) for named, logprob in told if named}
    except (KeyError, IndexError, TypeError, ValueError):
        raise NoTokenIdsError("its answers do not tell the log-probabilities of tokens by their ids") from None
    if not found.keys() >= tokens.keys():
        raise NoTokenIdsError("its answers do not tell the log-probabilities of tokens by their ids")
    mass = sum(math.exp(min(found[token], 0.0)) for token in tokens)
    if not mass >= _LEAST_MASS:
        raise NoTokenIdsError(f"the choices have {mass:.2%} of the probability of what is said next")
    return {token: found[token] for token in tokens}


def is_thought(response: Response) -> bool:
    """Whether the one token of a reply belongs to thoughts: then nothing is known of the answer."""
    begun = answer_begins(response.text)
    return begun is None or (response.finish == "length" and not response.text[begun:].strip())


def response_among(
    request: Request, told: Mapping[int, float], tokens: Mapping[int, str], usage: tuple[int, int, int]
) -> Response:
    """One of the choices, with the probability that each had among all tokens.

    told      token id -> natural-log probability
    tokens    token id -> text, those that say a choice
    usage     tokens: (prompt, completion, cached)
    """
    likely: dict[str, float] = {}
    for token, logprob in told.items():
        text = tokens.get(token)
        if text is not None and _LEAST_LOGPROB < logprob < math.inf:
            likely[text] = max(min(logprob, 0.0), likely.get(text, _LEAST_LOGPROB))
    ranked = sorted(likely.items(), key=lambda one: -one[1])
    if not ranked:
        return Response(request.request_id, failure="vLLM gave none of the choices' log-probabilities", final=False)
    taken = _taken(request, ranked)
    several = len(ranked) > 1
    return Response(
        request.request_id,
        text=named_by(taken[0], request.choices)[0],
        alternatives=(taken, *(one for one in ranked if one is not taken)) if several else None,
        method=f"{'logprobs' if several else 'text'}+token_ids{'+prefill' if request.begun else ''}",
        finish="stop",
        prompt_tokens=usage[0],
        completion_tokens=usage[1],
        cached_tokens=usage[2],
        chosen=taken[0] if several else "",
    )


def _taken(request: Request, ranked: Sequence[tuple[str, float]]) -> tuple[str, float]:
    """The token that is taken at the request's temperature: the likeliest at 0, else one drawn by the request's own id."""
    if request.temperature == 0.0:
        return ranked[0]
    weights = [math.exp((logprob - ranked[0][1]) / request.temperature) for _, logprob in ranked]
    total, kept, held = sum(weights), 0, 0.0
    while kept < len(weights) and held < request.top_p * total:
        held += weights[kept]
        kept += 1
    left = unit_for(request.seed or 0, "taken", request.request_id) * held
    for one, weight in zip(ranked[:kept], weights, strict=False):
        left -= weight
        if left < 0.0:
            return one
    return ranked[kept - 1]
