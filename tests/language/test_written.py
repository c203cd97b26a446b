"""What a model writes and how it is rated, against a server that writes and rates by a rule."""

from __future__ import annotations

import json
import re

import polars as pl
import pytest

from prefgen.errors import SpecError
from tests.language.conftest import Run

PROMPTS = "".join(json.dumps({"prompt": text}) + "\n" for text in ("What is tea?", "Why walk?", "Who sings?"))
POLES = {
    "population": "poles",
    "portraits": [
        {"id": "brief", "share": 0.5, "text": "You want short answers."},
        {"id": "long", "share": 0.5, "text": "You want long answers."},
    ],
}


def author(system: str, page: str) -> str | dict[str, float]:
    """Writes as its reader likes it, says what is asked as JSON, and rates by length; picks the shorter for `brief`."""
    if "Reply with JSON" in page:
        return json.dumps({"rows": [{"prompt": f"More about {page[:12]} {k}?"} for k in range(3)]})
    if "How far does this hold?" in page or "how far does this hold?" in page:
        words = len(page.split("Answer to be rated:")[1].split("As this person")[0].split("How far")[0].split())
        best = "5" if words > 15 else "1"
        return {best: 0.8, "3": 0.2}
    if "Does this hold?" in page:
        return {"yes": 0.9, "no": 0.1} if "What is tea?" in page else {"yes": 0.2, "no": 0.8}
    options = re.findall(r"^([A-Z])\) (.+)$", page, re.M)
    if options:
        by_length = sorted(options, key=lambda one: len(one[1]))
        chosen = by_length[0 if "short" in system else -1][0]
        return {letter: 0.9 if letter == chosen else 0.1 / (len(options) - 1) for letter, _ in options}
    return "Briefly so." if "short" in system else f"{page} " + "It is a long story with many words. " * 4


SOUPS = {
    "models": {"writer": {"temperature": 0.7}, "judge": {}},
    "steps": {
        "prompts": {"table": "prompts.jsonl"},
        "poles": {"draw": "poles.yaml", "controls": ["none"]},
        "drafts": {"write": "response", "for": "prompts", "as": "poles", "model": "writer", "prompt": "{{ prompt }}"},
        "picks": {"judge": "pick", "items": "drafts", "show": 2, "as": "poles", "model": "judge"},
        "pairs": {"pair": "chosen_vs_other", "from": "picks"},
    },
    "publish": {"exports": [{"dpo": {"context": "none"}}, "battle"]},
}


def test_everybody_prefers_what_was_written_for_them(whole: Run) -> None:
    done = whole(SOUPS, author, prompts__jsonl=PROMPTS, poles__yaml=POLES)
    drafts, pairs = done.table("drafts"), done.table("pairs")
    assert drafts.height == 3 * 2
    assert drafts.select("item_id", "written_as").is_unique().all()
    assert (pairs["chosen_written_as"] == pairs["persona_id"]).all()
    assert pairs.height == 3 * 2
    dpo = done.data("dpo")
    assert {message["role"] for row in dpo["prompt"] for message in row} == {"user"}


def test_lists_become_rows_and_rows_are_asked_once(whole: Run) -> None:
    steps = {
        "prompts": {"table": "prompts.jsonl"},
        "more": {"write": ["prompt"], "count": 3, "for": "prompts", "model": "m", "prompt": "Ask about: {{ prompt }}"},
        "both": {"table": ["prompts", "more"]},
        "counted": {"table": ["more"], "sql": "select prompt_before, count(*) as n from more group by prompt_before"},
    }
    done = whole(
        {"models": {"m": {}}, "steps": steps, "publish": {"exports": [{"rows": {"from": "both"}}]}},
        author,
        prompts__jsonl=PROMPTS,
    )
    more = done.table("more")
    assert more["more_place"].to_list() == [0, 1, 2] * 3
    assert more["more_id"].is_unique().all()
    assert done.table("both").height == 3 + 9
    assert done.table("counted")["n"].to_list() == [3, 3, 3]
    assert done.served is not None
    assert len(done.served.asked) == 3
    assert done.served.asked[0]["response_format"]["json_schema"]["schema"]["required"] == ["rows"]


