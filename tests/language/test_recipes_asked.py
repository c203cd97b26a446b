"""Recipes that ask a model: run whole against a writer and judge with planted preferences, which come back."""

from __future__ import annotations

import re

import polars as pl
import pytest

from tests.language.authors import POLES, STANCES, WANTS, Tools, contexts, famous, levels, rubrics, soups
from tests.language.conftest import Done, Recipe


def said_in(done: Done, config: str) -> str:
    """All that a model is trained on in an export, as one text."""
    rows = done.data(config)
    return str(
        rows.select(
            name for name in ("prompt", "chosen", "rejected", "profile", "input") if name in rows.columns
        ).to_dicts()
    )


def text_of(said: list[dict[str, str]]) -> str:
    return said[-1]["content"]


def test_poles_prefer_what_was_written_for_them(recipe: Recipe) -> None:
    done = recipe("s059", soups)
    axis = done.table("axis_pairs")
    assert axis.height == 4 * 3 * 2  # questions x axes x poles
    assert (axis["chosen_written_as"] == axis["persona_id"]).all()
    wishes = done.table("wishes").filter(pl.col("control").is_null())
    wanted = {row["persona_id"]: {row["expertise"], row["length"], row["tone"]} for row in wishes.iter_rows(named=True)}
    whole = done.table("pairs").filter(pl.col("p_margin") > 0.5)
    assert set(whole["persona_id"]) == set(wanted)
    for who, chosen, rejected in whole.select("persona_id", "chosen_written_as", "rejected_written_as").iter_rows():
        assert chosen in wanted[who]
        assert rejected not in wanted[who]
    drafts = done.table("drafts")
    assert drafts.height == 4 * len(POLES)
    assert {role for row in done.data("by_axis")["prompt"] for role in [one["role"] for one in row]} == {"user"}
    assert {row[0]["role"] for row in done.data("combined")["prompt"]} == {"system"}


def test_under_an_instruction_the_nearer_text_is_chosen_and_both_directions_are_there(recipe: Recipe) -> None:
    done = recipe("s081", rubrics)
    scored, near = done.table("scored"), done.table("near")
    assert scored.height == 4 * 6
    missed = near.filter(pl.col("reject_reason") == "missed its target")
    assert set(missed["prompt"]) == {"Describe an old radio."}
    assert missed.height == 2 * 2  # both rubrics at 3 and 5
    targets = {row["persona_id"]: row for row in done.table("targets").iter_rows(named=True)}
    kept = near.filter(pl.col("reject_reason").is_null())
    expected = set()
    for (_, rubric), some in kept.group_by("item_id", "rubric"):
        rows = some.unique("response").to_dicts()
        for who, target in targets.items():
            for one in rows if target["rubric"] == rubric else []:
                for other in rows:
                    if abs(one["reached"] - target["level"]) < abs(other["reached"] - target["level"]) - 1e-9:
                        expected.add((who, one["response"], other["response"]))
    pairs = done.table("pairs")
    assert set(pairs.select("persona_id", "chosen_text", "rejected_text").iter_rows()) == expected
    both = {(chosen, rejected) for _, chosen, rejected in expected}
    assert any((rejected, chosen) in both for chosen, rejected in both)
    conditions = {row["condition"]: text_of(row["chosen"]).count("very ") for row in done.data("cond").to_dicts()}
    assert conditions["Write plainly."] < conditions["Write as ornately as you can."]
    assert not re.search(r"rare words|reached|scale from", said_in(done, "dpo"))


def test_a_choice_turns_with_its_context_and_a_question_that_does_not_is_dropped(recipe: Recipe) -> None:
    done = recipe("s087", contexts)
    kept, pairs = done.table("kept"), done.table("pairs")
    assert kept.height == 4 * 2 * 4 * 2  # questions x contexts x forms x orders
    reasons = dict(kept["reject_reason"].value_counts().iter_rows())
    assert reasons == {"not a context": 16, "does not turn": 12, None: 36}
    assert pairs.height == 3 * 2 * 3
    for row in done.data("dpo").iter_rows(named=True):
        asked = text_of(row["prompt"])
        assert "phone" not in asked
        short = any(word in asked for word in ("brief", "hurry", "nurse"))
        assert text_of(row["chosen"]).startswith("SHORT" if short else "LONG")
    parts = done.table("parts")
    assert parts.group_by("question_id").agg(pl.col("split").n_unique())["split"].to_list() == [1] * 3


