"""What is told of ratings together, against numpy and against simulation of a known truth."""

from __future__ import annotations

import numpy as np
import pytest

from prefgen.judging.rating_tally import RatingTally
from prefgen.judging.ratings import Rating, Scale
from prefgen.records import Reading


def certain(scale: Scale, place: int) -> Rating:
    shares = tuple(float(other == place) for other in range(len(scale.words)))
    return Rating(scale.values[place], scale.words[place], shares)


def test_shares_mean_and_agreement_are_what_numpy_says() -> None:
    scale, rng = Scale.of_range("1..4"), np.random.default_rng(2)
    p = rng.dirichlet([1, 2, 2, 1], 300)
    tally = RatingTally(scale, scale.words, ["fit"])
    agree = []
    for row, shares in enumerate(p):
        said = rng.choice(4, 3, p=shares)
        agree.append(max(np.bincount(said)) / 3)
        readings = [Reading(scale.symbols[one], "ok", (1.0,)) for one in said]
        tally.add("fit", f"q{row // 3}", Rating(float(shares @ [1, 2, 3, 4]), "1", tuple(shares)), readings)
    tally.add("fit", "q0", None)
    (told,) = tally.summary()
    assert told["rows"] == 301
    assert told["read"]["value"] == pytest.approx(300 / 301)
    assert [one["value"] for one in told["answers"]] == pytest.approx(list(p.mean(0)))
    assert told["mean"]["value"] == pytest.approx(float((p @ [1, 2, 3, 4]).mean()))
    assert told["repeats_agree"]["value"] == pytest.approx(np.mean(agree))
    assert told["mean"]["n"] == 100  # questions, and not rows


def test_intervals_hold_the_truth_where_rows_of_a_question_are_alike() -> None:
    """2,000 intervals of shares and means at 95 %: of 40 questions with 5 raters each, who mostly say the same."""
    scale, rng = Scale.of_words(["poor", "fair", "good"]), np.random.default_rng(4)
    truth, held, means = np.array([0.3, 0.4, 0.3]), 0, 0
    for _ in range(1000):
        tally = RatingTally(scale, scale.words, ["fit"])
        for question, place in enumerate(rng.choice(3, 40, p=truth)):
            for _ in range(5):
                said = place if rng.random() < 0.8 else int(rng.choice(3, p=truth))
                tally.add("fit", str(question), certain(scale, said))
        (told,) = tally.summary()
        fair = told["answers"][1]
        held += fair["low"] <= 0.4 <= fair["high"]
        means += told["mean"]["low"] <= 2.0 <= told["mean"]["high"]
    assert 0.93 <= held / 1000 <= 0.98
    assert 0.93 <= means / 1000 <= 0.98


def test_marks_have_no_mean_and_one_asking_no_agreement() -> None:
    scale = Scale.of_marks({"fact": "", "taste": ""})
    tally = RatingTally(scale, ["fact", "taste"], ["mark"])
    for row in range(20):
        tally.add("mark", str(row), Rating(0.0, "fact", (0.75, 0.25)))
    (told,) = tally.summary()
    assert told["mean"] is told["repeats_agree"] is None
    assert [(one["answer"], one["value"]) for one in told["answers"]] == [("fact", 0.75), ("taste", 0.25)]


def test_very_many_questions_are_counted_in_the_same_room() -> None:
    scale = Scale.of_words(["no", "yes"], as_letters=False)
    tally = RatingTally(scale, scale.words, ["so"])
    for row in range(20_000):
        tally.add("so", f"question {row}", certain(scale, row % 2))
    (told,) = tally.summary()
    assert told["rows"] == 20_000
    assert told["mean"]["value"] == 0.5
    assert told["mean"]["n"] <= 4_096
    assert 0.48 < told["mean"]["low"] < 0.5 < told["mean"]["high"] < 0.52


def test_a_tally_without_a_row_says_nothing() -> None:
    scale = Scale.of_range("1..3")
    (told,) = RatingTally(scale, scale.words, ["fit"]).summary()
    assert told["read"]["value"] is told["mean"]["value"] is None
