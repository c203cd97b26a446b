"""One request at one endpoint, once: in the form it takes, which the first request of a kind finds out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from typing import Any, NoReturn

import orjson

from prefgen.engines import features as found
from prefgen.engines.endpoints import Endpoint
from prefgen.engines.engine import Meter
from prefgen.engines.features import Facts, Features, Words
from prefgen.engines.post import Line, Reply
from prefgen.engines.refusals import RefusedError
from prefgen.engines.retry import TroubleError, is_passing, wait_asked_s
from prefgen.engines.wire import (
    NoLogprobsError,
    UnreadableError,
    discreet,
    form_of,
    to_body,
    to_payload,
    to_response,
    words_of,
)
from prefgen.errors import EngineError
from prefgen.records import Request, Response
from prefgen.spec.models import OpenAIModel

_MODELS_TIMEOUT_S = 10.0
_PILOT_S = 15.0
_NO_MONEY = ("insufficient_quota", "billing_hard_limit_reached", "insufficient_balance")


class Asking:
    """Asks once. TroubleError: another try may help; RefusedError: none will; EngineError: nobody's will."""

    def __init__(self, spec: OpenAIModel, line: Line, facts: Facts | None, meter: Meter, key: str | None) -> None:
        self._spec = spec
        self._line = line
        self._facts = facts
        self._meter = meter
        self._key = key

    async def ask(self, request: Request, request_id: str, endpoint: Endpoint, task: asyncio.Task[Any]) -> Response:
        """The response to one request, asked by `task` (the current one)."""
        known = endpoint.known
        if request.readout not in known.proven:
            async with _first(endpoint.pilot):
                if request.readout not in known.proven:
                    return await self._pilot(request, request_id, endpoint, task)
        features = known.features
        assert features is not None
        try:
            return await self._once(request, request_id, endpoint, features, task)
        except NoLogprobsError:
            # This endpoint gave them before: only this row is read from its text.
            plain = replace(features, top_logprobs=0)
            return await self._once(request, request_id, endpoint, plain, task)

    async def _pilot(self, request: Request, request_id: str, endpoint: Endpoint, task: asyncio.Task[Any]) -> Response:
        """The first request of its readout: what the endpoint refuses is left out, until it answers."""
        known = endpoint.known
        features = known.features or await self._first_features(endpoint)
        while True:
            try:
                response = await self._once(request, request_id, endpoint, features, task)
            except NoLogprobsError:
                if self._spec.logprobs is True:
                    raise _not_there(
                        endpoint, "logprobs: true", "the server gives no log-probabilities", "logprobs: auto"
                    ) from None
                features = replace(features, top_logprobs=0)
                continue
            except _RefusedFeatureError as refused:
                features = self._lesser(features, refused, endpoint, request)
                continue
            break
        self._prove(endpoint, request, features, response.method)
        return response

    async def _first_features(self, endpoint: Endpoint) -> Features:
        spec, known = self._spec, endpoint.known
        if self._facts is not None:
            fact = self._facts.fact(found.fact_key(known.base_url, spec.model))
            remembered = found.from_fact(spec, fact)
            if remembered is not None:
                return remembered
        owner = None
        if endpoint.models_url.host != "api.openai.com":
            owner = found.owner_of(await self._models(endpoint))
        known.features = found.first_guess(spec, owner)
        return known.features

    async def _models(self, endpoint: Endpoint) -> object:
        reply = await self._line.get(endpoint.models_url, timeout_s=_MODELS_TIMEOUT_S)
        if reply is None or reply.status != HTTPStatus.OK:
            return None
        try:
            return orjson.loads(reply.raw)
        except orjson.JSONDecodeError:
            return None

    def _lesser(
        self, features: Features, refused: _RefusedFeatureError, endpoint: Endpoint, request: Request
    ) -> Features:
        """The features without the one refused. RefusedError where the refusal is about this prompt."""
        lesser = found.without(features, refused.words, refused.payload)
        if lesser is None or lesser == features:
            self._refuse(refused.status, refused.words, request)
        if features.insist and lesser.hold != features.hold:
            raise _not_there(
                endpoint,
                f"constrain: {features.hold}",
                self._discreet(refused.words.message, request),
                "constrain: auto",
            )
        if self._spec.logprobs is True and not lesser.top_logprobs:
            raise _not_there(
                endpoint, "logprobs: true", self._discreet(refused.words.message, request), "logprobs: auto"
            )
        return lesser

    def _prove(self, endpoint: Endpoint, request: Request, features: Features, method: str) -> None:
        known = endpoint.known
        known.features = features
        known.proven |= {request.readout}
        left_out = f", without {', '.join(sorted(features.omit))}" if features.omit else ""
        note = f"{known.base_url}: {request.readout} by {method}{left_out}"
        if note not in self._meter.notes:
            self._meter.notes.append(note)
        if self._facts is not None:
            key, fact = found.fact_key(known.base_url, self._spec.model), found.to_fact(features)
            if self._facts.fact(key) != fact:
                self._facts.remember(key, fact)

    async def _once(
        self, request: Request, request_id: str, endpoint: Endpoint, features: Features, task: asyncio.Task[Any]
    ) -> Response:
        form = form_of(request.readout, features)
        payload = to_payload(request, form, features, model=self._spec.model, extra=self._spec.extra_body)
        reply = await self._line.post(endpoint.chat_url, to_body(payload), task)
        if reply.status != HTTPStatus.OK:
            await self._raise_for(reply, request, endpoint, payload)
        try:
            return to_response(request, request_id, reply.raw, form)
        except UnreadableError as unreadable:
            raise TroubleError(self._discreet(str(unreadable), request)) from None

    async def _raise_for(self, reply: Reply, request: Request, endpoint: Endpoint, payload: dict[str, Any]) -> NoReturn:
        status = reply.status
        if 300 <= status < 400:
            raise RefusedError(f"HTTP {status}: the server sends us to another address, and a key is never taken there")
        words = words_of(reply.raw)
        said = f"HTTP {status}: {self._discreet(words.message, request)}"
        base_url, model = endpoint.known.base_url, self._spec.model
        if status == HTTPStatus.PAYMENT_REQUIRED or words.code in _NO_MONEY:
            raise EngineError(f"{base_url}: {said}", fix="see to the account's credit, then run the same command again")
        if is_passing(status):
            raise TroubleError(
                said,
                wait_s=wait_asked_s(reply.headers) if status in (429, 503) or "Retry-After" in reply.headers else None,
                throttled=status == HTTPStatus.TOO_MANY_REQUESTS,
                overloaded=status == HTTPStatus.SERVICE_UNAVAILABLE,
            )
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise EngineError(f"{base_url}: {said}",
                fix=f"put a key that may use {model!r} into the environment variable {self._spec.api_key_env}")  # fmt: skip
        if status == HTTPStatus.NOT_FOUND:
            names = found.names_of(await self._models(endpoint))
            there = f"this server has {', '.join(map(repr, names[:8]))}" if names else "is there a /v1 in base_url?"
            raise EngineError(f"{base_url}: model {model!r}: {said}", fix=f"check `model` and `base_url`; {there}")
        if request.readout not in endpoint.known.proven:
            raise _RefusedFeatureError(status, words, payload)
        self._refuse(status, words, request)

    def _refuse(self, status: int, words: Words, request: Request) -> NoReturn:
        raise RefusedError(f"HTTP {status}: {self._discreet(words.message, request)}")

    def _discreet(self, words: str, request: Request) -> str:
        return discreet(words, key=self._key, prompt="\n".join(content for _, content in request.messages))


@asynccontextmanager
async def _first(pilot: asyncio.Lock) -> AsyncIterator[None]:
    """Wait for the pilot, but not for one that hangs: then others find out beside it."""
    try:
        async with asyncio.timeout(_PILOT_S):
            await pilot.acquire()
    except TimeoutError:
        yield
        return
    try:
        yield
    finally:
        pilot.release()


class _RefusedFeatureError(Exception):
    """A refusal before anything was answered: perhaps of the form, perhaps of the prompt."""

    def __init__(self, status: int, words: Words, payload: dict[str, Any]) -> None:
        super().__init__(words.message)
        self.status = status
        self.words = words
        self.payload = payload


def _not_there(endpoint: Endpoint, asked: str, said: str, instead: str) -> EngineError:
    return EngineError(f"{endpoint.known.base_url}: `{asked}` was asked for, but: {said}", fix=f"write `{instead}`")
