"""The tables of one run, made one after the other or found as an earlier run made them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from prefgen.dialogues import Dialogue
from prefgen.dispatch.dispatcher import Dispatcher
from prefgen.dispatch.prices import price_of
from prefgen.engines.engine import Meter
from prefgen.engines.open import Place, opener_on
from prefgen.engines.store import ResponseStore
from prefgen.errors import EngineError, GateError
from prefgen.flow.pipeline import context_of, grain_of, lineage_of, step_of
from prefgen.flow.planned import Plan
from prefgen.judging.nonresponse import UNANSWERED, NonresponseReasons
from prefgen.records import Request, Response
from prefgen.spec.models import ModelSpec
from prefgen.spec.pipeline import Pipeline
from prefgen.steps.step import Output, Step
from prefgen.store.folder import RunFolder
from prefgen.store.log import RunLog
from prefgen.store.manifest import step_account, without_texts
from prefgen.store.table import Table
from prefgen.store.tables import Account


class Reporter(Protocol):
    """Whoever looks on while a run works: a progress bar, a stream of events, nobody."""

    def planned(self, plan: Plan, folder: Path) -> None:
        """What is going to be made; nothing was asked yet."""

    def begins(self, step: str, kind: str) -> None:
        """A step is begun."""

    def asks(self, step: str, meter: Meter) -> None:
        """A step's requests, about ten times a second."""

    def made(self, account: Account) -> None:
        """A step's table stands."""

    def says(self, sentence: str) -> None:
        """Anything else worth a line."""


@dataclass(slots=True)
class Making:
    """The tables of one run while they are made.

    plan    what was foreseen; the tables that it had to make are not made again
    """

    pipeline: Pipeline
    folder: RunFolder
    store: ResponseStore
    prints: Mapping[str, str]
    plan: Plan
    reporter: Reporter
    log: RunLog
    budget_usd: float | None
    retry_failed: bool
    on: Place
    tables: dict[str, Table] = field(default_factory=dict)
    grains: dict[str, str] = field(default_factory=dict)
    accounts: list[Account] = field(default_factory=list)
    _ask: Dispatcher = field(init=False)
    _step: str = ""
    _meters: list[Meter] = field(default_factory=list)  # of the step at work, one for each time it sends
    _asked_s: float = 0.0  # seconds for which the step at work waited for answers
    _redo: bool = False

    def __post_init__(self) -> None:
        models, budget = self.pipeline.models, self.budget_usd
        self._ask = Dispatcher(
            self.store, models, budget_usd=budget, price_of=price_of, watch=self._look, open_engine=opener_on(self.on)
        )

    def close(self) -> None:
        """Nothing more is made: the engines let go of their weights and processes."""
        self._ask.close()

    def _look(self, meter: Meter) -> None:
        if not self._meters or meter is not self._meters[-1]:
            self._meters.append(meter)
        total = Meter.total(self._meters)
        self.reporter.asks(self._step, total)
        self.log.progress(step=self._step, **asdict(total))

    def _tick(self, seconds: float) -> None:
        self._asked_s += seconds

    def once(self, name: str) -> Table:
        """A step's table, made now or found as an earlier run made it."""
        account = self.folder.tables.account(name, fingerprint=self.prints[name])
        if account is not None and (
            unanswered(account) or (self.retry_failed and account["summary"].get("statuses", {}).get("failed"))
        ):
            self._redo = True  # from here on every table may change
        if account is None or self._redo:
            if self.pipeline.steps[name].asks():
                check_answered(self.accounts)  # nothing is paid for on top of nothing
                self._check_left(name)
            account = self._make(name)
            self.reporter.made(account)
            self.log.event("made", **without_texts(account))
        self.plan.made.pop(name, None)
        self.tables[name] = self.folder.tables.read(name, check=False)
        self.grains[name] = account["grain"]
        self.accounts.append(account | {"reads": self.pipeline.steps[name].reads()})
        return self.tables[name]

    def _check_left(self, name: str) -> None:
        """GateError where what a model wrote, or what rests on its answers, was dropped down to the last row."""
        paid = {account["name"] for account in self.accounts if account["model"] is not None}
        for _, read in self.pipeline.steps[name].reads():
            account = next(one for one in self.accounts if one["name"] == read)
            if account["kept"] or not paid & {read, *lineage_of(self.pipeline, read)}:
                continue
            dropped = sorted(account["dropped"].items(), key=lambda one: (-one[1], one[0]))
            said = ", ".join(f"{count:,} {reason}" for reason, count in dropped) or "it has no rows"
            raise GateError(
                f"{read}: none of {account['rows']:,} rows was kept ({said}), so {name!r} has nothing to ask about",
                fix=f"look at `tables/{read}/` in the folder of the run, and change what {read!r} checks or which model is asked; all answers are kept",
            )

    def _make(self, name: str) -> Account:
        step = step_of(self.pipeline, name)
        self.reporter.begins(name, step.kind)
        self.log.event("begin", step=name, kind=step.kind)
        self._step, self._meters, self._asked_s, begun = name, [], 0.0, time.monotonic()
        nonresponse = NonresponseReasons()
        context = context_of(self.pipeline, name, _Heard(self._ask, nonresponse, self._tick))
        made = self.plan.made.pop(name, None)
        frames = made or Output(step, self.tables, context)
        begun -= made.seconds if made is not None else 0.0

        def account(table: Table) -> Account:
            return self._account(step, table, frames.summary, nonresponse, seconds=time.monotonic() - begun)

        packed = step.packed(self.tables)
        return self.folder.tables.write(name, frames, fingerprint=self.prints[name], account=account, packed=packed)

    def _account(
        self, step: Step, table: Table, summary: Mapping[str, Any], nonresponse: NonresponseReasons, *, seconds: float
    ) -> Account:
        """What the manifest says of the step at work, all of whose rows are written."""
        name, meter, above = table.name, Meter.total(self._meters), [read for _, read in step.reads()]
        self._remember_speed(name, meter)
        found = nonresponse.notes(summary.get("statuses", {}))
        done = step_account(
            name=name,
            kind=step.kind,
            grain=grain_of(step, table, self.grains),
            fingerprint=self.prints[name],
            rows_in=self.tables[above[0]].n_rows if above else 0,
            table=table,
            summary=summary,
            models=[model for _, model in step.asks()],
            asked=_asked(meter) | {"nonresponse": found},
            seconds=seconds,
        )
        if unanswered(done):
            self.store.reopen(nonresponse.failed_finally)
        return done

    def _remember_speed(self, name: str, meter: Meter) -> None:
        """Keep how fast the model of a step answered, for the plans to come."""
        asked = self.pipeline.steps[name].asks()
        if len(asked) == 1:  # of several, nobody can say how long each took
            from prefgen.dispatch.speed import remember_speed

            task = next(step.asked[0].task for step in self.plan.steps if step.name == name)
            remember_speed(self.pipeline.models[asked[0][1]], task, requests=meter.answered, seconds=self._asked_s)


