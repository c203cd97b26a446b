"""Measures over the presentations of one persona and item, held against numbers worked out by hand."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefgen.judging.aggregate import measured, preferences
from prefgen.judging.presentations import by_option, orders_of, shown
from prefgen.schemas import LETTERS
from tests.judging.made import judgments

A, B, C = {"A": 1.0}, {"B": 1.0}, {"C": 1.0}


def one(frame: pl.DataFrame, column: str) -> object:
    return frame[column][0]


TURNS = ("given", "turn-1", "turn-2")


def test_probabilities_over_balanced_orders_are_the_mean_of_log_odds() -> None:
    asked = [("p", "i", "given", 0, {"A": 0.9, "B": 0.1}), ("p", "i", "swapped", 0, {"A": 0.3, "B": 0.7})]
    frame = judgments(asked, k=2, neither=None, readout="logprobs")
    odds = (0.9 / 0.1 * 0.3 / 0.7) ** 0.5
    assert one(frame, "p_A") == pytest.approx(odds / (1 + odds))
    assert one(frame, "debiased") is True
    assert one(frame, "item_choice") == "A"
    assert one(frame, "order_agreement") is False
    assert one(frame, "n_presentations") == 2


def test_votes_are_a_mean_over_orders_and_do_not_claim_to_be_debiased() -> None:
    frame = judgments([("p", "i", order, 0, p) for order, p in zip(TURNS, (A, A, B), strict=True)])
    assert one(frame, "p_A") == pytest.approx(2 / 3)
    assert one(frame, "debiased") is False


def test_log_odds_over_orders_that_do_not_balance_do_not_claim_to_be_debiased() -> None:
    p = {"A": 0.5, "B": 0.3, "C": 0.2}
    frame = judgments([("p", "i", order, 0, p) for order in ("given", "swapped")], readout="logprobs")
    assert one(frame, "debiased") is False
    assert one(frame, "position_bias") is None


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


@settings(max_examples=60, deadline=None)
@given(
    k=st.integers(2, 5),
    with_neither=st.booleans(),
    also=st.sampled_from([(), ("tie",), ("tie", "na")]),
    data=st.data(),
)
def test_the_utilities_of_a_judge_with_any_slot_bias_are_found_exactly(
    k: int, with_neither: bool, also: tuple[str, ...], data: st.DataObject
) -> None:
    number = st.floats(-3, 3)
    utility, bias = (np.array(data.draw(st.lists(number, min_size=k, max_size=k))) for _ in range(2))
    besides = np.array(data.draw(st.lists(number, min_size=len(also), max_size=len(also))))
    neither = k - 1 if with_neither and k > 2 else None
    asked = []
    for order in orders_of(("balanced",), k, neither):
        at = shown(order, k, neither)
        of_slots = softmax(np.concatenate([utility[list(at)] + bias, besides]))
        p = dict(zip(LETTERS, by_option(order, k, neither, of_slots[:k]), strict=False))
        asked.append(("p", "i", order, 0, p | dict(zip(also, of_slots[k:], strict=True))))
    frame = judgments(asked, k=k, neither=None if neither is None else LETTERS[neither], readout="logprobs", also=also)
    # What stands in no slot is never shifted by one: its odds are against the slots' mean.
    truth = softmax(np.concatenate([utility + bias.mean(), besides]))
    found = np.array([one(frame, f"p_{name}") for name in (*LETTERS[:k], *also)])
    assert np.abs(found - truth).max() < 0.01
    assert one(frame, "debiased") is True


@pytest.mark.parametrize(("u", "b", "truth"), [(1.0, 3.0, 0.731), (2.0, 4.0, 0.881)])
def test_a_strong_slot_bias_does_not_flatten_the_odds(u: float, b: float, truth: float) -> None:
    given_p, swapped_p = (1 / (1 + np.exp(-(u + b)))), 1 / (1 + np.exp(-(u - b)))
    asked = [
        ("p", "i", "given", 0, {"A": given_p, "B": 1 - given_p}),
        ("p", "i", "swapped", 0, {"A": swapped_p, "B": 1 - swapped_p}),
    ]
    assert one(judgments(asked, k=2, neither=None, readout="logprobs"), "p_A") == pytest.approx(truth, abs=0.001)


def test_an_order_asked_more_often_counts_no_more() -> None:
    asked = [("p", "i", "given", k, A) for k in range(3)] + [("p", "i", "swapped", 0, B)]
    assert one(judgments(asked), "p_A") == pytest.approx(0.5)


def test_a_judge_who_follows_the_slot_is_seen() -> None:
    follows = judgments([("p", "i", order, 0, p) for order, p in zip(TURNS, (A, B, C), strict=True)])
    holds = judgments([("p", "i", order, 0, A) for order in TURNS])
    avoids = judgments([("p", "i", order, 0, p) for order, p in zip(TURNS, (B, C, A), strict=True)])
    neither = judgments([("p", "i", order, 0, C) for order in TURNS])
    frames = (follows, holds, avoids, neither)
    assert [one(frame, "position_bias") for frame in frames] == pytest.approx([1.0, 0.0, -0.5, 0.0])
    assert [one(frame, "order_agreement") for frame in frames] == [False, True, False, True]


@pytest.mark.parametrize("gap", [0.0, 1.0, 2.0])
def test_a_judge_that_answers_at_random_without_regard_to_slots_has_no_position_bias(gap: float) -> None:
    rng, share = np.random.default_rng(7), 1 / (1 + np.exp(-gap))
    asked = [
        ("p", f"i{n}", order, 0, A if rng.random() < share else B)
        for n in range(4000)
        for order in ("given", "swapped")
    ]
    bias = judgments(asked, k=2, neither=None)["position_bias"].mean()
    assert abs(bias) < 4 / 8000**0.5  # four standard errors of a share of 8,000, twice: p(1 - p) is at most a quarter


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
    assert [one(unread, name) for name in ("p_A", "p_choice", "item_choice", "debiased")] == [None] * 4
    assert preferences(unread).select("choice", "status", "reject_reason").row(0) == (None, "unparsed", "unparsed")


def test_repeats_that_say_nothing_count_against_agreement() -> None:
    frame = judgments(
        [("p", "i", "given", 0, A), ("p", "i", "given", 1, A), ("p", "i", "given", 2, None), ("p", "i", "given", 3, B)]
    )
    assert one(frame, "repeat_agreement") == pytest.approx(0.5)


def test_a_preference_is_what_the_kept_judgments_add_up_to() -> None:
    late = pl.col("repeat") == 1
    asked = [("p", "i", order, repeat, p) for order in ("given", "swapped") for repeat, p in enumerate((A, B))]
    frame = judgments(asked)
    assert one(frame, "item_choice") is None
    made = preferences(frame.with_columns(pl.when(late).then(pl.lit("late")).alias("reject_reason")))
    assert made.select("choice", "n_presentations", "reject_reason").row(0) == ("A", 2, None)
    dropped = preferences(frame.with_columns(pl.lit("late").alias("reject_reason")))
    assert dropped["reject_reason"].to_list() == ["late"]


def test_what_is_left_of_an_item_that_lost_an_order_is_dropped_for_the_same_reason() -> None:
    asked = [("p", item, order, 0, A) for item in ("i", "j") for order in ("given", "swapped")]
    lost = pl.when(order="swapped", item_id="i").then(pl.lit("late"))
    made = preferences(judgments(asked).with_columns(lost.alias("reject_reason")))
    assert made["item_id"].to_list() == ["i", "j"]
    assert made["reject_reason"].to_list() == ["late", None]
    assert made["n_presentations"].to_list() == [2, 2]


@pytest.mark.parametrize(("name", "status"), [("tie", "tie"), ("na", "na")])
def test_a_tie_or_does_not_apply_competes(name: str, status: str) -> None:
    p = {"A": 0.3, "B": 0.1, name: 0.6}
    frame = judgments(
        [("p", "i", order, 0, p) for order in ("given", "swapped")],
        k=2,
        neither=None,
        readout="logprobs",
        also=("tie", "na"),
    )
    assert one(frame, "item_choice") is None
    assert one(frame, "p_choice") == pytest.approx(0.3)
    assert one(frame, f"p_{name}") == pytest.approx(0.6)
    assert one(preferences(frame), "status") == status


def test_26_ties_make_no_preference_for_anything() -> None:
    p = {"A": 0.3, "B": 0.1, "tie": 0.6}
    asked = [("p", f"i{n}", order, 0, p) for n in range(26) for order in ("given", "swapped")]
    assert (
        preferences(judgments(asked, k=2, neither=None, readout="logprobs", also=("tie",)))["choice"].null_count() == 26
    )


def test_choosing_the_option_marked_neither_is_not_applicable() -> None:
    frame = judgments(
        [
            ("p", "i", "given", 0, {"A": 0.4, "B": 0.1, "C": 0.5}),
            ("p", "i", "swapped", 0, {"A": 0.1, "B": 0.4, "C": 0.5}),
        ]
    )
    assert (one(preferences(frame), "choice"), one(preferences(frame), "status")) == ("C", "na")


P = st.fixed_dictionaries({"A": st.floats(0.01, 1), "B": st.floats(0.01, 1), "C": st.floats(0.01, 1)})


@settings(deadline=None)
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
        "debiased",
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
