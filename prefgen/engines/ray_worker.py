"""What runs in a process of Ray's: the engine of a model, asked from afar."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prefgen.engines.engine import Meter, RefusedError, Session
from prefgen.engines.open import open_engine
from prefgen.engines.store import ResponseStore
from prefgen.errors import EngineError, NotFinished
from prefgen.records import Request, Response
from prefgen.spec.models import ModelSpec


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a call. Errors are told in words: not every exception survives the way between processes.

    response             the answer; None for the kinds that are none
    problem, fix         of an error
    retries, throttled   since the call before
    """

    kind: Literal["answered", "refused", "broken", "waiting"]
    response: Response | None = None
    problem: str = ""
    fix: str | None = None
    retries: int = 0
    throttled: int = 0
    retried_for: str = ""
    notes: tuple[str, ...] = ()


class Worker:
    """One actor: an engine, opened at the first `start`. What it stores (what servers can do) is its own, and goes with it."""

    def __init__(self, spec: ModelSpec) -> None:
        self._aside = tempfile.TemporaryDirectory(prefix="prefgen-ray-")
        self._store = ResponseStore(Path(self._aside.name) / "responses.sqlite")
        self._engine = open_engine(spec, store=self._store)
        self._meter = Meter()
        self._stack = AsyncExitStack()
        self._opening: asyncio.Future[Session] | None = None

    async def start(self) -> Told:
        """Open the engine: weights are loaded."""
        try:
            await self._session()
        except EngineError as error:
            return Told("broken", problem=error.problem, fix=error.fix)
        return Told("answered")

    async def answer(self, request: Request) -> Told:
        """The response to one request, or why there is none."""
        meter = self._meter
        retries, throttled = meter.retries, meter.throttled
        try:
            response = await (await self._session()).answer(request)
        except RefusedError as refused:
            return Told("refused", problem=str(refused))
        except NotFinished as waiting:
            return Told("waiting", problem=waiting.problem, fix=waiting.fix)
        except EngineError as error:
            return Told("broken", problem=error.problem, fix=error.fix)
        since = meter.retries - retries, meter.throttled - throttled
        return Told("answered", response, "", None, *since, meter.retried_for, tuple(meter.notes))

    async def stop(self) -> None:
        """Close the engine, and with it the processes that it has started."""
        await self._stack.aclose()
        self._engine.close()
        self._store.close()
        self._aside.cleanup()

    async def _session(self) -> Session:
        if self._opening is None:
            opened = self._stack.enter_async_context(self._engine.session(self._meter))
            self._opening = asyncio.ensure_future(opened)
        return await asyncio.shield(self._opening)
