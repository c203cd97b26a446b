"""The seam between the pure rooms and the models: what an engine is, and what it reports while it works."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, fields
from typing import Protocol

from prefgen.records import Request, Response


@dataclass(slots=True)
class Meter:
    """What has happened so far, for the progress line, the budget and the manifest.

    An engine counts `in_flight`, `retries` and `throttled`, and says `retried_for`; the dispatcher counts the rest.
    """

    planned: int = 0  # requests of this step, stored ones included
    stored: int = 0  # found in the store, not asked
    sent: int = 0  # handed to the engine
    answered: int = 0
    failed: int = 0
    in_flight: int = 0
    retries: int = 0
    throttled: int = 0  # HTTP 429 seen
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None  # None: no price is known for this model
    retried_for: str = ""  # the commonest reason of retries; '' without one
    waiting: str = ""  # what nothing happens for just now; '' when something does
    notes: list[str] = field(default_factory=list)  # what the engine found out, e.g. which features the server has

    @classmethod
    def total(cls, meters: Sequence[Meter]) -> Meter:
        """Several sendings of one step together; a cost is known when one of them is."""
        whole = cls()
        for meter in meters:
            for name in _COUNTS:
                setattr(whole, name, getattr(whole, name) + getattr(meter, name))
            if meter.cost_usd is not None:
                whole.cost_usd = (whole.cost_usd or 0.0) + meter.cost_usd
        whole.retried_for = next((meter.retried_for for meter in reversed(meters) if meter.retried_for), "")
        whole.notes = list(dict.fromkeys(note for meter in meters for note in meter.notes))
        return whole


_COUNTS = tuple(one.name for one in fields(Meter) if one.name not in ("cost_usd", "retried_for", "waiting", "notes"))


class RefusedError(Exception):
    """The server will not answer this request, however often it is asked; its words, made discreet.

    As long as nothing at all was answered it may be the settings that are wrong, and not the request.
    """


class DeferredError(Exception):
    """The request was taken, and its answer comes with a later run."""


class Session(Protocol):
    """An engine at work, in one event loop."""

    async def answer(self, request: Request) -> Response:
        """The response to one request; any number may be awaited, those beyond the engine's `room` queue.

        A request that cannot be answered becomes a response with a `failure`. Raises RefusedError, DeferredError;
        EngineError when no request at all can be answered (wrong key, nobody there), NotFinished when that is a matter of time.
        """
        ...

    async def settle(self) -> None:
        """Nothing more can be asked for now. NotFinished where answers are still to come (a batch)."""


class Engine(Protocol):
    """Turns requests into responses."""

    @property
    def room(self) -> int:
        """Requests that it works on at once."""
        ...

    def session(self, meter: Meter) -> AbstractAsyncContextManager[Session]:
        """Begin to work; what happens is counted in `meter`. EngineError when it cannot."""
        ...

    def close(self) -> None:
        """Let go of what outlives a session: weights, processes. Nothing is asked afterwards."""
        ...
