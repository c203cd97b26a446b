"""What stands between the steps and the engines: nothing is asked twice, nothing answered is lost, no budget is passed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

from prefgen.dispatch.replay import NOT_IN_FILE, Replays
from prefgen.engines.engine import Engine, Meter
from prefgen.engines.open import open_engine
from prefgen.engines.store import NEVER_ASKED, ResponseStore
from prefgen.errors import NotFinished, UsageError
from prefgen.records import Request, Response
from prefgen.spec.models import BatchModel, EmbeddedModel, ModelSpec, OpenAIModel, ReplayModel

Paid = EmbeddedModel | OpenAIModel | BatchModel
"""Models that an engine answers for; the others only replay."""

if TYPE_CHECKING:
    from prefgen.dispatch.prices import Price

_CHUNK = 128  # requests rendered and looked up at once, while an engine waits: a few milliseconds
_REPLAY_CHUNK = 1000
_WATCH_SECONDS = 0.1
_CHARS_PER_TOKEN = 4  # only for what has no measured cost yet
_TOKENS_AHEAD = 16  # of an answer without a limit, for the same estimate


def _nobody(_: Meter) -> None:
    """A watcher who does not look."""


def _no_price(_: ModelSpec) -> Price | None:
    return None


class Dispatcher:
    """Sends requests to the models of a pipeline and reads the responses back.

    budget_usd   most money that this Dispatcher spends over all its models, or None
    watch        called with the meter of the step at work, about ten times a second
    price_of     what a model costs; None where nobody knows
    open_engine  makes the engine of a model, only when there is something to ask it
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
        self._purse = _Purse(budget_usd)
        self._replays = Replays(models)
        self._engines: dict[str, Engine] = {}

    def spec(self, name: str) -> ModelSpec:
        """The settings of a model of the pipeline."""
        return self._models[name]

    def send(self, model: str, requests: Iterable[Request], *, planned: int) -> Meter:
        """Return when every request has a stored response; only what is not stored is asked.

        Requests are taken as the engine has room, so any number of them fits into memory; those with the same
        id are asked once. When everything is stored the engine is not even opened.

        EngineError when the model cannot be used at all, NotFinished when the budget is reached or a batch is
        still waiting, UsageError when a budget is to be kept and the model has no price. Whatever ends it,
        what was answered is stored.
        """
        spec = self._models[model]
        if isinstance(spec, ReplayModel):
            return self._replay(spec, requests, planned=planned)
        sending = _Sending(self._store, spec, self._purse, self._price_of(spec), self._watch)
        sending.meter.planned = planned
        try:
            todo = sending.to_ask(requests)
            first = next(todo, None)
            if first is not None:
                self._engine(model, spec).answer(chain((first,), todo), sending.put, sending.meter)
        finally:
            self._store.commit(sync=True)
            self._watch(sending.meter)
        sending.check_done()
        return sending.meter

    def read(self, request_ids: Sequence[str]) -> list[Response]:
        """The stored responses in the order of the ids; one never asked, or not in the replayed file, is a failure."""
        found = self._store.find(request_ids)
        if self._replays and len(found) < len(request_ids):
            found.update(self._replays.find([name for name in request_ids if name not in found]))
        absent = NOT_IN_FILE if self._replays else NEVER_ASKED
        return [found.get(name) or Response(name, failure=absent, final=bool(self._replays)) for name in request_ids]

    def _replay(self, spec: ReplayModel, requests: Iterable[Request], *, planned: int) -> Meter:
        """Count what the file has; nothing is sent and nothing written."""
        meter = Meter(planned=planned)
        source = iter(requests)
        while ids := [request.request_id for request in islice(source, _REPLAY_CHUNK)]:
            lost = set(self._replays.missing(spec, self._store.missing(ids)))
            n_lost = sum(name in lost for name in ids) if lost else 0
            meter.failed += n_lost
            meter.stored += len(ids) - n_lost
            self._watch(meter)
        return meter

    def _engine(self, model: str, spec: Paid) -> Engine:
        # Kept for the next step that asks the same model: weights are loaded once.
        if model not in self._engines:
            self._engines[model] = self._open(spec, store=self._store)
        return self._engines[model]


class _Purse:
    """The money that may be spent, over all models."""

    def __init__(self, budget_usd: float | None) -> None:
        self.budget_usd = budget_usd
        self.spent_usd = 0.0

    def allows(self, usd: float) -> bool:
        """Whether so much more may be spent."""
        return self.budget_usd is None or self.spent_usd + usd <= self.budget_usd


