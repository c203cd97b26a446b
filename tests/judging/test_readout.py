"""Reading answers: what was clearly said, and never a guess."""

import math
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefgen.judging.readout import parse_certainty, parse_choice, read
from prefgen.judging.verdict import Choices, labelled_choice, named_choice
from prefgen.records import Readout, Response

AB = ("A", "B")
ABC = ("A", "B", "C")
TEXTS = ("It should be equal.", "They are free to choose.", "Neither, or it does not apply.")


def said(text: str, **facts: object) -> Response:
    return Response("req-x", text=text, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("A", "A"),
        (" b.", "B"),
        ("B.", "B"),
        ("(C)", "C"),
        ("**B**", "B"),
        ("Answer: B", "B"),
        ("The answer is C.", "C"),
        ("I would choose B.", "B"),
        ("Option A", "A"),
        ("I prefer option B because it is fair", "B"),
        ("B) nobody ends up with less", "B"),
        ("A\nbecause I like it", "A"),
        ("A, since it is fair", "A"),
        ("I pick A because it is mine", "A"),
        ("A good question", None),
        ("A or B", None),
        ("Between A and B I choose B", "B"),
        ("Answer: A. Answer: B.", None),
        ("", None),
        ("banana", None),
        ("ABBA", None),
        ("I am not sure", None),
        ("Both A and B are bad", None),
        ("D", None),
    ],
)
def test_only_what_names_one_choice_is_read(text: str, symbol: str | None) -> None:
    assert parse_choice(text, Choices(ABC))[0] == symbol


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
    assert parse_choice(text, Choices(AB)) == (None, status)


def test_offered_non_answers_are_answers_of_their_own() -> None:
    choices = ("A", "B", "TIE", "NA")
    assert read(said("TIE"), choices, "text").status == "tie"
    assert read(said("NA"), choices, "text").status == "na"
    held = said("T", alternatives=(("T", math.log(0.6)), ("A", math.log(0.2))), method="logprobs+grammar", chosen="T")
    reading = read(held, choices, "logprobs")
    assert (reading.symbol, reading.status) == ("TIE", "tie")
    assert reading.p == pytest.approx((0.2 / 1.2, 0.2 / 1.2, 0.6 / 1.2, 0.2 / 1.2))
    free = replace(held, method="logprobs")
    assert read(free, choices, "logprobs").status == "unparsed"  # `T` may go on as `The`


def test_probabilities_are_normalised_over_the_choices() -> None:
    alternatives = (("A", math.log(0.2)), (" A", math.log(0.1)), ("B", math.log(0.1)), ("the", math.log(0.5)))
    reading = read(said("A", alternatives=alternatives), AB, "logprobs")
    assert reading.symbol == "A"
    assert reading.p == pytest.approx((0.75, 0.25))


def test_the_answer_given_is_the_choice_whatever_else_was_likely() -> None:
    heat = read(said("A", alternatives=(("A", -1.0), ("B", -1.0))), AB, "logprobs")
    assert (heat.symbol, heat.status, heat.p) == ("A", "ok", (0.5, 0.5))
    drawn = read(said("B", alternatives=(("B", math.log(0.2)), ("A", math.log(0.8)))), AB, "logprobs")
    assert (drawn.symbol, drawn.p) == ("B", pytest.approx((0.8, 0.2)))


REFUSES = (("I", math.log(0.994)), ("Sorry", math.log(0.003)), ("A", math.log(0.0004)), ("B", math.log(0.0001)))


@pytest.mark.parametrize(
    ("text", "status"), [("I", "unparsed"), ("I cannot choose between people", "refusal"), ("Sorry", "unparsed")]
)
def test_a_refusal_never_becomes_a_confident_choice(text: str, status: str) -> None:
    reading = read(said(text, alternatives=REFUSES, chosen="I", method="logprobs"), AB, "logprobs")
    assert (reading.symbol, reading.status, reading.p) == (None, status, None)


