"""Recipes that need no model: computed choices, rules and loops, against numpy and brute force."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import polars as pl
import pytest

from prefgen.errors import SpecError
from tests.language.conftest import Run

NAMES = ("r1", "r2", "r3")


def rated(n_questions: int = 40, n_answers: int = 4, seed: int = 1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    rows = n_questions * n_answers
    columns = {name: rng.integers(1, 6, rows) + rng.normal(0, 0.01, rows) for name in NAMES}
    return pl.DataFrame(
        {
            "prompt": [f"Question {row // n_answers}?" for row in range(rows)],
            "response": [f"Answer {row % n_answers} to {row // n_answers}" for row in range(rows)],
            **columns,
        }
    )


PEOPLE = {
    "population": "raters",
    "attributes": {"mood": {"levels": {"calm": 0.5, "wild": 0.5}}},
    "weights": {"dirichlet": 0.5, "over": list(NAMES)},
    "text": "You are {{ mood }}.",
}


def of_weights(**more: object) -> dict[str, object]:
    return {
        "steps": {
            "users": {"draw": "people.yaml", "n": 30},
            "answers": {"table": "rated.parquet"},
            "ratings": {
                "judge": "pick",
                "items": "answers",
                "within": ["item_id"],
                "show": "all",
                "as": "users",
                "utility": "weights",
                **more,
            },
            "pairs": {"pair": "best_vs_worst", "from": "ratings"},
            "parts": {"split": "pairs", "by": ["persona", "item"], "test": 0.2},
        },
        "publish": {
            "exports": ["dpo", {"fewshot": {"shots": 3}}, {"attr": {"from": "answers", "labels": list(NAMES)}}, "table"]
        },
    }


def test_a_utility_of_weights_is_what_numpy_makes_of_it(whole: Run) -> None:
    done = whole(of_weights(standardize=True), people__yaml=PEOPLE, rated__parquet=rated())
    users, answers, judged = done.table("users"), done.table("answers"), done.table("ratings")
    assert users.select(pl.sum_horizontal(NAMES)).to_series().to_numpy() == pytest.approx(1.0)
    z = answers.select((pl.col(NAMES) - pl.col(NAMES).mean()) / pl.col(NAMES).std()).to_numpy()
    utility = users.select(NAMES).to_numpy() @ z.T
    questions = answers["item_id"].unique(maintain_order=True).to_list()
    first = {name: answers["item_id"].index_of(name) for name in questions}
    asked = done.table("ratings_shown").select("item_id", "prompt_id")
    told = judged.join(asked, on="item_id", suffix="_of", maintain_order="left")
    assert told.height == 30 * 40
    row_of = {name: row for row, name in enumerate(users["persona_id"])}
    for persona, question, choice in told.select("persona_id", "prompt_id", "item_choice").iter_rows():
        start = first[question]
        assert choice == "ABCD"[int(np.argmax(utility[row_of[persona], start : start + 4]))]
    assert judged["debiased"].all()
    assert judged["position_bias"].null_count() == judged.height


def test_with_noise_the_probabilities_are_a_softmax(whole: Run) -> None:
    done = whole(of_weights(noise=0.7), people__yaml=PEOPLE, rated__parquet=rated())
    users, shown, judged = done.table("users"), done.table("ratings_shown"), done.table("ratings")
    row = judged.row(5, named=True)
    weights = users.filter(persona_id=row["persona_id"]).select(NAMES).row(0)
    item = shown.filter(item_id=row["item_id"]).row(0, named=True)
    utility = np.array(
        [sum(w * item[f"option_{name}"][k] for w, name in zip(weights, NAMES, strict=True)) for k in range(4)]
    )
    p = np.exp(utility / 0.7) / np.exp(utility / 0.7).sum()
    assert [row[f"p_{letter}"] for letter in "ABCD"] == pytest.approx(p, abs=1e-12)


def test_pairs_hold_the_best_against_the_worst_with_the_attributes_of_both(whole: Run) -> None:
    done = whole(of_weights(noise=0.3), people__yaml=PEOPLE, rated__parquet=rated())
    pairs = done.table("pairs")
    assert {"chosen_r1", "rejected_r1", "chosen_candidate_id", "prompt_id"} <= set(pairs.columns)
    answers = {row["candidate_id"]: row for row in done.table("answers").iter_rows(named=True)}
    for row in pairs.iter_rows(named=True):
        assert answers[row["chosen_candidate_id"]]["response"] == row["chosen_text"]
        assert answers[row["rejected_candidate_id"]]["r2"] == row["rejected_r2"]
        assert answers[row["chosen_candidate_id"]]["item_id"] == row["prompt_id"]
    parts = done.table("parts")
    held_out = set(parts.filter(pl.col("split").is_in(["test", "test_item"]))["prompt_id"])
    assert held_out
    assert not held_out & set(parts.filter(split="train")["prompt_id"])


def test_attr_has_one_row_an_answer_and_only_what_it_names(whole: Run) -> None:
    done = whole(of_weights(), people__yaml=PEOPLE, rated__parquet=rated())
    attr = done.data("attr").drop("split")
    assert attr.height == 160
    assert attr.columns == ["candidate_id", "item_id", "prompt", "response", *NAMES]


def test_few_are_asked_and_further_people_move_nobody(whole: Run, tmp_path) -> None:
    some = whole(of_weights(per_persona=7), people__yaml=PEOPLE, rated__parquet=rated()).table("ratings")
    assert set(some.group_by("persona_id").len()["len"]) == {7}
    asked = of_weights(per_persona=7)
    asked["steps"]["users"]["n"] = 60  # type: ignore[index]
    asked["name"] = "more"
    import shutil

    shutil.rmtree(tmp_path / "run")
    more = whole(asked, people__yaml=PEOPLE, rated__parquet=rated()).table("ratings")
    both = some.join(more, on=["persona_id", "item_id"], how="inner")
    assert both.height == some.height


def test_a_design_by_columns_asks_those_for_whom_it_holds(whole: Run) -> None:
    table = rated().with_columns(
        axis=pl.when(pl.int_range(pl.len()) < 80).then(pl.lit("calm")).otherwise(pl.lit("wild"))
    )
    pipeline = of_weights(where="items.axis = people.mood", within=["item_id", "axis"])
    done = whole(pipeline, people__yaml=PEOPLE, rated__parquet=table)
    told = done.table("ratings").join(done.table("users").select("persona_id", "mood"), on="persona_id")
    assert told.height == 30 * 20
    assert (told["axis"] == told["mood"]).all()


def test_loops_are_those_of_brute_force(whole: Run) -> None:
    pipeline = {
        "steps": {
            "answers": {"table": "rated.parquet"},
            "loops": {"pair": "cycle", "from": "answers", "over": list(NAMES)},
        },
        "publish": {"exports": [{"dpo": {"context": "none"}}]},
    }
    done = whole(pipeline, rated__parquet=rated())
    answers, loops = done.table("answers"), done.table("loops")
    expected = 0
    for _, some in answers.group_by("item_id", maintain_order=True):
        rows = some.to_dicts()
        for three in combinations(rows, 3):
            expected += any(
                all(x[name] > y[name] for (x, y), name in zip(((a, b), (b, c), (c, a)), order, strict=True))
                for a, b, c in permutations(three)
                for order in permutations(NAMES)
            )
    assert expected > 10
    assert loops["loop_id"].n_unique() == expected
    assert loops.height == 3 * expected
    for _, loop in loops.group_by("loop_id"):
        assert set(loop["attribute"]) == set(NAMES)
        assert set(loop["chosen_candidate_id"]) == set(loop["rejected_candidate_id"])
        for row in loop.iter_rows(named=True):
            assert row[f"chosen_{row['attribute']}"] > row[f"rejected_{row['attribute']}"]
    (first, *_) = done.data("dpo")["prompt"].to_list()
    assert [message["role"] for message in first] == ["user"]


@pytest.mark.parametrize(("take", "expected"), [("all", None), (1, 1), ({"widest": "chosen.r1 - rejected.r1"}, 1)])
def test_pairs_by_a_rule_are_all_that_keep_it(whole: Run, take: object, expected: int | None) -> None:
    pipeline = {
        "steps": {
            "answers": {"table": "rated.parquet"},
            "wide": {
                "pair": "rows",
                "from": "answers",
                "where": "chosen.r1 > rejected.r1 + 1.5 and chosen.r2 >= rejected.r2",
                "take": take,
            },
        },
        "publish": {"exports": ["dpo", "kto"]},
    }
    done = whole(pipeline, rated__parquet=rated())
    answers, wide = done.table("answers"), done.table("wide")
    both = answers.join(answers, on="item_id", suffix="_r").filter(
        (pl.col("r1") > pl.col("r1_r") + 1.5) & (pl.col("r2") >= pl.col("r2_r"))
    )
    found = set(wide.select("chosen_candidate_id", "rejected_candidate_id").iter_rows())
    every = set(both.select("candidate_id", "candidate_id_r").iter_rows())
    if expected is None:
        assert found == every
        return
    assert found <= every
    assert len(found) == wide.height == both["item_id"].n_unique()
    if isinstance(take, dict):
        most = both.group_by("item_id").agg((pl.col("r1") - pl.col("r1_r")).max().alias("gap"))
        gaps = wide.select(pl.col("prompt_id").alias("item_id"), gap_found=pl.col("chosen_r1") - pl.col("rejected_r1"))
        assert gaps.join(most, on="item_id").filter(pl.col("gap") != pl.col("gap_found")).is_empty()


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"pair": "rows", "from": "answers", "where": "chosen.nothing > 1"}, "there is no column 'chosen_nothing'"),
        ({"pair": "cycle", "from": "answers", "over": ["r1", "r2", "response"]}, "no column 'response' of numbers"),
        ({"pair": "rows", "from": "users", "where": "chosen.r1 > 1"}, "has no candidates"),
        (
            {"judge": "pick", "items": "answers", "within": ["nothing"], "as": "users", "utility": "weights"},
            "no column 'nothing' to agree in",
        ),
        (
            {"judge": "pick", "items": "answers", "show": 40, "as": "users", "utility": "weights"},
            "40 candidates at once",
        ),
        (
            {"judge": "pick", "items": "answers", "show": 2, "as": "users", "utility": "people.r1 * items.nothing"},
            "items.nothing",
        ),
        ({"judge": "pick", "items": "answers", "show": 2, "as": "users"}, "steps.x.model: missing"),
    ],
)
def test_what_cannot_be_made_is_told_before_anything_is_asked(whole: Run, step: dict[str, object], words: str) -> None:
    steps = {"users": {"draw": "people.yaml", "n": 5}, "answers": {"table": "rated.parquet"}, "x": step}
    with pytest.raises(SpecError) as raised:
        whole({"steps": steps, "publish": {"exports": []}}, people__yaml=PEOPLE, rated__parquet=rated(5))
    assert words in str(raised.value)
    assert "fix:" in str(raised.value)
    assert "pipeline.yaml:" in str(raised.value)


def test_an_item_has_one_prompt(whole: Run) -> None:
    rows = [
        {"item_id": item, "prompt": prompt, "response": f"{number}"}
        for number, (item, prompt) in enumerate([("a", "Tea?"), ("b", "Jam?"), ("a", "Tea?"), ("b", "Jam, then?")])
    ]
    with pytest.raises(SpecError, match="the same item_id 'b' and different prompts"):
        whole({"models": {}, "steps": {"rows": {"table": rows}}, "publish": {"exports": []}})
    empty = [{"prompt": "Tea?", "response": " \t"}]
    with pytest.raises(SpecError, match="row 1 has an empty response"):
        whole({"models": {}, "steps": {"rows": {"table": empty}}, "publish": {"exports": []}})


def test_answers_with_a_column_text_are_told_from_the_text_chosen(whole: Run) -> None:
    rows = [
        {"prompt": "Tea?", "response": "Yes.", "stars": 4, "text": "a"},
        {"prompt": "Tea?", "response": "No.", "stars": 2, "text": "b"},
    ]
    judge = {"judge": "pick", "items": "marks", "show": 2, "given": "stars"}
    steps = {
        "marks": {"table": [{**row, "persona_id": "ann"} for row in rows]},
        "likes": judge,
        "pairs": {"pair": "chosen_vs_other", "from": "likes"},
        "ruled": {"pair": "rows", "from": "marks", "where": "chosen.stars > rejected.stars"},
    }
    done = whole({"steps": steps, "publish": {"judgments": "likes", "exports": [{"dpo": {"from": "pairs"}}]}})
    for step in ("pairs", "ruled"):
        (pair,) = done.table(step).iter_rows(named=True)
        assert (pair["chosen_text"], pair["rejected_text"]) == ("Yes.", "No.")
        assert (pair["chosen_item_text"], pair["rejected_item_text"]) == ("a", "b")
