"""Recipes that hold conversations: run whole against sides that are known, and what was planted comes back."""

from __future__ import annotations

import json

import polars as pl
import pytest
import yaml

from tests.language.authors import KINDS, assistants, beliefs, by_context, edits, just_in_time
from tests.language.conftest import Recipe, recipe_file


def test_after_an_edit_the_next_draft_needs_none_and_without_notes_every_one_does(recipe: Recipe) -> None:
    done = recipe("s073", edits)
    rounds, unlearned = done.table("rounds"), done.table("unlearned")
    assert rounds.height == unlearned.height == 8
    costs = {time: set(some["cost"]) for (time,), some in rounds.group_by("time")}
    assert costs == {1: {1, 2}, 2: {0}, 3: {0}, 4: {0}}
    assert set(unlearned["cost"]) == {1, 2}
    assert done.data("rows").filter(pl.col("time") > 1).select((pl.col("without") > pl.col("with_notes")).all()).item()
    data = done.data("critique")
    assert data.height == 2  # what was fine has no feedback
    assert all(row["revision"].endswith(row["draft"]) for row in data.iter_rows(named=True))
    assert done.served is not None
    drafted = [one["messages"] for one in done.served.asked if one["messages"][-1]["content"].startswith("Sum this up")]
    assert len(drafted) == 14  # the first of each source is the same with and without notes
    assert not any("dashes" in json.dumps(one) or "second person" in json.dumps(one) for one in drafted)


def test_rewards_are_what_a_reader_learns_and_sum_to_it(recipe: Recipe) -> None:
    done = recipe("s062", beliefs)
    chats, rewards = done.table("chats"), done.table("rewards")
    assert chats["ended"].to_list() == ["turns"] * 8
    for who, turns in chats.select("likes", "turns").iter_rows():
        assert all(
            f"hint-{who}" in turn["content"]
            for turn in turns[2:]
            if turn["role"] == "person" and "hint" in turn["content"]
        )
    by = rewards.group_by("chats_id", maintain_order=True).agg("belief", "reward")
    assert all(one == pytest.approx([0.7, 0.97]) for one in by["belief"].to_list())
    assert all(one == pytest.approx([0.45, 0.27]) for one in by["reward"].to_list())
    data = done.data("dialogue")
    assert data["gained"].to_list() == pytest.approx([0.97 - 0.25] * 8)
    assert {one["role"] for row in data["messages"] for one in row} == {"user", "assistant"}
    assert not set(KINDS.values()) & set(data.columns)
    assert done.served is not None
    read = [one["messages"] for one in done.served.asked if "Of 100 people" in one["messages"][-1]["content"]]
    assert not any("You are" in json.dumps(one) for one in read)  # whoever reads does not know whom


def test_conversations_end_when_the_hidden_want_is_met_and_histories_are_earlier(recipe: Recipe) -> None:
    done = recipe("s016", by_context)
    openings, chats = done.table("openings"), done.table("chats")
    people = done.table("people").height
    assert openings.height == people * 6
    told = openings.filter(pl.col("reject_reason").is_not_null())
    assert set(told["reject_reason"]) == {"tells the want"}
    assert told.select("wants_place", "visit").unique().rows() == [(1, 1)]
    assert set(chats["ended"]) == {"until"}
    for place, visit, turns in chats.select("wants_place", "visit", "turns").iter_rows():
        assert len(turns) == (3 if (place, visit) == (0, 1) else 5)
        assert turns[-1]["score"] == 10
    hard = done.table("hard").filter(pl.col("reject_reason").is_null())
    assert 0 not in hard["wants_place"].to_list()  # which a plain answer meets
    history = done.data("history")
    assert history.height == hard.height
    sizes = history.select("visit", "profile_size").sort("visit", "profile_size").unique(maintain_order=True).rows()
    assert sizes == [(1, 1), (1, 2), (2, 3), (2, 4)]
    assert [one.name for one in history.schema["profile"].inner.fields] == ["turns"]  # type: ignore[union-attr]
    fields = history.schema["profile"].inner.fields[0].dtype.inner.fields  # type: ignore[union-attr]
    assert {one.name for one in fields} == {"role", "content", "score"}
    assert not {"want", "later", "now", "factor"} & set(done.data("dialogue").columns)


def test_who_is_known_is_helped_sooner_and_fits_better(recipe: Recipe) -> None:
    done = recipe("s056", assistants)
    scores = done.table("scores")
    assert scores.height == 2 * done.table("meetings").height == 8
    assert set(scores["ended"]) == {"until"}
    for (knows,), some in scores.group_by("knows"):
        assert {len(turns) for turns in some["turns"]} == {3 if knows == "yes" else 5}
        assert some["personalization"].mean() == pytest.approx(4 if knows == "yes" else 2, abs=0.1)
        assert some["completion"].mean() == pytest.approx(4, abs=0.1)
    data = done.data("dialogue")
    assert {"completion", "knows"} <= set(data.columns)
    assert not {"goal", "past", "tastes"} & set(data.columns)


def test_who_is_asked_first_gets_what_they_want_and_a_plain_answer_has_it_not(recipe: Recipe) -> None:
    done = recipe("s004", just_in_time)
    chats, worth = done.table("chats"), done.table("worth")
    assert set(chats["ended"]) == {"until"}
    assert {len(turns) for turns in chats["turns"]} == {4}
    assert worth.height == chats.height == 9
    assert worth["asked"].to_list() == pytest.approx([(3 * 4.92 + 2.04) / 4] * 9, abs=0.05)
    assert worth["plain"].to_list() == pytest.approx([2.04] * 9, abs=0.05)
    assert not worth["worse"].any()
    right = done.table("right")
    assert right.filter(~pl.col("correct")).select("item_id", "way").unique().rows() == [("m3", "plain")]
    data = done.data("dialogue")
    assert sorted({len(one) for one in data["messages"]}) == [2, 4]
    assert {"gold", "value"} & {*data.columns, *done.data("rubrics").columns} == {"value"}  # which that one names
    assert done.served is not None
    agent = [one["messages"] for one in done.served.asked if "Ask what you must" in one["messages"][0]["content"]]
    assert not any("You follow" in json.dumps(one) or "You want the steps" in json.dumps(one) for one in agent)


@pytest.mark.parametrize("name", ["s004", "s016", "s056", "s062", "s073"])
def test_the_engine_is_a_setting(name: str, recipe: Recipe) -> None:
    models = yaml.safe_load(recipe_file(name).read_text("utf-8"))["models"]
    assert recipe.planned(name, {f"models.{model}.engine": "embedded" for model in models}) == sorted(models)