def test_a_score_is_the_mean_over_its_probabilities(whole: Run) -> None:
    steps = SOUPS["steps"] | {
        "scored": {
            "judge": "score",
            "items": "drafts",
            "criteria": {"length": "it is long"},
            "range": "1..5",
            "model": "judge",
        },
        "graded": {
            "judge": "grade",
            "items": "scored",
            "as": "poles",
            "criteria": {"fit": "it suits"},
            "levels": ["no", "so so", "well"],
            "model": "judge",
        },
        "checked": {"judge": "check", "items": "scored", "criteria": {"tea": "it is about tea"}, "model": "judge"},
        "kept": {"keep": "checked", "where": {"short": "length > 3"}},
    }
    pipeline = SOUPS | {
        "steps": steps,
        "publish": {"exports": [{"attr": {"from": "kept", "labels": ["length", "tea_p"]}}]},
    }
    done = whole(pipeline, _grades, prompts__jsonl=PROMPTS, poles__yaml=POLES)
    scored = done.table("scored")
    long = scored["written_as"] == "long"
    assert scored.filter(long)["length"].to_list() == pytest.approx([0.8 * 5 + 0.2 * 3] * 3)
    assert scored.filter(~long)["length"].to_list() == pytest.approx([0.8 * 1 + 0.2 * 3] * 3)
    graded = done.table("graded")
    assert graded.height == 6 * 2
    assert set(graded.filter(pl.col("written_as") == pl.col("persona_id"))["fit"]) == {"well"}
    assert graded.filter(pl.col("written_as") == pl.col("persona_id"))["fit_score"][0] == pytest.approx(
        0.1 * 1 + 0.9 * 3
    )
    checked = done.table("checked")
    about = checked["prompt"].str.contains("tea")
    assert checked.filter(about)["tea_p"].to_list() == pytest.approx([0.9] * 2)
    assert checked.filter(~about)["tea"].to_list() == [False] * 4
    assert done.data("attr").height == 3


def _grades(system: str, page: str) -> str | dict[str, float]:
    if "A) no" in page:
        fits = ("short" in system) == ("Briefly" in page)
        return {"C": 0.9, "A": 0.1} if fits else {"A": 0.9, "C": 0.1}
    return author(system, page)


def test_what_fails_a_check_is_asked_again_and_told_why(whole: Run) -> None:
    tries: list[str] = []

    def writes(system: str, page: str) -> str:
        tries.append(page)
        return "Too short." if "again" not in page else "Now there are quite enough words in this text."

    steps = {
        "prompts": {"table": "prompts.jsonl"},
        "drafts": {
            "write": "response",
            "for": "prompts",
            "model": "m",
            "prompt": "{{ prompt }}",
            "measure": {"n": {"words": "response"}},
            "where": {"too short": "n >= 5"},
            "tries": 2,
            "again": "Once again, it was {{ reason }}: {{ written }}",
        },
    }
    done = whole(
        {"models": {"m": {}}, "steps": steps, "publish": {"exports": ["rows"]}}, writes, prompts__jsonl=PROMPTS
    )
    drafts = done.table("drafts")
    assert drafts["reject_reason"].to_list() == [None] * 3
    assert drafts["n"].to_list() == [9] * 3
    assert "Once again, it was too short: Too short." in tries
    assert len(tries) == 6


def test_what_is_not_of_its_type_is_a_row_with_a_reason(whole: Run) -> None:
    def writes(system: str, page: str) -> str:
        if "tea" in page:
            return '{"score": 9, "why": "so"}'
        return '```json\n{"score": 4, "why": "so", "more": 1}\n```' if "walk" in page else "I'd say four."

    steps = {
        "prompts": {"table": "prompts.jsonl"},
        "rated": {"write": {"score": "1..5", "why": "text"}, "for": "prompts", "model": "m", "prompt": "{{ prompt }}"},
        "kept": {"write": "note", "for": "rated", "model": "m", "prompt": "tea? {{ score + 1 }}"},
    }
    done = whole(
        {"models": {"m": {}}, "steps": steps, "publish": {"exports": ["rows"]}}, writes, prompts__jsonl=PROMPTS
    )
    assert done.table("rated").select("score", "why", "reject_reason").rows() == [
        (None, None, "unparsed"),
        (4, "so", None),
        (None, None, "unparsed"),
    ]
    assert done.table("kept").height == 1


