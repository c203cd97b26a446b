"""Conversations between sides that are known, held over a socket: who hears what, when they end, and what comes of it."""

from __future__ import annotations

import json
import time
from typing import Any

import polars as pl
import pytest

import prefgen
from prefgen.errors import SpecError
from tests.language.conftest import Run

WANTS = [
    {"wish_id": "w1", "persona_id": "ann", "prompt": "Which tea?", "want": "green"},
    {"wish_id": "w2", "persona_id": "bo", "prompt": "Which tea?", "want": "mint"},
]
PEOPLE = [{"persona_id": "ann", "text": "Ann, brief."}, {"persona_id": "bo", "text": "Bo, chatty."}]
GUESSES = ["black", "white", "green", "mint", "red"]
SIDES: dict[str, Any] = {
    "person": {
        "model": "writer",
        "system": "You are {{ text }} You want {{ want }}.",
        "first": "{{ prompt }}",
        "reply": {"say": "text", "score": "1..10"},
    },
    "assistant": {"model": "agent", "system": "Guess."},
}
STEPS: dict[str, Any] = {
    "wishes": {"table": WANTS},
    "people": {"table": PEOPLE},
    "chats": {
        "talk": 6,
        "for": ["wishes", "people"],
        "opens": "person",
        "sides": SIDES,
        "until": "person.score = 10",
    },
}
ONE = {"models": {"m": {}}, "publish": {"exports": ["rows"]}}
TWO = ONE | {"models": {"writer": {}, "agent": {}}}


def guessing(system: str, page: str) -> str:
    """The assistant guesses one tea after the other; the person scores the guess."""
    if system == "Guess.":
        after = [place for place, tea in enumerate(GUESSES) if f"Not {tea}" in page]
        return f"Perhaps {GUESSES[after[-1] + 1 if after else 0]} tea?"
    wanted = system.split("You want ")[1].split(".")[0]
    guess = page.split()[1]
    return json.dumps({"say": "Yes." if guess == wanted else f"Not {guess}.", "score": 10 if guess == wanted else 2})


def test_a_conversation_goes_on_until_the_hidden_score_is_reached(whole: Run) -> None:
    done = whole(TWO | {"steps": STEPS}, guessing)
    chats = done.table("chats")
    assert chats["ended"].to_list() == ["until", "until"]
    assert [row["score"] for row in chats["person"]] == [10, 10]
    assert chats["assistant"].to_list() == [{"say": "Perhaps green tea?"}, {"say": "Perhaps mint tea?"}]
    green = chats["turns"][0].to_list()
    assert [(one["role"], one["content"], one["score"]) for one in green] == [
        ("person", "Which tea?", None),
        ("assistant", "Perhaps black tea?", None),
        ("person", "Not black.", 2),
        ("assistant", "Perhaps white tea?", None),
        ("person", "Not white.", 2),
        ("assistant", "Perhaps green tea?", None),
        ("person", "Yes.", 10),
    ]
    assert chats.columns[:5] == ["wish_id", "persona_id", "prompt", "want", "text"]
    assert chats["chats_id"].is_unique().all()
    assert [len(ids) for ids in chats["request_ids"]] == [6, 8]


def test_a_side_hears_what_is_said_and_nothing_else(whole: Run) -> None:
    done = whole(TWO | {"steps": STEPS}, guessing)
    assert done.served is not None
    agent = [one["messages"] for one in done.served.asked if one["messages"][0]["content"] == "Guess."]
    assert all({message["role"] for message in some[1::2]} == {"user"} for some in agent)
    assert not any("score" in json.dumps(some) or "want" in json.dumps(some) for some in agent)
    longest = max((one["messages"] for one in done.served.asked if one["messages"] not in agent), key=len)
    assert [one["role"] for one in longest] == ["system", "user", *["assistant", "user"] * 4]
    assert longest[1]["content"] == "Begin the conversation."
    assert longest[2]["content"] == '{"say":"Which tea?"}'
    assert json.loads(longest[4]["content"]) == {"say": "Not black.", "score": 2}
    assert "Reply with JSON" in longest[0]["content"]
    # two people ask for tea alike: what the agent is asked alike is asked once
    assert len(done.served.asked) == len({json.dumps(one, sort_keys=True) for one in done.served.asked}) < 6 + 8


