"""Further recipes of the gallery, run whole: what was planted comes back."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

import prefgen
from prefgen.analysis.findings import find
from prefgen.store.folder import RunFolder
from tests.language import authors_more as authors
from tests.language.conftest import RECIPES, Done, Recipe


def found(done: Done) -> dict[str, Any]:
    """The analyses of a run by name."""
    return {one["name"]: one for one in find(RunFolder(done.folder))["analyses"]}


def rows_of(name: str, file: str) -> list[dict[str, Any]]:
    path = RECIPES / "inputs" / name / file
    return (
        pl.read_csv(path).to_dicts()
        if path.suffix == ".csv"
        else [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    )


def test_questions_on_histories_have_the_answer_of_the_log_and_no_later_event(recipe: Recipe) -> None:
    done = recipe("s091")
    log = rows_of("s091", "events.csv")
    latest = {row["persona_id"]: row["category"] for row in log if row["day"] == 10}
    asked = done.data("next")
    assert asked.height == 16
    assert {row["persona_id"]: row["answer_text"] for row in asked.to_dicts()} == latest
    assert all(max(one["day"] for one in row["history"]) == 9 for row in asked.to_dicts())
    assert asked["answer"].n_unique() == 4
    assert "history" not in done.data("blind").columns
    for row in done.data("long").to_dicts():
        early = [one["category"] for one in log if one["persona_id"] == row["persona_id"] and one["day"] < 10]
        assert early.count(row["answer_text"]) == max(map(early.count, early))
        assert len(row["history"]) == 9
    assert done.data("history").height == 2 * len(log)
    assert set(done.data("table").filter(split="test")["time"]) == {10}


def test_those_who_saw_no_difference_stay_and_wheelchairs_change_the_choice(recipe: Recipe) -> None:
    done = recipe("s070")
    votes = rows_of("s070", "votes.jsonl")
    neutral = sum(row["vote"] == "neutral" for row in votes)
    assert neutral > 5
    assert done.data("attr").filter(vote="neutral").height == neutral
    assert done.data("dpo").height == len(votes) - neutral
    asked = {row["item_id"]: row["options"] for row in rows_of("s070", "designs.jsonl")}
    said = {(row["persona_id"], row["item_id"]): row["vote"] for row in votes}
    for row in done.data("dpo").to_dicts():
        chosen = asked[row["item_id"]]["AB".index(said[row["persona_id"], row["item_id"]])]
        assert row["chosen"][0]["content"] == chosen
        assert row["image_a"].startswith("places/")
    table = found(done)["first design by wheelchair"]["tables"][0]["rows"]
    means = {row[0]: row[1]["value"] for row in table[:2]}
    assert means["yes"] > means["no"]


def test_a_judge_is_right_where_it_is_certain(recipe: Recipe) -> None:
    done = recipe("s104", authors.certain)
    said = {(row["persona_id"], row["item_id"]): row["said"] for row in rows_of("s104", "answers.jsonl")}
    kept = done.table("kept")
    assert set(kept["reject_reason"]) == {None}
    assert kept.height == 48
    right = [
        said[who, item] == choice for who, item, choice in kept.select("persona_id", "item_id", "choice").iter_rows()
    ]
    assert sum(right) == 42  # all but three people about holidays, in both orders
    table = found(done)["as the person"]["tables"][0]["rows"]
    overall = next(row for row in table if row[0] == "certainty" and row[2] == 1.0)
    sure = max((row for row in table if row[0] == "certainty"), key=lambda row: row[1])
    assert overall[3]["value"] == pytest.approx(21 / 24)
    assert (sure[1], sure[3]["value"], sure[2]) == (90.0, 1.0, pytest.approx(20 / 24))
    nobody = done.table("nobody")
    assert not nobody["order_agreement"].all()  # it takes the first slot


def test_profiles_name_what_people_care_about_and_choose_by_it(recipe: Recipe) -> None:
    done = recipe("s043", authors.profiler)
    profiles = dict(done.table("profiles").select("persona_id", "profile").iter_rows())
    assert profiles == {
        "ada": "You care about mending.",
        "bo": "You care about novelty.",
        "cy": "You care about people.",
    }
    (table, _) = found(done)["choices by profile"]["tables"]
    assert table["rows"][0][3]["value"] == 1.0
    history = done.data("history")
    assert history["profile_size"].to_list() == [4, 4, 4]
    assert "sister" in str(history.filter(persona_id="cy")["profile"].to_list())


def test_profiles_that_foretell_are_preferred(recipe: Recipe) -> None:
    done = recipe("s054", authors.Viewers())
    pairs, scored = done.table("pairs"), done.table("scored")
    of = dict(scored.select("candidate_id", "persona_id").iter_rows())
    assert pairs.height >= 4
    for row in pairs.to_dicts():
        likes = "speed" if of[row["chosen_candidate_id"]] in ("bo", "di") else "calm"
        assert (row["chosen_hit"], row["rejected_hit"]) == (1.0, 0.0)
        assert likes in row["chosen_text"]
        assert likes not in row["rejected_text"]


def test_qualities_weigh_as_votes_were_made(recipe: Recipe) -> None:
    done = recipe("s100", authors.features)
    for row in done.table("scored").to_dicts():
        assert row["specific"] == pytest.approx(1 + row["response"].count("for instance"), abs=0.3)
    weights = dict(done.table("weights").select("attribute", "weight").iter_rows())
    assert weights["specific"] > weights["plain"]
    assert weights["rambling"] < 0 < weights["specific"]
    assert done.data("attr").height == 16


def test_margins_shrink_with_disagreement(recipe: Recipe) -> None:
    done = recipe("s068", authors.panel)
    margins = {row["prompt"]: row for row in done.data("margins").to_dicts()}
    assert margins["Which is 2 + 2?"]["margin"] == margins["Capital of France?"]["margin"] == 1.0
    assert margins["A better pet?"]["margin"] == pytest.approx(1 / 3)  # four of six like parrots
    assert margins["A better pet?"]["chosen"] == "a parrot"
    assert "Best season?" not in margins  # three like heat, three snow
    assert {margins[q]["kind"] for q in ("Which is 2 + 2?", "Capital of France?")} == {"clear"}
    assert margins["A better pet?"]["kind"] == "taste"
    swayed = done.table("kept").filter(pl.col("reject_reason") == "swayed by order")
    assert swayed["item_id"].n_unique() == 1
    assert "Which reply is kinder?" not in margins


def test_reasons_are_kept_where_a_reader_can_tell_from_them(recipe: Recipe) -> None:
    done = recipe("s039", authors.reasons)
    reasons = done.table("reasons")
    assert reasons.height == 3
    assert reasons.filter(pl.col("reject_reason") == "does not tell")["question"].to_list() == ["What is a fjord?"]
    assert set(done.data("reasons")["general"]) == {"It gives the time.", "It names the deed."}
    assert done.data("dpo").height == 3


def test_weights_that_made_the_choices_are_found_again(recipe: Recipe) -> None:
    done = recipe("s017", authors.qualities)
    over = ("formal", "brief", "playful", "caring")
    users = {row["persona_id"]: row for row in done.table("users").to_dicts()}
    fitted = done.table("weights").pivot("attribute", index="persona_id", values="weight").to_dicts()
    assert len(fitted) == 10
    clear = [row for row in fitted if max(users[row["persona_id"]][name] for name in over) > 0.7]
    assert len(clear) >= 4
    for row in clear:
        wanted = max(over, key=lambda name: users[row["persona_id"]][name])
        assert max(over, key=lambda name: row[name]) == wanted
    assert done.table("choices").group_by("persona_id").len()["len"].to_list() == [50] * 10
    assert "how" not in done.data("attr").columns


def test_rules_bring_a_draft_nearer_to_the_hand(recipe: Recipe) -> None:
    done = recipe("s007", authors.hands)
    second = done.table("second")
    assert second.height == 4
    assert (second["nearer"] > second["near"]).all()
    rules = dict(done.table("rules").select("persona_id", "rules").iter_rows())
    assert "loud" in rules["lin"]
    assert "stiff" in rules["ora"]
    assert done.data("pairs").height == 4


def test_what_is_not_in_a_comment_is_no_taste(recipe: Recipe) -> None:
    done = recipe("s024", authors.tastes)
    tastes = done.table("tastes")
    assert set(tastes.filter(attribute="wooden")["reject_reason"]) == {"not in the comment"}
    profiles = {row["persona_id"]: row for row in done.data("profiles").to_dicts()}
    liked = {who: {one["attribute"] for one in row["liked"]} for who, row in profiles.items()}
    disliked = {who: {one["attribute"] for one in row["disliked"]} for who, row in profiles.items()}
    assert liked == {"eli": {"fog", "grey"}, "mo": {"red"}}
    assert disliked == {"eli": {"red"}, "mo": {"grey"}}
    assert all(one["image"].endswith(".png") for row in profiles.values() for one in row["liked"])


def test_sources_that_differ_are_kept_apart(recipe: Recipe) -> None:
    done = recipe("s082", authors.drivers)
    assert done.data("open")["scene"].to_list() == ["a roundabout at noon"]
    fused = done.data("attr")
    assert fused.height == 7
    assert (fused["rule"] == fused["mark"]).all()
    right = found(done)["both right where they agree"]["tables"][0]["rows"]
    assert all(row[1]["value"] == 1.0 for row in right[:-1])


def test_edits_that_parrot_or_gain_nothing_are_dropped(recipe: Recipe) -> None:
    done = recipe("s042", authors.editor)
    gained = done.table("gained")
    reasons = {(row["reader"], row["prompt"]): row["reject_reason"] for row in gained.to_dicts()}
    edited = done.table("edited").filter(pl.col("reject_reason") == "parrots")
    assert edited.select("reader", "prompt").rows() == [("gardener", "How do I get fit?")]
    assert reasons["drummer", "How do I get fit?"] == "gained nothing"
    assert list(reasons.values()).count(None) == 4
    for row in done.data("critique").to_dicts():
        assert ("early" in row["feedback"]) == ("early" in row["revision"])
    personal = done.table("again").filter(pl.col("reject_reason").is_null())
    assert (personal["edited_personal"] >= personal["personal"]).all()


def test_displeased_replies_are_rejected_for_what_was_wanted(recipe: Recipe) -> None:
    done = recipe("s109", authors.feedback)
    pairs = {row["prompt"]: row for row in done.data("pairs").to_dicts()}
    assert set(pairs) == {"How do I boil rice?", "Write to my landlord about the tap.", "Explain tides."}
    chats = {row["asked"]: row["reply"] for row in rows_of("s109", "chats.jsonl")}
    for prompt, row in pairs.items():
        assert row["rejected"] == chats[prompt]
        assert row["chosen"].startswith("A reply with")
    assert dict(done.table("marked")["mark"].value_counts().iter_rows()) == {
        "displeased": 3,
        "pleased": 2,
        "neither": 1,
    }


def test_reasons_said_otherwise_are_one(recipe: Recipe) -> None:
    done = recipe("s093", authors.whys)
    basis = done.data("basis")
    assert basis.height == 2
    assert sorted(basis["pairs"]) == [4, 5]
    dropped = done.table("reasons").filter(pl.col("reject_reason").is_not_null())
    assert dropped["reject_reason"].to_list() == ["of this question only"]
    assert done.table("ranked")["so_far"].max() == 9


def test_a_preference_is_that_of_the_moment_and_its_opposite_turns_it(recipe: Recipe) -> None:
    done = recipe("s028", authors.timelines)
    told = {(row["persona_id"], row["step"]): row["input"] for row in done.data("steered").to_dicts()}
    assert told == {
        ("ivy", 2): "They prefer things that sing.",
        ("ivy", 3): "They prefer quiet things.",
        ("ivy", 4): "They prefer quiet things.",
        ("jon", 2): "They prefer red things.",
        ("jon", 3): "They prefer red things.",
    }
    inverted = {(row["persona_id"], row["step"]): row for row in done.data("inverted").to_dicts()}
    assert inverted["ivy", 4]["input"] == "They prefer loud things."
    assert inverted["ivy", 4]["split"] == "test"
    assert [one["step"] for one in inverted["ivy", 4]["profile"]] == [1, 2, 3]
    assert done.data("plain").height == 16


def test_preferences_are_shown_among_other_talk_and_one_option_fits(recipe: Recipe) -> None:
    done = recipe("s089", authors.tempting)
    after = done.data("after")
    assert after.height == 5  # six, of which one tempts nobody
    chatter = {row["told"] for row in rows_of("s089", "chatter.jsonl")}
    for row in after.to_dicts():
        assert len(row["history"]) == 2
        assert sum(one in chatter for one in row["history"]) == 1
        assert row["answer_text"] == row["options"]["ABCD".index(row["answer"])]
        shown = next(one for one in row["history"] if one not in chatter)
        assert shown.partition("folder ")[2].partition(".")[0] in row["answer_text"]
    assert "preference" not in after.columns
    assert done.data("blind").height == 5


@pytest.mark.parametrize("name", ["s064", "s070", "s091"])
def test_a_run_s_own_pipeline_gives_the_same_bytes_again(recipe: Recipe, name: str) -> None:
    done = recipe(name)
    again = done.folder.parent / "again"
    prefgen.run(prefgen.load(done.folder / "pipeline.yaml"), again, report=False)
    files = sorted(path.relative_to(done.folder) for path in (done.folder / "data").rglob("*.parquet"))
    assert files
    assert all((done.folder / path).read_bytes() == (again / path).read_bytes() for path in files)
    if name != "s091":
        assert found(done) == found(Done(again))


def test_ratings_of_every_designer_stay_with_their_strength(recipe: Recipe) -> None:
    done = recipe("s029")
    ratings = {(row["persona_id"], row["item_id"]): row["rating"] for row in rows_of("s029", "ratings.jsonl")}
    ordinal = done.data("ordinal")
    assert {(row["persona_id"], row["item_id"]): row["rating"] for row in ordinal.to_dicts()} == ratings
    for row in done.data("dpo").to_dicts():
        assert row["chosen_option"] == ("A" if ratings[row["persona_id"], row["item_id"]] < 0 else "B")
    held = ordinal.filter(split="test").group_by("persona_id").agg(pl.col("item_id").sort())
    assert held["item_id"].n_unique() == 1
    assert found(done)["rating by designer"]["tables"][0]["rows"][-1][1]["value"] > 0


def test_how_far_a_judge_is_from_the_person(recipe: Recipe) -> None:
    done = recipe("s063", authors.rater)
    judged = done.table("judged").to_dicts()
    for key in ("need", "depth", "tone", "why"):
        mean = sum(abs(row[key] - row[f"as_{key}"]) for row in judged) / len(judged)
        rows = {row[0]: row[1]["value"] for row in found(done)["how far off"]["tables"][0]["rows"][:-1]}
        assert rows[key] == pytest.approx(mean)
    assert done.data("dpo").height == 3
    assert {one["query"] for row in done.data("history").to_dicts() for one in row["profile"]} >= {"night trains"}


def test_a_persona_from_reasons_that_foretell(recipe: Recipe) -> None:
    done = recipe("s119", authors.inducer)
    reasons = done.table("reasons")
    dropped = reasons.filter(pl.col("reject_reason").is_not_null())
    assert set(dropped["question"]) == {"A recipe?"}
    personas = dict(done.data("induced").select("persona_id", "persona").iter_rows())
    assert personas == {"kim": "You like order.", "pat": "You like things loose."}
    rows = found(done)["foretold"]["tables"][0]["rows"]
    assert [row[1]["value"] for row in rows[:2]] == [1.0, 1.0]
    shots = done.data("shots")
    assert shots.height == 6
    assert "move house" not in str(shots["shots"].to_list())
