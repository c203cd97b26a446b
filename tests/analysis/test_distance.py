from __future__ import annotations

import warnings

import evalica
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import distance as scipy_distance
from sklearn.metrics import cohen_kappa_score

from prefgen.analysis.agreement import kappa_between
from prefgen.analysis.distance import (
    alpha_columns,
    alpha_parts,
    cohen_kappa,
    entropy,
    jensen_shannon,
    kappa_parts,
    krippendorff_alpha,
)
from prefgen.crossing import Crossing
from prefgen.judging.units import Units

weights = st.lists(st.floats(0.001, 1), min_size=3, max_size=3)


def spread(raw):
    return np.asarray(raw) / np.sum(raw)


@given(weights, weights)
def test_divergence_is_scipys_squared_distance_in_bits(a, b):
    p, q = spread(a), spread(b)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # scipy's root of what rounding leaves below 0 is NaN
        theirs = np.nan_to_num(scipy_distance.jensenshannon(p, q, base=2))
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


def test_how_far_one_item_moves_kappa_is_its_derivative():
    table = np.array([[20.0, 4, 1], [3, 9, 2], [0, 5, 6]])
    step = 1e-6
    for cell in np.ndindex(3, 3):
        more = table.copy()
        more[cell] += step
        assert kappa_parts(table)[cell] == pytest.approx((cohen_kappa(more) - cohen_kappa(table)) / step, abs=1e-5)
    assert (kappa_parts(table) * table).sum() == pytest.approx(0.0, abs=1e-12)


def test_how_far_one_item_moves_alpha_is_its_derivative():
    counts = np.array([[5, 0], [3, 2], [1, 4], [0, 5], [2, 2], [1, 0]])
    columns = alpha_columns(counts)
    total, step = columns.sum(axis=0), 1e-6
    parts = np.array([(krippendorff_alpha(total + step * one) - krippendorff_alpha(total)) / step for one in columns])
    paired = counts.sum(axis=1) > 1
    assert alpha_parts(columns, total)[paired] == pytest.approx(parts[paired] - parts[paired].mean(), abs=1e-5)
    assert alpha_parts(columns, total)[~paired] == 0.0


@settings(deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 0.1, 0.02]))
def test_kappa_is_scikit_learns_and_its_interval_has_width_however_lopsided_the_table(seed, share):
    rng = np.random.default_rng(seed)
    one = (rng.random(40) < share).astype(np.int8)
    other = np.where(rng.random(40) < 0.8, one, rng.random(40) < share).astype(np.int8)
    found = kappa_between(one, other, 2, Units(np.arange(40), Crossing()), rng=rng, draws=200)
    if len({*one, *other}) == 1:
        assert (found.value, found.low, found.high, found.n) == (None, None, None, 40)
    else:
        assert found.value == pytest.approx(cohen_kappa_score(one, other), abs=1e-9)
        assert found.high - found.low > 0.05


def test_two_who_always_agree_may_not_have_to():
    both = np.array([0, 1] * 15, np.int8)
    found = kappa_between(both, both, 2, Units(np.arange(30), Crossing()), rng=np.random.default_rng(0))
    assert found.value == found.high == 1.0
    assert 0.7 < found.low < 0.95