def test_notes_are_nobody_elses_and_a_condition_says_when_they_are_taken(whole: Run) -> None:
    steps = STEPS | {
        "chats": STEPS["chats"]
        | {
            "talk": 2,
            "until": None,
            "sides": SIDES
            | {
                "watcher": {
                    "model": "writer",
                    "when": "turn = 2 and person.score < 5",
                    "prompt": "Watched: {% for one in turns %}{{ one.content }} {% endfor %}Last {{ assistant.say }}",
                    "reply": {"mood": ["calm", "cross"]},
                }
            },
            "measure": {"n": {"words": "turns"}, "d": {"edits": "assistant.say", "with": "person.say"}},
        }
    }

    def rule(system: str, page: str) -> str:
        return json.dumps({"mood": "cross"}) if page.startswith("Watched") else guessing(system, page)

    done = whole(TWO | {"steps": steps}, rule)
    chats = done.table("chats")
    assert [[one["role"] for one in row] for row in chats["turns"]] == [["person", "assistant"] * 2 + ["watcher"]] * 2
    assert chats["turns"][0][4] == {"role": "watcher", "content": None, "score": None, "mood": "cross"}
    assert chats["watcher"].to_list() == [{"mood": "cross"}] * 2
    assert chats["ended"].to_list() == ["turns"] * 2
    assert chats["n"].to_list() == [2 + 3 + 2 + 3] * 2
    assert chats["d"].to_list() == [3, 3]  # "Perhaps white tea?" against "Not black."
    assert done.served is not None
    watched = [one["messages"] for one in done.served.asked if one["messages"][-1]["content"].startswith("Watched")]
    assert watched[0][-1]["content"].endswith("Perhaps white tea? Last Perhaps white tea?")
    assert "mood" not in json.dumps([one["messages"] for one in done.served.asked if one["messages"] not in watched])


def test_three_speakers_are_told_apart_by_name_and_heard_in_one_message(whole: Run) -> None:
    steps = {
        "topics": {"table": [{"topic": "tea"}]},
        "round": {
            "talk": 2,
            "for": "topics",
            "sides": {name: {"model": "m", "system": f"You are {name}."} for name in ("ann", "bo", "cy")},
        },
    }
    done = whole(ONE | {"steps": steps}, lambda system, page: f"{system.split()[-1]} on {page.count(':')}.")
    assert done.served is not None
    last = [one["messages"] for one in done.served.asked][-1]
    assert [one["role"] for one in last] == ["system", "user", "assistant", "user"]
    assert last[1]["content"] == "ann: ann. on 0.\n\nbo: bo. on 1."
    assert [turn["role"] for turn in done.table("round")["turns"][0]] == ["ann", "bo", "cy"] * 2


def test_who_has_heard_nothing_new_keeps_silent(whole: Run) -> None:
    steps = {
        "topics": {"table": [{"topic": "tea"}]},
        "round": {
            "talk": 9,
            "for": "topics",
            "sides": {"ann": {"model": "m"}, "bo": {"model": "m", "when": "turn <= 2"}},
        },
    }
    done = whole(ONE | {"steps": steps}, lambda _, page: f"{page}.")
    (row,) = done.table("round").to_dicts()
    assert row["ended"] == "silence"
    assert [turn["role"] for turn in row["turns"]] == ["ann", "bo", "ann", "bo", "ann"]


@pytest.mark.parametrize("tries", [1, 2])
def test_what_cannot_be_read_is_asked_again_and_then_a_row_with_its_reason(whole: Run, tries: int) -> None:
    asked: list[str] = []

    def rule(system: str, page: str) -> str:
        if "You want mint" in system and "white" in page:
            asked.append(page)
            if len(asked) == 1:
                return "Not JSON at all"
        return guessing(system, page)

    steps = STEPS | {"chats": STEPS["chats"] | {"tries": tries}}
    done = whole(TWO | {"steps": steps}, rule)
    chats = done.table("chats")
    if tries == 2:
        assert chats["ended"].to_list() == ["until", "until"]
        assert len(asked) == 2
        return
    assert chats["reject_reason"].to_list() == [None, "unparsed"]
    assert chats["ended"].to_list() == ["until", "person unparsed"]
    assert [turn["content"] for turn in chats["turns"][1]][-1] == "Perhaps white tea?"


