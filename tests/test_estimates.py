from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from prefgen.crossing import Crossing, variance_of
from prefgen.estimates import (
    NOTHING,
    crossed_mean,
    crossed_share,
    from_draws,
    mean_difference,
    quantile_of_t,
    wilson,
)


@given(st.integers(1, 500), st.data())
def test_the_interval_of_a_share_is_the_one_scipy_gives(n, data):
    k = data.draw(st.integers(0, n))
    theirs = stats.binomtest(k, n).proportion_ci(method="wilson")
    ours = wilson(k, n)
    assert ours.low == pytest.approx(theirs.low, abs=1e-9)
    assert ours.high == pytest.approx(theirs.high, abs=1e-9)


@pytest.mark.parametrize("freedom", [1, 1.5, 2, 3.3, 4, 5, 9, 30, 300])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99, 1 - 1e-6])
def test_students_quantile_is_the_exact_one(freedom, level):
    exact = stats.t.ppf(0.5 + level / 2, freedom)
    assert quantile_of_t(level, freedom) == pytest.approx(exact, rel=2e-3 if freedom > 60 else 2e-4)


def test_a_share_without_trials_is_nothing():
    assert wilson(0, 0) == NOTHING == crossed_share([0, 0], [0, 0]) == mean_difference([np.nan])


def test_clusters_that_say_one_thing_each_count_as_one_trial_each():
    # 30 items, each asked 40 times and always answered alike: 30 facts, not 1,200.
    won = np.array([40] * 12 + [0] * 18)
    ours = crossed_share(won, np.full(30, 40))
    alone = wilson(12, 30)
    assert ours.n == 30
    assert ours.high - ours.low == pytest.approx(alone.high - alone.low, rel=0.06)


def test_where_everything_is_the_same_the_interval_still_has_width():
    ours = crossed_share(np.full(20, 7), np.full(20, 7))
    assert ours.value == ours.high == 1.0
    assert ours.low == pytest.approx(wilson(20, 20).low)


def test_the_interval_of_a_clustered_share_holds_the_truth_as_often_as_it_says():
    # Beta-binomial clusters with correlation; 95 % of 600 intervals: binomial tolerance 3 sd = 2.7 points.
    rng, hits = np.random.default_rng(3), 0
    for _ in range(600):
        chance = rng.beta(1.5, 3.5, 80)
        of = rng.integers(2, 12, 80)
        ours = crossed_share(rng.binomial(of, chance), of)
        hits += ours.low <= 0.3 <= ours.high
    assert 0.92 <= hits / 600 <= 0.98


def test_a_mean_difference_has_students_interval():
    values = np.array([0.1, 0.4, -0.2, 0.3, 0.2, np.nan, 0.5, 0.0, 0.1])
    known = values[~np.isnan(values)]
    low, high = stats.t.interval(0.95, 7, known.mean(), stats.sem(known))
    ours = mean_difference(values)
    assert (ours.value, ours.n) == (pytest.approx(known.mean()), 8)
    assert (ours.low, ours.high) == (pytest.approx(low, abs=2e-3), pytest.approx(high, abs=2e-3))


def test_draws_become_an_interval_around_what_was_found():
    ours = from_draws(np.concatenate([[0.5], np.linspace(0, 1, 1001), [np.nan]]), 7)
    assert (ours.value, ours.low, ours.high, ours.n) == (0.5, pytest.approx(0.025), pytest.approx(0.975), 7)


def test_items_that_share_a_topic_say_less_than_items_that_do_not():
    rng = np.random.default_rng(6)
    topic = np.repeat(np.arange(20), 10)
    chance = 1 / (1 + np.exp(-rng.normal(0, 1.5, 20)))[topic]
    won = rng.binomial(1, chance)
    alone, crossed = crossed_share(won, np.ones(200), []), crossed_share(won, np.ones(200), [topic])
    assert crossed.high - crossed.low > 1.5 * (alone.high - alone.low)


