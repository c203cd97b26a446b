"""A judge who answers like the people scores zero; one who knows nothing scores like the baseline it is."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefgen.analysis.calibrate import NOBODY, OVERALL, PERSONAS, UNIFORM, calibrate
from prefgen.analysis.poststratify import raked_weights, unlike
from prefgen.analysis.samples import apart
from prefgen.analysis.survey import EVERYBODY, Group, Question, SurveyAnswers
from prefgen.errors import UsageError

TRUTH = {"left": [0.7, 0.2, 0.1], "right": [0.2, 0.3, 0.5]}
SHARES = {"left": 0.6, "right": 0.4}
LEVELS = ["more", "same", "less"]
QUESTION = Question("i1", "q1", (("A", "more"), ("B", "same"), ("C", "less")))


def survey(rows=6000, seed=0):
    rng = np.random.default_rng(seed)
    party = rng.choice(list(SHARES), rows, p=list(SHARES.values()))
    answer = [LEVELS[rng.choice(3, p=TRUTH[one])] for one in party]
    return pl.DataFrame({"party": party, "q1": answer, "w": np.ones(rows)})


def exact(rows=1000):
    """A survey without sampling noise."""
    parts = [
        pl.DataFrame({"party": [party], "q1": [level]}).select(
            pl.all().repeat_by(round(rows * SHARES[party] * share)).explode()
        )
        for party, shares in TRUTH.items()
        for level, share in zip(LEVELS, shares, strict=True)
    ]
    return pl.concat(parts)


PEOPLE = pl.DataFrame(
    {
        "persona_id": ["l1", "l2", "r1", "none", "wrong-l1"],
        "control": [None, None, None, "none", "wrong"],
        "control_of": [None, None, None, None, "l1"],
        "weight": [1.0, 1.0, 1.0, 1.0, 1.0],
        "party": ["left", "left", "right", None, "right"],
    }
)


def preferences(p, **columns):
    """What the judge says to i1, by persona."""
    rows = [
        {
            "persona_id": who,
            "item_id": "i1",
            "choice": "ABC"[int(np.argmax(shares))],
            "p_choice": max(shares),
            "weight": 1.0,
            **{f"p_{o}": s for o, s in zip("ABC", shares, strict=True)},
        }
        for who, shares in p.items()
    ]
    return pl.DataFrame(rows).with_columns(**columns)


PERFECT = {
    "l1": TRUTH["left"],
    "l2": TRUTH["left"],
    "r1": TRUTH["right"],
    "none": [1 / 3] * 3,
    "wrong-l1": TRUTH["right"],
}


def found(calibration, source, attribute="party", level="left", column="share_distance"):
    return calibration.cells.filter(source=source, attribute=attribute, level=level)[column].item()


def test_a_judge_who_answers_like_each_subgroup_has_its_shares_and_the_distance_of_as_many_people():
    calibration = calibrate(preferences(PERFECT), PEOPLE, exact(), questions=[QUESTION], by={"party": "party"})
    for level in TRUTH:
        assert found(calibration, PERSONAS, level=level) == pytest.approx(0, abs=1e-9)
        for measure in ("total_variation", "jensen_shannon", "rank_distance"):
            mine, floor = (found(calibration, PERSONAS, level=level, column=f"{of}{measure}") for of in ("", "floor_"))
            assert mine == pytest.approx(floor, rel=0.2)  # two people and one, drawn some hundred times
    figures = calibration.figures()
    assert figures["gain"]["value"] == pytest.approx(1, abs=0.02)
    assert figures["verdict"] == "on the floor"
    assert found(calibration, PERSONAS, column="n_personas") == 2
    assert found(calibration, PERSONAS, column="n_survey") == 600


def test_each_baseline_is_what_its_name_says():
    calibration = calibrate(preferences(PERFECT), PEOPLE, exact(), questions=[QUESTION], by={"party": "party"})
    left, overall = np.array(TRUTH["left"]), 0.6 * np.array(TRUTH["left"]) + 0.4 * np.array(TRUTH["right"])
    assert found(calibration, UNIFORM) == pytest.approx(np.abs(left - 1 / 3).sum() / 2)
    assert found(calibration, NOBODY) == pytest.approx(found(calibration, UNIFORM))
    assert found(calibration, OVERALL) == pytest.approx(np.abs(left - overall).sum() / 2)
    assert found(calibration, OVERALL, attribute=EVERYBODY, level=EVERYBODY) == pytest.approx(0)
    wrong = found(calibration, "wrong")  # stands beside l1, so it is held against the left
    assert wrong == pytest.approx(np.abs(left - TRUTH["right"]).sum() / 2)


def test_without_the_control_the_other_baselines_stay_and_it_is_said():
    people = PEOPLE.filter(pl.col("control").is_null())
    calibration = calibrate(
        preferences({k: PERFECT[k] for k in ("l1", "l2", "r1")}),
        people,
        exact(),
        questions=[QUESTION],
        by={"party": "party"},
    )
    assert set(calibration.cells["source"]) == {PERSONAS, UNIFORM, OVERALL}
    assert calibration.figures()["gain_over_no_persona"]["value"] is None
    assert any("no control `none`" in note for note in calibration.notes)


def test_a_sample_of_the_same_people_has_their_shares():
    one, two = survey(seed=1), survey(seed=2)
    answers = SurveyAnswers.of(two, [QUESTION], {"party": "party"}, weight=None, least=30)
    said = {
        who: answers.shares(QUESTION, Group("party", party)).tolist()
        for who, party in (("l1", "left"), ("l2", "left"), ("r1", "right"))
    }
    calibration = calibrate(preferences(said), PEOPLE, one, questions=[QUESTION], by={"party": "party"})
    assert found(calibration, PERSONAS) < 0.03
    assert calibration.figures()["verdict"] == "on the floor"
    assert calibration.figures()["gain"]["low"] > 0.8


def test_the_same_seed_gives_the_same_floors():
    frames = [
        calibrate(preferences(PERFECT), PEOPLE, survey(), questions=[QUESTION], by={"party": "party"}, seed=4).cells
        for _ in range(2)
    ]
    assert frames[0].equals(frames[1])


def test_options_without_a_level_are_left_out_and_counted():
    question = Question("i1", "q1", (("A", "more"), ("B", "less")))
    calibration = calibrate(
        preferences({**PERFECT, "l1": [0.4, 0.1, 0.5], "l2": [0.4, 0.1, 0.5]}),
        PEOPLE,
        exact(),
        questions=[question],
        by={"party": "party"},
    )
    assert found(calibration, PERSONAS, column="answered") == pytest.approx(0.5)
    assert found(calibration, PERSONAS, column="shares").to_list() == pytest.approx([0.8, 0.2])


def test_judgments_that_were_not_read_do_not_count():
    unread = preferences(PERFECT).with_columns(
        pl.when(pl.col("persona_id") == "l2").then(None).otherwise(pl.col(f"p_{o}")).alias(f"p_{o}") for o in "ABC"
    )
    calibration = calibrate(unread, PEOPLE, exact(), questions=[QUESTION], by={"party": "party"})
    assert found(calibration, PERSONAS, column="n_personas") == 1
    assert found(calibration, PERSONAS) == pytest.approx(0, abs=1e-9)


def test_accuracy_rises_with_the_threshold_where_certainty_means_something():
    sure = {"l1": [0.9, 0.05, 0.05], "l2": [0.3, 0.4, 0.3], "r1": [0.1, 0.1, 0.8]}
    table = calibrate(preferences(sure), PEOPLE, exact(), questions=[QUESTION], by={"party": "party"}).certainty
    at = {row["threshold"]: row for row in table.iter_rows(named=True)}
    assert at[0]["measure"] == "p_choice"
    assert at[0]["coverage"] == 1
    assert at[0]["agreement"] == pytest.approx((0.7 + 0.2 + 0.5) / 3)
    assert at[0]["modal"] == pytest.approx(2 / 3)
    assert at[50]["coverage"] == pytest.approx(2 / 3)
    assert at[50]["modal"] == 1
    assert at[95]["n"] == 0
    assert at[95]["agreement"] is None
    stated = preferences(sure).with_columns(certainty=pl.Series([10, 90, 95]))
    table = calibrate(stated, PEOPLE, exact(), questions=[QUESTION], by={"party": "party"}).certainty
    assert table.filter(threshold=80)["agreement"].item() == pytest.approx((0.2 + 0.5) / 2)
    assert set(table["measure"]) == {"certainty"}


def test_raked_people_have_the_margins_of_the_survey():
    frame = pl.DataFrame({"party": ["left"] * 60 + ["right"] * 40, "sex": ["w", "m"] * 50})
    people = pl.DataFrame(
        {
            "persona_id": list("abcd"),
            "weight": [1.0] * 4,
            "party": ["left", "right", "right", "right"],
            "sex": ["w", "w", "m", "m"],
        }
    )
    raked = raked_weights(
        people.vstack(people.with_columns(persona_id=pl.col("persona_id") + "2", sex=pl.lit("m"))),
        frame,
        by={"party": "party", "sex": "sex"},
    )
    assert raked["raked_weight"].mean() == pytest.approx(1)
    weight = raked["raked_weight"].to_numpy()
    assert weight[[0, 4]].sum() / weight.sum() == pytest.approx(0.6, abs=1e-6)
    assert weight[[0, 1]].sum() / weight.sum() == pytest.approx(0.5, abs=1e-6)


shares = (
    st.lists(st.floats(0, 1), min_size=3, max_size=3)
    .filter(lambda p: sum(p) > 0.01)
    .map(lambda p: np.array(p) / sum(p))
)


@settings(max_examples=100)
@given(shares, shares)
def test_distances_are_symmetric_zero_for_the_same_and_at_most_one(p, q):
    one, two, same = (
        {name: float(value) for name, value in apart(*of, ordered=True).items()} for of in ((p, q), (q, p), (p, p))
    )
    assert one == pytest.approx(two, abs=1e-12)
    assert all(0 <= value <= 1 + 1e-12 for value in one.values())
    assert all(value == pytest.approx(0, abs=1e-7) for value in same.values())
    assert one["rank_distance"] <= one["total_variation"] + 1e-12
    assert apart(p, q, ordered=False)["rank_distance"] is None


WRONG = {
    "column": ({"questions": [Question("i1", "q2", (("A", "more"),))]}, "the survey has no column 'q2'"),
    "levels": (
        {"questions": [Question("i1", "q1", (("A", "yes"), ("B", "no")))]},
        "nobody in the survey answered 'q1' with one of 'yes', 'no'",
    ),
    "attribute": ({"by": {"region": "party"}}, "the personas have no attribute 'region'"),
    "items": (
        {"questions": [Question("i9", "q1", QUESTION.options)]},
        "no item was answered by personas of a subgroup",
    ),
    "weight": ({"weight": "z"}, "the survey has no column 'z'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_tables_that_do_not_meet_are_refused_in_words(case):
    keys, sentence = WRONG[case]
    with pytest.raises(UsageError, match=sentence):
        calibrate(preferences(PERFECT), PEOPLE, exact(), **{"questions": [QUESTION], "by": {"party": "party"}, **keys})


def test_small_subgroups_are_not_compared_and_named():
    frame = pl.concat([exact(), pl.DataFrame({"party": ["green"] * 5, "q1": ["more"] * 5})])
    calibration = calibrate(preferences(PERFECT), PEOPLE, frame, questions=[QUESTION], by={"party": "party"})
    assert "green" not in calibration.cells["level"].to_list()
    assert any("party 'green' has 5 respondents, fewer than 30" in note for note in calibration.notes)


def test_numbers_in_the_survey_meet_levels_written_as_text():
    frame = exact().with_columns(
        pl.col("q1").replace_strict({"more": 1.0, "same": 0.0, "less": -1.0}, return_dtype=pl.Float64)
    )
    question = Question("i1", "q1", (("A", "1"), ("B", "0"), ("C", "-1")))
    calibration = calibrate(preferences(PERFECT), PEOPLE, frame, questions=[question], by={"party": "party"})
    assert found(calibration, PERSONAS) == pytest.approx(0, abs=1e-9)


def test_levels_that_only_one_side_has_are_told_since_no_weight_brings_them_together():
    survey = pl.DataFrame({"party": ["left"] * 60 + ["right"] * 30 + ["green"] * 10})
    people = pl.DataFrame({"persona_id": ["a", "b", "c"], "party": ["left", "right", "purple"]})
    told = list(unlike(people, survey, by={"party": "party"}))
    assert told[0].startswith("no persona has party 'green', as 10.0% of the survey have")
    assert told[1] == "nobody in the survey has party 'purple': its personas get the weight 0"


def test_raking_brings_everybody_nearer_where_only_the_mix_of_people_is_wrong():
    mixed = pl.concat([exact().filter(party="left"), *[exact().filter(party="right")] * 5])
    found = calibrate(
        preferences(PERFECT), PEOPLE, mixed, questions=[QUESTION], by={"party": "party"}
    ).poststratification()
    assert found["reweighted"] < found["share_distance"] / 10
    assert found["effective_n"] < found["personas"]
