"""The parts of a calibration beside scipy, a count by hand, and another library's measures."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from prefgen.analysis.calibrate import PERSONAS, calibrate
from prefgen.analysis.compared import Draws
from prefgen.analysis.panel import Panel
from prefgen.analysis.samples import Told, apart, expected_apart, shares_of, spread_of
from prefgen.analysis.survey import Group, Question, SurveyAnswers
from tests.analysis.test_calibration_laws import GROUPS, LETTERS, LEVELS, one_hot


def test_single_answers_are_drawn_as_scipy_counts_them():
    p = np.array([[0.7, 0.2, 0.1]] * 12)
    told, truth = Told(p, np.ones((12, 1))), np.array([0.6, 0.25, 0.15])
    wanted = sum(
        np.abs(np.arange(13) / 12 - t) @ stats.binom.pmf(np.arange(13), 12, q) for q, t in zip(p[0], truth, strict=True)
    )
    drawn = [
        apart(told.drawn(np.random.default_rng(seed)), truth, ordered=True)["total_variation"].mean()
        for seed in range(40)
    ]
    assert np.mean(drawn) == pytest.approx(wanted / 2, rel=0.02)


def test_the_mean_of_a_folded_normal_is_scipys():
    for gap in (0.0, 0.01, 0.05, 0.3):
        wanted = stats.foldnorm.mean(gap / 0.04, scale=0.04)
        found = expected_apart(np.array([0.5 + gap, 0.5 - gap]), np.array([0.5, 0.5]), np.array([0.04, 0.04]))
        assert found == pytest.approx(wanted, rel=1e-3)


def test_spread_is_the_share_of_pairs_that_differ():
    rng = np.random.default_rng(0)
    codes, weight = rng.integers(3, size=(1, 9)), rng.integers(1, 4, 9).astype(float)
    pairs = [(weight[i] * weight[j], codes[0, i] != codes[0, j]) for i in range(9) for j in range(9) if i != j]
    wanted = sum(w for w, differ in pairs if differ) / sum(w for w, _ in pairs)
    assert spread_of(codes, weight[:, None], 3).item() == pytest.approx(wanted)
    assert Told(one_hot(codes[0]), weight[:, None]).spread.item() == pytest.approx(wanted)
    counts = np.bincount(codes[0], weights=weight, minlength=3)
    assert shares_of(codes, weight[:, None], 3)[0, 0] == pytest.approx(counts / counts.sum())


def test_the_variance_of_shares_is_that_of_a_weighted_mean():
    rng = np.random.default_rng(1)
    p = rng.dirichlet([1, 1, 1], 14)
    told = Told(p, np.ones((14, 1)))
    assert told.variance_of_shares.item() == pytest.approx(p.var(axis=0, ddof=1).sum() / 14)
    assert np.isnan(Told(p[:1], np.ones((1, 1))).variance_of_shares.item())


def test_a_stand_in_has_the_attributes_of_the_persona_and_answers_every_question_himself():
    """The survey tells who is who: two answers of one respondent are the same number, unless one of them is missing."""
    rows = 400
    rng = np.random.default_rng(0)
    tens = rng.integers(3, size=rows)
    frame = pl.DataFrame(
        {
            "party": rng.choice(GROUPS[:2], rows),
            "sex": rng.choice(["w", "m"], rows),
            "q0": np.array(LEVELS)[tens],
            "q1": np.array(LEVELS)[tens],
        }
    ).with_columns(q1=pl.when(pl.int_range(rows) % 4 == 0).then(None).otherwise("q1"))
    questions = [Question(name, name, tuple(zip(LETTERS, LEVELS, strict=True))) for name in ("q0", "q1")]
    by = {"party": "party", "sex": "sex"}
    answers = SurveyAnswers.of(frame, questions, by, weight=None, least=30)
    levels = pl.DataFrame({"party": ["left", "middle", "left"], "sex": ["w", "m", None]})
    panel = Panel(("a", "b", "c"), levels, {})
    draws = Draws.of(answers, {PERSONAS: panel}, questions, seed=0)
    picked, seats = draws.stand_ins.picked, draws.stand_ins.seats
    assert set(frame["party"].gather(picked[:, seats["party"][0]])) == {"left"}
    assert set(frame["sex"].gather(picked[:, seats["sex"][0]])) == {"w"}
    assert (seats["party"][:2] == seats["sex"][:2]).all()  # one respondent for both attributes
    assert set(frame["party"].gather(picked[:, seats["party"][2]])) == {"left"}
    assert (picked[:, seats["sex"][2]] == -1).all()  # nobody is of a level that is not told
    first, second = (draws.stand_ins.said(question, rng) for question in questions)
    at = seats["party"][:2]
    assert (first[:, at] >= 0).all()
    assert (second[:, at] >= 0).all()
    assert (first[:, at] == second[:, at]).mean() == pytest.approx(0.75 + 0.25 / 3, abs=0.03)


def test_shares_and_distances_of_a_published_survey_and_model_are_those_of_another_library():
    """CES 2024, 96 cells and a model's answers to three questions, from popfidelity."""
    metrics = pytest.importorskip("popfidelity.metrics")
    examples = pytest.importorskip("popfidelity.examples")
    told, model = (pl.read_csv(examples.path("ces", f"{of}_cells.csv")) for of in ("survey", "model"))
    model = model.filter(replicate=model["replicate"].min(), mode="ntp").filter(source=model["source"].first())
    asked = "ideo5"
    levels = told.filter(question=asked)["option"].unique(maintain_order=True).to_list()
    wide = [
        frame.filter(question=asked)
        .pivot("option", index="cell_id", values="share")
        .select("cell_id", *levels)
        .sort("cell_id")
        for frame in (told, model)
    ]
    both = wide[0].join(wide[1], on="cell_id", suffix="_said")
    rows = told.filter(question=asked).select("cell_id", answer="option", w=pl.col("share") * pl.col("n"))
    letters = "ABCDEFGH"[: len(levels)]
    said = both.select(
        persona_id="cell_id",
        item_id=pl.lit("i"),
        choice=pl.lit("A"),
        p_choice=pl.lit(0.5),
        weight=pl.lit(1.0),
        **{f"p_{letter}": pl.col(f"{level}_said") for letter, level in zip(letters, levels, strict=True)},
    )
    nobody = pl.lit(None, dtype=pl.String)
    personas = both.select(persona_id="cell_id", cell="cell_id", weight=pl.lit(1.0), control=nobody, control_of=nobody)
    question = Question("i", "answer", tuple(zip(letters, levels, strict=True)))
    found = calibrate(said, personas, rows, questions=[question], by={"cell": "cell_id"}, weight="w", least=2)
    mine = found.cells.filter(source=PERSONAS, attribute="cell").sort("level")
    one, two = both.select(levels).to_numpy(), both.select(f"{level}_said" for level in levels).to_numpy()
    at = both["cell_id"].is_in(mine["level"].implode()).to_numpy()
    wanted = metrics.distance(one[at], two[at] / two[at].sum(axis=1, keepdims=True), "total_variation")
    assert mine.height > 80
    assert mine["share_distance"].to_numpy() == pytest.approx(wanted, abs=1e-6)
    answers = SurveyAnswers.of(rows, [question], {"cell": "cell_id"}, weight="w", least=2)
    shares = np.stack([answers.shares(question, Group("cell", level)) for level in mine["level"]])
    bits = apart(shares, two[at] / two[at].sum(axis=1, keepdims=True), ordered=True)["jensen_shannon"]
    assert bits == pytest.approx(
        metrics.distance(one[at], two[at] / two[at].sum(axis=1, keepdims=True), "js_divergence"), abs=1e-6
    )
