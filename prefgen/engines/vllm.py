"""vLLM in this process: open weights on one's own GPUs, as many requests at once as they take.

vLLM keeps what prompts begin with in common (its prefix cache), so one persona's questions, which follow each other,
compute the persona once. Its event loop runs in a thread of its own and lives as long as the engine: weights are loaded
once for all steps of a run, each of which has a loop of its own.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prefgen.engines.engine import Engine, Meter, RefusedError
from prefgen.engines.likelihood import scored_response
from prefgen.engines.store import ResponseStore
from prefgen.engines.vllm_start import failure, load
from prefgen.engines.vllm_wire import (
    Ranks,
    Template,
    output_of,
    response_of,
    scored_of,
    settings_of,
    tokens_of,
)
from prefgen.engines.words import discreet
from prefgen.errors import EngineError
from prefgen.records import Request, Response
from prefgen.spec.models import VllmModel

_STOP_S = 30.0  # in which processes end by themselves


def engine_of(spec: VllmModel, store: ResponseStore) -> Engine:
    """The engine of a model; what vLLM says goes beside the store."""
    return VllmEngine(spec, store.path.parent / "vllm.log")


class VllmEngine:
    """Answers with the weights of a folder or of the Hub. They are loaded at the first request.

    log    file to which vLLM's own words are added

    A prompt longer than the context becomes a failure of that request. EngineError when package, weights or memory are
    missing, and when vLLM stops; what was answered is kept.
    """

    def __init__(self, spec: VllmModel, log: Path) -> None:
        self._spec = spec
        self._log = log.absolute()
        self._running: _Running | None = None

    @property
    def room(self) -> int:
        return self._spec.concurrency

    @asynccontextmanager
    async def session(self, meter: Meter) -> AsyncIterator[VllmSession]:
        if self._running is None:
            self._running = _Running(self._spec, self._log)
            meter.waiting = f"vLLM loads {self._spec.model}"
            try:
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._running.load(), self._running.loop))
            except EngineError:
                self.close()
                raise
            finally:
                meter.waiting = ""
        if self._running.note and self._running.note not in meter.notes:
            meter.notes.append(self._running.note)
        yield VllmSession(self._running, meter)

    def close(self) -> None:
        """End its processes and free the GPUs."""
        if self._running is not None:
            running, self._running = self._running, None
            running.close()


class VllmSession:
    """Any number of requests at once; vLLM batches them."""

    def __init__(self, running: _Running, meter: Meter) -> None:
        self._running = running
        self._meter = meter

    async def settle(self) -> None:
        """Nothing is ever left to come."""

    async def answer(self, request: Request) -> Response:
        self._meter.in_flight += 1
        try:
            asked = asyncio.run_coroutine_threadsafe(self._running.answer(request), self._running.loop)
            return await asyncio.wrap_future(asked)
        finally:
            self._meter.in_flight -= 1


class _Running:
    """A thread with vLLM's event loop.

    note    what people should know of how the model is asked; '' for nothing
    """

    def __init__(self, spec: VllmModel, log: Path) -> None:
        self._spec = spec
        self._log = log
        self._begun = log.stat().st_size if log.exists() else 0
        self._aside = tempfile.TemporaryDirectory(prefix="prefgen-vllm-")
        self._llm: Any = None
        self._closing = False
        self._ranks = Ranks(spec.data_parallel, spec.concurrency // spec.data_parallel)
        self._died: EngineError | None = None
        self._tokens: dict[tuple[str, ...], Mapping[int, str] | None] = {}
        self.note = ""
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="vllm", daemon=True)
        self._thread.start()

    async def load(self) -> None:
        """Load the weights. EngineError where that cannot be."""
        llm = load(self._spec, self._log, Path(self._aside.name))
        if self._closing:
            llm.shutdown()
            return
        self._llm = llm
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        self._params, self._structured = SamplingParams, StructuredOutputsParams
        self._final = RequestOutputKind.FINAL_ONLY
        self._tells_ids = "logprob_token_ids" in SamplingParams.__annotations__
        self._tokenizer = llm.get_tokenizer()
        self._template = Template(self._tokenizer, self._spec.chat_template_kwargs)
        if not self._template.system_role:
            self.note = f"{self._spec.model}: its chat template has no system role; the persona opens the user message"

    async def answer(self, request: Request) -> Response:
        """The response to one request. RefusedError for what vLLM does not take, EngineError when it has stopped."""
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        try:
            return await (self._scored(request) if request.readout == "likelihood" else self._said(request))
        except EngineDeadError as dead:
            self._died = self._died or failure(f"{self._spec.model}: vLLM stopped", dead, self._log, self._begun)
            raise EngineError(self._died.problem, fix=self._died.fix) from None
        except EngineGenerateError as error:
            said = discreet(str(error.__cause__ or error), key=None, prompt=_prompt(request))
            return Response(request.request_id, failure=f"vLLM: {said}", final=False)
        except Exception as error:  # its own errors of validation have had several parents
            raise RefusedError(f"vLLM: {discreet(str(error), key=None, prompt=_prompt(request))}") from None

    async def _said(self, request: Request) -> Response:
        tokens = self._tokens_of(request.choices) if request.readout == "logprobs" and self._tells_ids else None
        settings = settings_of(request, tokens)
        if (held := settings.pop("structured_outputs", None)) is not None:
            settings["structured_outputs"] = self._structured(**held)
        last = await self._generate(request, self._template.tokens(request), settings)
        return response_of(request, output_of(last), tokens)

    async def _scored(self, request: Request) -> Response:
        """Every choice as the end of a prompt of its own; vLLM computes these whole, without its prefix cache."""
        prompt = self._template.tokens(request)
        texts = [self._tokenizer.encode(choice, add_special_tokens=False) for choice in request.choices]
        settings = {"temperature": 0.0, "max_tokens": 1, "detokenize": False, "prompt_logprobs": 0}
        asked = [self._generate(request, [*prompt, *text], settings, f"-{number}") for number, text in enumerate(texts)]
        scored = [scored_of(last, begins=len(prompt)) for last in await asyncio.gather(*asked)]
        return scored_response(request, scored, "prompt_logprobs")

    async def _generate(
        self, request: Request, tokens: Sequence[int], settings: Mapping[str, Any], part: str = ""
    ) -> Any:
        """vLLM's output for a prompt; `part` tells several of one request apart."""
        prompt = {"type": "token", "prompt_token_ids": tokens}
        params = self._params(**settings, output_kind=self._final)
        rank = self._ranks.take(request)
        where = {"data_parallel_rank": rank} if self._spec.data_parallel > 1 else {}
        try:  # only the final output comes
            (last,) = [one async for one in self._llm.generate(prompt, params, f"{request.request_id}{part}", **where)]
        finally:
            self._ranks.done(rank)
        return last

    def _tokens_of(self, choices: tuple[str, ...]) -> Mapping[int, str] | None:
        if choices not in self._tokens:
            self._tokens[choices] = tokens_of(self._tokenizer, choices)
        return self._tokens[choices]

    def close(self) -> None:
        """End everything, also while the weights are being loaded; return when that is done."""
        self._closing = True
        loading = self._llm is None
        if not loading:
            self.loop.call_soon_threadsafe(self._llm.shutdown)
        self.loop.call_soon_threadsafe(self.loop.stop)
        until = time.monotonic() + _STOP_S
        while self._thread.is_alive() and time.monotonic() < until:
            if loading:
                _end_children()
            self._thread.join(0.2)
        self._aside.cleanup()
        if not loading:
            # When it goes it shuts down again, with modules that at the interpreter's end are gone.
            self._llm.shutdown = _nothing


def _nothing(*_: object, **__: object) -> None:
    """What is left to do for an engine that has ended."""


def _end_children() -> None:
    """Stop vLLM's processes while they load: nothing else makes the thread that waits for them come back."""
    for child in multiprocessing.active_children():
        if "EngineCore" in child.name or child.name.startswith(("VllmWorker", "DPCoordinator")):
            child.terminate()


def _prompt(request: Request) -> str:
    return "\n".join(content for _, content in request.messages)
