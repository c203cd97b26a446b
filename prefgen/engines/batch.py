"""A provider's Batch API: submit and leave; the same command later collects, and sends again only what is missing."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from yarl import URL

from prefgen.engines import capabilities as found
from prefgen.engines.addresses import base_urls, key_of
from prefgen.engines.alternatives import NoLogprobsError
from prefgen.engines.batch_folder import FolderProvider
from prefgen.engines.batch_ledger import Chunk, Ledger
from prefgen.engines.batch_provider import Provider
from prefgen.engines.batch_results import Results
from prefgen.engines.batch_submit import Submitter, poll
from prefgen.engines.capabilities import Capabilities, ErrorBody
from prefgen.engines.engine import DeferredError, Engine, Meter, RefusedError
from prefgen.engines.reply import FailedInReplyError, StillThinkingError, UnreadableError, to_response
from prefgen.engines.retry import is_passing
from prefgen.engines.store import ResponseStore
from prefgen.engines.wire import form_of_request, to_payload
from prefgen.engines.words import discreet, words_in
from prefgen.errors import EngineError, FileError, NotFinished
from prefgen.ids import content_id
from prefgen.records import Request, Response
from prefgen.spec.models import BatchModel


def engine_of(spec: BatchModel, store: ResponseStore) -> Engine:
    """The engine of a model; its batches under way lie beside the store."""
    return BatchEngine(spec, store.path.parent / "batches")


class BatchEngine:
    """Answers through /files and /batches of one endpoint.

    folder    where batches are remembered, in the run folder; each model has a folder of its own in it

    `answer` raises NotFinished as long as a batch is under way.
    """

    def __init__(self, spec: BatchModel, folder: Path) -> None:
        self._spec = spec
        self._folder = folder

    room = 1

    @asynccontextmanager
    async def session(self, meter: Meter) -> AsyncIterator[BatchSession]:
        """Brings home what is there; the provider's own calls block, and nobody else is waiting."""
        spec = self._spec
        url, key = (str(spec.folder.absolute()), None) if spec.folder is not None else _address(spec)
        name = re.sub(r"[^A-Za-z0-9._-]", "_", spec.model)[:40].lstrip(".")
        with _on_disk(self._folder):
            ledger = Ledger.open(self._folder / content_id(name, (url, spec.model)))
            if not ledger.features:
                owner = "openai" if spec.folder is None else "vllm"
                ledger.features = found.to_fact(found.first_guess(spec, owner))
            at: Provider | FolderProvider = (
                FolderProvider(spec.folder) if spec.folder is not None else Provider(url, key, spec.api_key_env)
            )
            with at as provider, Submitter(spec, ledger, provider) as submitter:
                submitter.finish_begun()
                poll(ledger, provider, meter)
                with Results(ledger) as results:
                    session = BatchSession(spec, ledger, submitter, results, meter, key, url)
                    try:
                        yield session
                    finally:
                        session.leave()

    def close(self) -> None:
        """Batches lie with the provider."""


def _address(spec: BatchModel) -> tuple[str, str | None]:
    """The one address of a provider, and the key."""
    url, *others = base_urls(spec)
    if others:
        raise EngineError(
            f"{spec.model!r}: a batch goes to one address, not to {1 + len(others)}",
            fix="name one `base_url`, or use `engine: openai`",
        )
    found.check_prefill(spec, url, URL(url).host)
    return url, key_of(spec, [url])


@contextmanager
def _on_disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # those of the network have become EngineErrors
        raise FileError(
            f"{folder}: {error.strerror or error}",
            fix="free some space and run the same command again; nothing is submitted twice",
        ) from error


def _raise_unfinished(ledger: Ledger, submitter: Submitter, meter: Meter, url: str, *, by: str | None) -> None:
    """NotFinished as long as a batch is under way; `by`: the model with which somebody has a folder's rows answered."""
    active = ledger.of("submitted")
    meter.in_flight = sum(chunk.rows for chunk in active)
    if not active and not submitter.left:
        return
    held = f"; {submitter.left:,} more follow when the provider has room" if submitter.left else ""
    done = sum(chunk.completed for chunk in active)
    todo = ""
    if by is not None and active:
        todo = f"`vllm run-batch -i NAME.jsonl -o NAME.out.jsonl --model {by}` for each file there, then "
    raise NotFinished(
        f"{meter.in_flight:,} requests wait in {len(active)} batch{'es' if len(active) != 1 else ''} at {url} ({done:,} done){held}",
        fix=f"{todo}run the same command again{'' if todo else ' later'}; it collects what is there and goes on",
    )


class _AgainError(Exception):
    """This row came back without an answer and may be part of another batch."""


