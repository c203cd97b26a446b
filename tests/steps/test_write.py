"""The step `write`: lives that keep the facts replace the text, others leave it as it was."""

from __future__ import annotations

import polars as pl
import pytest

from prefgen.errors import SpecError
from prefgen.records import Request, Response
from prefgen.steps.write import Write, backstory
from prefgen.store.table import Table
from tests.steps.asking import Answering, context, summary_of

PEOPLE = pl.DataFrame(
    {
        "persona_id": ["ann", "bob", "cat", "none"],
        "population": ["town"] * 4,
        "control": [None, None, None, "none"],
        "control_of": [None] * 4,
        "weight": [1.0] * 4,
        "age": [30, 40, 50, None],
        "vote": ["left", "right", "left", None],
        "text": ["You are 30, left.", "You are 40, right.", "You are 50, left.", ""],
    },
    schema_overrides={"control": pl.String, "control_of": pl.String},
)
TABLES = {"people": Table.of("people", [PEOPLE])}


def test_its_name_of_before_is_read_too() -> None:
    assert Write.preset("life") is backstory.Backstory
    assert backstory.Backstory.model_validate({"write": "life", "as": "people", "model": "m"}).write == "backstory"


def spec(**facts: object) -> backstory.Backstory:
    return backstory.Backstory.model_validate({"write": "backstory", "as": "people", "model": "m", **facts})


def author(request: Request, *, wrong: str = "", refuses: str = "") -> str | Response:
    """Writes a life that keeps the facts (except for who is `wrong`), and reads lives back honestly."""
    page = request.messages[0][1]
    if request.readout == "prose":
        facts = dict(line[2:].split(": ") for line in page.splitlines() if line.startswith("- "))
        if facts["age"] == refuses:
            return Response(request.request_id, failure="HTTP 400: refused")
        vote = (
            facts["vote"]
            if facts["age"] != wrong or request.repeat
            else {"left": "right", "right": "left"}[facts["vote"]]
        )
        return f"You are {facts['age']} years old and vote {vote}."
    life = page.splitlines()[2]
    return "A" if "vote left" in life else "B" if "vote right" in life else "C"


def made(here, **facts: object) -> pl.DataFrame:
    return pl.concat(spec(**facts).make(TABLES, here))


def test_lives_that_keep_the_facts_become_the_text():
    here = context(author)
    rows = made(here)
    assert rows["text"].to_list() == [
        "You are 30 years old and vote left.",
        "You are 40 years old and vote right.",
        "You are 50 years old and vote left.",
        "",
    ]
    assert rows["facts"].to_list() == PEOPLE["text"].to_list()
    assert rows["written"].to_list() == [True, True, True, False]
    assert rows.columns == [*PEOPLE.columns[:-1], "facts", "written", "contradicted", "omitted", "text"]
    assert summary_of(spec(), TABLES, here) == {
        "personas": 4,
        "written": 3,
        "kept_their_text": 0,
        "facts": {"kept": 6},
        "statuses": {"ok": 3},
    }


def test_a_life_that_contradicts_a_fact_is_dropped_for_the_text_there_was():
    here = context(lambda request: author(request, wrong="40"))
    bob = made(here).filter(persona_id="bob").row(0, named=True)
    assert (bob["text"], bob["written"], bob["contradicted"]) == ("You are 40, right.", False, ["vote"])
    assert summary_of(spec(), TABLES, here)["kept_their_text"] == 1


def test_a_second_try_is_asked_only_of_those_who_need_it():
    here = context(lambda request: author(request, wrong="40"))
    rows = made(here, tries=3)
    assert rows["written"].to_list() == [True, True, True, False]
    assert isinstance(here.ask, Answering)
    assert sorted(request.repeat for request in here.ask.asked if request.readout == "prose") == [0, 0, 0, 1]


def test_a_life_that_failed_leaves_the_person_as_it_was():
    rows = made(context(lambda request: author(request, refuses="50")))
    assert rows["written"].to_list() == [True, True, False, False]
    assert rows["text"].to_list()[2] == "You are 50, left."


def test_a_life_cut_off_ends_with_its_last_whole_sentence():
    def cut(request: Request) -> str | Response:
        said = author(request)
        if request.readout == "prose":
            return Response(request.request_id, text=f"{said} And then you", finish="length")
        return said

    assert made(context(cut))["text"].to_list()[0] == "You are 30 years old and vote left."


def test_an_answer_of_the_checker_that_cannot_be_read_is_no_yes():
    here = context(lambda request: author(request) if request.readout == "prose" else "hard to say")
    assert not made(here)["written"].any()
    assert summary_of(spec(), TABLES, here)["facts"] == {"kept": 3, "unread": 3}


def test_the_plan_counts_what_is_then_asked_and_shows_the_people():
    here = context(author)
    estimate = spec().estimate(TABLES, here)
    made(here)
    assert isinstance(here.ask, Answering)
    assert estimate.requests == len(here.ask.asked) == 6
    assert estimate.rows == estimate.empty.height == 4
    assert estimate.empty.schema == made(context(author)).schema


def test_the_control_without_a_portrait_is_never_written():
    here = context(author)
    assert made(here).filter(persona_id="none")["text"].to_list() == [""]


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [({"facts": ["job"]}, "the personas have no attribute 'job'"), ({"as": "items"}, "has no personas")],
)
def test_what_cannot_be_written_about_is_refused(facts, sentence):
    tables = {**TABLES, "items": Table.of("items", [pl.DataFrame({"item_id": ["i"]})])}
    with pytest.raises(SpecError, match=sentence):
        list(spec(**facts).make(tables, context()))
