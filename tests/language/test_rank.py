"""`weigh: rank`: strengths that were planted come back, and are those of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from prefgen.errors import SpecError
from prefgen.judging.strengths import fit_strengths
from tests.language.conftest import Run

STRENGTH = {"ada": 1.0, "bob": 0.2, "cy": -0.3, "di": -0.9}


def compared(n: int, seed: int = 2) -> pl.DataFrame:
    """Pairs of two of four writers, each won by chance and strength; on odd days the strengths are turned around."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        one, two = rng.choice([*STRENGTH], 2, replace=False)
        sign = 1 if number % 2 else -1
        wins = rng.random() < 1 / (1 + np.exp(sign * (STRENGTH[two] - STRENGTH[one])))
        chosen, rejected = (one, two) if wins else (two, one)
        rows.append({"chosen_writer": chosen, "rejected_writer": rejected, "day": "odd" if number % 2 else "even"})
    return pl.DataFrame(rows)


def wins_of(pairs: pl.DataFrame) -> np.ndarray:
    place = {name: k for k, name in enumerate(STRENGTH)}
    wins = np.zeros((4, 4))
    for row in pairs.iter_rows(named=True):
        wins[place[row["chosen_writer"]], place[row["rejected_writer"]]] += 1
    return wins


@pytest.mark.parametrize("ridge", [0.1, 3.0])
def test_strengths_are_those_of_scikit_learn(ridge: float) -> None:
    wins = wins_of(compared(600))
    found = fit_strengths(wins, ridge)
    x, y, counts = [], [], []
    for i in range(4):
        for j in range(4):
            if wins[i, j]:
                row = np.eye(4)[i] - np.eye(4)[j]
                x += [row, -row]
                y += [1, 0]
                counts += [wins[i, j] / 2] * 2
    known = LogisticRegression(C=1 / ridge, fit_intercept=False, tol=1e-12, max_iter=5000).fit(
        x, y, sample_weight=counts
    )
    assert found.strength == pytest.approx(known.coef_[0] - known.coef_[0].mean(), abs=1e-5)


def test_errors_are_those_of_many_samples() -> None:
    found = [fit_strengths(wins_of(compared(600, seed).filter(day="odd")), 1e-6) for seed in range(200)]
    spread = np.std([one.strength for one in found], axis=0)
    assert np.mean([one.error for one in found], axis=0) == pytest.approx(spread, rel=0.15)
    truth = np.array([*STRENGTH.values()])
    held = np.mean([np.abs(one.strength - truth) < 1.96 * one.error for one in found])
    assert 0.92 < held < 0.98


def test_places_are_by_strength_in_every_group(whole: Run) -> None:
    steps = {
        "pairs": {"table": "pairs.parquet"},
        "ranks": {"weigh": "rank", "from": "pairs", "of": "writer", "by": ["day"]},
    }
    done = whole({"steps": steps, "publish": {"exports": []}}, pairs__parquet=compared(4000))
    ranks = done.table("ranks")
    assert ranks.filter(day="odd")["writer"].to_list() == [*STRENGTH]
    assert ranks.filter(day="even")["writer"].to_list() == [*STRENGTH][::-1]
    assert ranks["place"].to_list() == [1, 2, 3, 4] * 2
    assert ranks["n_pairs"].sum() == 2 * 4000
    for row in ranks.filter(day="odd").iter_rows(named=True):
        assert abs(row["strength"] - STRENGTH[row["writer"]]) < 4 * row["error"] < 0.3


def test_what_always_wins_is_finite_and_what_never_met_is_apart() -> None:
    wins = np.zeros((3, 3))
    wins[0, 1] = 50
    found = fit_strengths(wins, 0.1)
    assert np.isfinite(found.strength).all()
    assert found.strength[0] > found.strength[2] > found.strength[1]


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"of": "author"}, "no columns `chosen_author`"),
        ({"by": ["week"]}, r"by\[0\]: 'week' cannot part"),
        ({"ridge": 0}, "ridge"),
    ],
)
def test_a_wrong_rank_is_told(whole: Run, more: dict[str, Any], problem: str) -> None:
    steps = {"pairs": {"table": "pairs.parquet"}, "ranks": {"weigh": "rank", "from": "pairs", "of": "writer", **more}}
    with pytest.raises(SpecError, match=problem):
        whole({"steps": steps, "publish": {"exports": []}}, pairs__parquet=compared(20))


def test_pairs_of_one_value_rank_nothing_and_a_weight_is_a_number(whole: Run) -> None:
    same = pl.DataFrame({"chosen_writer": ["ada"], "rejected_writer": ["ada"]})
    steps = {"pairs": {"table": "pairs.parquet"}, "ranks": {"weigh": "rank", "from": "pairs", "of": "writer"}}
    assert whole({"steps": steps, "publish": {"exports": []}}, pairs__parquet=same).table("ranks").is_empty()
    with pytest.raises(SpecError, match="its `weight` is of type String"):
        whole({"steps": steps, "publish": {"exports": []}}, pairs__parquet=same.with_columns(weight=pl.lit("z")))
