"""Which tokens of a server's model say a choice: asked of /tokenize once for all questions with these choices."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from prefgen.engines.endpoints import Endpoint
from prefgen.engines.post import HttpClient, TooLongError
from prefgen.engines.reply import UnreadableError
from prefgen.engines.retry import PassingError
from prefgen.engines.token_ids import MOST_IDS, NoTokenIdsError, first_token, names_one, texts_of, tokenize_body

_BUSY = (
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)


async def tokens_of_choices(
    line: HttpClient, model: str, choices: tuple[str, ...], endpoint: Endpoint, task: asyncio.Task[Any]
) -> Mapping[int, str]:
    """Token id -> text, of the tokens that say one of the choices.

    NoTokenIdsError where the server does not tell, or some choice has no token of its own; PassingError where it cannot be reached.
    """
    known = endpoint.known.tokens
    if choices not in known:
        found: dict[int, str] = {}
        for choice, text in texts_of(choices):
            token = await _first_token(line, tokenize_body(model, text), endpoint, task)
            if token is None:
                found = {}
                break
            if names_one(token[1], choice, choices):
                found[token[0]] = token[1]
        known[choices] = found if _says_each(found, choices) else {}
    if not known[choices]:
        raise NoTokenIdsError("it does not tell a token of every choice")
    return known[choices]


async def _first_token(
    line: HttpClient, body: bytes, endpoint: Endpoint, task: asyncio.Task[Any]
) -> tuple[int, str] | None:
    """None from whoever does not know of tokens, in whatever way that is said; who is busy or not there is asked again."""
    try:
        reply = await line.post(endpoint.tokenize_url, body, task)
    except PassingError as trouble:
        if trouble.unreached:
            raise
        return None
    except TooLongError:
        return None
    if reply.status in _BUSY:
        raise PassingError(f"HTTP {reply.status} of /tokenize", throttled=reply.status == HTTPStatus.TOO_MANY_REQUESTS)
    try:
        return first_token(reply.raw) if reply.status == HTTPStatus.OK else None
    except UnreadableError:
        return None


def _says_each(found: Mapping[int, str], choices: tuple[str, ...]) -> bool:
    each = all(any(names_one(text, choice, choices) for text in found.values()) for choice in choices)
    return each and len(found) <= MOST_IDS
