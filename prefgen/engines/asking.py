"""One request at one endpoint, once: in the form it takes, which the first request of a kind finds out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from typing import Any, NoReturn

from prefgen.engines import capabilities as found
from prefgen.engines.alternatives import NoLogprobsError
from prefgen.engines.capabilities import Capabilities, ErrorBody, Facts
from prefgen.engines.endpoints import Endpoint
from prefgen.engines.engine import Meter, RefusedError
from prefgen.engines.post import HttpClient
from prefgen.engines.reply import FailedInReplyError, StillThinkingError, UnreadableError, to_response
from prefgen.engines.retry import PassingError, is_passing, wait_asked_s
from prefgen.engines.wire import form_of_request, to_body, to_payload
from prefgen.engines.words import discreet, loads, words_of
from prefgen.errors import EngineError
from prefgen.records import Request, Response
from prefgen.spec.models import OpenAIModel

_MOST_CHARS = 320  # of what is told of a failure
_MODELS_TIMEOUT_S = 10.0
_PILOT_S = 15.0
_NO_MONEY = ("insufficient_quota", "billing_hard_limit_reached", "insufficient_balance")
_FILTERED = ("content_filter", "content_policy_violation", "prompt_blocked")
_NO_SYSTEM_ROLE = re.compile(
    r"system role|system message|system instruction|developer instruction|roles must alternate", re.I
)
_PROOFS = 3  # first answers that say nothing of log-probabilities, after which nobody waits for proof any more


class Asking:
    """Asks once. PassingError where another attempt may help, RefusedError where none will, EngineError where no request can succeed."""

    def __init__(self, spec: OpenAIModel, line: HttpClient, facts: Facts | None, meter: Meter, key: str | None) -> None:
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
        except NoLogprobsError as none:
            # This endpoint gave them before: only this row is read from its text.
            self._note(f"{known.base_url}: some answers are read from their text alone: {none}")
            plain = replace(features, top_logprobs=0)
            return await self._once(request, request_id, endpoint, plain, task)
        except StillThinkingError:
            return await self._once(request, request_id, endpoint, replace(features, thinks=True), task)

    async def _pilot(self, request: Request, request_id: str, endpoint: Endpoint, task: asyncio.Task[Any]) -> Response:
        """The first request of its readout: what the endpoint refuses is left out, until it answers."""
        known = endpoint.known
        features = known.features or await self._first_features(endpoint)
        asked = features  # may differ from what is learnt: for this request only
        while True:
            try:
                response = await self._once(request, request_id, endpoint, asked, task)
            except NoLogprobsError as none:
                asked = replace(asked, top_logprobs=0)
                features = self._less_logprobs(features, none, endpoint)
                continue
            except StillThinkingError:
                asked, features = replace(asked, thinks=True), replace(features, thinks=True)
                continue
            except _RefusedCapabilityError as refused:
                asked = features = self._lesser(features, refused, endpoint, request)
                continue
            break
        known.features = features
        wanted = request.readout == "logprobs" and features.top_logprobs
        if wanted and response.alternatives is None and known.unproven + 1 < _PROOFS:
            known.unproven += 1  # a filter, an empty answer, or numbers that cannot be used: the next one may tell
            return response
        self._prove(endpoint, request, features, response.method)
        return response

    def _less_logprobs(self, features: Capabilities, none: NoLogprobsError, endpoint: Endpoint) -> Capabilities:
        """What is learnt of an endpoint from an answer without log-probabilities, or with some that cannot be used."""
        if self._spec.logprobs is True and none.at_all:
            raise _not_there(endpoint, "logprobs: true", f"the server gave {none}", "logprobs: auto")
        self._note(f"{endpoint.known.base_url}: read from the text alone: {none}")
        if none.at_all or endpoint.known.unproven + 1 >= _PROOFS:
            return replace(features, top_logprobs=0)
        return features

    async def _first_features(self, endpoint: Endpoint) -> Capabilities:
        spec, known = self._spec, endpoint.known
        found.check_prefill(spec, known.base_url, endpoint.models_url.host)
        if self._facts is not None:
            fact = self._facts.fact(found.fact_key(known.base_url, spec.model))
            remembered = found.from_fact(spec, fact)
            if remembered is not None:
                return remembered
        owner = None
        if endpoint.models_url.host != "api.openai.com":
            owner = found.owner_of(await self._models(endpoint))
        known.features = found.first_guess(spec, owner)
        if spec.prefill and not found.is_known(owner):
            self._note(
                f"{known.base_url}: does not say who it is, so whether it goes on from the begun answer is not known"
            )
        return known.features

    async def _models(self, endpoint: Endpoint) -> object:
        reply = await self._line.get(endpoint.models_url, timeout_s=_MODELS_TIMEOUT_S)
        if reply is None or reply.status != HTTPStatus.OK:
            return None
        try:
            return loads(reply.raw)
        except ValueError:
            return None

    def _lesser(
        self, features: Capabilities, refused: _RefusedCapabilityError, endpoint: Endpoint, request: Request
    ) -> Capabilities:
        """The features without the one refused. RefusedError where the refusal is about this prompt."""
        lesser = found.without(features, refused.words, refused.payload)
        said = self._discreet(refused.words.message, request)
        if request.messages[0][0] == "system" and _NO_SYSTEM_ROLE.search(refused.words.message):
            raise _not_there(endpoint, "system_role: true", said, "system_role: false")
        if lesser is None or lesser == features:
            raise self._refused(refused.head, refused.words, request)
        if lesser.prefill == "none":
            found.check_prefill(self._spec, endpoint.known.base_url, None, said)
        if features.insist and lesser.hold != features.hold:
            raise _not_there(endpoint, f"constrain: {features.hold}", said, "constrain: auto")
        if self._spec.logprobs is True and not lesser.top_logprobs:
            raise _not_there(endpoint, "logprobs: true", said, "logprobs: auto")
        return lesser

    def _prove(self, endpoint: Endpoint, request: Request, features: Capabilities, method: str) -> None:
        known = endpoint.known
        known.features = features
        known.proven |= {request.readout}
        left_out = f", without {', '.join(sorted(features.omit))}" if features.omit else ""
        self._note(f"{known.base_url}: {request.readout} by {method}{left_out}")
        if self._facts is not None:
            key, fact = found.fact_key(known.base_url, self._spec.model), found.to_fact(features)
            if self._facts.fact(key) != fact:
                self._facts.remember(key, fact)

    async def _once(
        self, request: Request, request_id: str, endpoint: Endpoint, features: Capabilities, task: asyncio.Task[Any]
    ) -> Response:
        form = form_of_request(request, features)
        payload = to_payload(request, form, features, model=self._spec.model, extra=self._spec.extra_body)
        try:
            reply = await self._line.post(endpoint.chat_url, to_body(payload), task)
        except PassingError as trouble:
            trouble.words = self._discreet(trouble.words, request)
            raise
        try:
            if reply.status == HTTPStatus.OK:
                return to_response(request, request_id, reply.raw, form)
            status, words, head = reply.status, words_of(reply.raw), f"HTTP {reply.status}"
        except UnreadableError as unreadable:
            raise PassingError(self._discreet(str(unreadable), request)) from None
        except FailedInReplyError as failed:
            status, words, head = failed.status, failed.words, failed.head
        if status == HTTPStatus.BAD_REQUEST and words.code in _FILTERED:
            said = self._discreet(words.message, request)
            return Response(request_id, said, method="text", finish="content_filter")
        if status == HTTPStatus.NOT_FOUND:
            await self._raise_not_found(head, words, request, endpoint)
        self._raise_for(status, head, words, reply.headers, request, endpoint)
        if request.readout not in endpoint.known.proven:
            raise _RefusedCapabilityError(head, words, payload)
        raise self._refused(head, words, request)

    def _raise_for(
        self, status: int, head: str, words: ErrorBody, headers: Mapping[str, str], request: Request, endpoint: Endpoint
    ) -> None:
        """Raise what a status and its words mean, unless they may be about this request.

        head    what happened, for people; not the status where an error came with HTTP 200
        """
        if 300 <= status < 400:
            raise RefusedError(f"HTTP {status}: the server sends us to another address, and a key is never taken there")
        said = self._told(head, words, request)
        base_url, model = endpoint.known.base_url, self._spec.model
        if status == HTTPStatus.PAYMENT_REQUIRED or not {words.code, words.kind}.isdisjoint(_NO_MONEY):
            raise EngineError(f"{base_url}: {said}", fix="see to the account's credit, then run the same command again")
        if is_passing(status):
            raise PassingError(
                said,
                wait_s=wait_asked_s(headers) if status in (429, 503) or "Retry-After" in headers else None,
                throttled=status == HTTPStatus.TOO_MANY_REQUESTS,
                overloaded=status == HTTPStatus.SERVICE_UNAVAILABLE,
            )
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise EngineError(
                f"{base_url}: {said}",
                fix=f"put a key that may use {model!r} into the environment variable {self._spec.api_key_env}",
            )

    async def _raise_not_found(self, head: str, words: ErrorBody, request: Request, endpoint: Endpoint) -> NoReturn:
        names = found.names_of(await self._models(endpoint))
        listed = self._discreet(", ".join(repr(name[:80]) for name in names[:8]), request)
        there = f"this server has {listed}" if names else "is there a /v1 in base_url?"
        said = self._told(head, words, request)
        raise EngineError(
            f"{endpoint.known.base_url}: model {self._spec.model!r}: {said}",
            fix=f"check `model` and `base_url`; {there}",
        )

    def _refused(self, head: str, words: ErrorBody, request: Request) -> RefusedError:
        return RefusedError(self._told(head, words, request))

    def _told(self, head: str, words: ErrorBody, request: Request) -> str:
        return f"{head}: {self._discreet(words.message, request)}"[:_MOST_CHARS]

    def _note(self, note: str) -> None:
        if note not in self._meter.notes:
            self._meter.notes.append(note)

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


class _RefusedCapabilityError(Exception):
    """A refusal before anything was answered: perhaps of the form, perhaps of the prompt."""

    def __init__(self, head: str, words: ErrorBody, payload: dict[str, Any]) -> None:
        super().__init__(words.message)
        self.head = head
        self.words = words
        self.payload = payload


def _not_there(endpoint: Endpoint, asked: str, said: str, instead: str) -> EngineError:
    return EngineError(f"{endpoint.known.base_url}: `{asked}` was asked for, but: {said}", fix=f"write `{instead}`")
