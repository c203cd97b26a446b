"""What stands between the steps and the engines: nothing is asked twice, nothing answered is lost, no budget is passed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from prefgen.dialogues import Call, Dialogue
from prefgen.dispatch.budget import Budget
from prefgen.dispatch.replay import NOT_IN_FILE, Replays
from prefgen.dispatch.turns import Singles, Talks, Turns
from prefgen.engines.engine import Engine, Meter
from prefgen.engines.open import open_engine
from prefgen.engines.store import NEVER_ASKED, ResponseStore
from prefgen.records import Request, Response
from prefgen.spec.models import ModelSpec, ReplayModel

if TYPE_CHECKING:
    from prefgen.dispatch.prices import Price

_REPLAY_CHUNK = 1000
_WATCH_SECONDS = 0.1


def _nobody(_: Meter) -> None:
    """A reporter who does not look."""


def _no_price(_: ModelSpec) -> Price | None:
    return None


class Dispatcher:
    """Has requests and dialogues answered by the models of a pipeline, and reads the responses back.

    budget_usd   most money that it spends over all its models, or None
    watch        called with the meter of the step at work, about ten times a second
    price_of     what a model costs; None where nobody knows
    open_engine  makes the engine of a model, only when there is something to ask it

    `send` and `drive` return when everything has a stored response; only what is not stored is asked. Requests are
    taken as the engines have room, so any number of them fits into memory; those with the same id are asked once.
    When everything is stored no engine is even opened. EngineError when a model cannot be used at all, NotFinished
    when the budget is reached or a batch is still waiting, UsageError when a budget is to be kept and a model has no
    price. Whatever ends it, what was answered is stored.
    """

    def __init__(
        self,
        store: ResponseStore,
        models: Mapping[str, ModelSpec],
        *,
        budget_usd: float | None = None,
        watch: Callable[[Meter], None] = _nobody,
        price_of: Callable[[ModelSpec], Price | None] = _no_price,
        open_engine: Callable[..., Engine] = open_engine,
    ) -> None:
        self._store = store
        self._models = models
        self._watch = watch
        self._price_of = price_of
        self._open = open_engine
        self._budget = Budget(budget_usd)
        self._replays = Replays(models)
        self._engines: dict[str, Engine] = {}
        self._prices: dict[str, Price | None] = {}

    def spec(self, name: str) -> ModelSpec:
        """The settings of a model of the pipeline."""
        return self._models[name]

    def price(self, name: str) -> Price | None:
        """What a model costs, where somebody knows."""
        if name not in self._prices:
            self._prices[name] = self._price_of(self._models[name])
        return self._prices[name]

    def engine(self, name: str) -> Engine:
        """The engine of a model, kept for the next step that asks it: weights are loaded once."""
        if name not in self._engines:
            self._engines[name] = self._open(self._models[name], store=self._store)
        return self._engines[name]

    def close(self) -> None:
        """Let go of the engines: weights leave the memory, processes end. Further requests open them again."""
        while self._engines:
            self._engines.popitem()[1].close()

    def send(self, model: str, requests: Iterable[Request], *, planned: int) -> Meter:
        """Have requests answered on which no other depends."""
        meter, spec = Meter(planned=planned), self._models[model]
        if isinstance(spec, ReplayModel):
            return self._replay(spec, requests, meter)
        return self._drive(Singles(model, requests, self._store, meter), [model], meter)

    def drive(self, models: Sequence[str], dialogues: Iterable[Dialogue[Any]], *, planned: int) -> Meter:
        """Have dialogues with some models held to their ends; what they return is dropped, see `replayed`.

        A bounded number is under way at once, and a slow answer holds up only its own dialogue.
        """
        meter = Meter(planned=planned)
        return self._drive(Talks(dialogues, partial(self._known, meter), meter), models, meter)

    def read(self, request_ids: Sequence[str]) -> list[Response]:
        """The stored responses in the order of the ids; one never asked, or not in the replayed file, is a failure."""
        found = self._store.find(request_ids)
        if self._replays and len(found) < len(request_ids):
            found.update(self._replays.find([name for name in request_ids if name not in found]))
        absent = NOT_IN_FILE if self._replays else NEVER_ASKED
        return [found.get(name) or Response(name, failure=absent, final=bool(self._replays)) for name in request_ids]

    def _drive(self, turns: Turns, models: Sequence[str], meter: Meter) -> Meter:
        for name in models:
            if self.price(name) is not None:
                meter.cost_usd = 0.0
            self._budget.check_can_be_kept(self._models[name], self.price(name))
        watched_at = 0.0

        def look() -> None:
            nonlocal watched_at
            now = time.monotonic()
            if now - watched_at >= _WATCH_SECONDS:
                watched_at = now
                meter.planned = max(meter.planned, meter.stored + meter.sent)
                self._watch(meter)

        broke = False
        try:
            first = turns.next()
            if first is not None:
                from prefgen.dispatch import loop  # asyncio is 20 ms, and a finished run asks nobody
                from prefgen.dispatch.drive import Drive

                drive = Drive(turns, self, self._store, self._budget, meter, look)
                loop.run(drive.run(first))
                broke = drive.broke
        finally:
            self._store.commit(sync=True)
            self._watch(meter)
        if broke:
            raise self._budget.reached(meter)
        return meter

    def _known(self, meter: Meter, calls: Sequence[Call]) -> dict[str, Response]:
        """The responses there are, failures that may pass left out; of a replayed file all, and what it lacks is a failure."""
        replayed: list[str] = []
        asked: list[str] = []
        for call in calls:
            told = replayed if isinstance(self._models[call.model], ReplayModel) else asked
            told.append(call.request.request_id)
        found = self._store.find(asked).items() if asked else ()
        known = {name: response for name, response in found if response.failure is None or response.final}
        if replayed:
            known |= zip(replayed, self.read(replayed), strict=True)
            lost = sum(known[name].failure == NOT_IN_FILE for name in replayed)
            meter.failed += lost
            meter.stored -= lost  # as which it is counted, being known
        return known

    def _replay(self, spec: ReplayModel, requests: Iterable[Request], meter: Meter) -> Meter:
        """Count what the file has; nothing is sent and nothing written."""
        source = iter(requests)
        while ids := [request.request_id for request in islice(source, _REPLAY_CHUNK)]:
            lost = set(self._replays.missing(spec, self._store.missing(ids)))
            n_lost = sum(name in lost for name in ids) if lost else 0
            meter.failed += n_lost
            meter.stored += len(ids) - n_lost
            self._watch(meter)
        return meter