class BatchSession:
    """One pass over the requests that have no stored response: each is answered, or waits in a batch."""

    def __init__(
        self,
        spec: BatchModel,
        ledger: Ledger,
        submitter: Submitter,
        results: Results,
        meter: Meter,
        key: str | None,
        url: str,
    ) -> None:
        self._spec = spec
        self._ledger = ledger
        self._submitter = submitter
        self._results = results
        self._meter = meter
        self._key = key
        self._url = url
        self._doubtful: dict[int, Chunk] = {}  # chunks with refusals, as long as nothing was answered
        self._answered = False

    async def settle(self) -> None:
        """Submit what was gathered. NotFinished as long as a batch is under way."""
        self._submitter.flush()
        by = self._spec.model if self._spec.folder is not None else None
        _raise_unfinished(self._ledger, self._submitter, self._meter, self._url, by=by)

    def leave(self) -> None:
        """Rows of doubtful chunks are submitted anew, once what was wrong is corrected."""
        for chunk in self._doubtful.values():
            chunk.state = "rejected"
        self._ledger.save()

    async def answer(self, request: Request) -> Response:
        request_id = request.request_id
        chunk = self._results.chunk_of.get(request_id)
        if chunk is None:
            self._submit(request, request_id)
        if chunk is None or chunk.state != "done":
            raise DeferredError
        try:
            response = self._response(request, request_id, chunk)
        except _AgainError as again:
            return self._again(request, request_id, str(again))
        if response.failure is None:
            self._answered = True
            self._doubtful.clear()
        elif response.final and self._results.refused[request_id] + 1 < self._spec.max_attempts:
            if not self._answered:
                self._doubtful[chunk.number] = chunk
            raise RefusedError(response.failure)
        return response

    def _again(self, request: Request, request_id: str, words: str) -> Response:
        tried, ledger = self._results.tried[request_id], self._ledger
        if tried - ledger.gave_up.get(request_id, 0) >= self._spec.max_attempts:
            ledger.gave_up[request_id] = tried
            return Response(request_id, failure=f"after {tried} batches: {words}", final=False)
        self._meter.retries += 1
        self._submit(request, request_id)
        raise DeferredError

    def _submit(self, request: Request, request_id: str) -> None:
        features = self._features(self._ledger.features)
        form = form_of_request(request, features)
        payload = to_payload(request, form, features, model=self._spec.model, extra=self._spec.extra_body)
        self._submitter.add(request_id, payload)

    def _features(self, fact: str) -> Capabilities:
        return found.from_fact(self._spec, fact) or found.first_guess(self._spec, None)

    def _response(self, request: Request, request_id: str, chunk: Chunk) -> Response:
        """What the provider said of one request. Raises _AgainError."""
        line = self._results.line(request_id)
        if line is None and chunk.number in self._results.strange:
            words = f"no line of the results of batch {chunk.batch_id} speaks of a request that was in it; it is not bought again"
            if words not in self._meter.notes:
                self._meter.notes.append(words)
            return Response(request_id, failure=words, final=False)
        if line is None:
            raise _AgainError(f"no word of it in a batch that {chunk.status}")
        features = self._features(chunk.features)
        if line.status is None:
            raise _AgainError(self._said(line.error, request))
        if line.status != 200:
            return self._refused(request, request_id, chunk, line.status, f"HTTP {line.status}", words_in(line.body))
        form = form_of_request(request, features)
        raw = json.dumps(line.body).encode()
        try:
            return to_response(request, request_id, raw, form)
        except (UnreadableError, StillThinkingError) as unreadable:
            raise _AgainError(str(unreadable)) from None
        except FailedInReplyError as failed:
            return self._refused(request, request_id, chunk, failed.status, failed.head, failed.words)
        except NoLogprobsError as none:
            if none.at_all and self._spec.logprobs is True:
                raise EngineError(
                    "`logprobs: true` was asked for, but the batch came back without log-probabilities",
                    fix="write `logprobs: auto`",
                ) from None
            if none.at_all:
                self._learn(chunk, replace(features, top_logprobs=0))
            return to_response(request, request_id, raw, form.without_logprobs())

    def _refused(
        self, request: Request, request_id: str, chunk: Chunk, status: int, head: str, words: ErrorBody
    ) -> Response:
        said = f"{head}: {discreet(words.message, key=self._key, prompt=_prompt(request))}"
        if is_passing(status):
            raise _AgainError(said)
        if status in (401, 403, 404):
            self._doubtful[chunk.number] = chunk
            raise EngineError(
                f"batch {chunk.batch_id}: model {self._spec.model!r}: {said}",
                fix=f"check `model`, and what the key in {self._spec.api_key_env} may use",
            )
        features = self._features(chunk.features)
        form = form_of_request(request, features)
        payload = to_payload(request, form, features, model=self._spec.model, extra=self._spec.extra_body)
        lesser = found.without(features, words, payload)
        if lesser is not None and lesser.prefill == "none":
            found.check_prefill(self._spec, f"batch {chunk.batch_id}", None, said)
        if lesser is None or (features.insist and lesser.hold != features.hold):
            return Response(request_id, failure=said)
        self._learn(chunk, lesser)
        raise _AgainError(said)

    def _learn(self, chunk: Chunk, features: Capabilities) -> None:
        """From now on rows are asked without what this chunk showed the endpoint not to take."""
        if self._ledger.features == chunk.features:
            self._ledger.features = found.to_fact(features)

    def _said(self, error: Any, request: Request) -> str:
        words = words_in({"error": error})
        return discreet(words.message, key=self._key, prompt=_prompt(request))


def _prompt(request: Request) -> str:
    return "\n".join(content for _, content in request.messages)
