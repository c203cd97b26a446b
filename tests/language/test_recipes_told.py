"""Recipes in which somebody is to be told from what they chose or said: run whole, and what was planted comes back."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pytest
import yaml

from tests.language import authors_told as authors
from tests.language.conftest import RECIPES, Done, Recipe, recipe_file


def reasons(table: pl.DataFrame) -> dict[str | None, int]:
    """How many rows each reason has dropped; those kept under None."""
    return dict(table["reject_reason"].value_counts().iter_rows())


def test_portraits_grow_until_they_are_settled_and_only_what_divides_people_is_a_pair(recipe: Recipe) -> None:
    done = recipe("s008", authors.growing)
    portraits = done.table("portraits")
    assert reasons(portraits) == {None: 5, "wavers": 1}
    assert portraits.filter(pl.col("reject_reason").is_not_null())["persona_id"].to_list() == ["ferryman"]
    wanted = {
        row["persona_id"]: next(want for word, want in authors.LOOKS_FOR.items() if word in row["portrait"])
        for row in portraits.filter(pl.col("reject_reason").is_null()).iter_rows(named=True)
    }
    pairs, agreed = done.table("pairs"), done.table("kept").filter(reject_reason="all agree")
    expected = set(_divided(done, wanted))
    assert set(pairs.select("persona_id", "chosen_text", "rejected_text").iter_rows()) == expected
    assert pairs.height == len(expected) > 20
    vinegar = done.table("labels_shown").filter(pl.col("prompt").str.contains("vinegar"))["item_id"]
    assert set(vinegar) <= set(agreed["item_id"])
    data = done.data("fewshot")
    for row in data.iter_rows(named=True):
        assert len(row["shots"]) == 2
        assert wanted[row["persona_id"]] == wanted[row["chosen_written_as"]] != wanted[row["rejected_written_as"]]
        assert all(wanted[row["persona_id"]] in one["chosen"] for one in row["shots"])
    assert "You look for" not in str(data["prompt"].to_list())


def _divided(done: Done, wanted: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Who prefers which text to which, where two want different ones of the two."""
    for options in done.table("labels_shown").filter(~pl.col("prompt").str.contains("vinegar"))["options"].to_list():
        chosen = {who: [text for text in options if f"with {want}," in text] for who, want in wanted.items()}
        sides = {who: texts[0] for who, texts in chosen.items() if len(texts) == 1}
        if len(set(sides.values())) == 2:
            for who, text in sides.items():
                yield who, text, next(one for one in options if one != text)


def test_what_only_shows_is_asked_after_chats_that_show_it(recipe: Recipe) -> None:
    done = recipe("s071", authors.implied)
    assert reasons(done.table("clean")) == {None: 9, "contradicts": 3, "too alike": 3}
    assert set(done.table("asks")["canonical"]) == {"what they like", "health"}  # and "what they like best" is the same
    scenes = done.table("scenes")
    assert scenes.filter(reject_reason="says it").select("persona_id", "chapter").rows() == [("market", 1)]
    assert scenes.filter(pl.col("reject_reason").is_null()).height == 14  # 3 facts, 2 of which come twice
    assert done.table("asks").filter(reject_reason="unfaithful")["persona_id"].to_list() == ["archive"]
    guessed = done.table("blind").filter(reject_reason="no history needed")
    assert set(guessed["right"]) == {"one of sign-wind"}
    after = done.data("after")
    assert after.height == 9 - 1 - 1
    for row in after.iter_rows(named=True):
        said = [chat[0]["content"] for chat in row["history"]]
        own = [one for one in said if "Mend" in one or "They like" in one]
        mine = {one for who in authors.LIVES for one in authors.LIVES[who] if any(one in text for text in own)}
        assert len({who for who, life in authors.LIVES.items() if mine & set(life)}) == 1
        assert 0.3 < len(own) / len(said) < 0.7  # half of it, by its tokens, is about nothing
        if row["then"] == "changes":
            first, second = (next(n for n, one in enumerate(own) if sign in one) for sign in _changed(row))
            assert first < second
        if row["then"] == "forget":
            assert sum("Please forget it." in one for one in own) == 1
            assert row["answer_text"] == "one of sign-none"
    assert not {"fact", "changed", "holds"} & {*after.columns, *done.data("history").columns}


def _changed(row: dict[str, str]) -> tuple[str, str]:
    """Signs of what was liked before and after the change that a question is about."""
    later = row["answer_text"].removeprefix("one of ")
    return later.replace("sign-un", "sign-"), later


def test_questions_on_pictures_are_answered_by_the_card_and_pictures_ride_along(recipe: Recipe) -> None:
    done = recipe("s013", authors.concepts)
    assert done.table("wants").filter(reject_reason="in the picture")["preference"].to_list() == [
        "<puppet> wears stripes."
    ]
    asks = done.table("asks")
    assert reasons(asks) == {None: 12, "unfaithful": 2}
    lost = asks.filter(reject_reason="unfaithful").select("concept_id", "scene_id").unique().rows()
    assert lost == [("dog", "park")]
    cards = pl.read_ndjson(RECIPES / "inputs/s013/concepts.jsonl").select("concept", "category", "image", "caption")
    for config, talked in (("at_once", 1), ("after_talk", 5), ("blind", 0)):
        data = done.data(config)
        assert data.height == 12
        assert set(data.select(cards.columns).iter_rows()) == set(cards.iter_rows())
        for row in data.iter_rows(named=True):
            assert row["answer_text"] in ("the tea", "the shade")
            history = row.get("history") or []
            (card,) = [one for one in history if one["image"] is not None] or [None]
            assert len(history) == talked
            if card is not None:
                assert card["image"] == row["image"]
                wanted = "tea" if row["answer_text"] == "the tea" else "shade"
                assert row["concept"] in card["told"]
                assert wanted in card["told"]


def test_slides_fit_whose_example_they_follow_and_a_profile_that_copies_is_written_anew(recipe: Recipe) -> None:
    done = recipe("s072", authors.Slides())
    assert done.served is not None
    pages = [str(one["messages"][-1]["content"]) for one in done.served.asked]
    assert sum("Slides that somebody made" in page for page in pages) == 3
    profiles = done.data("evidence")
    marks = {"lecturer": "pictures", "analyst": "tables"}
    assert {row["persona_id"]: row["content"] for row in profiles.iter_rows(named=True)} == {
        who: f"What {mark} show." for who, mark in marks.items()
    }
    assert set(profiles["template"]) == {"images/plain.png", "images/grid.png"}
    pairs = done.data("cond")
    assert pairs.height == 2 * 2 * 2  # people x papers x what is worse: the other's, and nobody's
    for row in pairs.iter_rows(named=True):
        assert marks[row["persona_id"]] in row["condition"]
        assert f"Slides of {marks[row['persona_id']]}" in row["chosen"][0]["content"]
        assert row["rejected_written_as"] != row["persona_id"] == row["chosen_written_as"]
    fits = done.data("attr")
    assert fits.height == 2 * 2 * 3
    for made_for, reader, *scores in fits.select("made_for", "reader", "content_fits", "style_fits").iter_rows():
        assert scores == pytest.approx([5 if made_for == reader else 2] * 2, abs=0.1)


@pytest.mark.parametrize("name", ["s008", "s013", "s071", "s072"])
def test_the_engine_is_a_setting(name: str, recipe: Recipe) -> None:
    models = yaml.safe_load(recipe_file(name).read_text("utf-8"))["models"]
    assert recipe.planned(name, {f"models.{model}.engine": "embedded" for model in models}) == sorted(models)
