"""`write: {reader: ...}`: what was written is read back by a model, against a server that writes and reads by a rule."""

from __future__ import annotations

import re
from typing import Any

import polars as pl
import pytest

import prefgen
from prefgen.errors import SpecError
from tests.language.conftest import Done, Run

ROWS = [{"topic": topic, "mood": mood} for topic in ("tea", "jam", "sea") for mood in ("calm", "wild")]
MOODS = {"calm": "still", "wild": "storm"}


def options_of(page: str) -> dict[str, str]:
    return {text: letter for letter, text in re.findall(r"^([A-Z])\) (.+)$", page, re.M)}


def author(system: str, page: str) -> str:
    """Writes of the mood, but of jam only when told so; reads the mood from the text, and says yes to what it finds."""
    offered = options_of(page)
    if offered:
        mood = next((mood for mood, sign in MOODS.items() if sign in page), None)
        return offered.get(mood or "", "A")
    if page.startswith("Is there"):
        word, text = re.match(r"Is there (\w+) in: (.*)", page).groups()  # type: ignore[union-attr]
        return "yes" if word in text else "no"
    topic, mood = re.findall(r"(\w+), (\w+)\.", page)[-1]
    if page.startswith("Again: ") or topic != "jam":
        return f"The {topic} is {MOODS[mood]}."
    return f"The {topic} is there."


def written(whole: Run, reader: dict[str, Any], rule: Any = author, **more: Any) -> Done:
    step = {
        "write": "text",
        "for": "rows",
        "model": "m",
        "prompt": "Write of {{ topic }}, {{ mood }}.",
        "reader": reader,
        **more,
    }
    steps = {"rows": {"table": ROWS}, "texts": step}
    models = {"m": {}, "other": {"model": "another", "temperature": 0.5}}
    return whole({"models": models, "steps": steps, "publish": {"exports": [{"rows": {"from": "texts"}}]}}, rule)


MOOD = {"ask": "What is it? {{ text }}", "options": ["calm", "wild"], "want": "mood"}


def test_what_is_not_read_as_meant_has_the_reader_for_its_reason(whole: Run) -> None:
    table = written(whole, {"mood unread": MOOD}).table("texts")
    told = {row["topic"] + row["mood"]: row["reject_reason"] for row in table.iter_rows(named=True)}
    # of jam nothing is said, and the reader says A, which is calm
    assert told == {f"{row['topic']}{row['mood']}": None for row in ROWS} | {"jamwild": "mood unread"}


def test_a_reader_that_likes_a_slot_convinces_nobody_over_balanced_orders(whole: Run) -> None:
    done = written(whole, {"mood unread": MOOD | {"orders": "balanced"}})
    table = done.table("texts")
    assert set(table.filter(topic="jam")["reject_reason"]) == {"mood unread"}
    assert table.filter(pl.col("topic") != "jam")["reject_reason"].null_count() == 4
    assert done.data("rows").height == 4
    half = written(whole, {"mood unread": MOOD | {"orders": "balanced", "least": 0.5}}).table("texts")
    assert half["reject_reason"].null_count() == 6


def test_what_fails_is_written_anew_and_told_why(whole: Run) -> None:
    again = "Again: it is {{ reason }}. {{ topic }}, {{ mood }}."
    done = written(whole, {"mood unread": MOOD | {"orders": "balanced"}}, tries=2, again=again)
    table = done.table("texts")
    assert table["reject_reason"].null_count() == 6
    assert table["text"].to_list() == [f"The {row['topic']} is {MOODS[row['mood']]}." for row in ROWS]
    assert done.served is not None
    pages = [body["messages"][-1]["content"] for body in done.served.asked]
    assert sum("Again: it is mood unread." in page for page in pages) == 2


