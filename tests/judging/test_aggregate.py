"""Measures over the presentations of one persona and item, held against numbers worked out by hand."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefgen.judging.aggregate import measured, preferences
from tests.judging.made import judgments

A, B, C = {"A": 1.0}, {"B": 1.0}, {"C": 1.0}


def one(frame: pl.DataFrame, column: str) -> object:
    return frame[column][0]


def test_probabilities_are_debiased_over_the_orders() -> None:
    frame = judgments([("p", "i", "given", 0, {"A": 0.9, "B": 0.1}), ("p", "i", "swapped", 0, {"A": 0.3, "B": 0.7})])
    assert one(frame, "p_A") == pytest.approx(0.6)
    assert one(frame, "p_choice") == pytest.approx(0.6)
    assert one(frame, "item_choice") == "A"
    assert one(frame, "order_agreement") is False
    assert one(frame, "n_presentations") == 2


def test_an_order_asked_more_often_counts_no_more() -> None:
    asked = [("p", "i", "given", k, A) for k in range(3)] + [("p", "i", "swapped", 0, B)]
    assert one(judgments(asked), "p_A") == pytest.approx(0.5)


def test_a_judge_who_follows_the_slot_is_seen() -> None:
    follows = judgments([("p", "i", "given", 0, A), ("p", "i", "swapped", 0, B)])
    holds = judgments([("p", "i", "given", 0, A), ("p", "i", "swapped", 0, A)])
    neither = judgments([("p", "i", "given", 0, C), ("p", "i", "swapped", 0, C)])
    assert [one(frame, "position_bias") for frame in (follows, holds, neither)] == [1.0, 0.0, 0.0]
    assert [one(frame, "order_agreement") for frame in (follows, holds, neither)] == [False, True, True]


def test_two_options_that_share_the_lead_are_no_choice() -> None:
    frame = judgments([("p", "i", "given", 0, A), ("p", "i", "swapped", 0, B)])
    assert one(frame, "item_choice") is None
    assert one(preferences(frame), "status") == "tie"


def test_what_was_not_measured_is_null_and_not_zero() -> None:
    single = judgments([("p", "i", "given", 0, A)])
    assert [one(single, name) for name in ("order_agreement", "repeat_agreement", "position_bias")] == [None] * 3
    unread = judgments([("p", "i", "given", 0, A), ("p", "i", "swapped", 0, None)])
    assert one(unread, "order_agreement") is None
    assert one(unread, "position_bias") is None
    assert one(unread, "p_A") == 1.0


def test_repeats_that_say_nothing_count_against_agreement() -> None:
    frame = judgments(
        [("p", "i", "given", 0, A), ("p", "i", "given", 1, A), ("p", "i", "given", 2, None), ("p", "i", "given", 3, B)]
    )
    assert one(frame, "repeat_agreement") == pytest.approx(0.5)


def test_a_preference_is_what_the_kept_judgments_add_up_to() -> None:
    frame = judgments(
        [("p", "i", "given", 0, A), ("p", "i", "swapped", 0, B), ("p", "j", "given", 0, B), ("p", "j", "swapped", 0, B)]
    )
    only_given = frame.with_columns(pl.when(order="swapped", item_id="i").then(pl.lit("late")).alias("reject_reason"))
    made = preferences(only_given)
    assert made["item_id"].to_list() == ["i", "j"]
    assert made["choice"].to_list() == ["A", "B"]
    assert made["n_presentations"].to_list() == [1, 2]
    assert made["reject_reason"].to_list() == [None, None]
    dropped = preferences(frame.with_columns(pl.lit("late").alias("reject_reason")))
    assert dropped["reject_reason"].to_list() == ["late", "late"]


def test_choosing_the_option_marked_neither_is_not_applicable() -> None:
    frame = judgments(
        [
            ("p", "i", "given", 0, {"A": 0.4, "B": 0.1, "C": 0.5}),
            ("p", "i", "swapped", 0, {"A": 0.1, "B": 0.4, "C": 0.5}),
        ]
    )
    assert (one(preferences(frame), "choice"), one(preferences(frame), "status")) == ("C", "na")


P = st.fixed_dictionaries({"A": st.floats(0.01, 1), "B": st.floats(0.01, 1), "C": st.floats(0.01, 1)})


@given(st.lists(st.tuples(P | st.none(), P | st.none()), min_size=1, max_size=6))
def test_measures_keep_every_row_and_its_order(
    answers: list[tuple[dict[str, float] | None, dict[str, float] | None]],
) -> None:
    asked = []
    for number, (given_p, swapped_p) in enumerate(answers):
        asked += [("p", f"i{number}", "given", 0, given_p), ("p", f"i{number}", "swapped", 0, swapped_p)]
    frame = judgments(asked)
    assert frame["judgment_id"].to_list() == [f"p/{item}/{order}/{repeat}" for _, item, order, repeat, _ in asked]
    assert preferences(frame).height == len(answers)
    bare = frame.drop(
        "item_choice",
        "p_A",
        "p_B",
        "p_C",
        "p_choice",
        "order_agreement",
        "repeat_agreement",
        "position_bias",
        "n_presentations",
    )
    assert measured(bare).equals(frame)


def test_an_empty_table_has_the_same_columns_as_a_full_one() -> None:
    full = judgments([("p", "i", "given", 0, A)])
    assert judgments([]).schema == full.schema
    assert preferences(judgments([])).schema == preferences(full).schema