class _Sending:
    """One `send`: which requests are out, and what has come back."""

    def __init__(
        self, store: ResponseStore, spec: Paid, purse: _Purse, price: Price | None, watch: Callable[[Meter], None]
    ) -> None:
        self.meter = Meter()
        self._store, self._spec, self._purse, self._price, self._watch = store, spec, purse, price, watch
        self._out: set[str] = set()  # handed out, nothing came back yet
        self._gave_up: set[str] = set()  # failed in this send: a second request of that id waits for the next run
        self._most_at_risk = _most_at_risk(spec)
        self._broke = False
        self._watched_at = 0.0
        if price is not None:
            self.meter.cost_usd = 0.0
        elif purse.budget_usd is not None and isinstance(spec, OpenAIModel | BatchModel):
            raise UsageError(f"--budget: nobody knows what {spec.model!r} costs, so no budget can be kept",
                fix="add the model to your prices file (0 for a server of your own), or leave --budget out")  # fmt: skip

    def to_ask(self, requests: Iterable[Request]) -> Iterator[Request]:
        """The requests without a stored response, each id once, until the money is gone."""
        source = iter(requests)
        while chunk := list(islice(source, _CHUNK)):
            by_id = {request.request_id: request for request in chunk}
            missing = self._store.missing(list(by_id))
            self.meter.stored += len(chunk) - len(missing)
            for request_id in missing:
                if request_id in self._out or request_id in self._gave_up:
                    self.meter.stored += 1  # its twin has been asked
                    continue
                if not self._purse.allows(self._next_cost(by_id[request_id])):
                    self._broke = True
                    return
                # What would be asked again after a kill -9 is what is out and what is not committed: together
                # they stay within the concurrency that the user set.
                if len(self._out) + self._store.pending >= self._most_at_risk:
                    self._store.commit()
                self._out.add(request_id)
                self.meter.sent += 1
                self._look()
                yield by_id[request_id]
            self._look()

    def put(self, request: Request, response: Response) -> None:  # noqa: ARG002 - the seam of engine.Put
        """Store one response and count it."""
        self._out.remove(response.request_id)
        self._store.put(response)
        meter = self.meter
        if response.failure is None:
            meter.answered += 1
        else:
            meter.failed += 1
            self._gave_up.add(response.request_id)
        meter.prompt_tokens += response.prompt_tokens
        meter.cached_tokens += response.cached_tokens
        meter.completion_tokens += response.completion_tokens
        if self._price is not None:
            usd = _cost(
                self._spec, self._price, response.prompt_tokens, response.cached_tokens, response.completion_tokens
            )
            meter.cost_usd = (meter.cost_usd or 0.0) + usd
            self._purse.spent_usd += usd
        self._look()

    def check_done(self) -> None:
        """Raise what `send` ends with when the work was not finished."""
        if self._broke:
            meter, purse = self.meter, self._purse
            raise NotFinished(
                f"the budget of {purse.budget_usd:.2f} USD is reached: {purse.spent_usd:.4f} USD spent, "
                f"{meter.stored + meter.answered + meter.failed} of {meter.planned} requests are answered",
                fix="run the same command again to spend as much once more, or raise --budget")  # fmt: skip
        assert not self._out, f"{len(self._out)} requests were taken by the engine and never put"

    def _next_cost(self, request: Request) -> float:
        """What the requests that are out and this one will cost, as far as one can know."""
        if self._price is None or self._purse.budget_usd is None:
            return 0.0
        back = self.meter.answered + self.meter.failed
        if back:
            each = (self.meter.cost_usd or 0.0) / back
        else:
            prompt = sum(len(content) for _, content in request.messages) // _CHARS_PER_TOKEN
            each = _cost(self._spec, self._price, prompt, 0, min(request.max_tokens, _TOKENS_AHEAD))
        return each * (len(self._out) + 1)

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._watched_at >= _WATCH_SECONDS:
            self._watched_at = now
            self._watch(self.meter)


def _most_at_risk(spec: Paid) -> int:
    """How many requests a kill -9 may cost: as many as are in flight. A batch lies with the provider."""
    if isinstance(spec, OpenAIModel):
        return spec.concurrency * (len(spec.base_url) if isinstance(spec.base_url, list) else 1)
    return 1 if isinstance(spec, EmbeddedModel) else 1_000_000


def _cost(spec: Paid, price: Price, prompt: int, cached: int, completion: int) -> float:
    """US dollars for so many tokens; `cached` ones are part of `prompt`."""
    usd = (prompt - cached) * price.input_usd_per_mtok + cached * price.cached_usd_per_mtok
    usd += completion * price.output_usd_per_mtok
    return usd / 1e6 * (price.batch_factor if isinstance(spec, BatchModel) else 1.0)
