"""What a life must keep, and how it is told whether it does."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefgen.personas.backstory import (
    Fact,
    backstory_messages,
    check_choices,
    check_messages,
    facts_of,
    number_told_in,
    numbers_in,
    told_in,
)

VOTE = Fact("vote", ("left", "right"))


def test_the_facts_are_the_attributes_and_no_band_is_asked_twice():
    people = pl.DataFrame(
        {
            "persona_id": ["a", "b"],
            "population": ["x", "x"],
            "age": [20, 40],
            "age_band": ["18-29", "30-49"],
            "vote": ["left", "right"],
            "same": ["y", "y"],
            "text": ["", ""],
        }
    )
    assert facts_of(people) == [Fact("age", ()), VOTE]
    assert facts_of(people, ["age_band"]) == [Fact("age_band", ("18-29", "30-49"))]


def test_a_checker_says_kept_omitted_contradicted_or_nothing():
    assert check_choices(VOTE) == ("A", "B", "C")
    page = check_messages("You vote.", VOTE)[0][1]
    assert "A: left\nB: right\nC: the text does not say" in page
    assert [told_in(VOTE, "right", symbol) for symbol in ("B", "A", "C", None)] == [
        "kept",
        "contradicted",
        "omitted",
        "unread",
    ]


@pytest.mark.parametrize(
    ("life", "telling"),
    [
        ("You are 34 and tired.", "kept"),
        ("At thirty-four you moved.", "kept"),
        ("You have a dog.", "omitted"),
        ("You are 43 years old, with 34 sheep.", "contradicted"),
        ("A woman aged 34.", "kept"),
    ],
)
def test_an_age_is_read_from_the_text_itself(life, telling):
    assert number_told_in(Fact("age", ()), 34, life) == telling


@given(st.integers(0, 99))
def test_every_number_up_to_ninety_nine_is_read_in_digits(number):
    assert float(number) in numbers_in(f"There are {number} of them.")


def test_the_page_names_every_fact_and_the_voice():
    person = {"vote": "left", "age": 34, "text": "You are somebody."}
    (_, page), *_ = backstory_messages(person, [VOTE, Fact("age", ())], words=80, voice="first")
    assert "- vote: left\n- age: 34" in page
    assert "about 80 words" in page
    assert '"I ..."' in page
