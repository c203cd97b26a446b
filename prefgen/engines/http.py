"""Any OpenAI-compatible endpoint over HTTP: a fixed set of workers, one pool of connections, nothing gathered."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from prefgen.engines.addresses import base_urls, key_of
from prefgen.engines.asking import Asking
from prefgen.engines.endpoints import Endpoint, Endpoints, Known, Patience
from prefgen.engines.engine import Meter, Put
from prefgen.engines.features import Facts
from prefgen.engines.pace import Pace
from prefgen.engines.post import Line, TooLongError
from prefgen.engines.refusals import EarlyRefusals, RefusedError
from prefgen.engines.retry import Policy, Tries, TroubleError
from prefgen.records import Request, Response
from prefgen.spec.models import OpenAIModel

_T = TypeVar("_T")
_LONG_S = 5.0  # a wait of so long is spoken of


class OpenAIEngine:
    """Answers over /chat/completions of one endpoint, or of several behind one model name.

    facts       where findings about the endpoint are kept for the next run; None keeps them for this process
    patience    how long an endpoint that does not answer is borne
    """

    def __init__(self, spec: OpenAIModel, facts: Facts | None = None, *, patience: Patience | None = None) -> None:
        self._spec = spec
        self._facts = facts
        self._patience = patience or Patience()
        self._known: list[Known] = []

    def answer(self, requests: Iterator[Request], put: Put, meter: Meter) -> None:
        """Put one response for every request; see `Engine`."""
        urls = base_urls(self._spec)
        key = key_of(self._spec, urls)
        if [known.base_url for known in self._known] != urls:
            self._known = [Known(url) for url in urls]
        _run(self._answer_all(requests, put, meter, key))

    async def _answer_all(self, requests: Iterator[Request], put: Put, meter: Meter, key: str | None) -> None:
        spec = self._spec
        async with Line(key, timeout_s=spec.timeout_s) as line:
            endpoints = Endpoints(
                [Endpoint(known, Pace(spec.concurrency, timeout_s=spec.timeout_s)) for known in self._known],
                self._patience,
            )
            asking = Asking(spec, line, self._facts, meter, key)
            workers = _Workers(requests, put, meter, endpoints, asking, Policy(spec.max_attempts))
            await workers.run(spec.concurrency)


class _Workers:
    """A fixed number of tasks; each takes a place, takes the next request, and stays with it to its end."""

    def __init__(
        self, requests: Iterator[Request], put: Put, meter: Meter, endpoints: Endpoints, asking: Asking, policy: Policy
    ) -> None:
        self._requests = requests
        self._put = put
        self._meter = meter
        self._endpoints = endpoints
        self._asking = asking
        self._policy = policy
        self._early = EarlyRefusals(put)
        self._now = asyncio.get_running_loop().time

    async def run(self, most: int) -> None:
        """Return when the last request has its response; whatever ends it, no worker is left behind."""
        tasks = [asyncio.create_task(self._work()) for _ in range(most)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            self._early.release()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._meter.in_flight = 0
            self._meter.waiting = ""

    async def _work(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        endpoints, requests, meter = self._endpoints, self._requests, self._meter
        while True:
            endpoint = endpoints.grab() or await endpoints.take()
            if endpoint is None:
                return
            request = next(requests, None)
            if request is None:
                endpoints.leave(endpoint)
                endpoints.close()
                return
            meter.in_flight = endpoints.in_flight
            await self._answer(request, endpoint, task)
            # Answers that arrived together are all put before the next request is taken, so that the store can
            # commit them together: one commit for many, and yet never more at risk than what was in flight.
            await asyncio.sleep(0)

    async def _answer(self, request: Request, endpoint: Endpoint, task: asyncio.Task[Any]) -> None:
        request_id = request.request_id
        tries: Tries | None = None
        while True:
            started = self._now()
            try:
                response = await self._asking.ask(request, request_id, endpoint, task)
            except TroubleError as trouble:
                tries = tries or Tries()
                again = await self._after(trouble, tries, endpoint)
                if again is None:
                    self._put(request, Response(request_id, failure=trouble.words, final=False))
                    return
                endpoint = again
                continue
            except (RefusedError, TooLongError) as refused:
                self._endpoints.good(endpoint, self._now() - started)
                words = str(refused) if isinstance(refused, RefusedError) else "the reply is longer than any answer"
                self._early.add(request, Response(request_id, failure=words))
                return
            self._endpoints.good(endpoint, self._now() - started)
            self._early.answered()
            self._put(request, response)
            return

    async def _after(self, trouble: TroubleError, tries: Tries, endpoint: Endpoint) -> Endpoint | None:
        """A place for the next try, when its time has come; None when there have been enough."""
        tries.add(trouble)
        self._meter.throttled += trouble.throttled
        self._say_wait(trouble, endpoint)
        self._endpoints.bad(endpoint, trouble)
        if self._policy.gives_up(tries):
            return None
        self._meter.retries += 1
        self._meter.in_flight = self._endpoints.in_flight
        await asyncio.sleep(self._policy.wait_s(tries, trouble))
        return await self._endpoints.take_again()

    def _say_wait(self, trouble: TroubleError, endpoint: Endpoint) -> None:
        """Tell those who look on what nothing happens for."""
        if trouble.wait_s is None or trouble.wait_s < _LONG_S:
            self._meter.waiting = ""
            return
        self._meter.waiting = (
            f"{endpoint.known.base_url} asks for {trouble.wait_s:,.0f} s of patience ({trouble.words})"
        )
        note = f"{endpoint.known.base_url}: waited as it asked (Retry-After)"
        if note not in self._meter.notes:
            self._meter.notes.append(note)


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run to the end on the fastest loop there is; Ctrl-C cancels the work and is raised when that is done."""
    with _rare_collections(), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(work)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for garbage thirty times less often: a request leaves a handful of objects, and the search was 15 % of its CPU."""
    before = gc.get_threshold()
    gc.set_threshold(20_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        from uvloop import new_event_loop
    except ImportError:  # there is none for Windows
        return asyncio.new_event_loop
    return cast("Callable[[], asyncio.AbstractEventLoop]", new_event_loop)