class _Heard:
    """The engine room as a step sees it, with somebody who listens to the answers and looks at the clock."""

    def __init__(self, ask: Dispatcher, nonresponse: NonresponseReasons, tick: Callable[[float], None]) -> None:
        self._ask = ask
        self._nonresponse = nonresponse
        self._tick = tick

    def spec(self, model: str) -> ModelSpec:
        return self._ask.spec(model)

    def send(self, model: str, requests: Iterable[Request], *, planned: int) -> Meter:
        with self._timed():
            return self._ask.send(model, requests, planned=planned)

    def drive(self, models: Sequence[str], dialogues: Iterable[Dialogue[Any]], *, planned: int) -> Meter:
        with self._timed():
            return self._ask.drive(models, dialogues, planned=planned)

    def read(self, request_ids: Sequence[str]) -> list[Response]:
        responses = self._ask.read(request_ids)
        self._nonresponse.hear(responses)
        return responses

    @contextmanager
    def _timed(self) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self._tick(time.monotonic() - begun)


def unanswered(account: Account) -> bool:
    """Whether a step asked, and nothing came that can be read."""
    statuses = account["summary"].get("statuses", {}) if account["model"] is not None else {}
    came = {status for status, count in statuses.items() if count}
    return bool(came) and came <= UNANSWERED


def check_answered(accounts: Iterable[Account]) -> None:
    """EngineError where a step asked and got nothing that can be read: its table stands, and the next run asks anew."""
    for account in filter(unanswered, accounts):
        rows = sum(account["summary"]["statuses"].values())
        why = "; ".join(account.get("nonresponse", ())) or "no answer could be read"
        some = set(account["summary"]["statuses"]) == {"failed"} and account["requests"]["answered"]
        said = f"only {some:,} requests were answered" if some else "nothing was answered"
        raise EngineError(
            f"{account['name']}: {said}; 0 of {rows:,} rows have an answer: {why}",
            fix="correct the model's settings (`prefgen doctor` tries an endpoint), then run the same command again: it goes on from here",
        )


def _asked(meter: Meter) -> dict[str, Any]:
    return {
        "requests": {
            "planned": meter.planned,
            "stored": meter.stored,
            "sent": meter.sent,
            "answered": meter.answered,
            "failed": meter.failed,
            "retries": meter.retries,
            "throttled": meter.throttled,
        },
        "tokens": {
            "prompt": meter.prompt_tokens,
            "cached": meter.cached_tokens,
            "completion": meter.completion_tokens,
        },
        "cost_usd": meter.cost_usd,
        "notes": list(meter.notes),
    }
