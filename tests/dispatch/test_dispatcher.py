from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefgen.dispatch.dispatcher import Dispatcher
from prefgen.engines.engine import Meter
from prefgen.engines.store import ResponseStore
from prefgen.errors import EngineError, NotFinished, UsageError
from prefgen.records import Request, Response
from prefgen.spec.models import OpenAIModel

SPEC = OpenAIModel(engine="openai", model="m", concurrency=8)


def request(number: int) -> Request:
    return Request("m", None, (("user", f"question {number}"),), "text", ("A", "B"), 0.0, 1.0, 4, None, 0)


def requests(n: int) -> Iterator[Request]:
    return (request(number) for number in range(n))


@dataclass
class Echo:
    """An engine with `width` places that answers the oldest once all are taken or nobody else comes, and remembers what it was asked."""

    width: int = 8
    refuses: frozenset[str] = frozenset()
    stops_after: int | None = None
    error: BaseException | None = None
    asked: list[str] = field(default_factory=list)

    @property
    def room(self) -> int:
        return self.width

    @asynccontextmanager
    async def session(self, meter: Meter) -> AsyncIterator[Echo]:
        yield self

    async def settle(self) -> None: ...

    async def answer(self, one: Request) -> Response:
        self.asked.append(one.request_id)
        if self.stops_after is not None and len(self.asked) > self.stops_after:
            assert self.error is not None
            raise self.error
        await asyncio.sleep(0.0005)
        if one.request_id in self.refuses:
            return Response(one.request_id, failure="gave up", final=False, prompt_tokens=10)
        return Response(one.request_id, text="A", prompt_tokens=10, cached_tokens=4, completion_tokens=1)


@dataclass
class Price:
    input_usd_per_mtok: float
    cached_usd_per_mtok: float
    output_usd_per_mtok: float
    batch_factor: float = 0.5


def asker(store: ResponseStore, engine: Echo, **options) -> Dispatcher:
    return Dispatcher(store, {"m": SPEC}, open_engine=lambda spec, store: engine, **options)


@pytest.fixture
def store(tmp_path):
    with ResponseStore(tmp_path / "responses.sqlite") as opened:
        yield opened


@settings(max_examples=40, deadline=None)
@given(
    numbers=st.lists(st.integers(0, 400), max_size=600), known=st.sets(st.integers(0, 400)), width=st.integers(1, 300)
)
def test_what_is_stored_is_not_asked_and_the_rest_is_asked_once(tmp_path_factory, numbers, known, width):
    with ResponseStore(tmp_path_factory.mktemp("store") / "responses.sqlite") as store:
        for number in known:
            store.put(Response(request(number).request_id, text="B"))
        engine = Echo(width=width)
        meter = asker(store, engine).send("m", map(request, numbers), planned=len(numbers))
        wanted = dict.fromkeys(request(number).request_id for number in numbers if number not in known)
        assert engine.asked == list(wanted)
        assert meter.stored + meter.sent == len(numbers)
        assert meter.answered == meter.sent == len(wanted)
        texts = [response.text for response in store.read([request(number).request_id for number in numbers])]
        assert texts == ["B" if number in known else "A" for number in numbers]


def test_a_finished_step_opens_no_engine(store):
    asker(store, Echo()).send("m", requests(50), planned=50)

    def never(*_, **__):
        raise AssertionError("an engine was opened")

    meter = Dispatcher(store, {"m": SPEC}, open_engine=never).send("m", requests(50), planned=50)
    assert (meter.stored, meter.sent) == (50, 0)


def test_a_failure_that_may_pass_is_asked_again_only_when_the_step_is_sent_again(store):
    lost = request(3).request_id
    engine = Echo(refuses=frozenset([lost]), width=1)
    meter = asker(store, engine).send("m", (request(n % 10) for n in range(300)), planned=300)
    assert (meter.answered, meter.failed, engine.asked.count(lost)) == (9, 1, 1)
    assert store.read([lost])[0].failure == "gave up"
    second = Echo()
    assert asker(store, second).send("m", requests(10), planned=10).answered == 1
    assert second.asked == [lost]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EngineError("nobody there")], ids=["interrupt", "engine"])
def test_whatever_ends_a_step_what_arrived_is_stored(store, error):
    with pytest.raises(type(error)):
        asker(store, Echo(stops_after=100, error=error)).send("m", requests(1000), planned=1000)
    assert store.pending == 0
    kept = len(store)
    assert 101 - 8 <= kept <= 100  # 101 were taken, of which the last were still in flight
    again = Echo()
    asker(store, again).send("m", requests(1000), planned=1000)
    assert len(again.asked) == 1000 - kept


def test_what_a_kill_would_cost_never_exceeds_the_concurrency(store, tmp_path):
    at_risk = []

    class Watching(Echo):
        async def answer(self, one):
            with ResponseStore(store.path, read_only=True) as durable:
                at_risk.append(len(self.asked) + 1 - len(durable))
            return await super().answer(one)

    asker(store, Watching(width=8)).send("m", requests(200), planned=200)
    assert max(at_risk) == SPEC.concurrency


def test_the_budget_stops_handing_out_and_the_next_run_goes_on(store):
    price = Price(1_000_000.0, 500_000.0, 2_000_000.0)  # 6 + 4/2 + 2 = 10 USD an answer
    engine = Echo()
    with pytest.raises(NotFinished, match=r"budget of 200\.00 USD is reached") as caught:
        asker(store, engine, budget_usd=200.0, price_of=lambda spec: price).send("m", requests(100), planned=100)
    assert "--budget" in str(caught.value)
    assert len(store) == len(engine.asked) <= 20
    assert len(engine.asked) >= 20 - SPEC.concurrency
    rest = Echo()
    meter = asker(store, rest, budget_usd=2000.0, price_of=lambda spec: price).send("m", requests(100), planned=100)
    assert meter.cost_usd == pytest.approx(10.0 * len(rest.asked))
    assert not {*rest.asked} & {*engine.asked}


def test_a_budget_is_over_all_models(store):
    price = Price(1e6, 1e6, 1e6)  # 11 USD an answer
    ask = Dispatcher(
        store, {"m": SPEC, "n": SPEC}, open_engine=lambda spec, store: Echo(), budget_usd=100, price_of=lambda _: price
    )
    ask.send("m", requests(5), planned=5)
    with pytest.raises(NotFinished):
        ask.send("n", requests(50), planned=50)
    assert len(store) <= 9 + SPEC.concurrency  # what was in flight when the price became clear is let finish


def test_a_budget_for_a_model_without_a_price_is_refused_before_any_request(store):
    engine = Echo()
    with pytest.raises(UsageError, match="nobody knows what 'm' costs"):
        asker(store, engine, budget_usd=1.0).send("m", requests(5), planned=5)
    assert engine.asked == []


def test_the_watcher_sees_the_end_and_does_not_see_everything(store):
    seen: list[int] = []
    asker(store, Echo(), watch=lambda meter: seen.append(meter.answered)).send("m", requests(2000), planned=2000)
    assert seen[-1] == 2000
    assert len(seen) < 200


def test_asking_imports_no_engine_before_it_is_wanted():
    code = "import sys, prefgen.dispatch.dispatcher; print(sorted({'aiohttp', 'openai', 'xllamacpp', 'gguf', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
