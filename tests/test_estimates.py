from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from prefgen.estimates import (
    NOTHING,
    clustered_share,
    crossed_share,
    from_draws,
    mean_difference,
    quantile_of_t,
    resamples,
    wilson,
)


@given(st.integers(1, 500), st.data())
def test_the_interval_of_a_share_is_the_one_scipy_gives(n, data):
    k = data.draw(st.integers(0, n))
    theirs = stats.binomtest(k, n).proportion_ci(method="wilson")
    ours = wilson(k, n)
    assert ours.low == pytest.approx(theirs.low, abs=1e-9)
    assert ours.high == pytest.approx(theirs.high, abs=1e-9)


@pytest.mark.parametrize("freedom", [4, 5, 9, 30, 300])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_students_quantile_is_close_to_the_exact_one(freedom, level):
    exact = stats.t.ppf(0.5 + level / 2, freedom)
    assert quantile_of_t(level, freedom) == pytest.approx(exact, rel=0.02)


def test_a_share_without_trials_is_nothing():
    assert wilson(0, 0) == NOTHING == clustered_share([0, 0], [0, 0]) == mean_difference([np.nan])


def test_clusters_that_say_one_thing_each_count_as_one_trial_each():
    # 30 items, each asked 40 times and always answered alike: 30 facts, not 1,200.
    won = np.array([40] * 12 + [0] * 18)
    ours = clustered_share(won, np.full(30, 40))
    alone = wilson(12, 30)
    assert ours.n == 30
    assert ours.high - ours.low == pytest.approx(alone.high - alone.low, rel=0.06)


def test_where_everything_is_the_same_the_interval_still_has_width():
    ours = clustered_share(np.full(20, 7), np.full(20, 7))
    assert ours.value == ours.high == 1.0
    assert ours.low == pytest.approx(wilson(20, 20).low)


def test_the_interval_of_a_clustered_share_holds_the_truth_as_often_as_it_says():
    # Beta-binomial clusters with correlation; 95 % of 600 intervals: binomial tolerance 3 sd = 2.7 points.
    rng, hits = np.random.default_rng(3), 0
    for _ in range(600):
        chance = rng.beta(1.5, 3.5, 80)
        of = rng.integers(2, 12, 80)
        ours = clustered_share(rng.binomial(of, chance), of)
        hits += ours.low <= 0.3 <= ours.high
    assert 0.92 <= hits / 600 <= 0.98


def test_a_mean_difference_has_students_interval():
    values = np.array([0.1, 0.4, -0.2, 0.3, 0.2, np.nan, 0.5, 0.0, 0.1])
    known = values[~np.isnan(values)]
    low, high = stats.t.interval(0.95, 7, known.mean(), stats.sem(known))
    ours = mean_difference(values)
    assert (ours.value, ours.n) == (pytest.approx(known.mean()), 8)
    assert (ours.low, ours.high) == (pytest.approx(low, abs=2e-3), pytest.approx(high, abs=2e-3))


@pytest.mark.parametrize("n", [0, 1, 7, 40_000])
def test_every_resample_draws_as_many_rows_as_there_are(n):
    stretches = list(resamples(n, rng=np.random.default_rng(0), draws=5))
    drawn = sum((weights.sum(axis=1) for _, weights in stretches), np.zeros(6))
    assert (drawn == n).all()
    assert sum(rows.stop - rows.start for rows, _ in stretches) == n


def test_the_bootstrap_spread_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(1).gamma(2.0, size=20_000)  # more than one stretch of rows
    sums = np.zeros(1201)
    for rows, weights in resamples(values.size, rng=np.random.default_rng(2), draws=1200):
        sums += weights @ values[rows]
    means = sums / values.size
    assert means[0] == pytest.approx(values.mean())
    # the sd of 1,200 draws has a relative error of 1/sqrt(2400) = 2 %; three of them
    assert means[1:].std() == pytest.approx(stats.sem(values), rel=0.065)
    ours = from_draws(means, values.size)
    assert ours.low < values.mean() < ours.high


def test_a_share_over_items_that_share_nothing_is_that_over_clusters():
    rng = np.random.default_rng(5)
    of = rng.integers(1, 9, 60)
    won = rng.binomial(of, 0.4)
    assert crossed_share(won, of, []) == clustered_share(won, of)


def test_items_that_share_a_topic_say_less_than_items_that_do_not():
    rng = np.random.default_rng(6)
    topic = np.repeat(np.arange(20), 10)
    chance = 1 / (1 + np.exp(-rng.normal(0, 1.5, 20)))[topic]
    won = rng.binomial(1, chance)
    alone, crossed = crossed_share(won, np.ones(200), []), crossed_share(won, np.ones(200), [topic])
    assert crossed.high - crossed.low > 1.5 * (alone.high - alone.low)