def test_levels_are_in_order_where_a_reader_finds_them_so_and_communities_differ(recipe: Recipe) -> None:
    done = recipe("s112", levels)
    ladder = done.table("ladder")
    assert done.table("scored").height == 3 * 2 * 3
    assert ladder.height == 2 * 2 * 3  # comments read the right way round x attributes x pairs of levels
    assert (ladder["chosen_level"] > ladder["rejected_level"]).all()
    assert not any("library" in text for text in ladder["chosen_text"])
    pairs = done.table("pairs")
    wanted = {
        ("council", "formality"): 3,
        ("council", "warmth"): 1,
        ("kitchen", "formality"): 1,
        ("kitchen", "warmth"): 3,
    }
    clear = pairs.filter(pl.col("p_margin") > 0.5)
    assert clear.height == 2 * 3 * 2 * 2  # communities x comments x attributes x pairs with the level that is liked
    for who, attribute, level in clear.select("persona_id", "attribute", "chosen_level").iter_rows():
        assert level == wanted[who, attribute]
    assert "none" not in set(pairs["persona_id"])


def test_calls_are_of_the_preferred_tool_and_histories_end_before_their_row(recipe: Recipe) -> None:
    done = recipe("s034", Tools())
    users = dict(done.table("users").filter(pl.col("control").is_null()).select("persona_id", "wants").iter_rows())
    calls = done.table("calls")
    assert calls["reject_reason"].null_count() == calls.height == done.table("pairs").height
    about = dict(done.table("tools").select("tool", "about").iter_rows())
    for who, call in calls.select("persona_id", "call").iter_rows():
        assert any(word in about[call["tool"]] for word in WANTS[users[who]])
    for config, columns in (("preferred_only", {"request", "call"}), ("rated", {"request", "call", "p_chosen"})):
        data = done.data(config)
        assert data.height == calls.height
        for (_, *_), some in data.sort("time").group_by("persona_id", maintain_order=True):
            rows = some.to_dicts()
            for number, row in enumerate(rows):
                assert row["time"] == number + 1
                assert [one["request"] for one in row["profile"]] == [one["input"] for one in rows[:number]]
                assert all(set(one) == columns for one in row["profile"])
        assert not re.search("wants|before all else", said_in(done, config))
    held_out = [set(done.data(config).filter(split="test")["persona_id"]) for config in ("preferred_only", "rated")]
    assert held_out[0] == held_out[1] != set()
    assert {row[0]["role"] for row in done.data("dpo")["prompt"]} == {"user"}


def test_people_choose_their_stance_and_are_described_by_it(recipe: Recipe) -> None:
    done = recipe("s003", famous)
    people = dict(done.table("named").select("persona_id", "name").iter_rows())
    asked = done.table("asked")
    assert asked.height == 4 * 2 + 2 * 2
    four = done.table("four")
    assert four.height == 12 * 2 * 2  # questions x stances x repeats, of which the second says the same
    reasons = dict(four["reject_reason"].value_counts().iter_rows())
    assert reasons["too alike"] == 22
    assert reasons["uneven"] == 4  # of two good and two bad answers none is near the middle
    pairs = done.table("pairs")
    for who, chosen in pairs.select("persona_id", "chosen_text").iter_rows():
        assert STANCES[people[who]] in chosen
    own = done.table("choices").filter(pl.col("control").is_null())
    asked_of = own.join(done.table("choices_shown").select("item_id", "prompt"), on="item_id").unique(
        ["persona_id", "item_id"]
    )
    expected = {
        (who, prompt)
        for who, name in people.items()
        for prompt in asked["prompt"]
        if name in prompt or ("everybody" in prompt and ("machines" in prompt) == (name in list(STANCES)[2:]))
    }
    found = set(asked_of.select("persona_id", "prompt").iter_rows())
    assert found <= expected
    assert len(expected - found) <= 1  # that of which no answer is left
    profiles = done.data("described")
    assert 0 < profiles.height <= 4
    told = set(done.table("parts").filter(split="train")["persona_id"])
    assert told
    for who, profile in profiles.select("persona_id", "profile").iter_rows():
        assert who in told
        assert profile == f"Values {STANCES[people[who]]}"


@pytest.mark.parametrize("name", ["s003", "s034", "s059", "s081", "s087", "s112"])
def test_the_engine_is_a_setting(name: str, recipe: Recipe) -> None:
    assert set(recipe.planned(name, {"models.writer.engine": "embedded", "models.judge.engine": "embedded"})) == {
        "writer",
        "judge",
    }
