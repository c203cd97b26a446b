"""One request at one endpoint, once: in the form it takes, which the first request of a kind finds out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any

from yarl import URL

from prefgen.engines import capabilities as found
from prefgen.engines.alternatives import NoLogprobsError
from prefgen.engines.capabilities import Capabilities, ErrorBody, Facts
from prefgen.engines.endpoints import Endpoint
from prefgen.engines.engine import Meter
from prefgen.engines.likelihood import NoPromptLogprobsError, Scored, prompt_logprobs, prompt_payload, scored_response
from prefgen.engines.pilot import first, note_once
from prefgen.engines.post import HttpClient
from prefgen.engines.refusals import Refusals
from prefgen.engines.reply import FailedInReplyError, StillThinkingError, UnreadableError, to_response
from prefgen.engines.retry import PassingError
from prefgen.engines.token_ids import NoTokenIdsError, form_of_ids, is_thought, logprobs_in, payload_of, response_among
from prefgen.engines.token_lookup import tokens_of_choices
from prefgen.engines.vectors import to_vector, vector_payload
from prefgen.engines.wire import PLAIN, Form, form_of_request, to_body, to_payload
from prefgen.engines.words import loads, words_of
from prefgen.errors import EngineError
from prefgen.records import Request, Response
from prefgen.spec.models import OpenAIModel

_MODELS_TIMEOUT_S = 10.0
_FILTERED = ("content_filter", "content_policy_violation", "prompt_blocked")
_NO_SYSTEM_ROLE = re.compile(
    r"system role|system message|system instruction|developer instruction|roles must alternate", re.I
)
_NOT_SCORED = re.compile(
    r"prompt_logprobs|continue_final|add_generation|(?:last|final) message|assistant|prefill|unknown|unsupported|extra",
    re.I,
)
_PROOFS = 3  # first answers that say nothing of log-probabilities, after which nobody waits for proof any more


class Asking:
    """Asks once. PassingError where another attempt may help, RefusedError where none will, EngineError where no request can succeed."""

    def __init__(self, spec: OpenAIModel, line: HttpClient, facts: Facts | None, meter: Meter, key: str | None) -> None:
        self._spec = spec
        self._line = line
        self._facts = facts
        self._meter = meter
        self._refusals = Refusals(spec, key)

    async def ask(self, request: Request, endpoint: Endpoint, task: asyncio.Task[Any]) -> Response:
        """The response to one request, asked by `task` (the current one)."""
        known = endpoint.known
        if request.readout not in known.proven:
            async with first(endpoint.pilot):
                if request.readout not in known.proven:
                    return await self._pilot(request, endpoint, task)
        features = known.features
        assert features is not None
        try:
            return await self._once(request, endpoint, features, task)
        except NoLogprobsError as none:
            # This endpoint gave them before: only this row is read from its text.
            note_once(self._meter, f"{known.base_url}: some answers are read from their text alone: {none}")
            plain = replace(features, top_logprobs=0)
            return await self._once(request, endpoint, plain, task)
        except StillThinkingError:
            return await self._once(request, endpoint, replace(features, thinks=True), task)
        except NoTokenIdsError:
            return await self._once(request, endpoint, replace(features, token_ids=False), task)

    async def _pilot(self, request: Request, endpoint: Endpoint, task: asyncio.Task[Any]) -> Response:
        """The first request of its readout: what the endpoint refuses is left out, until it answers."""
        known = endpoint.known
        features = known.features or await self._first_features(endpoint)
        asked = features  # may differ from what is learnt: for this request only
        while True:
            try:
                response = await self._once(request, endpoint, asked, task)
            except NoLogprobsError as none:
                asked = replace(asked, top_logprobs=0)
                features = self._less_logprobs(features, none, endpoint)
                continue
            except StillThinkingError:
                asked, features = replace(asked, thinks=True), replace(features, thinks=True)
                continue
            except NoTokenIdsError as none:
                note_once(self._meter, f"{known.base_url}: held to the choices instead: {none}")
                asked, features = replace(asked, token_ids=False), replace(features, token_ids=False)
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
        note_once(self._meter, f"{endpoint.known.base_url}: read from the text alone: {none}")
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
            owner = found.owner_of(await _models(self._line, endpoint))
        known.features = found.first_guess(spec, owner)
        if spec.prefill and not found.is_known(owner):
            note_once(
                self._meter,
                f"{known.base_url}: does not say who it is, so whether it goes on from the begun answer is not known",
            )
        return known.features

    def _lesser(
        self, features: Capabilities, refused: _RefusedCapabilityError, endpoint: Endpoint, request: Request
    ) -> Capabilities:
        """The features without the one refused. RefusedError where the refusal is about this prompt."""
        lesser = found.without(features, refused.words, refused.payload)
        said = self._refusals.discreet(refused.words.message, request)
        if "prompt_logprobs" in refused.payload and _NOT_SCORED.search(f"{refused.words.param} {said}"):
            raise no_likelihood(endpoint.known.base_url, said)
        if request.messages[0][0] == "system" and _NO_SYSTEM_ROLE.search(refused.words.message):
            raise _not_there(endpoint, "system_role: true", said, "system_role: false")
        if lesser is None or lesser == features:
            raise self._refusals.refused(refused.head, refused.words, request)
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
        note_once(self._meter, f"{known.base_url}: {request.readout} by {method}{left_out}")
        if self._facts is not None:
            key, fact = found.fact_key(known.base_url, self._spec.model), found.to_fact(features)
            if self._facts.fact(key) != fact:
                self._facts.remember(key, fact)

    async def _once(
        self, request: Request, endpoint: Endpoint, features: Capabilities, task: asyncio.Task[Any]
    ) -> Response:
        if request.readout == "likelihood":
            return await self._scored(request, endpoint, features, task)
        if request.readout == "vector":
            payload = vector_payload(request, model=self._spec.model, extra=self._spec.extra_body)
            url = URL(f"{endpoint.known.base_url}/embeddings")
            return (await self._exchange(request, payload, PLAIN, endpoint, task, url=url, read=to_vector))[0]
        if request.readout == "logprobs" and features.token_ids and not features.thinks:
            return await self._among_tokens(request, endpoint, features, task)
        form = form_of_request(request, features)
        payload = to_payload(request, form, features, model=self._spec.model, extra=self._spec.extra_body)
        response, _ = await self._exchange(request, payload, form, endpoint, task)
        return response

    async def _among_tokens(
        self, request: Request, endpoint: Endpoint, features: Capabilities, task: asyncio.Task[Any]
    ) -> Response:
        """One token, and the log-probability of every token that says a choice."""
        tokens = await tokens_of_choices(self._line, self._spec.model, request.choices, endpoint, task)
        payload = payload_of(request, tokens, features, model=self._spec.model, extra=self._spec.extra_body)
        said, raw = await self._exchange(request, payload, form_of_ids(request), endpoint, task)
        if said.finish in ("content_filter", "refusal"):
            return said
        if is_thought(said):
            raise StillThinkingError
        usage = said.prompt_tokens, said.completion_tokens, said.cached_tokens
        return response_among(request, logprobs_in(raw, tokens), tokens, usage)

    async def _scored(
        self, request: Request, endpoint: Endpoint, features: Capabilities, task: asyncio.Task[Any]
    ) -> Response:
        """How probable each choice is as the answer: a prompt for each, and one without, which says where they begin."""
        ask = partial(prompt_payload, request, features, model=self._spec.model, extra=self._spec.extra_body)
        alone, _ = await self._exchange(request, ask(None), PLAIN, endpoint, task)
        scored: list[Scored] = []
        for choice in request.choices:
            told, raw = await self._exchange(request, ask(choice), PLAIN, endpoint, task)
            try:
                logprobs = prompt_logprobs(raw, alone.prompt_tokens)
            except NoPromptLogprobsError:
                raise no_likelihood(endpoint.known.base_url, "its answer has no `prompt_logprobs`") from None
            except UnreadableError as unreadable:
                raise PassingError(str(unreadable)) from None
            scored.append(Scored(logprobs, told.prompt_tokens, told.cached_tokens, told.completion_tokens))
        without = Scored((), alone.prompt_tokens, alone.cached_tokens, alone.completion_tokens)
        return scored_response(request, scored, "prompt_logprobs", besides=[without])

    async def _not_found(
        self, head: str, words: ErrorBody, request: Request, endpoint: Endpoint, url: URL | None
    ) -> EngineError:
        if url is None:
            names = found.names_of(await _models(self._line, endpoint))
            return self._refusals.no_such_model(head, words, request, endpoint.known.base_url, names)
        said = self._refusals.discreet(words.message, request)
        return EngineError(f"{url}: {head}: {said}", fix="ask a server with an embedding model, which has /embeddings")

    async def _exchange(
        self,
        request: Request,
        payload: dict[str, Any],
        form: Form,
        endpoint: Endpoint,
        task: asyncio.Task[Any],
        *,
        url: URL | None = None,
        read: Callable[[Request, str, bytes, Form], Response] = to_response,
    ) -> tuple[Response, bytes]:
        """One answer, and the reply that it was in.

        url    where it is asked; by default at /chat/completions
        """
        base_url, request_id = endpoint.known.base_url, request.request_id
        try:
            reply = await self._line.post(url or endpoint.chat_url, to_body(payload), task)
        except PassingError as trouble:
            trouble.words = self._refusals.discreet(trouble.words, request)
            raise
        try:
            if reply.status == HTTPStatus.OK:
                return read(request, request_id, reply.raw, form), reply.raw
            status, words, head = reply.status, words_of(reply.raw), f"HTTP {reply.status}"
        except UnreadableError as unreadable:
            raise PassingError(self._refusals.discreet(str(unreadable), request)) from None
        except FailedInReplyError as failed:
            status, words, head = failed.status, failed.words, failed.head
        if status == HTTPStatus.BAD_REQUEST and words.code in _FILTERED:
            said = self._refusals.discreet(words.message, request)
            return Response(request_id, said, method="text", finish="content_filter"), reply.raw
        if status == HTTPStatus.NOT_FOUND:
            raise await self._not_found(head, words, request, endpoint, url)
        self._refusals.raise_for(status, head, words, reply.headers, request, base_url)
        if request.readout not in endpoint.known.proven:
            raise _RefusedCapabilityError(head, words, payload)
        raise self._refusals.refused(head, words, request)


async def _models(line: HttpClient, endpoint: Endpoint) -> object:
    """What a server says of its models; None where it says nothing."""
    reply = await line.get(endpoint.models_url, timeout_s=_MODELS_TIMEOUT_S)
    if reply is None or reply.status != HTTPStatus.OK:
        return None
    try:
        return loads(reply.raw)
    except ValueError:
        return None


class _RefusedCapabilityError(Exception):
    """A refusal before anything was answered: perhaps of the form, perhaps of the prompt."""

    def __init__(self, head: str, words: ErrorBody, payload: dict[str, Any]) -> None:
        super().__init__(words.message)
        self.head = head
        self.words = words
        self.payload = payload


def no_likelihood(base_url: str, said: str) -> EngineError:
    return EngineError(
        f"{base_url}: `readout: likelihood` was asked for, but: {said}",
        fix="write `readout: logprobs`, or ask a model with `engine: embedded`, `engine: vllm` or a server of vLLM",
    )


def _not_there(endpoint: Endpoint, asked: str, said: str, instead: str) -> EngineError:
    return EngineError(f"{endpoint.known.base_url}: `{asked}` was asked for, but: {said}", fix=f"write `{instead}`")
