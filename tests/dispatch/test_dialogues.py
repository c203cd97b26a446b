"""Dialogues: driven once in any order and however often interrupted, replayed in their own order from the store alone."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefgen.dialogues import Call, Dialogue, replayed
from prefgen.dispatch.dispatcher import Dispatcher
from prefgen.engines.engine import DeferredError, Meter, RefusedError
from prefgen.engines.store import ResponseStore
from prefgen.errors import EngineError, NotFinished
from prefgen.records import Request, Response
from prefgen.spec.models import OpenAIModel

SPEC = OpenAIModel(engine="openai", model="m", concurrency=8)


def question(text: str) -> Request:
    return Request("m", None, (("user", text),))


@dataclass
class Speaker:
    """Answers with what it was asked and how long that was; `lost` texts fail, `later` ones come another time."""

    room: int = 8
    lost: frozenset[str] = frozenset()
    later: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    stops_after: int | None = None
    wait_s: float = 0.0
    asked: list[str] = field(default_factory=list)
    out: int = 0
    most_out: int = 0

    @asynccontextmanager
    async def session(self, meter: Meter) -> AsyncIterator[Speaker]:
        yield self

    async def settle(self) -> None:
        if self.later:
            raise NotFinished("some come later", fix="run again")

    async def answer(self, request: Request) -> Response:
        text = request.messages[-1][1]
        self.asked.append(text)
        if self.stops_after is not None and len(self.asked) > self.stops_after:
            raise EngineError("gone")
        if text in self.later:
            raise DeferredError
        if text in self.refused:
            raise RefusedError("no")
        self.out += 1
        self.most_out = max(self.most_out, self.out)
        await asyncio.sleep(self.wait_s)
        self.out -= 1
        if text in self.lost:
            return Response(request.request_id, failure="lost", final=False)
        return Response(request.request_id, text=f"<{text}>")


def talk(name: int, turns: int, width: int = 1) -> Dialogue[tuple[int, str]]:
    """Each turn asks about what was said before, `width` things at once."""
    said = str(name)
    for turn in range(turns):
        answers = yield [Call("m", question(f"{said}/{at}")) for at in range(width)]
        said = "+".join(answer.failure or answer.text for answer in answers)
        said = f"{name}.{turn}:{sum(map(ord, said)) % 99_991}"
    return name, said


@pytest.fixture
def store(tmp_path):
    with ResponseStore(tmp_path / "responses.sqlite") as opened:
        yield opened


def dispatcher(store: ResponseStore, speaker: Speaker) -> Dispatcher:
    return Dispatcher(store, {"m": SPEC}, open_engine=lambda spec, store: speaker)


SHAPES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4), st.integers(1, 3)), max_size=300)


@settings(max_examples=30, deadline=None)
@given(shapes=SHAPES, room=st.integers(1, 40), stops=st.lists(st.integers(0, 200), max_size=3))
def test_whatever_interrupts_it_each_thing_is_asked_once_and_the_replay_is_that_of_a_calm_drive(
    tmp_path_factory, shapes, room, stops
):
    def dialogues() -> Iterator[Dialogue[tuple[int, str]]]:
        return (talk(*shape) for shape in shapes)

    with (
        ResponseStore(tmp_path_factory.mktemp("calm") / "r.sqlite") as calm,
        ResponseStore(tmp_path_factory.mktemp("torn") / "r.sqlite") as torn,
    ):
        dispatcher(calm, Speaker(room)).drive(["m"], dialogues(), planned=0)
        answered: Counter[str] = Counter()
        for stop in [*stops, None]:
            speaker = Speaker(room, stops_after=stop)
            before = len(torn)
            try:
                meter = dispatcher(torn, speaker).drive(["m"], dialogues(), planned=0)
            except EngineError:
                assert stop is not None
            else:
                assert meter.answered == len(torn) - before
                assert meter.answered == len(speaker.asked)
            answered.update(speaker.asked)
        torn_again = Speaker(room)
        dispatcher(torn, torn_again).drive(["m"], dialogues(), planned=0)
        assert torn_again.asked == []
        # beyond what was in flight at each stop
        assert sum(answered.values()) - len(answered) <= len(stops) * (3 * room + 1)
        assert list(replayed(dialogues(), torn.read)) == list(replayed(dialogues(), calm.read))


def test_a_slow_answer_holds_up_only_its_own_dialogue(store):
    order: list[str] = []

    class Noting(Speaker):
        async def answer(self, request: Request) -> Response:
            text = request.messages[-1][1]
            while text == "0/0" and len(order) < 490:
                await asyncio.sleep(0.001)
            order.append(text)
            return await super().answer(request)

    dispatcher(store, Noting(room=4)).drive(["m"], (talk(n, 10) for n in range(50)), planned=500)
    slow = order.index("0/0")
    assert slow == 490  # everything else was said meanwhile
    assert len(order) == 500


def test_as_many_are_out_as_there_is_room_and_dialogues_under_way_go_first(store):
    speaker = Speaker(room=8, wait_s=0.001)
    opened: list[int] = []

    def noted() -> Iterator[Dialogue[tuple[int, str]]]:
        for n in range(3000):
            opened.append(n)
            yield talk(n, 2)

    most = 0

    class Looking(Speaker):
        async def answer(self, request: Request) -> Response:
            nonlocal most
            most = max(most, len(opened) - len(self.asked) // 2)
            return await super().answer(request)

    speaker = Looking(room=8, wait_s=0.0)
    dispatcher(store, speaker).drive(["m"], noted(), planned=0)
    assert speaker.most_out == 8
    assert most <= 128 + 128 + 8


def test_several_questions_of_one_turn_are_asked_at_once(store):
    speaker = Speaker(room=4, wait_s=0.01)
    dispatcher(store, speaker).drive(["m"], [talk(1, 3, 4)], planned=12)
    assert speaker.most_out == 4


def test_dialogues_that_ask_the_same_share_the_answer(store):
    speaker = Speaker(room=16, wait_s=0.002)
    meter = dispatcher(store, speaker).drive(["m"], (talk(n % 5, 4) for n in range(100)), planned=0)
    assert len(speaker.asked) == 20
    assert meter.stored + meter.sent == 400
    assert len({said for _, said in replayed((talk(n % 5, 4) for n in range(100)), store.read)}) == 5


def test_a_failure_is_an_answer_and_its_dialogue_goes_on(store):
    speaker = Speaker(lost=frozenset(["3/0"]))
    meter = dispatcher(store, speaker).drive(["m"], (talk(n, 2) for n in range(10)), planned=20)
    assert (meter.answered, meter.failed) == (19, 1)
    again = Speaker()
    dispatcher(store, again).drive(["m"], (talk(n, 2) for n in range(10)), planned=20)
    assert again.asked[0] == "3/0"
    assert len(again.asked) == 2  # another answer leads to another question


def test_refusals_before_any_answer_are_not_final_and_reach_their_dialogues(store):
    speaker = Speaker(room=1, refused=frozenset(f"{n}/0" for n in range(5)))
    dispatcher(store, speaker).drive(["m"], (talk(n, 1) for n in range(5)), planned=5)
    ids = [question(f"{n}/0").request_id for n in range(5)]
    assert [(one.failure, one.final) for one in store.read(ids)] == [("no", False)] * 5


def test_what_comes_later_parks_its_dialogue_and_the_others_go_on(store):
    later = frozenset(f"{n}/0" for n in range(0, 100, 2))
    speaker = Speaker(later=later)
    with pytest.raises(NotFinished):
        dispatcher(store, speaker).drive(["m"], (talk(n, 3) for n in range(100)), planned=300)
    assert Counter(text in later for text in speaker.asked) == {True: 50, False: 150}
    dispatcher(store, Speaker()).drive(["m"], (talk(n, 3) for n in range(100)), planned=300)
    assert len(store) == 300


def test_two_models_in_one_dialogue_have_a_room_each(store):
    engines = {"a": Speaker(room=2, wait_s=0.001), "b": Speaker(room=6, wait_s=0.001)}
    models = {"a": OpenAIModel(engine="openai", model="a"), "b": OpenAIModel(engine="openai", model="b")}

    def both(n: int) -> Dialogue[str]:
        (said,) = yield [Call("a", question(f"{n}"))]
        (heard,) = yield [Call("b", question(said.text))]
        return heard.text

    asker = Dispatcher(store, models, open_engine=lambda spec, store: engines[spec.model])
    asker.drive(["a", "b"], map(both, range(100)), planned=200)
    assert [len(one.asked) for one in engines.values()] == [100, 100]
    assert list(replayed(map(both, range(100)), store.read)) == [f"<<{n}>>" for n in range(100)]


def test_an_event_loop_that_runs_already_is_no_hindrance(store):
    async def cell() -> int:
        return dispatcher(store, Speaker()).drive(["m"], (talk(n, 2) for n in range(20)), planned=40).answered

    assert asyncio.run(cell()) == 40


def test_an_error_in_a_dialogue_ends_the_drive_as_it_is(store):
    def broken() -> Dialogue[None]:
        yield [Call("m", question("x"))]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        dispatcher(store, Speaker()).drive(["m"], [broken()], planned=1)
    assert len(store) == 1


def test_memory_does_not_grow_with_the_number_of_dialogues(tmp_path):
    def peak(n: int) -> int:
        with ResponseStore(tmp_path / f"{n}.sqlite") as store:
            speaker = Speaker()
            speaker.asked = Nothing()
            tracemalloc.start()
            dispatcher(store, speaker).drive(["m"], (talk(each, 3) for each in range(n)), planned=0)
            for _ in replayed((talk(each, 3) for each in range(n)), store.read):
                pass
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return most

    assert peak(6_000) < 1.3 * peak(2_000)


class Nothing(list):
    def append(self, _: object) -> None: ...