def test_the_variance_of_a_balanced_table_is_that_of_crossed_random_effects():
    # Items of 12 topics x 8 groups, each once: the analysis of variance has (MS topic + MS group - MS of what is left) / N.
    rng = np.random.default_rng(8)
    y = rng.normal(0, 2, (12, 1)) + rng.normal(0, 2, 8) + rng.normal(0, 1, (12, 8))
    topic, group = (x.ravel() for x in np.meshgrid(np.arange(12), np.arange(8), indexing="ij"))
    of_topics, of_groups = 8 * y.mean(axis=1).var(ddof=1), 12 * y.mean(axis=0).var(ddof=1)
    ours = variance_of((y - y.mean()).ravel() / 96, Crossing([topic, group]))
    # what items alone have stands for what is left: with the effects in it a little more is taken off
    assert ours.value == pytest.approx((of_topics + of_groups - y.var(ddof=1)) / 96)
    assert ours.freedom < 19


@given(st.integers(2, 40), st.integers(0, 10_000))
def test_a_factor_named_twice_or_made_of_single_items_changes_nothing(levels, seed):
    rng = np.random.default_rng(seed)
    topic, of = rng.integers(0, levels, 80), rng.integers(1, 6, 80)
    won = rng.binomial(of, 1 / (1 + np.exp(-rng.normal(0, 1, levels)))[topic])
    once = crossed_share(won, of, [topic])
    assert crossed_share(won, of, [topic, 7 * topic + 3, np.arange(80)]) == once


def test_items_without_trials_say_nothing():
    rng = np.random.default_rng(9)
    topic, of = rng.integers(0, 9, 60), rng.integers(0, 3, 60)
    won = rng.binomial(of, 0.3)
    asked = of > 0
    assert crossed_share(won, of, [topic]) == crossed_share(won[asked], of[asked], [topic[asked]])


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 0.4])
def test_a_mean_that_no_item_varies_has_an_interval_with_width_inside_its_bounds(value):
    ours = crossed_mean(np.full(30, 2 * value), np.full(30, 2), within=(-1.0, 1.0))
    assert ours.value == pytest.approx(value)
    assert -1 <= ours.low <= value <= ours.high <= 1
    assert ours.high - ours.low >= wilson(0, 30).high - 1e-12
    assert crossed_mean([1.0], [2], within=(-1.0, 1.0)).low is None


def test_a_measure_in_the_middle_has_students_interval():
    values = np.array([0.2, 0.8, 0.35, 0.65, 0.5, 0.1, 0.9, 0.45, 0.55])
    low, high = stats.t.interval(0.95, 8, 0.5, stats.sem(values))
    ours = crossed_share(values, np.ones(9), binary=False)
    assert (ours.low, ours.high) == (pytest.approx(low, abs=1e-3), pytest.approx(high, abs=1e-3))


@given(st.lists(st.floats(0, 1), min_size=3, max_size=40).filter(lambda x: 1e-3 < np.mean(x) < 1 - 1e-3))
def test_the_interval_of_a_measure_is_turned_with_it_and_lies_within_its_bounds(values):
    ours, turned = (crossed_share(x, np.ones(len(values)), binary=False) for x in (values, 1 - np.array(values)))
    assert 0 <= ours.low <= ours.value <= ours.high <= 1
    assert (turned.low, turned.high) == (pytest.approx(1 - ours.high, abs=1e-6), pytest.approx(1 - ours.low, abs=1e-6))


@pytest.mark.parametrize("shape", [0.7, 1.0, 4.0])
def test_the_interval_of_a_rare_and_skewed_measure_holds_the_truth_as_often_as_it_says(shape):
    # Of means of 15 Student's interval covers 91 to 94 % here; of 2,000 intervals three standard errors are 1.5 points.
    rng, hits = np.random.default_rng(7), 0
    for values in rng.beta(shape, 25 * shape, (2000, 15)):
        ours = crossed_share(values, np.ones(15), binary=False)
        hits += ours.low <= 1 / 26 <= ours.high
    assert 0.93 <= hits / 2000 <= 0.975
