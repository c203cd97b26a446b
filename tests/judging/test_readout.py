"""Reading answers: what was clearly said, and never a guess."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefgen.judging.readout import parse_certainty, parse_choice, read
from prefgen.records import Readout, Response

AB = ("A", "B")
ABC = ("A", "B", "C")


def said(text: str, **facts: object) -> Response:
    return Response("req-x", text=text, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("A", "A"), (" b.", None), ("B.", "B"), ("(C)", "C"), ("**B**", "B"), ("Answer: B", "B"), ("The answer is C.", "C"),
        ("I would choose B.", "B"), ("Option A", "A"), ("I prefer option B because it is fair", "B"), ("B) nobody ends up with less", "B"),
        ("A\nbecause I like it", "A"), ("A, since it is fair", "A"), ("I pick A because it is mine", "A"),
        ("A good question", None), ("A or B", None), ("Between A and B I choose B", "B"), ("Answer: A. Answer: B.", None),
        ("", None), ("banana", None), ("ABBA", None), ("I am not sure", None), ("Both A and B are bad", None), ("D", None),
    ],
)  # fmt: skip
def test_only_what_names_one_choice_is_read(text: str, symbol: str | None) -> None:
    assert parse_choice(text, ABC)[0] == symbol


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("I'm sorry, but I can't choose between people.", "refusal"),
        ("As an AI, I have no preference.", "refusal"),
        ("They are equally good.", "tie"),
        ("Not applicable.", "na"),
        ("Neither.", "na"),
        ("Lovely weather today.", "unparsed"),
        ("neither " * 60, "unparsed"),
    ],
)
def test_non_answers_are_told_apart(text: str, status: str) -> None:
    assert parse_choice(text, AB) == (None, status)


def test_offered_non_answers_are_answers_of_their_own() -> None:
    choices = ("A", "B", "TIE", "NA")
    assert read(said("TIE"), choices, "text").status == "tie"
    assert read(said("NA"), choices, "text").status == "na"
    reading = read(said("", alternatives=(("T", math.log(0.6)), ("A", math.log(0.2)))), choices, "logprobs")
    assert (reading.symbol, reading.status) == ("TIE", "tie")
    assert reading.p == pytest.approx((0.25, 0.0, 0.75, 0.0))


def test_probabilities_are_normalised_over_the_choices() -> None:
    alternatives = (("A", math.log(0.2)), (" A", math.log(0.1)), ("B", math.log(0.1)), ("the", math.log(0.5)))
    reading = read(said("A", alternatives=alternatives), AB, "logprobs")
    assert reading.symbol == "A"
    assert reading.p == pytest.approx((0.75, 0.25))


def test_a_dead_heat_of_probabilities_is_a_tie_and_no_guess() -> None:
    reading = read(said("A", alternatives=(("A", -1.0), ("B", -1.0))), AB, "logprobs")
    assert (reading.symbol, reading.status) == (None, "tie")


def test_without_log_probabilities_the_text_is_read() -> None:
    assert read(said("B"), AB, "logprobs").p == (0.0, 1.0)
    assert read(said("B", alternatives=(("x", -0.1),)), AB, "logprobs").symbol == "B"


def test_reason_reads_only_a_last_line_that_is_not_contradicted() -> None:
    assert read(said("A is nice.\nAnswer: B"), AB, "reason").symbol == "B"
    assert read(said("A is nice."), AB, "reason").symbol is None
    assert read(said("Answer: A\nNo.\nAnswer: B"), AB, "reason").status == "unparsed"


def test_failures_and_filters_are_never_read() -> None:
    assert read(said("A", failure="HTTP 400"), AB, "text").status == "failed"
    assert read(said("A", finish="content_filter"), AB, "text").status == "refusal"


def test_certainty_stands_beside_the_choice() -> None:
    reading = read(said("B 80"), AB, "certainty")
    assert (reading.symbol, reading.certainty) == ("B", 80)
    assert read(said("B"), AB, "certainty").certainty is None


@given(st.integers(0, 10_000))
def test_certainty_is_a_number_from_1_to_100_or_nothing(number: int) -> None:
    assert parse_certainty(f"Certainty: {number}%") == (number if 1 <= number <= 100 else None)


@given(text=st.text(max_size=80), readout=st.sampled_from(["logprobs", "text", "certainty", "reason"]))
def test_any_text_gives_a_reading_among_the_choices(text: str, readout: Readout) -> None:
    reading = read(said(text), ABC, readout)
    assert reading.symbol in (None, *ABC)
    assert (reading.symbol is not None) == (reading.p is not None)


@given(
    logprobs=st.lists(
        st.tuples(st.sampled_from(["A", " B", "C", "the", "(A"]), st.floats(-30, 0)), min_size=1, max_size=8
    )
)
def test_probabilities_sum_to_one(logprobs: list[tuple[str, float]]) -> None:
    reading = read(said("", alternatives=tuple(logprobs)), ABC, "logprobs")
    if reading.p is not None:
        assert sum(reading.p) == pytest.approx(1.0)
