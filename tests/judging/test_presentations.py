"""Slots and options: the one place where what was seen becomes what was meant."""

from itertools import combinations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefgen.judging.candidates import sets_of
from prefgen.judging.presentations import Orders, by_option, is_balanced, orders_of, shown

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
    for order in orders_of(("given", "swapped", "cyclic"), k, neither):
        assert sorted(shown(order, k, neither)) == list(range(k))


@given(k=KS, data=st.data(), rule=st.sampled_from(["balanced", "cyclic"]))
def test_balanced_orders_put_every_option_neither_included_once_into_every_slot(
    k: int, data: st.DataObject, rule: str
) -> None:
    neither = data.draw(st.none() | st.integers(0, k - 1))
    orders = orders_of((rule,), k, neither)
    places = [shown(order, k, neither) for order in orders]
    assert len(places) == k
    assert orders[0] == "given"
    assert is_balanced(frozenset(orders), k, neither)
    for slot in range(k):
        assert {place[slot] for place in places} == set(range(k))


@given(k=KS, data=st.data())
def test_no_layout_is_shown_twice_under_two_names(k: int, data: st.DataObject) -> None:
    neither = data.draw(st.none() | st.integers(0, k - 1))
    rules = data.draw(st.lists(st.sampled_from(["given", "swapped", "cyclic", "balanced"]), min_size=1, max_size=5))
    orders = orders_of(tuple(rules), k, neither)
    assert len({shown(order, k, neither) for order in orders}) == len(orders)


def test_given_and_swapped_balance_two_options_and_no_more() -> None:
    both = frozenset(["given", "swapped"])
    assert is_balanced(both, 2, None)
    assert not any(is_balanced(both, k, neither) for k, neither in ((2, 1), (3, None), (3, 2), (4, None)))
    assert not is_balanced(frozenset(["given"]), 2, None)


def test_a_slot_prior_shows_a_share_of_the_items_in_full_and_the_rest_once_in_any_slot() -> None:
    orders = Orders(prior_share=0.2, seed=5)
    shapes = [orders.of(f"i{n}", 3, 2) for n in range(5000)]
    full = [shape for shape in shapes if len(shape) == 3]
    assert abs(len(full) / 5000 - 0.2) < 0.03
    alone = [shape[0] for shape in shapes if len(shape) == 1]
    assert len(full) + len(alone) == 5000
    assert all(abs(alone.count(order) / len(alone) - 1 / 3) < 0.04 for order in ("given", "turn-1", "turn-2"))


@given(k=KS, data=st.data())
def test_numbers_follow_their_option_and_not_the_slot(k: int, data: st.DataObject) -> None:
    order = data.draw(st.sampled_from(orders_of(("given", "swapped", "cyclic"), k, None)))
    by_slot = [float(option) for option in shown(order, k, None)]
    assert by_option(order, k, None, by_slot) == tuple(float(option) for option in range(k))


@pytest.mark.parametrize("likes", [0, 1])
@pytest.mark.parametrize("order", ["given", "swapped"])
def test_a_judge_who_likes_an_option_prefers_it_in_either_slot(order: str, likes: int) -> None:
    slot = shown(order, 3, 2).index(likes)
    assert shown(order, 3, 2)[slot] == likes


@given(st.lists(st.integers(0, 5), max_size=8), st.sampled_from([None, 2, 3]))
def test_sets_are_all_combinations_group_by_group(sizes: list[int], size: int | None) -> None:
    rows = [(group, text) for text in range(max(sizes, default=0)) for group, n in enumerate(sizes) if text < n]
    keys = pl.DataFrame(
        [(row, group, text) for row, (group, text) in enumerate(rows)],
        schema={"row": pl.UInt32, "group": pl.UInt64, "text": pl.UInt64},
        orient="row",
    )
    made = [[rows[row] for row in some] for some in sets_of(keys, size)]
    wanted = [
        [(group, text) for text in some]
        for group, n in enumerate(sizes)
        for some in ([tuple(range(n))] if size is None and n >= 2 else combinations(range(n), size or 99))
    ]
    assert made == wanted


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=12))
def test_of_equal_texts_in_a_group_the_first_is_shown(rows: list[tuple[int, int]]) -> None:
    keys = pl.DataFrame(
        [(row, *one) for row, one in enumerate(rows)],
        schema={"row": pl.UInt32, "group": pl.UInt64, "text": pl.UInt64},
        orient="row",
    )
    first = {one: row for row, one in reversed(list(enumerate(rows)))}
    groups = {group: sorted(row for (of, _), row in first.items() if of == group) for group, _ in rows}
    assert sets_of(keys, None).to_list() == [some for some in groups.values() if len(some) > 1]