def test_a_join_that_would_double_rows_is_refused(whole: Run) -> None:
    steps = {
        "prompts": {"table": "prompts.jsonl", "set": {"item_id": "one"}},
        "names": {"table": [{"item_id": "one", "name": "a"}, {"item_id": "one", "name": "b"}]},
        "drafts": {"write": "response", "for": ["prompts", "names"], "model": "m", "prompt": "{{ name }}"},
    }
    with pytest.raises(SpecError, match="which would double the rows of 'prompts'"):
        whole({"models": {"m": {}}, "steps": steps, "publish": {"exports": ["rows"]}}, author, prompts__jsonl=PROMPTS)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_csv('/etc/passwd')",
        "select * from prompts, read_parquet('http://127.0.0.1/x')",
        "drop table prompts",
        "select * from nobody",
        "select current_date from prompts",
    ],
)
def test_a_query_sees_its_tables_and_nothing_else(whole: Run, sql: str) -> None:
    steps = {"prompts": {"table": "prompts.jsonl"}, "asked": {"table": "prompts", "sql": sql}}
    with pytest.raises(SpecError, match=r"sql"):
        whole({"steps": steps, "publish": {"exports": ["rows"]}}, prompts__jsonl=PROMPTS)


def of_marks(whole: Run, rule: object = None, **more: object) -> pl.DataFrame:
    questions = [
        {"prompt": f"Is {what}?", "options": ["yes", "no"], "kind": kind}
        for what, kind in (("it tea", "fact"), ("tea nice", "taste"))
    ]
    step = {
        "judge": "mark",
        "items": "questions",
        "marks": {"fact": "it can be looked up", "taste": "people differ"},
        "model": "m",
        **more,
    }
    pipeline = {
        "models": {"m": {}},
        "steps": {"questions": {"table": questions}, "kinds": step},
        "publish": {"exports": []},
    }
    return whole(pipeline, rule).table("kinds")  # type: ignore[arg-type]


def test_marks_are_the_probabilities_that_the_judge_has(whole: Run) -> None:
    def rule(system: str, page: str) -> dict[str, float]:
        assert "A) fact: it can be looked up\nB) taste: people differ" in page
        assert "- yes\n- no" in page
        return {"A": 0.25, "B": 0.75} if "nice" in page else {"A": 0.9, "B": 0.1}

    table = of_marks(whole, rule)
    assert table["mark"].to_list() == table["kind"].to_list() == ["fact", "taste"]
    assert table["mark_fact"].to_list() == pytest.approx([0.9, 0.25])
    assert table["mark_taste"].to_list() == pytest.approx([0.1, 0.75])


def test_marks_by_several_criteria_and_those_that_people_gave(whole: Run) -> None:
    two = of_marks(
        whole,
        lambda system, page: "B" if "today" in page else "A",
        criteria={"now": "today", "then": "once"},
        marks=["fact", "taste"],
    )
    assert two.select("now", "then", "now_taste", "then_fact").unique().row(0) == ("taste", "fact", 1.0, 1.0)
    given = of_marks(whole, lambda system, page: "", given="kind", model="", criteria={"known": "by people"})
    assert given["known"].to_list() == ["fact", "taste"]
    assert given["known_taste"].to_list() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"marks": ["fact"]}, "2 to 26"),
        ({"marks": []}, "a mark needs them"),
        ({"judge": "check", "marks": []}, "criteria: missing"),
    ],
)
def test_marks_that_are_none_are_told(whole: Run, more: dict[str, object], problem: str) -> None:
    with pytest.raises(SpecError, match=problem):
        of_marks(whole, lambda system, page: "A", **more)
