"""Everything that is to be asked is asked: a fixed number of workers, each with one turn; the only writer of responses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from prefgen.dialogues import Call
from prefgen.dispatch.budget import Budget
from prefgen.dispatch.refusals import EarlyRefusals
from prefgen.dispatch.turns import Turn, Turns
from prefgen.engines.engine import DeferredError, Engine, Meter, RefusedError, Session
from prefgen.engines.store import ResponseStore
from prefgen.records import Request, Response
from prefgen.spec.models import BatchModel, ModelSpec

if TYPE_CHECKING:
    from prefgen.dispatch.prices import Price


class Models(Protocol):
    """The models of a pipeline, by name."""

    def spec(self, name: str) -> ModelSpec: ...
    def price(self, name: str) -> Price | None: ...
    def engine(self, name: str) -> Engine: ...


_TICK_S = 0.25


@dataclass(slots=True)
class _Desk:
    """A model at work."""

    session: Session
    spec: ModelSpec
    price: Price | None
    early: EarlyRefusals


class Drive:
    """One sending: which requests are out, and what has come back."""

    def __init__(
        self, turns: Turns, models: Models, store: ResponseStore, budget: Budget, meter: Meter, look: Callable[[], None]
    ) -> None:
        self.meter = meter
        self.broke = False
        self._turns, self._models, self._store, self._budget, self._look = turns, models, store, budget, look
        # asked and not yet answered, with what their twins wait for where there are any
        self._out: dict[str, asyncio.Future[Response | None] | None] = {}
        self._gave_up: dict[str, Response] = {}  # failed in this drive: it is not asked again before the next run
        self._deferred: set[str] = set()
        self._desks: dict[str, _Desk] = {}
        self._opening = asyncio.Lock()
        self._most_at_risk = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, first: Turn) -> None:
        """Return when everything has its response, or the money is gone; whatever ends it, nobody is left behind.

        NotFinished where answers are still to come.
        """
        async with AsyncExitStack() as stack:
            self._stack = stack
            self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            ticking = asyncio.create_task(self._tick())  # loading weights takes minutes, and somebody may look on
            try:
                await self._open(first.unknown[0].model, first)
                await self._over
            finally:
                tasks = [ticking, *self._tasks]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                for desk in self._desks.values():
                    desk.early.release()
                self.meter.in_flight = 0
                self.meter.waiting = ""
            for desk in self._desks.values():
                await desk.session.settle()

    async def _tick(self) -> None:
        """Those who look on see something also while nothing comes."""
        while True:
            await asyncio.sleep(_TICK_S)
            self._look()

    async def _open(self, model: str, first: Turn | None = None) -> _Desk:
        async with self._opening:
            if model not in self._desks:
                spec, price, engine = self._models.spec(model), self._models.price(model), self._models.engine(model)
                session = await self._stack.enter_async_context(engine.session(self.meter))
                early = EarlyRefusals(partial(self._put, spec, price))
                self._desks[model] = _Desk(session, spec, price, early)
                # What would be asked again after a kill -9 is what is out and what is not committed: together they
                # stay within the concurrency that the user set. A batch lies with the provider.
                self._most_at_risk += 1_000_000 if isinstance(spec, BatchModel) else engine.room
                for number in range(engine.room):
                    task = asyncio.create_task(self._work(None if number else first))
                    self._tasks.add(task)
                    task.add_done_callback(self._left)
        return self._desks[model]

    def _left(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if self._over.done():
            return
        if error is not None:
            self._over.set_exception(error)
        elif not self._tasks:
            self._over.set_result(None)

    async def _work(self, turn: Turn | None) -> None:
        turns = self._turns
        while not self.broke:
            turn = turn or turns.next()
            if turn is None:
                return
            if await self._through(turn):
                turns.answered(turn)
            turn = None
            # Answers that arrived together are all put before the next request is taken, so that the store can
            # commit them together: one commit for many, and yet never more at risk than what was in flight.
            await asyncio.sleep(0)

    async def _through(self, turn: Turn) -> bool:
        """Ask what is unknown of a turn; whether all of it is answered now."""
        asking = [self._asked(call) for call in turn.unknown]
        responses = [await asking[0]] if len(asking) == 1 else await asyncio.gather(*asking)
        for response in responses:
            if response is not None:
                turn.answers[response.request_id] = response
        return None not in responses

    def _asked(self, call: Call) -> Awaitable[Response | None]:
        """Claims the request at once, so that no other worker asks it too; None where it is to come with a later run, or the money is gone."""
        request_id = call.request.request_id
        if request_id in self._out or request_id in self._gave_up or request_id in self._deferred:
            self.meter.stored += 1
            return self._of_twin(request_id)
        self._out[request_id] = None
        return self._ask(call, request_id)

    def _of_twin(self, request_id: str) -> Awaitable[Response | None]:
        """What another asking of the same brings, or has brought."""
        waiting = self._out.get(request_id)
        if waiting is None:
            waiting = asyncio.get_running_loop().create_future()
            if request_id in self._out:
                self._out[request_id] = waiting
            else:
                waiting.set_result(self._gave_up.get(request_id))
        return asyncio.shield(waiting)

    async def _ask(self, call: Call, request_id: str) -> Response | None:
        response: Response | None = None
        try:
            desk = self._desks.get(call.model) or await self._open(call.model)
            others = len(self._out) - 1
            if not self._budget.allows(call.request, desk.spec, desk.price, self.meter, out=others):
                self.broke = True
                return None
            if others + self._store.pending >= self._most_at_risk:
                self._store.commit()
            self.meter.sent += 1
            self._look()
            response = await self._answer(desk, call.request)
        finally:
            waiting = self._out.pop(request_id)
            if waiting is not None and not waiting.done():
                waiting.set_result(response)
        if response is not None:
            self._turns.heard(response)
        return response

    async def _answer(self, desk: _Desk, request: Request) -> Response | None:
        try:
            response = await desk.session.answer(request)
        except RefusedError as refused:
            response = self._gave_up[request.request_id] = Response(request.request_id, failure=str(refused))
            desk.early.add(response)
            return response
        except DeferredError:
            self._deferred.add(request.request_id)
            return None
        if response.failure is None:
            desk.early.answered()
        self._put(desk.spec, desk.price, response)
        return response

    def _put(self, spec: ModelSpec, price: Price | None, response: Response) -> None:
        """Store one response and count it."""
        self._store.put(response)
        meter = self.meter
        if response.failure is None:
            meter.answered += 1
        else:
            meter.failed += 1
            self._gave_up[response.request_id] = response
        meter.prompt_tokens += response.prompt_tokens
        meter.cached_tokens += response.cached_tokens
        meter.completion_tokens += response.completion_tokens
        if price is not None:
            self._budget.spend(response, spec, price, meter)
        self._look()
