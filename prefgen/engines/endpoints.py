"""The endpoints behind one model name: who has room, who rests, and when there is nobody left to ask."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from yarl import URL

from prefgen.engines.capabilities import Capabilities
from prefgen.engines.limiter import ConcurrencyLimiter
from prefgen.engines.retry import LONGEST_WAIT_S, PassingError
from prefgen.errors import EngineError, NotFinished
from prefgen.records import Readout

_SHARE_OF_LAST = 1 / 16  # weight of one outcome in the running share of 429s
_SEVERE_SHARE = 0.2  # below it a 429 is the row's own affair, above it everybody waits
_FIRST_OUTCOMES = 16
_ROW_OF_FAILURES = 5  # failures in a row after which an endpoint rests while others work
_MOST_REST_S = 15.0
_MOST_LOST = 0.9  # of the time for which requests are out; a server that drops some at once costs next to none


@dataclass(frozen=True, slots=True)
class Patience:
    """How long failure is borne before the run stops, to be continued by the same command.

    start_s       nobody has ever answered and no connection comes about
    run_s         only failures, and at least three for every request in flight
    throttled_s   nothing but 429, or nearly all of the time lost to requests that bring nothing, or a server asks for more
                  patience than this
    """

    start_s: float = 2.0
    run_s: float = 30.0
    throttled_s: float = 900.0


@dataclass(slots=True)
class Known:
    """What was found out about one address; it outlives a single `answer`.

    features    None until the first need
    proven      readouts that were answered with these features
    unproven    first answers that told nothing about log-probabilities
    tokens      of the choices of a question: id -> text of the tokens that say one; empty where it does not tell
    """

    base_url: str
    features: Capabilities | None = None
    proven: frozenset[Readout] = frozenset()
    unproven: int = 0
    tokens: dict[tuple[str, ...], Mapping[int, str]] = field(default_factory=dict)


class Endpoint:
    """One address while it is being asked."""

    __slots__ = (
        "chat_url",
        "failures",
        "in_flight",
        "known",
        "models_url",
        "outcomes",
        "pace",
        "pilot",
        "rest_until",
        "resting",
        "rests",
        "throttled_share",
        "tokenize_url",
    )

    def __init__(self, known: Known, pace: ConcurrencyLimiter) -> None:
        self.known = known
        self.pace = pace
        self.chat_url = URL(known.base_url + "/chat/completions")
        self.models_url = URL(known.base_url + "/models")
        self.tokenize_url = URL(known.base_url.removesuffix("/v1") + "/tokenize")  # vLLM's
        self.pilot = asyncio.Lock()  # while the features are unproven only one request is out
        self.in_flight = 0
        self.failures = 0  # in a row
        self.outcomes = 0
        self.throttled_share = 0.0
        self.rests = 0  # in a row
        self.resting = False
        self.rest_until = 0.0

    def note(self, *, throttled: bool) -> None:
        """Count one outcome."""
        self.outcomes += 1
        self.throttled_share += (throttled - self.throttled_share) * _SHARE_OF_LAST

    @property
    def is_over_its_limit(self) -> bool:
        """Whether a 429 now is more than the affair of one request."""
        return self.throttled_share > _SEVERE_SHARE or self.outcomes <= _FIRST_OUTCOMES


class _CircuitBreaker:
    """Watches over all endpoints of a model: how long nothing but failure has come from them."""

    def __init__(self, patience: Patience, n_endpoints: int) -> None:
        self._patience = patience
        self._n_endpoints = n_endpoints
        self._failures = 0  # since the last answer or 429: who says 429 is there
        self._unreached = 0
        self._failing_since: float | None = None
        self._unanswered_since: float | None = None
        self._ever_good = False

    def good(self) -> None:
        """Somebody answered."""
        self._failures = self._unreached = 0
        self._failing_since = self._unanswered_since = None
        self._ever_good = True

    def bad(self, endpoint: Endpoint, trouble: PassingError, *, now: float, in_flight: int) -> None:
        """A try went wrong. EngineError when that has gone on for too long, NotFinished when it is a matter of time."""
        patience = self._patience
        if trouble.wait_s is not None and trouble.wait_s > patience.throttled_s and self._n_endpoints == 1:
            raise _later(endpoint, f"it asks for {trouble.wait_s:,.0f} s of patience", trouble)
        self._unanswered_since = now if self._unanswered_since is None else self._unanswered_since
        if trouble.throttled:
            self._failures = self._unreached = 0
            self._failing_since = None
            if now - self._unanswered_since >= patience.throttled_s:
                raise _later(endpoint, f"nothing but HTTP 429 for {now - self._unanswered_since:.0f} s", trouble)
            return
        self._failing_since = now if self._failing_since is None else self._failing_since
        self._failures += 1
        self._unreached += trouble.unreached
        bad_s = now - self._failing_since
        if not self._ever_good and self._failures == self._unreached:
            if self._failures >= 3 * self._n_endpoints and bad_s >= patience.start_s:
                raise _down(endpoint, "nobody can be reached", trouble)
        elif bad_s >= patience.run_s and self._failures >= 3 * max(in_flight + 1, 2):
            raise _down(endpoint, f"no answer for {bad_s:.0f} s, {self._failures} failures in a row", trouble)


class _LostTime:
    """Watches what the time of requests goes into: one that hangs costs as much as thousands that are answered."""

    def __init__(self, patience: Patience) -> None:
        self._most_s = patience.throttled_s
        self._since: float | None = None
        self._good = self._bad = 0
        self._good_s = self._lost_s = 0.0

    def good(self, seconds: float) -> None:
        """A request was answered after so long."""
        self._good += 1
        self._good_s += seconds

    def bad(self, endpoint: Endpoint, trouble: PassingError, seconds: float, *, now: float) -> None:
        """A request brought nothing for so long. NotFinished where nearly all the time goes that way."""
        if self._since is None or now - self._since >= 2 * self._most_s:  # since then all was well
            self._since, self._good, self._bad, self._good_s, self._lost_s = now - seconds, 0, 0, 0.0, 0.0
        self._bad += 1
        self._lost_s += seconds
        if now - self._since < self._most_s:
            return
        busy = self._lost_s > self._most_s / 2  # with one request at least; most waits otherwise are between tries
        if self._good and busy and self._lost_s > _MOST_LOST * (self._lost_s + self._good_s):
            share = f"{self._bad:,} of {self._bad + self._good:,} requests brought nothing"
            said = f"for {now - self._since:.0f} s {share}, and took nearly all of the time"
            raise _later(endpoint, said, trouble, first="see that it copes (`concurrency`, `timeout_s`), or ")
        self._since = None


class Endpoints:
    """Hands out places at the least loaded endpoint, and takes them back with what happened."""

    def __init__(self, endpoints: Sequence[Endpoint], patience: Patience) -> None:
        self._all = tuple(endpoints)
        self._breaker = _CircuitBreaker(patience, len(self._all))
        self._lost = _LostTime(patience)
        self._loop = asyncio.get_running_loop()
        self._again: deque[asyncio.Future[Endpoint]] = deque()
        self._new: deque[asyncio.Future[Endpoint]] = deque()
        self._timers: dict[Endpoint, asyncio.TimerHandle] = {}

    @property
    def in_flight(self) -> int:
        return sum(one.in_flight for one in self._all)

    def grab(self) -> Endpoint | None:
        """A place at the least loaded endpoint that has room, or None."""
        best = None
        for endpoint in self._all:
            if endpoint.resting or endpoint.in_flight >= endpoint.pace.limit:
                continue
            if best is None or endpoint.in_flight < best.in_flight:
                best = endpoint
        if best is not None:
            best.in_flight += 1
        return best

    async def take(self) -> Endpoint:
        """A place for a new request, as soon as there is one."""
        return self.grab() or await self._wait(self._new)

    async def take_again(self) -> Endpoint:
        """A place for another try; those who wait for one are served first."""
        return self.grab() or await self._wait(self._again)

    async def _wait(self, queue: deque[asyncio.Future[Endpoint]]) -> Endpoint:
        ticket: asyncio.Future[Endpoint] = self._loop.create_future()
        queue.append(ticket)
        return await ticket

    def leave(self, endpoint: Endpoint) -> None:
        """Give a place back; whoever waits gets it."""
        endpoint.in_flight -= 1
        if self._again or self._new:
            self._serve()

    def _serve(self) -> None:
        for waiting in (self._again, self._new):
            while waiting:
                if waiting[0].done():  # cancelled
                    waiting.popleft()
                    continue
                endpoint = self.grab()
                if endpoint is None:
                    return
                waiting.popleft().set_result(endpoint)

    def good(self, endpoint: Endpoint, latency_s: float) -> None:
        """The endpoint gave an answer, or words about one request: it is alive. The place is given back."""
        endpoint.note(throttled=False)
        endpoint.failures = endpoint.rests = 0
        self._breaker.good()
        self._lost.good(latency_s)
        endpoint.pace.answered(latency_s)
        self.leave(endpoint)

    def bad(self, endpoint: Endpoint, trouble: PassingError, after_s: float) -> None:
        """A try went wrong after so long: the endpoint may rest, or get fewer requests. The place is given back.

        EngineError or NotFinished when this has gone on for too long.
        """
        endpoint.note(throttled=trouble.throttled)
        if trouble.throttled:
            severe = endpoint.is_over_its_limit
            endpoint.pace.cut(severe=severe)
            if severe and trouble.wait_s:
                self._rest(endpoint, trouble.wait_s)
        elif trouble.unreached:
            endpoint.pace.collapse()
            self._rest(endpoint, None)
        else:
            endpoint.failures += 1
            if trouble.overloaded:
                endpoint.pace.cut()
            if trouble.wait_s:
                self._rest(endpoint, trouble.wait_s)
            elif len(self._all) > 1 and endpoint.failures >= _ROW_OF_FAILURES:
                self._rest(endpoint, None)
        self.leave(endpoint)
        now = self._loop.time()
        self._breaker.bad(endpoint, trouble, now=now, in_flight=self.in_flight)
        if not trouble.throttled:
            self._lost.bad(endpoint, trouble, after_s, now=now)

    def _rest(self, endpoint: Endpoint, seconds: float | None) -> None:
        if seconds is None:
            if endpoint.resting:
                return  # those that were out at the same time say the same
            seconds = min(_MOST_REST_S, 0.5 * 2**endpoint.rests)
            endpoint.rests += 1
        until = self._loop.time() + min(seconds, LONGEST_WAIT_S)
        if endpoint.resting and until <= endpoint.rest_until:
            return
        endpoint.resting, endpoint.rest_until = True, until
        if endpoint in self._timers:
            self._timers[endpoint].cancel()
        self._timers[endpoint] = self._loop.call_at(until, self._rested, endpoint)

    def _rested(self, endpoint: Endpoint) -> None:
        endpoint.resting = False
        self._serve()


def _down(endpoint: Endpoint, what: str, trouble: PassingError) -> EngineError:
    return EngineError(
        f"{endpoint.known.base_url}: {what}; the last: {trouble.words}",
        fix="see that the endpoint runs and `base_url` is right, then run the same command again; what was answered is kept",
    )


def _later(endpoint: Endpoint, what: str, trouble: PassingError, *, first: str = "") -> NotFinished:
    return NotFinished(
        f"{endpoint.known.base_url}: {what}; the last: {trouble.words}",
        fix=f"{first}run the same command again later; what was answered is kept",
    )
