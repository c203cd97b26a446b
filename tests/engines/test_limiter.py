"""How many requests an endpoint gets, who is asked next, and when nobody is left."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefgen.engines.endpoints import Endpoint, Endpoints, Known, Patience
from prefgen.engines.limiter import ConcurrencyLimiter
from prefgen.engines.retry import PassingError
from prefgen.errors import EngineError


def test_a_fast_server_is_at_its_most_within_a_few_rounds():
    pace = ConcurrencyLimiter(64, timeout_s=120)
    answers = 0
    while pace.limit < 64:
        pace.answered(0.05)
        answers += 1
    assert answers <= 64


@given(st.integers(1, 500), st.lists(st.sampled_from(["fast", "slow", "cut", "tenth", "collapse"]), max_size=300))
def test_the_limit_stays_between_one_and_what_the_user_set(most, events):
    pace = ConcurrencyLimiter(most, timeout_s=10)
    for event in events:
        if event in ("fast", "slow"):
            pace.answered(0.01 if event == "fast" else 9.0)
        elif event == "collapse":
            pace.collapse()
        else:
            pace.cut(severe=event == "cut")
        assert 1 <= pace.limit <= most


def test_many_429s_of_one_moment_cut_once_and_later_ones_again():
    pace = ConcurrencyLimiter(64, timeout_s=120)
    for _ in range(100):
        pace.answered(0.01)
    for _ in range(64):
        pace.cut()
    assert pace.limit == 32
    pace.cut()
    assert pace.limit == 16


def test_after_a_cut_it_grows_back_step_by_step():
    pace = ConcurrencyLimiter(64, timeout_s=120)
    for _ in range(100):
        pace.answered(0.01)
    pace.cut()
    for _ in range(32):
        pace.answered(0.01)
    assert pace.limit == 34


def test_it_stops_growing_where_requests_only_queue():
    pace = ConcurrencyLimiter(1000, timeout_s=120)
    for _ in range(8):
        pace.answered(0.1)
    for _ in range(2000):
        pace.answered(0.1 * pace.limit)  # one at a time, whatever we do
    assert pace.limit < 60


def endpoints_of(n: int, patience: Patience | None = None) -> tuple[list[Endpoint], Endpoints]:
    all_ = [
        Endpoint(Known(f"http://127.0.0.1:{port}/v1"), ConcurrencyLimiter(4, timeout_s=10)) for port in range(1, n + 1)
    ]
    return all_, Endpoints(all_, patience or Patience())


def run(test):
    asyncio.run(asyncio.wait_for(test(), 10))


def test_the_least_loaded_endpoint_with_room_is_asked():
    async def test():
        (one, two), places = endpoints_of(2)
        taken = [places.grab() for _ in range(8)]
        assert {id(each) for each in taken[:2]} == {id(one), id(two)}
        assert (one.in_flight, two.in_flight) == (4, 4)
        assert places.grab() is None
        places.good(one, 0.1)
        assert places.grab() is one

    run(test)


def test_a_place_given_back_goes_to_those_who_try_again_first():
    async def test():
        (one,), places = endpoints_of(1)
        for _ in range(4):
            places.grab()
        order: list[str] = []

        async def wait(name, taking):
            await taking
            order.append(name)

        tasks = [
            asyncio.create_task(wait("new", places.take())),
            asyncio.create_task(wait("again", places.take_again())),
        ]
        await asyncio.sleep(0)
        places.leave(one)
        places.leave(one)
        await asyncio.gather(*tasks)
        assert order == ["again", "new"]
        assert one.in_flight == 4

    run(test)


def test_retry_after_lets_the_whole_endpoint_rest_and_the_other_one_work():
    async def test():
        (one, two), places = endpoints_of(2)
        assert places.grab() is one
        places.bad(one, PassingError("429", wait_s=0.1, throttled=True), 0.1)
        assert one.resting
        assert [places.grab() for _ in range(4)] == [two] * 4
        assert places.grab() is None
        assert await places.take_again() is one

    run(test)


def test_nobody_there_at_the_start_stops_within_seconds():
    async def test():
        (one,), places = endpoints_of(1, Patience(start_s=0.3))
        tries = 0

        async def try_on():
            nonlocal tries
            while True:
                assert await places.take_again() is one
                tries += 1
                places.bad(one, PassingError("refused", unreached=True), 0.1)

        with pytest.raises(EngineError, match=r"nobody can be reached.*refused") as caught:
            await try_on()
        assert "run the same command again" in caught.value.fix
        assert tries >= 3

    run(test)


def test_one_dead_endpoint_of_two_does_not_end_the_run():
    async def test():
        (one, two), places = endpoints_of(2, Patience(start_s=0.0, run_s=0.0))
        for _ in range(20):
            assert places.grab() is not None
            if one.in_flight:
                places.bad(one, PassingError("refused", unreached=True), 0.1)
            if two.in_flight:
                places.good(two, 0.01)

    run(test)


def test_a_few_failures_among_slow_requests_are_borne_however_long():
    async def test():
        (one,), places = endpoints_of(1, Patience(run_s=0.0))
        places.good(places.grab(), 0.1)
        for _ in range(4):
            places.grab()
        for _ in range(8):
            places.bad(one, PassingError("500"), 0.1)
            assert places.grab() is one
        for _ in range(3):
            places.bad(one, PassingError("500"), 0.1)
            places.grab()
        with pytest.raises(EngineError, match="no answer for 0 s"):
            places.bad(one, PassingError("500"), 0.1)

    run(test)


def test_a_429_between_failures_shows_that_somebody_is_there():
    async def test():
        (one,), places = endpoints_of(1, Patience(run_s=0.0, throttled_s=60.0))
        for _ in range(20):
            for trouble in (PassingError("429", throttled=True), PassingError("500"), PassingError("500")):
                assert places.grab() is one
                places.bad(one, trouble, 0.1)

    run(test)
