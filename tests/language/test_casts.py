"""Who judges about what: one cast played by several models, rows as personas, items and judgments that others have to know."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

import prefgen
from prefgen.errors import SpecError
from tests.language.conftest import Done, Run
from tests.servers.ruled import ruled

TOPICS = ("tea", "jam", "sea", "ink", "oak", "fog")
QUESTIONS = [{"item_id": topic, "prompt": f"{topic}?", "options": ["yes", "no"]} for topic in TOPICS]
PEOPLE = [{"persona_id": name, "likes": likes} for name, likes in (("ann", "tea jam sea"), ("bo", "ink"))]
LIKED = {row["persona_id"]: row["likes"] for row in PEOPLE}


def fan(model: str) -> Any:
    """Takes what the person likes; the model `two` takes fog too, whoever is played."""

    def answer(system: str, page: str) -> str:
        topic = page.split("?")[0]
        likes = topic in system or (model == "two" and topic == "fog")
        return "A" if likes == ("A) yes" in page) else "B"

    return answer


def played(
    whole: Run, judge: dict[str, Any], steps: dict[str, Any] | None = None, after: dict[str, Any] | None = None
) -> Done:
    with ruled(fan("one")) as one, ruled(fan("two")) as two:
        models = {
            name: {"engine": "openai", "model": name, "base_url": served.base_url}
            for name, served in (("one", one), ("two", two))
        }
        before = {
            "questions": {"table": QUESTIONS},
            "votes": {"table": PEOPLE},
            "crowd": {"people": "votes", "text": "You like {{ likes }}."},
        }
        step = {"judge": "pick", "items": "questions", "as": "crowd", "model": ["one", "two"], "readout": "text"}
        made = before | (steps or {}) | {"picks": step | judge} | (after or {})
        publish = {"exports": ["judgments", {"dpo": {"from": "parts" if after else "picks"}}]}
        done = whole({"models": models, "steps": made, "publish": publish})
        return Done(done.folder, one)


def test_of_several_models_each_plays_everybody(whole: Run) -> None:
    done = played(whole, {})
    table = done.table("picks").unique(["persona_id", "item_id"], keep="first", maintain_order=True)
    told = {(row["persona_id"], row["item_id"]): row["item_choice"] == "A" for row in table.iter_rows(named=True)}
    wanted = {
        (f"{name}@{model}", topic): topic in likes or (model == "two" and topic == "fog")
        for model in ("one", "two")
        for name, likes in LIKED.items()
        for topic in TOPICS
    }
    assert told == wanted
    assert set(table.select("persona_id", "model").iter_rows()) == {
        (f"{name}@{model}", model) for name in LIKED for model in ("one", "two")
    }
    assert set(done.data("dpo")["persona_id"]) == {f"{name}@{model}" for name in LIKED for model in ("one", "two")}


def test_a_split_by_persona_keeps_everybody_with_all_who_play_them(whole: Run) -> None:
    pairs = {"pair": "chosen_vs_other", "from": "picks"}
    parts = {"split": "pairs", "by": ["persona"], "test": 0.5}
    done = played(whole, {}, after={"pairs": pairs, "parts": parts})
    told = done.table("parts").with_columns(person=pl.col("persona_id").str.split("@").list.first())
    assert set(told.group_by("person").agg(pl.col("split").n_unique())["split"]) == {1}
    assert told["persona_id"].n_unique() == 2 * told["person"].n_unique()


def test_the_report_says_how_far_models_agree(whole: Run) -> None:
    done = played(whole, {})
    manifest = prefgen.open_run(done.folder).manifest
    (told,) = next(step["summary"]["models_agree"] for step in manifest["steps"] if step["name"] == "picks")
    assert told["models"] == ["one", "two"]
    assert told["both"] == len(LIKED) * len(TOPICS)
    assert told["value"] == pytest.approx(5 / 6)  # of fog they never do, of the other five always
    assert "one and two choose the same as the same person 83" in (done.folder / "README.md").read_text()


def test_a_resolved_pipeline_of_a_cast_runs_to_the_same_bytes(whole: Run) -> None:
    done = played(whole, {"system": "{{ text }} Really."})
    again = prefgen.load(done.folder / "pipeline.yaml")
    assert [*again.steps] == ["questions", "votes", "crowd", "picks_people", "picks"]
    plan = prefgen.plan(again)
    assert plan.requests == 2 * len(LIKED) * len(TOPICS) * 2


def test_items_of_somebody_are_asked_of_whoever_plays_them(whole: Run) -> None:
    rows = [row | {"persona_id": name} for row, name in zip(QUESTIONS, ["ann", "bo"] * 3, strict=True)]
    table = played(whole, {}, {"questions": {"table": rows}}).table("picks")
    asked = set(table.select("persona_id", "item_id").iter_rows())
    assert asked == {(f"{row['persona_id']}@{model}", row["item_id"]) for row in rows for model in ("one", "two")}


def test_rows_of_one_person_are_personas_each_with_its_own_words(whole: Run) -> None:
    """Two portraits of everybody, and examples that the system message shows."""
    portraits = [
        {"persona_id": name, "portraits_id": f"{name}-{topic}", "text": f"You are {name}.", "shots": [{"liked": topic}]}
        for name in LIKED
        for topic in ("tea", "ink")
    ]
    steps = {
        "drafts": {"table": portraits},
        "portraits": {"people": "drafts", "by": "portraits_id"},
        "questions": {"table": [row | {"persona_id": "ann"} for row in QUESTIONS]},
    }
    system = "{{ text }}{% for shot in shots %} Liked: {{ shot.liked }}{% endfor %}"
    table = played(whole, {"as": "portraits", "model": "one", "system": system}, steps).table("picks")
    assert set(table["persona_id"]) == {"ann-tea", "ann-ink"}  # the questions are ann's
    assert (table["portraits_id"] == table["persona_id"]).all()
    chosen = table.filter(item_choice="A").select("persona_id", "item_id").unique().sort("persona_id").rows()
    assert chosen == [("ann-ink", "ink"), ("ann-tea", "tea")]


def test_several_rows_of_one_persona_are_no_cast(whole: Run) -> None:
    twice = {"table": [{"persona_id": "ann", "text": "You.", "weight": 1.0, "control": None} for _ in range(2)]}
    with pytest.raises(SpecError, match="'twice' has several rows for persona_id 'ann'"):
        played(whole, {"as": "twice", "model": "one"}, {"twice": twice})


def test_what_was_written_of_people_is_played_row_by_row(whole: Run) -> None:
    def rule(system: str, page: str) -> str:
        if page.startswith("Who is"):
            return f"One who likes {page.split()[-1]}."
        return fan("one")(system, page)

    steps = {
        "votes": {"table": [row | {"k": k} for row in PEOPLE for k in range(2)]},
        "questions": {"table": QUESTIONS},
        "told": {"write": "text", "for": "votes", "model": "m", "prompt": "Who is {{ k }} {{ likes }}"},
        "picks": {"judge": "pick", "items": "questions", "as": "told", "model": "m", "readout": "text"},
    }
    done = whole({"models": {"m": {}}, "steps": steps, "publish": {"exports": ["judgments"]}}, rule)
    table = done.table("picks")
    assert table["persona_id"].n_unique() == 4
    assert (table["told_id"] == table["persona_id"]).all()
    assert set(done.table("picks_people")["person"]) == {"ann", "bo"}
    liked = table.filter(item_choice="A").select("item_id").unique()["item_id"].to_list()
    assert sorted(liked) == ["ink", "sea"]


def test_items_are_looked_up_and_those_without_a_partner_are_not_asked(whole: Run) -> None:
    parts = {
        "table": [
            {"item_id": topic, "split": split} for topic, split in zip(TOPICS, ["train", "test"] * 2, strict=False)
        ]
    }
    done = played(
        whole, {"items": ["questions", "parts"], "where": "items.split = 'test'", "model": "one"}, {"parts": parts}
    )
    assert set(done.table("picks")["item_id"]) == {"jam", "ink"}
    assert set(done.table("picks")["item_split"]) == {"test"}
    joined = done.table("picks_items")
    assert dict(joined.select("item_id", "reject_reason").iter_rows()) == {
        topic: None if topic in TOPICS[:4] else "not in parts" for topic in TOPICS
    }
    assert set(done.data("items")["item_id"]) == set(TOPICS)


def test_pairs_are_made_of_the_judgments_that_others_know(whole: Run) -> None:
    votes = {"table": [{"persona_id": "ann", "item_id": topic, "said": "yes"} for topic in TOPICS]}
    some = {"table": [{"item_id": "sea"}, {"item_id": "fog"}]}
    steps = {
        "questions": {"table": QUESTIONS},
        "votes": votes,
        "some": some,
        "human": {"judge": "pick", "items": ["votes", "questions"], "given": "said"},
        "pairs": {"pair": "chosen_vs_other", "from": ["human", "some"]},
    }
    done = whole({"models": {}, "steps": steps, "publish": {"exports": [{"dpo": {"context": "none"}}]}})
    assert sorted(done.table("pairs")["item_id"]) == ["fog", "sea"]
    assert sorted(done.data("dpo")["item_id"]) == ["fog", "sea"]
    assert done.table("pairs").columns == done.table("pairs").select(pl.exclude("reject_reason")).columns


@pytest.mark.parametrize(
    ("judge", "parts", "said"),
    [
        ({"items": ["questions", "parts"]}, [{"item_id": "tea"}, {"item_id": "tea"}], "would double the rows"),
        ({"items": ["questions", "parts"]}, [{"topic": "tea"}], "no id that both have"),
        ({"items": ["questions", "partz"]}, [{"topic": "tea"}], "no step named 'partz'"),
        ({"system": "{{ txt }}"}, [{"topic": "tea"}], "picks.system: UndefinedError: 'txt' is undefined"),
        ({"system": "{{ text"}, [{"topic": "tea"}], "picks.system: not a template"),
    ],
)
def test_what_does_not_fit_together_is_told(
    whole: Run, judge: dict[str, Any], parts: list[dict[str, Any]], said: str
) -> None:
    with pytest.raises(SpecError, match=said):
        played(whole, judge, {"parts": {"table": parts}})
