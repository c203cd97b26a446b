"""`judge: score | grade | check`: criteria as templates and as rows, and reasons kept beside ratings."""

from __future__ import annotations

import re
from typing import Any

import polars as pl
import pytest

import prefgen
from prefgen.errors import SpecError
from tests.language.conftest import Done, Run

ANSWERS = [
    {"item_id": item, "prompt": f"{item}?", "response": f"{item} {word}", "liked": word}
    for item in ("tea", "jam")
    for word in ("hot", "cold")
]
POINTS = [{"item_id": "tea", "criterion": f"it is {word}"} for word in ("hot", "sweet", "wet")] + [
    {"item_id": "jam", "criterion": "it is cold"}
]


def checker(system: str, page: str) -> str:
    """Says yes where the last word of the criterion stands in the answer, and what it saw."""
    answer, criterion = re.search(r"rated:\n\n(.*?)\n\n.*hold\? ([^\n]*)", page, re.S).groups()  # type: ignore[union-attr]
    holds = criterion.split()[-1] in answer
    said = ("3" if holds else "-3") if "whole number from -3" in page else "yes" if holds else "no"
    return f"I see `{answer}`.\nAnswer: {said}" if "Give your reason" in page else said


def rated(whole: Run, judge: dict[str, Any], **steps: Any) -> Done:
    step = {"judge": "check", "items": "answers", "model": "m", **judge}
    made = {"answers": {"table": ANSWERS}, "points": {"table": POINTS}, **steps, "met": step}
    return whole({"models": {"m": {}}, "steps": made, "publish": {"exports": [{"rows": {"from": "met"}}]}}, checker)


def test_every_row_is_rated_by_the_criteria_that_share_its_ids(whole: Run) -> None:
    done = rated(whole, {"criteria": "points"})
    told = {(row["response"], row["criterion"]): row["passed"] for row in done.table("met").iter_rows(named=True)}
    wanted = {
        (one["response"], point["criterion"]): point["criterion"].split()[-1] in one["response"]
        for one in ANSWERS
        for point in POINTS
        if point["item_id"] == one["item_id"]
    }
    assert told == wanted
    assert len(wanted) == 2 * 3 + 2
    (plan,) = [step for step in prefgen.plan(prefgen.load(done.folder / "pipeline.yaml")).steps if step.name == "met"]
    assert (plan.rows, plan.requests) == (8, 8)


def test_what_is_hard_is_told_by_a_query_over_the_checks(whole: Run) -> None:
    query = "select item_id from met group by item_id having avg(passed) < 0.5"
    done = rated(whole, {"criteria": "points"})
    assert pl.SQLContext(met=done.table("met")).execute(query, eager=True)["item_id"].to_list() == ["tea"]


def test_criteria_see_the_row_and_reasons_are_kept(whole: Run) -> None:
    table = rated(whole, {"criteria": {"fit": "it is {{ liked }}"}, "reason": True}).table("met")
    assert table["fit"].to_list() == [True] * 4
    assert table["fit_reason"].to_list() == [f"I see `{one['response']}`." for one in ANSWERS]
    assert table["fit_p"].to_list() == [1.0] * 4


@pytest.mark.parametrize("reason", [True, False])
def test_a_score_below_nought_keeps_its_sign(whole: Run, reason: bool) -> None:
    step = {"judge": "score", "range": "-3..3", "criteria": {"heat": "it is hot"}, "reason": reason}
    assert rated(whole, step).table("met")["heat"].to_list() == [3.0, -3.0, 3.0, -3.0]


def test_rows_that_were_written_meet_by_what_they_are_about(whole: Run) -> None:
    """How each was asked for is no id that they share."""
    points = {"write": ["criterion"], "count": 2, "for": "wants", "model": "m", "prompt": "Points of {{ want }}"}
    plain = {"write": "response", "for": "wants", "model": "m", "prompt": "{{ want }}!"}
    steps = {
        "wants": {"table": [{"want_id": "1", "want": "tea"}, {"want_id": "2", "want": "jam"}]},
        "points": points,
        "plain": plain,
        "both": {"write": "more", "for": ["points", "plain"], "model": "m", "prompt": "{{ criterion }} {{ response }}"},
        "met": {
            "judge": "check",
            "items": "plain",
            "criteria": "points",
            "model": "m",
            "page": "Answer to be rated:\n\n{{ response }}",
        },
    }

    def rule(system: str, page: str) -> str:
        if page.startswith("Points of"):
            return '{"rows": ["a tea", "a jam"]}'
        return checker(system, page) if "hold?" in page else page.split("!")[0]

    done = whole({"models": {"m": {}}, "steps": steps, "publish": {"exports": []}}, rule)
    met = done.table("met")
    assert met.select("want", "criterion", "passed").rows() == [
        ("tea", "a tea", True),
        ("tea", "a jam", False),
        ("jam", "a tea", False),
        ("jam", "a jam", True),
    ]
    assert done.table("both")["response"].to_list() == ["tea", "tea", "jam", "jam"]


@pytest.mark.parametrize(
    ("judge", "said"),
    [
        ({"criteria": "answers"}, "'answers' has no texts in `criterion`"),
        ({"criteria": "others"}, "'others' shares no id with the items"),
        ({"criteria": "nothing"}, "no step named 'nothing'"),
        ({"criteria": {"fit": "it is {{ loved }}"}}, "'loved' is undefined"),
        ({"criteria": {"fit": "it is {{ liked"}}, "not a template"),
        ({"criteria": "points", "given": "liked", "model": ""}, "`given` is one column"),
    ],
)
def test_criteria_that_cannot_be_are_told(whole: Run, judge: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        rated(whole, judge, others={"table": [{"criterion": "x"}]})


def test_templates_see_further_tables_by_name_and_written_prompts_are_named(whole: Run) -> None:
    steps = {
        "votes": {"table": [{"vote_id": "1", "word": "tea"}, {"vote_id": "2", "word": "jam"}]},
        "parts": {"table": [{"vote_id": "2", "word": "late"}, {"vote_id": "1", "word": "early"}]},
        "asks": {"write": "prompt", "for": ["parts", "votes"], "model": "m", "prompt": "{{ votes.word }} {{ word }}"},
        "plain": {"write": "response", "for": "asks", "model": "m"},
    }
    done = whole({"models": {"m": {}}, "steps": steps, "publish": {"exports": []}}, lambda _, page: f"{page}?")
    asks = done.table("asks")
    assert asks["prompt"].to_list() == ["jam late?", "tea early?"]
    assert asks["item_id"].to_list() == done.table("plain")["item_id"].to_list()
    assert asks["item_id"].n_unique() == 2


def test_a_conversation_is_rated_as_it_was_held(whole: Run) -> None:
    turns = [{"role": "user", "content": "Tea?"}, {"role": "assistant", "content": "Yes."}]
    step = {"judge": "score", "items": "chats", "model": "m", "criteria": {"kind": "it is kind"}}
    steps = {"chats": {"table": [{"turns": turns}]}, "x": step}
    done = whole({"models": {"m": {}}, "steps": steps, "publish": {"exports": []}}, lambda _, page: "4")
    assert prefgen.plan(prefgen.load(done.folder / "pipeline.yaml")).steps[1].rows == 1
    assert done.table("x")["kind"].to_list() == [4.0]
    assert done.served is not None
    page = done.served.asked[0]["messages"][-1]["content"]
    assert page.startswith("Conversation to be rated:\n\nuser: Tea?\n\nassistant: Yes.\n\nHow far")