def test_all_elements_of_a_list_are_looked_for(whole: Run) -> None:
    reader = {"missing": {"ask": "Is there {{ element }} in: {{ text }}", "each": "signs"}}
    rows = {"rows": {"table": [{**row, "signs": [row["topic"], MOODS[row["mood"]]]} for row in ROWS]}}
    step = {"write": "text", "for": "rows", "model": "m", "prompt": "Of {{ topic }}, {{ mood }}.", "reader": reader}
    done = whole({"models": {"m": {}}, "steps": rows | {"texts": step}, "publish": {"exports": []}}, author)
    dropped = done.table("texts").filter(pl.col("reject_reason").is_not_null())
    assert set(dropped["topic"]) == {"jam"}
    assert set(dropped["reject_reason"]) == {"missing"}


@pytest.mark.parametrize(("want", "kept"), [("same", {"tea", "sea"}), ("calm", {"tea", "sea"})])
def test_the_same_answer_every_time_is_enough_for_same(whole: Run, want: str, kept: set[str]) -> None:
    table = written(whole, {"unsure": MOOD | {"want": want, "orders": "balanced"}}).table("texts")
    calm = table.filter(pl.col("reject_reason").is_null())
    assert set(calm["topic"]) == kept
    assert calm.height == (4 if want == "same" else 2)


def test_of_a_list_single_rows_are_dropped(whole: Run) -> None:
    def rule(system: str, page: str) -> str:
        return author(system, page) if page.startswith("Is there") else '{"rows": [{"text": "tea"}, {"text": "rum"}]}'

    reader = {"no tea": {"ask": "Is there tea in: {{ text }}", "want": True}}
    table = written(whole, reader, rule, write=[{"text": "text"}], count=2).table("texts")
    assert table["text"].to_list() == ["tea", "rum"] * 6
    assert table["reject_reason"].to_list() == [None, "no tea"] * 6


def test_another_model_may_read_and_is_planned_for(whole: Run, tmp_path: Any) -> None:
    done = written(whole, {"mood unread": MOOD | {"model": "other", "repeats": 3}})
    assert done.served is not None
    asked = [body["model"] for body in done.served.asked]
    assert asked.count("m") == 6
    # What was written of jam is the same for both moods, so it is read once.
    assert asked.count("another") == 5 * 3
    pipeline = prefgen.load(done.folder / "pipeline.yaml")
    (plan,) = [step for step in prefgen.plan(pipeline).steps if step.name == "texts"]
    assert {one.model: one.requests for one in plan.asked} == {"m": 6, "other": 18}


def test_equal_answers_give_equal_bytes(whole: Run, tmp_path: Any) -> None:
    reader = {"mood unread": MOOD | {"orders": "balanced"}}
    first = written(whole, reader, tries=2).folder
    files = {file.name: file.read_bytes() for file in sorted((first / "data" / "rows").glob("*.parquet"))}
    first.rename(tmp_path / "first")
    second = written(whole, reader, tries=2).folder
    assert {file.name: file.read_bytes() for file in sorted((second / "data" / "rows").glob("*.parquet"))} == files


@pytest.mark.parametrize(
    ("reader", "problem"),
    [
        (MOOD | {"want": "mild"}, "want: 'mild' is none of its options"),
        (MOOD | {"options": ["calm"]}, "different options"),
        (MOOD | {"options": "topics"}, "options: 'topics' is no column with lists"),
        (MOOD | {"want": ""}, "`want` says which answer"),
        ({"ask": "{{ text }}", "want": "maybe"}, "is not answered to yes/no"),
        ({"ask": "{{ text }}", "want": "same"}, "one answer is always the same"),
        ({"ask": "{{ text", "want": "yes"}, "ask: not a template"),
        ({"ask": "{{ txt }}", "want": "yes"}, "txt"),
        ({"ask": "{{ text }}", "each": "topic"}, "each: 'topic' is no column with lists"),
        ({"ask": "{{ text }}", "model": "nobody"}, "no model named 'nobody'"),
    ],
)
def test_a_wrong_reader_is_told_before_anybody_is_asked(whole: Run, reader: dict[str, Any], problem: str) -> None:
    with pytest.raises(SpecError, match=problem) as told:
        written(whole, {"unread": reader})
    assert "fix:" in str(told.value)


def test_a_reason_is_one_check(whole: Run) -> None:
    with pytest.raises(SpecError, match="'unread' stands under `where` and under `reader`"):
        written(whole, {"unread": MOOD}, where={"unread": "text <> ''"})


