"""`weigh: fit`: weights that were planted come back, and are those of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from prefgen.errors import SpecError
from prefgen.judging.attribute_weights import fit_weights
from tests.language.conftest import Run
from tests.language.test_no_model import NAMES, of_weights, rated
from tests.language.test_no_model import PEOPLE as RATERS


def test_weights_of_a_utility_come_back_as_they_were(whole: Run) -> None:
    noise = 0.8
    pipeline: dict[str, Any] = of_weights(noise=noise, show=2)
    pipeline["steps"]["tastes"] = {"weigh": "fit", "from": "pairs", "of": list(NAMES), "ridge": 0}
    done = whole(pipeline, people__yaml=RATERS, rated__parquet=rated())
    tastes = done.table("tastes")
    assert tastes.columns == ["persona_id", "attribute", "weight", "error", "n_pairs"]
    wide = tastes.pivot("attribute", index="persona_id", values="weight")
    both = wide.join(done.table("users").select("persona_id", *NAMES), on="persona_id", suffix="_planted")
    assert both.height == 30
    for name in NAMES:
        assert both[name].to_numpy() == pytest.approx(both[f"{name}_planted"].to_numpy() / noise, abs=1e-5)


@pytest.mark.parametrize("ridge", [0.5, 5.0])
def test_weights_are_those_of_scikit_learn(ridge: float) -> None:
    rng = np.random.default_rng(3)
    x, counts = rng.normal(size=(400, 3)), rng.uniform(0.2, 2, 400)
    y = (rng.random(400) < 1 / (1 + np.exp(-x @ [1.5, -0.7, 0.0]))).astype(float)
    found = fit_weights(x, y, counts, ridge)
    known = LogisticRegression(C=1 / ridge, fit_intercept=False, tol=1e-10, max_iter=1000).fit(
        x, y, sample_weight=counts
    )
    assert found.weight == pytest.approx(known.coef_[0], abs=1e-5)
    p = known.predict_proba(x)[:, 1]
    curvature = (x * (counts * p * (1 - p))[:, None]).T @ x + ridge * np.eye(3)
    assert found.error == pytest.approx(np.sqrt(np.diag(np.linalg.inv(curvature))), rel=1e-4)


def test_errors_are_those_of_many_samples() -> None:
    truth, rng = np.array([1.0, -0.5]), np.random.default_rng(5)
    held, errors, weights = 0, [], []
    for _ in range(400):
        x = rng.normal(size=(300, 2))
        y = (rng.random(300) < 1 / (1 + np.exp(-x @ truth))).astype(float)
        found = fit_weights(x, y, np.ones(300), 0.0)
        held += int((np.abs(found.weight - truth) < 1.96 * found.error).sum())
        errors.append(found.error)
        weights.append(found.weight)
    assert 0.92 < held / 800 < 0.98
    assert np.mean(errors, axis=0) == pytest.approx(np.std(weights, axis=0), rel=0.12)


def test_what_choices_do_not_tell_is_not_told() -> None:
    one_sided = fit_weights(np.ones((20, 1)), np.ones(20), np.ones(20), 0.0)
    assert np.isnan(one_sided.weight).all()
    assert np.isfinite(fit_weights(np.ones((20, 1)), np.ones(20), np.ones(20), 0.1).weight).all()
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 2))
    y = (rng.random(200) < 1 / (1 + np.exp(-x[:, 0]))).astype(float)
    doubled = fit_weights(np.column_stack([x, x[:, 1]]), y, np.ones(200), 0.0)
    assert np.isfinite(doubled.weight[0])
    assert np.isnan(doubled.weight[1:]).all()
    assert np.isnan(fit_weights(np.zeros((0, 2)), np.zeros(0), np.zeros(0), 1.0).weight).all()


def people_who_choose(n: int = 4000) -> pl.DataFrame:
    """Each rates two teas at a time by what it weighs: the old warmth, the young strength, and chance."""
    rng = np.random.default_rng(8)
    rows = []
    for number in range(n):
        old = number % 2 == 0
        warm, strong = rng.normal(size=2), rng.normal(size=2)
        utility = (1.2 * warm if old else 0.9 * strong) + rng.gumbel(size=2)
        rows += [
            {"persona_id": f"p{number % 200}", "age": "old" if old else "young", "prompt": f"Tea {number}?",
             "response": f"tea {k}", "warm": warm[k], "strong": strong[k], "stars": float(utility[k])}
            for k in range(2)
        ]  # fmt: skip
    return pl.DataFrame(rows)


def test_what_groups_of_real_people_weigh_is_found_in_their_ratings(whole: Run) -> None:
    steps = {
        "teas": {"table": "teas.parquet"},
        "human": {"judge": "pick", "items": "teas", "show": 2, "given": "stars"},
        "pairs": {"pair": "chosen_vs_other", "from": "human"},
        "aged": {"table": ["pairs", "human_people"], "sql": "select pairs.*, human_people.age from pairs join human_people on pairs.persona_id = human_people.persona_id"},
        "tastes": {"weigh": "fit", "from": "aged", "of": ["warm", "strong"], "by": ["age"]},
        "all": {"weigh": "fit", "from": "aged", "of": ["warm", "strong"], "by": [], "standardize": True},
    }  # fmt: skip
    done = whole({"steps": steps, "publish": {"exports": []}}, teas__parquet=people_who_choose())
    tastes = {(row["age"], row["attribute"]): row for row in done.table("tastes").iter_rows(named=True)}
    planted = {("old", "warm"): 1.2, ("old", "strong"): 0.0, ("young", "warm"): 0.0, ("young", "strong"): 0.9}
    for key, truth in planted.items():
        assert abs(tastes[key]["weight"] - truth) < 4 * tastes[key]["error"] < 0.3
    assert done.table("all").height == 2


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"of": ["r9"]}, r"of\[0\]: 'pairs' has no numbers `chosen_r9`"),
        ({"of": ["text"]}, "has no numbers `chosen_text`"),
        ({"by": ["nobody"]}, r"by\[0\]: 'nobody' cannot part the pairs"),
        ({"from": "answers"}, "has no numbers"),
    ],
)
def test_a_wrong_fit_is_told(whole: Run, more: dict[str, Any], problem: str) -> None:
    pipeline: dict[str, Any] = of_weights(noise=1.0, show=2)
    pipeline["steps"]["tastes"] = {"weigh": "fit", "from": "pairs", "of": list(NAMES), **more}
    with pytest.raises(SpecError, match=problem):
        whole(pipeline, people__yaml=RATERS, rated__parquet=rated(4))