def test_lists_stand_beside_a_row_and_repeats_are_independent(whole: Run) -> None:
    steps = {
        "wishes": {"table": WANTS},
        "checks": {"table": [{"wish_id": "w1", "says": one} for one in ("hot", "cheap")]},
        "chats": {
            "talk": 1,
            "for": "wishes",
            "with": ["checks"],
            "repeats": 2,
            "sides": {
                "person": {"model": "m", "system": "{% for c in checks %}- {{ c.says }}\n{% endfor %}{{ want }}"},
                "assistant": {"model": "m"},
            },
        },
    }
    done = whole(ONE | {"models": {"m": {"temperature": 0.5}}, "steps": steps}, lambda system, _: system or "plain")
    chats = done.table("chats")
    assert chats["repeat"].to_list() == [0, 1, 0, 1]
    assert [row[0]["content"] for row in chats["turns"]] == ["- hot\n- cheap\ngreen"] * 2 + ["mint"] * 2
    assert chats["chats_id"].is_unique().all()


def test_the_plan_counts_the_most_that_can_be_asked(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = prefgen.plan(_loaded(tmp_path, STEPS))
    (chats,) = (step for step in plan.steps if step.name == "chats")
    assert chats.requests_are == "at most"
    assert chats.rows == 2
    # the opening is said, not asked; both ask alike at first, which the agent is asked once
    assert {one.model: one.requests for one in chats.asked} == {"writer": 2 * 5, "agent": 2 * 6 - 1}
    asked = _loaded(tmp_path, STEPS, models={"writer": {"engine": "openai", "model": "m"}, "agent": BATCH})
    notes = " ".join(prefgen.plan(asked).notes)
    assert "at most 6 submissions" in notes


BATCH = {"engine": "batch", "model": "m"}


def _loaded(folder: Any, steps: Any, models: Any = None) -> prefgen.Pipeline:
    import yaml

    plain = {"engine": "openai", "model": "m"}
    path = folder / "pipeline.yaml"
    said = {"name": "town", "models": models or {"writer": plain, "agent": plain, "m": plain}, "steps": steps}
    said |= {"publish": {"exports": ["rows"]}}
    path.write_text(yaml.safe_dump(said, sort_keys=False))
    return prefgen.load(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"opens": "nobody"}, "no side 'nobody' to open"),
        ({"until": "person.mood = 1"}, "'person' replies no 'mood'"),
        ({"until": "person.score"}, "not true or false"),
        ({"until": "person.say ="}, "person.say ="),
        ({"sides": {"user": SIDES["person"], "assistant": SIDES["assistant"]}}, "no side can be named 'user'"),
        ({"sides": {"person": SIDES["person"]}}, "at least 2"),
        ({"sides": SIDES | {"want": {"model": "agent"}}}, "have a column 'want'"),
        ({"sides": SIDES | {"other": {"model": "agent", "reply": {"score": "text"}}}}, "'score' of 'other'"),
        ({"sides": SIDES | {"other": {"model": "agent", "reply": {"say": "1..3"}}}}, "what is said is a text"),
        (
            {"sides": SIDES | {"other": {"model": "agent", "reply": {"role": "text"}}}},
            "'role' is a field of every turn",
        ),
        ({"sides": SIDES | {"other": {"model": "ghost"}}}, "no model named 'ghost'"),
        ({"sides": SIDES | {"other": {"model": "agent", "prompt": "a", "first": "b"}}}, "never `first`"),
        ({"sides": SIDES | {"other": {"model": "agent", "system": "{{ nope }}"}}}, "nope"),
        ({"sides": SIDES | {"other": {"model": "agent", "system": "{{ "}}}, "not a template"),
        ({"sides": SIDES | {"other": {"model": "agent", "when": "turn > 'x"}}}, "turn > "),
        ({"measure": {"n": {"words": "person.mood"}}}, "no column 'person.mood'"),
        ({"with": ["numbers"]}, "'numbers' has no id"),
        ({"memory": {"by": ["want"], "see": "nothing"}}, "nothing gives 'nothing'"),
        ({"memory": {"by": ["wont"], "see": "say"}}, "several sides reply 'say'"),
        ({"memory": {"by": ["wont"], "see": "score"}}, "no column 'wont'"),
    ],
)
def test_what_cannot_be_held_is_told_before_anybody_is_asked(tmp_path: Any, change: Any, said: str) -> None:
    steps = {"numbers": {"table": [{"number": 1}]}} | STEPS | {"chats": STEPS["chats"] | change}
    with pytest.raises(SpecError) as caught:
        prefgen.plan(_loaded(tmp_path, steps))
    assert said in str(caught.value)
    assert "fix:" in str(caught.value)


