"""Pairs: chosen over rejected, from people only, never with the option that means neither."""

import pytest

from prefgen.judging.pairs import pairs
from tests.judging.made import ITEMS, judgments

SURE = [
    ("p", "i", "given", 0, {"A": 0.7, "B": 0.2, "C": 0.1}),
    ("p", "i", "swapped", 0, {"A": 0.5, "B": 0.3, "C": 0.2}),
]


def test_a_pair_holds_the_texts_and_the_margin() -> None:
    made = pairs(judgments(SURE), ITEMS).row(0, named=True)
    assert (made["chosen"], made["rejected"], made["chosen_text"], made["rejected_text"]) == ("A", "B", "this", "that")
    assert made["p_margin"] == pytest.approx(0.6 - 0.25)
    assert made["p_chosen"] == pytest.approx(0.6)
    assert made["topic"] == "bread"


def test_neither_is_not_chosen_and_not_rejected() -> None:
    neither = [("p", "j", order, 0, {"A": 0.1, "B": 0.2, "C": 0.7}) for order in ("given", "swapped")]
    made = pairs(judgments([*SURE, *neither]), ITEMS)
    assert made["item_id"].to_list() == ["i"]
    assert set(made["rejected"]) == {"B"}


def test_controls_and_dropped_rows_make_no_pairs() -> None:
    assert pairs(judgments(SURE, control="none"), ITEMS).is_empty()
    frame = judgments(SURE)
    assert pairs(frame.with_columns(reject_reason=frame["status"]), ITEMS).is_empty()


@pytest.mark.parametrize(("rule", "n"), [("chosen_vs_other", 2), ("best_vs_worst", 1)])
def test_the_rule_says_how_many_pairs_one_choice_makes(rule: str, n: int) -> None:
    frame = judgments(
        [("p", "i", order, 0, {"A": 0.1, "B": 0.7, "C": 0.2}) for order in ("given", "swapped")], neither=None
    )
    made = pairs(frame, ITEMS, rule=rule)  # type: ignore[arg-type]
    assert made.height == n
    assert made.filter(rejected="A").height == 1
