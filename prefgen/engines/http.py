"""Any OpenAI-compatible endpoint over HTTP: one pool of connections, nothing gathered."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prefgen.engines.addresses import base_urls, key_of
from prefgen.engines.asking import Asking
from prefgen.engines.capabilities import Facts
from prefgen.engines.endpoints import Endpoint, Endpoints, Known, Patience
from prefgen.engines.engine import Engine, Meter, RefusedError
from prefgen.engines.limiter import ConcurrencyLimiter
from prefgen.engines.post import HttpClient, TooLongError
from prefgen.engines.retry import Attempts, PassingError, Policy
from prefgen.engines.store import ResponseStore
from prefgen.records import Request, Response
from prefgen.spec.models import OpenAIModel

_REASON = 60  # letters of why a request is asked again, as a line of the screen has room for
_LONG_S = 5.0  # a wait of so long is spoken of


def engine_of(spec: OpenAIModel, store: ResponseStore) -> Engine:
    """The engine of a model; what its endpoints can do is remembered in the store."""
    return OpenAIEngine(spec, store.facts)


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

    @property
    def room(self) -> int:
        return self._spec.at_once

    @asynccontextmanager
    async def session(self, meter: Meter) -> AsyncIterator[HttpSession]:
        spec = self._spec
        urls = base_urls(spec)
        key = key_of(spec, urls)
        if [known.base_url for known in self._known] != urls:
            self._known = [Known(url) for url in urls]
        async with HttpClient(key, timeout_s=spec.timeout_s) as line:
            endpoints = Endpoints(
                [
                    Endpoint(known, ConcurrencyLimiter(spec.concurrency, timeout_s=spec.timeout_s))
                    for known in self._known
                ],
                self._patience,
            )
            yield HttpSession(endpoints, Asking(spec, line, self._facts, meter, key), Policy(spec.max_attempts), meter)

    def close(self) -> None:
        """Connections end with their session."""


class HttpSession:
    """Each request takes a place at an endpoint, and stays with it to its end."""

    def __init__(self, endpoints: Endpoints, asking: Asking, policy: Policy, meter: Meter) -> None:
        self._endpoints = endpoints
        self._asking = asking
        self._policy = policy
        self._meter = meter
        self._now = asyncio.get_running_loop().time
        self._reasons: Counter[str] = Counter()

    async def settle(self) -> None:
        """Nothing is ever left to come."""

    async def answer(self, request: Request) -> Response:
        endpoints = self._endpoints
        endpoint = endpoints.grab() or await endpoints.take()
        self._meter.in_flight = endpoints.in_flight
        task = asyncio.current_task()
        assert task is not None
        attempts: Attempts | None = None
        while True:
            started = self._now()
            try:
                response = await self._asking.ask(request, endpoint, task)
            except PassingError as trouble:
                attempts = attempts or Attempts()
                again = await self._after(trouble, attempts, endpoint, self._now() - started)
                if again is None:
                    return Response(request.request_id, failure=trouble.words, final=False)
                endpoint = again
                continue
            except RefusedError:
                endpoints.good(endpoint, self._now() - started)
                raise
            except TooLongError:
                endpoints.good(endpoint, self._now() - started)
                raise RefusedError("the reply is longer than any answer") from None
            endpoints.good(endpoint, self._now() - started)
            return response

    async def _after(
        self, trouble: PassingError, attempts: Attempts, endpoint: Endpoint, after_s: float
    ) -> Endpoint | None:
        """A place for the next try, when its time has come; None when there have been enough."""
        attempts.add(trouble)
        self._meter.throttled += trouble.throttled
        self._say_wait(trouble, endpoint)
        self._endpoints.bad(endpoint, trouble, after_s)
        if self._policy.gives_up(attempts):
            return None
        self._meter.retries += 1
        self._reasons[" ".join(trouble.words.split())[:_REASON]] += 1
        self._meter.retried_for = self._reasons.most_common(1)[0][0]
        self._meter.in_flight = self._endpoints.in_flight
        await asyncio.sleep(self._policy.wait_s(attempts, trouble))
        return await self._endpoints.take_again()

    def _say_wait(self, trouble: PassingError, endpoint: Endpoint) -> None:
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
