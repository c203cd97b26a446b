"""The seam between the pure rooms and the models: what an engine is, and what it reports while it works."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Protocol

from prefgen.records import Request, Response

Put = Callable[[Request, Response], None]
"""Hands one response to the store. Called exactly once for every request taken, in any order, by one thread."""


@dataclass(slots=True)
class Meter:
    """What has happened so far, for the progress line, the budget and the manifest.

    An engine counts `in_flight`, `retries` and `throttled`; the asker counts the rest.
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
        whole.notes = list(dict.fromkeys(note for meter in meters for note in meter.notes))
        return whole


_COUNTS = tuple(one.name for one in fields(Meter) if one.name not in ("cost_usd", "waiting", "notes"))


class Engine(Protocol):
    """Turns requests into responses.

    `answer` takes requests from the iterator as it has room for them (so memory stays flat), and puts one
    response for each. A request that cannot be answered becomes a response with a `failure`. It raises
    EngineError when no request at all can be answered (wrong key, nobody there), NotFinished when the work
    goes on elsewhere (a batch), and lets KeyboardInterrupt pass after what has arrived was put.
    """

    def answer(self, requests: Iterator[Request], put: Put, meter: Meter) -> None: ...
