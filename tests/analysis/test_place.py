from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.decomposition import PCA

from prefgen.analysis.findings import write_findings
from prefgen.analysis.place import (
    draw_map,
    majority_answers,
    model_answers,
    persona_answers,
    place_models,
    principal_axes,
)
from prefgen.analysis.placement import PlacedModel, find_placement, write_placement
from prefgen.analysis.response_matrix import matrix_of
from prefgen.errors import UsageError
from prefgen.judging.item_facts import item_facts
from prefgen.publish.report import write_report
from prefgen.seeds import rng_for
from prefgen.store.folder import RunFolder
from tests.analysis.planted import plant, plant_run


@pytest.fixture(scope="module")
def planted():
    return plant(seed=4)


@pytest.fixture(scope="module")
def matrix(planted):
    return matrix_of([planted.judgments], item_facts(planted.items.lazy()), planted.personas)


def said_by(planted, name):
    """The judgments of one persona, as if a model without a persona had said them."""
    return planted.judgments.filter(pl.col("persona_id") == name)


def answers_of(planted, matrix, name, as_name):
    rows = said_by(planted, name).unique("item_id", keep="first", maintain_order=True)
    return model_answers(matrix, as_name, rows.drop("choice").rename({"item_choice": "choice"}))


def test_a_model_that_answers_as_a_persona_stands_where_the_persona_stands(planted, matrix):
    models = [answers_of(planted, matrix, "cyd", "twin of cyd"), answers_of(planted, matrix, "none", "other")]
    found = place_models(matrix, models, by=("dimension",), rng=rng_for(0, "t"), draws=60)
    whole = {(one.model, one.target): one for one in found.nearness if not one.coordinate}
    assert whole["twin of cyd", "cyd"].kappa.value == 1.0
    assert whole["twin of cyd", "cyd"].divergence.value == pytest.approx(0.0, abs=1e-12)
    assert whole["twin of cyd", "dan"].kappa.low > 0.6
    assert whole["twin of cyd", "ada"].kappa.high < 0.4
    at = {one.name: (one.x, one.y) for one in found.map.points}
    assert at["twin of cyd"] == pytest.approx(at["cyd"])
    assert {one.level for one in found.nearness if one.coordinate} == set(planted.items["dimension"])


def test_slices_add_up_to_the_whole(planted, matrix):
    found = place_models(
        matrix, [answers_of(planted, matrix, "none", "m")], by=("theme",), rng=rng_for(0, "t"), draws=5
    )
    mine = [one for one in found.nearness if one.target == "ada"]
    whole = next(one for one in mine if not one.coordinate)
    parts = [one for one in mine if one.coordinate]
    ada, model = matrix.choice[matrix.personas.index("ada")], answers_of(planted, matrix, "none", "m").choice
    both = (
        matrix.items.with_columns(both=pl.Series((ada >= 0) & (model >= 0))).group_by("theme").agg(pl.col("both").sum())
    )
    of = dict(both.iter_rows())
    assert sum(one.same.value * of[one.level] for one in parts) == pytest.approx(whole.same.value * sum(of.values()))
    assert sum(one.same.n for one in parts) == whole.same.n  # questions: two forms of one are one


def test_the_majority_is_what_most_say_by_weight_and_nothing_where_they_tie():
    items = pl.DataFrame({"item_id": ["i"], "prompt": ["?"], "options": [["x", "y"]], "neither": [None]})
    said = {"p": "A", "q": "B", "r": "B"}
    rows = [(name, "i", "given", 0, c, c, "ok", c, float(c == "A"), float(c == "B")) for name, c in said.items()]
    names = ["persona_id", "item_id", "order", "repeat", "choice", "slot", "status", "item_choice", "p_A", "p_B"]
    judgments = pl.DataFrame(rows, schema=names, orient="row").with_columns(
        position_bias=pl.lit(None, pl.Float64), n_presentations=pl.lit(1)
    )
    for weights, expected in (([1.0, 1.0, 1.0], 1), ([3.0, 1.0, 1.0], 0), ([2.0, 1.0, 1.0], -1)):
        people = pl.DataFrame(
            {"persona_id": list(said), "control": pl.Series([None] * 3, dtype=pl.String), "weight": weights}
        )
        found = majority_answers(matrix_of([judgments], item_facts(items.lazy()), people))
        assert found.choice.tolist() == [expected]
        assert found.p[0, 0] == pytest.approx(weights[0] / sum(weights))


def test_the_axes_are_those_of_scikit_learn():
    vectors = np.random.default_rng(5).normal(size=(9, 40))
    axes, explained = principal_axes(vectors)
    theirs = PCA(n_components=2).fit(vectors)
    assert np.abs(axes @ theirs.components_.T) == pytest.approx(np.eye(2), abs=1e-8)
    assert explained == pytest.approx(tuple(theirs.explained_variance_ratio_))


def test_adding_a_model_moves_no_persona(planted, matrix):
    alone = draw_map(persona_answers(matrix, controls=False))
    more = draw_map([*persona_answers(matrix, controls=False), answers_of(planted, matrix, "ada", "m")])
    for one, other in zip(alone.points, more.points[:-1], strict=True):
        assert (one.x, one.y) == pytest.approx((other.x, other.y), abs=1e-6)


def test_the_map_needs_three_and_something_that_all_answered(matrix):
    assert draw_map(persona_answers(matrix)[:2]) is None
    silent = [
        *persona_answers(matrix)[:3],
        model_answers(matrix, "m", pl.DataFrame({"item_id": ["none of them"], "choice": ["A"]})),
    ]
    assert draw_map(silent) is None


def test_a_placement_is_written_and_its_figures_stand_in_the_report(planted, tmp_path):
    run = RunFolder(plant_run(tmp_path / "run", planted))
    write_findings(run, draws=20)
    models = [
        PlacedModel("north-7b", "Europe", [said_by(planted, "bea")]),
        PlacedModel("south-7b", None, [said_by(planted, "none")]),
    ]
    found = write_placement(run, models, draws=20)
    assert found["fingerprint"] == "planted"
    page = write_report(run).page.read_text()
    assert "north-7b stands nearest to bea: kappa 1.00" in page
    assert "north-7b · Europe" in page
    assert (run.figures / "nearness.png").is_file()


def test_two_models_of_one_name_are_refused(planted, tmp_path):
    run = RunFolder(plant_run(tmp_path / "run", planted))
    with pytest.raises(UsageError, match="the name 'ada' stands for two"):
        find_placement(run, [PlacedModel("ada", None, [])])
