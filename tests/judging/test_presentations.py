"""Slots and options: the one place where what was seen becomes what was meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefgen.judging.presentations import by_option, orders_of, shown

KS = st.integers(2, 26)


@given(k=KS, data=st.data())
def test_swapping_twice_is_showing_as_given(k: int, data: st.DataObject) -> None:
    neither = data.draw(st.none() | st.integers(0, k - 1))
    swap = shown("swapped", k, neither)
    assert tuple(swap[swap[slot]] for slot in range(k)) == tuple(range(k))
    if neither is not None:
        assert swap[neither] == neither


@given(k=KS, data=st.data())
def test_every_order_shows_every_option_once(k: int, data: st.DataObject) -> None:
    neither = data.draw(st.none() | st.integers(0, k - 1))
    for order in orders_of(("given", "swapped", "cyclic"), k):
        assert sorted(shown(order, k, neither)) == list(range(k))


@given(k=KS)
def test_the_rotations_put_every_option_into_every_slot(k: int) -> None:
    places = [shown(order, k, None) for order in orders_of(("cyclic",), k)]
    assert len(places) == k
    for slot in range(k):
        assert {place[slot] for place in places} == set(range(k))


@given(k=KS, data=st.data())
def test_numbers_follow_their_option_and_not_the_slot(k: int, data: st.DataObject) -> None:
    order = data.draw(st.sampled_from(orders_of(("given", "swapped", "cyclic"), k)))
    by_slot = [float(option) for option in shown(order, k, None)]
    assert by_option(order, k, None, by_slot) == tuple(float(option) for option in range(k))


@pytest.mark.parametrize("likes", [0, 1])
@pytest.mark.parametrize("order", ["given", "swapped"])
def test_a_judge_who_likes_an_option_prefers_it_in_either_slot(order: str, likes: int) -> None:
    slot = shown(order, 3, 2).index(likes)
    assert shown(order, 3, 2)[slot] == likes