def wavering(system: str, page: str) -> str:
    """Writes a portrait that says nothing of tea until it is told to; who is played takes what the portrait likes, else its slot."""
    offered = options_of(page)
    if not offered:
        return "You like tea and walks." if "Tea or coffee?" in page else "You like walks."
    liked = next((text for text in offered if text in system), None)
    return offered[liked] if liked is not None else "A"


PROBES = [
    {"prompt": "Tea or coffee?", "options": ["tea", "coffee"], "right": "tea"},
    {"prompt": "Walks or books?", "options": ["books", "walks"], "right": "walks"},
]
WAVERS = {"items": "probes", "as": "text", "orders": ["given", "swapped"], "want": "same"}


def of_people(whole: Run, reader: dict[str, Any], **more: Any) -> Done:
    people = {"write": "text", "for": "rows", "model": "m", "prompt": "Who is this? {{ topic }}", "reader": reader}
    steps = {
        "rows": {"table": [{"topic": "Ann"}, {"topic": "Bo"}]},
        "probes": {"table": PROBES},
        "people": people | more,
    }
    return whole({"models": {"m": {}}, "steps": steps, "publish": {"exports": []}}, wavering)


def test_a_portrait_must_answer_items_the_same_every_time(whole: Run) -> None:
    table = of_people(whole, {"wavers": WAVERS}).table("people")
    assert table["reject_reason"].to_list() == ["wavers"] * 2  # of tea it says nothing, so the slot decides
    again = "Keep this: {{ written.text }} ({{ written }})\n{{ wavers }}"
    done = of_people(whole, {"wavers": WAVERS}, tries=2, again=again)
    assert done.table("people")["reject_reason"].null_count() == 2
    assert done.served is not None
    told = {body["messages"][-1]["content"] for body in done.served.asked}
    # what it was not asked about in vain is not told
    assert "Keep this: You like walks. (You like walks.)\nTea or coffee?" in told


def test_items_may_say_which_answer_is_wanted(whole: Run) -> None:
    wanted = of_people(whole, {"wrong": WAVERS | {"want": "right"}}, tries=2, again="{{ wrong }}")
    assert wanted.table("people")["reject_reason"].null_count() == 2
    pipeline = prefgen.load(wanted.folder / "pipeline.yaml")
    (plan,) = [step for step in prefgen.plan(pipeline).steps if step.name == "people"]
    assert plan.requests == 2 + 2 * 2 * 2  # portraits differ in a plan: two texts, then two items in two orders of each


def test_columns_may_be_the_options(whole: Run) -> None:
    def rule(system: str, page: str) -> str:
        offered = options_of(page)
        if not offered:
            return '{"right": "tea", "other": "%s"}' % ("tea" if "sea" in page else "coffee")
        return offered["tea"]

    reader = {"unfaithful": {"ask": "Of `{{ written.right }}`?", "options": ["other", "right"], "want": "right"}}
    table = written(whole, reader, rule, write={"right": "text", "other": "text"}).table("texts")
    # of the sea both options say the same, so nobody can tell them apart
    assert set(table.filter(topic="sea")["reject_reason"]) == {"unfaithful"}
    assert table.filter(pl.col("topic") != "sea")["reject_reason"].null_count() == 4


@pytest.mark.parametrize(
    ("reader", "said"),
    [
        ({"want": "same", "repeats": 2}, "a reader has a question, or items"),
        (WAVERS | {"ask": "What?"}, "a reader has a question, or items"),
        (WAVERS | {"options": ["a", "b"]}, "leave `options` out"),
        (WAVERS | {"items": "rows"}, "'rows' has no items"),
        (WAVERS | {"items": "nobody"}, "no step named 'nobody'"),
        (WAVERS | {"as": "portrait"}, "no column 'portrait' of texts"),
        (WAVERS | {"want": "wright"}, "'wright' is no column"),
        (WAVERS | {"orders": ["given", "backwards"]}, "'backwards' is no order"),
    ],
)
def test_readers_of_items_that_cannot_be_are_told(whole: Run, reader: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        of_people(whole, {"wavers": reader})