def test_a_memory_is_of_its_group_in_order_and_of_the_latest(whole: Run) -> None:
    docs = [{"n": n, "topic": "ab"[n % 2], "time": -n} for n in range(8)]
    steps = {
        "docs": {"table": docs},
        "rounds": {
            "talk": 1,
            "for": "docs",
            "memory": {"by": ["topic"], "order": "time", "see": "lesson", "last": 2},
            "sides": {
                "assistant": {"model": "m", "prompt": "Draft {{ n }} knowing {{ memory | join(', ') }}."},
                "editor": {"model": "m", "prompt": "Edit {{ assistant.say }}", "reply": {"fine": "yes/no"}},
                "learner": {
                    "model": "m",
                    "when": "not editor.fine",
                    "prompt": "Learn {{ n }}",
                    "reply": {"lesson": "text"},
                },
            },
        },
    }

    def rule(_: str, page: str) -> str:
        if page.startswith("Edit"):
            return json.dumps({"fine": "Draft 5" in page})
        return page

    done = whole(ONE | {"steps": steps}, rule)
    said = {row["n"]: row["assistant"]["say"] for row in done.table("rounds").iter_rows(named=True)}
    assert said[7] == "Draft 7 knowing ."
    assert said[5] == "Draft 5 knowing Learn 7."
    assert said[3] == "Draft 3 knowing Learn 7."  # of 5, which was fine, there is nothing to learn
    assert said[1] == "Draft 1 knowing Learn 7, Learn 3."
    assert said[0] == "Draft 0 knowing Learn 4, Learn 2."
    assert done.table("rounds")["n"].to_list() == [6, 4, 2, 0, 7, 5, 3, 1]


def test_a_row_without_chats_is_no_error(whole: Run) -> None:
    steps = STEPS | {"none": {"keep": "wishes", "where": {"nobody": "want = 'coal'"}}}
    steps["later"] = STEPS["chats"] | {"for": ["none", "people"]}
    order = ["wishes", "people", "none", "later"]
    done = whole(TWO | {"steps": {name: steps[name] for name in order}}, guessing)
    assert done.table("later").height == 0
    assert done.table("later").schema["turns"] == pl.List(
        pl.Struct({"role": pl.String, "content": pl.String, "score": pl.Int64})
    )


def test_a_slow_answer_holds_up_its_own_conversation_alone(whole: Run) -> None:
    at: dict[str, float] = {}

    def rule(system: str, page: str) -> str:
        if system == "slow" and page.count("told") == 2:  # its second turn
            time.sleep(0.6)
        at.setdefault(f"{system} last" if page.count("told") > 3 else system, time.monotonic())
        return f"{page} told"

    sides = {"person": {"model": "m", "system": "{{ pace }}"}, "other": {"model": "m", "system": "{{ pace }} other"}}
    steps = {
        "rows": {"table": [{"pace": "slow"}, {"pace": "quick"}]},
        "chats": {"talk": 3, "for": "rows", "sides": sides},
    }
    whole({"models": {"m": {}}, "steps": steps, "publish": {"exports": ["rows"]}}, rule)
    assert at["slow other last"] - at["quick other last"] > 0.3
