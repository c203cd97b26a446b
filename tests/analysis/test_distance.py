from __future__ import annotations

import evalica
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import distance as scipy_distance
from sklearn.metrics import cohen_kappa_score

from prefgen.analysis.distance import alpha_columns, cohen_kappa, entropy, jensen_shannon, krippendorff_alpha

weights = st.lists(st.floats(0.001, 1), min_size=3, max_size=3)


def spread(raw):
    return np.asarray(raw) / np.sum(raw)


@given(weights, weights)
def test_divergence_is_scipys_squared_distance_in_bits(a, b):
    p, q = spread(a), spread(b)
    theirs = np.nan_to_num(scipy_distance.jensenshannon(p, q, base=2))  # NaN where rounding leaves it below 0
    assert jensen_shannon(p, q) == pytest.approx(theirs**2, abs=1e-7)


@given(weights, weights)
def test_divergence_is_the_same_from_either_side_and_nothing_from_oneself(a, b):
    p, q = spread(a), spread(b)
    assert jensen_shannon(p, q) == jensen_shannon(q, p)
    assert jensen_shannon(p, p) == pytest.approx(0.0, abs=1e-12)
    assert 0 <= jensen_shannon(p, q) <= 1


def test_divergence_by_hand():
    # H(.75, .25) = .8113; minus half of H(.5, .5) = 1 and H(1, 0) = 0
    assert jensen_shannon([0.5, 0.5], [1.0, 0.0]) == pytest.approx(0.8112781 - 0.5)
    assert np.isnan(entropy([np.nan, 1.0]))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=3, max_size=60))
def test_kappa_is_sklearns(pairs):
    table = np.zeros((3, 3))
    for a, b in pairs:
        table[a, b] += 1
    ours = cohen_kappa(table)
    chance = (table.sum(0) * table.sum(1)).sum() / len(pairs) ** 2
    if chance == 1:
        assert np.isnan(ours)
    else:
        assert ours == pytest.approx(cohen_kappa_score(*zip(*pairs, strict=True), labels=[0, 1, 2]))


# The worked example of Krippendorff's "Computing Krippendorff's Alpha-Reliability": 4 observers, 12 units.
OBSERVERS = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""


def counts_of(table: np.ndarray, k: int) -> np.ndarray:
    return np.stack([(table == value).sum(axis=0) for value in range(1, k + 1)], axis=1)


def alpha_of(counts: np.ndarray) -> float:
    return float(krippendorff_alpha(alpha_columns(counts).sum(axis=0)))


def test_alpha_of_the_published_example():
    table = np.array([[0 if v == "." else int(v) for v in line.split()] for line in OBSERVERS.strip().splitlines()])
    assert alpha_of(counts_of(table, 5)) == pytest.approx(0.743, abs=5e-4)


@given(st.integers(0, 2**32 - 1))
def test_alpha_is_evalicas(seed):
    rng = np.random.default_rng(seed)
    table = rng.integers(1, 4, (4, 25)).astype(float)
    table[rng.random(table.shape) < 0.2] = np.nan
    theirs = evalica.alpha(pd.DataFrame(table), distance="nominal").alpha
    assert alpha_of(counts_of(table, 3)) == pytest.approx(theirs, abs=1e-9)


def test_alpha_is_unknown_where_nobody_ever_differs():
    assert np.isnan(alpha_of(np.array([[3, 0], [3, 0]])))
    assert alpha_of(np.array([[3, 0], [0, 3]])) == 1.0