@pytest.mark.parametrize(("raw", "p_read"), [(True, 0.3), (False, None)])
def test_the_mass_that_the_choices_hold_is_told_where_it_is_known(raw: bool, p_read: float | None) -> None:
    tokens = (
        ("A", math.log(0.2)),
        ("The", math.log(0.6)),
        (" b", math.log(0.06)),
        ("\uff22", math.log(0.04)),
        ("Neither", math.log(0.05)),
    )
    reading = read(said("A", alternatives=tokens, chosen="A", raw=raw), AB, "logprobs")
    assert reading.p == pytest.approx((2 / 3, 1 / 3))
    assert reading.p_read == (pytest.approx(p_read) if p_read else None)


def test_a_choice_out_of_the_list_gets_no_more_than_the_list_leaves_and_no_less_than_nothing() -> None:
    reading = read(said("A", alternatives=(("A", math.log(0.6)), ("B", math.log(0.35))), chosen="A"), ABC, "logprobs")
    assert reading.p == pytest.approx((0.6, 0.35, 0.05))
    alone = read(
        said("A", alternatives=(("A", math.log(0.6)), ("B", math.log(0.4))), chosen="A", raw=False), ABC, "logprobs"
    )
    assert alone.p is not None
    assert 0 < alone.p[2] < 1e-9


def test_without_log_probabilities_the_text_is_read() -> None:
    assert read(said("B"), AB, "logprobs").p == (0.0, 1.0)
    elsewhere = read(said("The answer is B", alternatives=(("The", -0.1), ("B", -3.0)), chosen="The"), AB, "logprobs")
    assert (elsewhere.symbol, elsewhere.p, elsewhere.by) == ("B", (0.0, 1.0), "text")


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


SENTENCES = [
    # the letter alone, with its text, or the text
    ("A", "A"),
    ("b", "B"),
    ("\uff21", "A"),
    ("A.", "A"),
    ("**B**", "B"),
    ("(C)", "C"),
    ("Option A", "A"),
    ("Option B.", "B"),
    ("B!!!", "B"),
    ('"B"', "B"),
    ("> B", "B"),
    ("```\nB\n```", "B"),
    ("- B", "B"),
    ("A) It should be equal.", "A"),
    ("A: It should be equal.", "A"),
    ("It should be equal.", "A"),
    ("it should be EQUAL", "A"),
    ("A) They are free to choose.", None),
    ("D", None),
    ("", None),
    ("banana", None),
    ("ABBA", None),
    ("\u0410", None),
    # stated
    ("Answer: B", "B"),
    ("**Answer:** B", "B"),
    ("The answer is C.", "C"),
    ("Final answer: **B**", "B"),
    ("Choice: A", "A"),
    ("the answer is clearly B", "B"),
    ("Answer: They are free to choose.", "B"),
    ("Antwort: B", "B"),
    ("\u7b54\u6848\uff1aB", "B"),
    ("R\u00e9ponse : A", "A"),
    ("\u041e\u0442\u0432\u0435\u0442: B", "B"),
    ("I would choose B.", "B"),
    ("I'd say B.", "B"),
    ("I'd go with B, since A is unfair.", "B"),
    ("I vote for B", "B"),
    ("I lean toward B.", "B"),
    ("Sure. My choice is B.", "B"),
    ("I choose A over B.", "A"),
    ("Rather than A, I choose B.", "B"),
    ("Between A and B I choose B", "B"),
    ("**I choose option B.**", "B"),
    ("If I had to choose, I'd go with B.", "B"),
    ("I would have to say A.", "A"),
    ("I pick A because it is mine", "A"),
    ("A because I was raised that way", "A"),
    # explained first or after
    ("A\nbecause I like it", "A"),
    ("A, since it is fair", "A"),
    ("B) nobody ends up with less", "B"),
    ("B. A would be unfair to those who worked.", "B"),
    ("B\n\nExplanation: A ignores effort, so I reject A.", "B"),
    ("Both have merit. A honours effort; B honours need.\n\n**B**", "B"),
    ("A) It should be equal.\nB) They are free to choose.\n\nI choose B.", "B"),
    ("I don't think A is right, I choose B.", "B"),
    ("I do not choose B; I choose A.", "A"),
    ("My first thought was A, but my final answer is B.", "B"),
    # contradicted, hedged, negated, quoted, conditional, somebody else's
    ("Answer: A. Answer: B.", None),
    ("A\nB", None),
    ("A or B", None),
    ("A / B", None),
    ("A, B", None),
    ("A,B", None),
    ("A & B", None),
    ("A and B", None),
    ("Both A and B are bad", None),
    ("A\n\nWait, no. My answer is B.", None),
    ("A) It should be equal.\nB) They are free to choose.", None),
    ("A... or perhaps B", None),
    ("A? No, B.", None),
    ("I would not choose A", None),
    ("Neither A nor B", None),
    ("Not A.", None),
    ("The answer isn't B", None),
    ("I can't choose A", None),
    ("I refuse to pick A or B.", None),
    ("I would never choose A.", None),
    ("My answer is neither A nor B", None),
    ("I would choose neither.", None),
    ("It is hard to say; I might choose A.", None),
    ("If fairness mattered most, I would choose A.", None),
    ("I'd choose A only if it were cheaper.", None),
    ('He said "I choose A", which I find wrong.', None),
    ("Is the answer A?", None),
    ("The answer is A?", None),
    ("Choose A? Never.", None),
    ("Some would choose A.", None),
    ("You should pick A.", None),
    ("B is what my neighbours would say.", None),
    ("A good question", None),
    ("I choose a life of peace", None),
    ("I am not sure", None),
]


