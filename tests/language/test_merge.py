"""`merge`: texts that say the same, by their words against brute force, and by a model whose groups are planted."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import prefgen
from prefgen.errors import SpecError
from prefgen.judging.merging import by_words, in_order, portions
from prefgen.steps.write.measures import shared, words_of
from tests.language.conftest import Done, Run

TOPICS = ["green tea", "tea, green!", "Green tea", "coffee", "black coffee", "the black coffee", "hiking", "green tea"]


def merged(whole: Run, rule: Any = None, topics: list[Any] | None = None, **step: Any) -> Done:
    rows = [{"topic": topic, "n": n} for n, topic in enumerate(topics or TOPICS)]
    steps = {"facts": {"table": rows}, "topics": {"merge": "facts", "column": "topic", **step}}
    models: dict[str, Any] = {} if rule is None else {"m": {}}
    publish = {"exports": [{"rows": {"from": "topics"}}]}
    return whole({"models": models, "steps": steps, "publish": publish}, rule)


def test_texts_with_the_same_words_have_one_in_common(whole: Run) -> None:
    table = merged(whole, near=0.6).table("topics")
    assert table["canonical"].to_list() == [
        *["green tea"] * 3,
        "coffee",
        "black coffee",
        "black coffee",
        "hiking",
        "green tea",
    ]
    assert table["topic"].to_list() == TOPICS
    assert table["n"].to_list() == [*range(8)]


_WORDS = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4).map(" ".join)


@given(st.lists(_WORDS, min_size=1, max_size=12), st.sampled_from([0.3, 0.5, 0.75, 1.0]))
def test_by_words_is_the_nearest_of_all(said: list[str], near: float) -> None:
    texts = in_order(Counter(said))
    found = by_words(texts, [words_of(text) for text in texts], near)
    holders: list[str] = []
    for text in texts:
        shares = [shared(words_of(text), words_of(other)) for other in holders]
        enough = [(-share, place) for place, share in enumerate(shares) if share >= near]
        if enough:
            assert found[text] == holders[min(enough)[1]]
        else:
            assert found[text] == text
            holders.append(text)


@given(st.lists(_WORDS, min_size=1, max_size=12), st.randoms())
def test_the_order_of_the_rows_decides_nothing(said: list[str], random: Any) -> None:
    other = [*said]
    random.shuffle(other)
    made = [
        by_words(in_order(Counter(some)), [words_of(one) for one in in_order(Counter(some))], 0.5)
        for some in (said, other)
    ]
    assert made[0] == made[1]


@given(st.sets(st.text("abcXYZ", min_size=1, max_size=5), max_size=40), st.integers(2, 9))
def test_portions_have_everything_once_and_no_more_than_they_may(texts: set[str], at_once: int) -> None:
    some = portions(texts, at_once)
    together = [text for portion in some for text in portion]
    assert len(together) == len({*together})
    assert max(map(len, some), default=0) <= at_once
    assert len(texts) - len(together) <= -(-len(texts) // at_once)  # what would be alone is not asked about


def grouping(system: str, page: str) -> str:
    """Groups what begins with the same two letters after the first; the shortest says it best."""
    texts = dict(re.findall(r"^(\d+)\. (.+)$", page, re.M))
    groups: dict[str, list[int]] = {}
    for number, text in texts.items():
        groups.setdefault(text.split()[-1], []).append(int(number))
    found = [
        {"best": min(some, key=lambda number: len(texts[str(number)])), "same": some}
        for some in groups.values()
        if len(some) > 1
    ]
    return json.dumps({"groups": found})


MANY = [f"{word} {kind}" for kind in ("tea", "jam", "sea") for word in ("a", "bb", "ccc", "dddd", "eeeee", "ffffff")]
WANTED = {text: f"a {text.split()[1]}" for text in MANY}


@pytest.mark.parametrize("at_once", [100, 7, 4])
def test_what_a_model_groups_is_merged_in_rounds(whole: Run, at_once: int) -> None:
    table = merged(whole, grouping, MANY, model="m", at_once=at_once).table("topics")
    told = dict(table.select("topic", "canonical").iter_rows())
    if at_once == 100:
        assert told == WANTED
    # whatever the portions, only what says the same is merged, and always to a text of the column
    assert all(stands.split()[1] == text.split()[1] and stands in MANY for text, stands in told.items())


def test_a_run_of_a_model_is_resumed_for_nothing_and_planned(whole: Run) -> None:
    done = merged(whole, grouping, MANY, model="m", at_once=9)
    assert done.served is not None
    plan = prefgen.plan(prefgen.load(done.folder / "pipeline.yaml"))
    assert (plan.steps[1].requests, plan.steps[1].rows) == (2, len(MANY))
    assert plan.steps[1].requests_are == "unknown"
    assert len(done.served.asked) > 2  # another round


@pytest.mark.parametrize(
    "reply",
    [
        '{"groups": [{"best": 1, "same": [1, 2]}, {"best": 2, "same": [2, 3]}]}',
        '{"groups": [{"best": 3, "same": [1, 2]}]}',
        '{"groups": [{"best": 1, "same": [1, 99]}]}',
        "They are all different.",
    ],
)
def test_a_reply_that_is_no_grouping_merges_nothing(whole: Run, reply: str) -> None:
    done = merged(whole, lambda *_: reply, MANY, model="m", tries=2)
    table = done.table("topics")
    assert (table["canonical"] == table["topic"]).all()
    (step,) = [one for one in prefgen.open_run(done.folder).manifest["steps"] if one["name"] == "topics"]
    assert step["summary"]["portions_unread"] == 1
    assert done.served is not None
    assert len(done.served.asked) == 2


def test_dropped_rows_and_missing_texts_stand_for_nothing(whole: Run) -> None:
    rows = [{"topic": "tea", "n": 0}, {"topic": "tea hot", "n": 1}, {"topic": None, "n": 2}]
    steps = {
        "facts": {"table": rows},
        "kept": {"keep": "facts", "where": {"small": "n > 0"}},
        "topics": {"merge": "kept", "column": "topic", "near": 0.5},
    }
    table = whole({"models": {}, "steps": steps, "publish": {"exports": []}}).table("topics")
    assert table["canonical"].to_list() == [None, "tea hot", None]
    assert table["reject_reason"].to_list() == ["small", None, None]


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({}, "by their words or by a model"),
        ({"near": 0.5, "model": "m"}, "by their words or by a model"),
        ({"near": 0.5, "column": "n"}, "'n' is of type Int64, not text"),
        ({"near": 0.5, "column": "topik"}, "no column 'topik'"),
        ({"near": 2}, "is too large"),
    ],
)
def test_what_cannot_be_merged_is_told(whole: Run, step: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        merged(whole, **step)
