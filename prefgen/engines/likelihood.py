"""How probable given words are as an answer: the response, and what servers are asked and tell. Pure: no network, no clock."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from prefgen.engines.capabilities import Capabilities
from prefgen.engines.reply import UnreadableError
from prefgen.engines.words import loads
from prefgen.records import Request, Response

_DIGITS = 6
_LEAST_LOGPROB = -1000.0  # of a token that cannot come: its log-probability is minus infinity, and JSON has none


@dataclass(frozen=True, slots=True)
class Scored:
    """One text as the answer to one prompt.

    logprobs         natural-log probability of every token of the text, each after those before it
    prompt_tokens    tokens computed or taken from a cache, the text's own included where they were a prompt
    """

    logprobs: Sequence[float]
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0


def scored_response(
    request: Request, scored: Sequence[Scored], how: str, *, besides: Sequence[Scored] = ()
) -> Response:
    """The response to a request for likelihoods, one `Scored` for each of its choices.

    how        by which means, e.g. `forced`; stands in every row
    besides    what else was asked for it, which counts as tokens and is no choice
    """
    told = [[round(max(one, _LEAST_LOGPROB), _DIGITS) for one in each.logprobs] for each in scored]
    scored = (*scored, *besides)
    return Response(
        request.request_id,
        orjson.dumps(told).decode(),
        method=f"likelihood+{how}",
        finish="stop",
        prompt_tokens=sum(each.prompt_tokens for each in scored),
        completion_tokens=sum(each.completion_tokens for each in scored),
        cached_tokens=sum(each.cached_tokens for each in scored),
    )


def prompt_payload(
    request: Request, features: Capabilities, choice: str | None, *, model: str, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """A body of /chat/completions whose prompt ends with a choice, and whose reply tells of every token of the prompt.

    Without a choice, the prompt alone: how many tokens it has.
    """
    messages = [{"role": role, "content": content} for role, content in request.messages]
    payload: dict[str, Any] = {"model": model, "messages": messages, features.cap: 1, "temperature": 0.0}
    if choice is not None:
        messages.append({"role": "assistant", "content": choice})
        payload |= {"continue_final_message": True, "add_generation_prompt": False, "prompt_logprobs": 0}
    return {key: value for key, value in payload.items() if key not in features.omit} | dict(extra)


class NoPromptLogprobsError(Exception):
    """The server answered, and told nothing of the prompt's tokens."""


def prompt_logprobs(raw: bytes, begins: int) -> list[float]:
    """The log-probabilities of a prompt's tokens from `begins` on, from a reply that is known to be an answer.

    NoPromptLogprobsError where it has none, UnreadableError where they cannot be those of a text.
    """
    reply = loads(raw)
    told = reply.get("prompt_logprobs") or reply["choices"][0].get("prompt_logprobs")
    if not isinstance(told, list):
        raise NoPromptLogprobsError
    try:
        logprobs = [_of_token(place) for place in told[begins:]]
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration):
        raise UnreadableError("the prompt's log-probabilities are not numbers") from None
    if begins < 1 or not logprobs:
        raise UnreadableError("the prompt with an answer has no more tokens than without it")
    return logprobs


def _of_token(place: Mapping[str, Any]) -> float:
    """Of the token that stands there: the one told first, others are likelier ones that do not."""
    logprob = next(iter(place.values()))["logprob"]
    return -math.inf if logprob is None else float(logprob)