@pytest.mark.parametrize(("text", "symbol"), SENTENCES)
def test_natural_answers_are_read_right_or_not_at_all(text: str, symbol: str | None) -> None:
    assert named_choice(text, Choices(ABC, TEXTS)) == symbol


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("<think>A? No.</think>\nB", "B"),
        ("[THINK]I might choose A.[/THINK]B", "B"),
        ("<think>Answer: A", None),
        ("A is tempting.\n</think>\n\nB", "B"),
    ],
)
def test_thoughts_are_no_answers(text: str, symbol: str | None) -> None:
    reading = read(said(text), AB, "text")
    assert (reading.symbol, reading.status) == (symbol, "ok" if symbol else "unparsed")


@pytest.mark.parametrize(
    ("text", "certainty"),
    [
        ("B 80", 80),
        ("B\nCertainty: 80/100", 80),
        ("B, 8 out of 10", 80),
        ("B\nCertainty: 7%", 7),
        ("B (90 % sure)", 90),
        ("B 400", None),
        ("B", None),
        ("B 0", None),
    ],
)
def test_a_certainty_is_what_was_stated(text: str, certainty: int | None) -> None:
    reading = read(said(text), AB, "certainty")
    assert (reading.symbol, reading.certainty) == ("B", certainty)


def test_the_words_beside_a_verdict_are_kept() -> None:
    assert read(said("A is nice, but I need less.\nAnswer: B"), AB, "reason").reason == "A is nice, but I need less."
    assert read(said("B 80\nI have seen it happen."), AB, "certainty").reason == "I have seen it happen."
    assert read(said("B 80"), AB, "certainty").reason is None
    assert read(said("Answer: B"), AB, "reason").reason is None


@pytest.mark.parametrize(
    "piece",
    [
        " ",
        "answer ",
        "answer: ",
        "a.",
        "if i ",
        "(",
        "**",
        "I would ",
        "certainty ",
        "1 ",
        "sure 1",
        "not ",
        '"',
        "I choose ",
        "\n",
        "A) ",
        "<think>",
    ],
)
def test_reading_takes_time_in_proportion_to_the_answer(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    begun = time.perf_counter()
    for readout in ("text", "certainty", "reason"):
        read(said(text), AB, readout)  # type: ignore[arg-type]
    labelled_choice(text, Choices(AB))
    assert time.perf_counter() - begun < 5  # a cubic reader took 40 s for a thousand spaces
