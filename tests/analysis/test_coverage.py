"""Intervals hold the truth as often as they say, and a report in which nothing differs names nothing."""

from __future__ import annotations

import numpy as np
import pytest

from prefgen.analysis.bias import estimate_position_bias
from prefgen.analysis.findings import describe
from prefgen.publish.report.figures import FIGURES
from prefgen.publish.report.headlines import headlines
from prefgen.seeds import rng_for
from tests.analysis.simulated import Setting, coverage, draw, false_alarms, truth

RUNS = 300
TOLERANCE = 3 * np.sqrt(0.95 * 0.05 / RUNS)
"""Of 300 intervals of 95 % a share within 3.8 points of that is what chance leaves (3 standard errors)."""
MOST_OVER = 0.995
"""Of rare answers one end cannot miss, and what is told in counts jumps: up to 98.5 % is known (see docs/architecture.md)."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting",
    [
        Setting(15, 1),
        Setting(15, 1, 0.7),
        Setting(12, 6),
        Setting(12, 6, 0.3),
        Setting(12, 6, 0.7),
        Setting(20, 15, 0.7),
        Setting(12, 6, lean=-3.5),
    ],
    ids=Setting.named,
)
def test_intervals_hold_the_truth_with_and_without_effects_of_topics_and_groups(setting):
    found = coverage(setting, runs=RUNS)
    wrong = {name: one for name, one in found.items() if not 0.95 - TOLERANCE <= one[0] <= MOST_OVER}
    assert wrong == {}
    assert all(one[1] == 0.0 for one in found.values())  # none without width


@pytest.mark.slow
@pytest.mark.parametrize("setting", [Setting(10, 3), Setting(12, 6, 0.7), Setting(20, 15, 0.7)], ids=Setting.named)
def test_at_most_one_in_twenty_runs_without_a_difference_reports_a_gap(setting):
    # 3 standard errors above 5 %
    assert false_alarms(setting, runs=RUNS) <= 0.05 + TOLERANCE


@pytest.mark.parametrize("setting", [Setting(12, 6), Setting(12, 6, 0.7)], ids=Setting.named)
def test_intervals_cover_in_a_few_runs(setting):
    found = coverage(setting, runs=40)
    # 4 standard errors below 95 %, of the seven kinds together 2: what one wrong formula would break
    assert all(one[0] >= 0.81 for one in found.values())
    assert np.mean([one[0] for one in found.values()]) >= 0.90
    assert all(one[1] == 0.0 for one in found.values())


@pytest.mark.parametrize("lean", [0.0, 1.0, 2.0])
def test_a_judge_that_answers_at_random_without_regard_to_slots_has_no_position_bias(lean):
    matrix = draw(Setting(30, 10, lean=lean, slot=0.0), np.random.default_rng(5))
    found = estimate_position_bias(matrix, rng=rng_for(0, "t"))
    assert found.position_bias.low <= 0 <= found.position_bias.high
    assert abs(found.position_bias.value) < 0.05
    # its answers change with the order all the same, and all of that is noise
    assert found.changes.value > 0.15
    assert found.noise == pytest.approx(found.changes.value, abs=0.05)
    said = {one.key: one for one in headlines({"steps": []}, describe(matrix, seed=0, draws=20))}["position"]
    assert said.weight == "good"


def test_a_habit_of_the_slot_is_measured_with_its_sign():
    matrix = draw(Setting(30, 10, slot=0.3), np.random.default_rng(6))
    found = estimate_position_bias(matrix, rng=rng_for(0, "t")).position_bias
    assert found.low <= 0.3 <= found.high
    assert found.low > 0.2
    turned = draw(Setting(30, 10, slot=0.3), np.random.default_rng(6))
    np.negative(turned.bias, out=turned.bias)
    away = estimate_position_bias(turned, rng=rng_for(0, "t")).by_persona[0].position_bias
    assert away.high < 0


@pytest.mark.slow
def test_titles_of_a_run_in_which_nothing_differs_rank_nothing():
    # One persona's leaning apart from another's is real, so that the personas are alike here.
    setting, said = Setting(12, 6, 0.7, dimension=0.0, slot=0.0, apart=0.0), 0
    neutral = ("no ", "No ", "is chosen", "are not told apart", "Position bias is")
    for run in range(100):
        findings = describe(draw(setting, np.random.default_rng((7, run))), seed=run, draws=40)
        findings["shares"]["slices"] = [one for one in findings["shares"]["slices"] if one["column"] != "topic"]
        titles = [FIGURES[name][1]({}, findings) for name in ("pairs", "profiles", "position")]
        said += any(not any(part in title for part in neutral) or "; p" in title for title in titles)
    assert said / 100 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 100)


def test_the_truth_is_what_a_large_sample_shows():
    setting = Setting(12, 6, 0.7)
    known = truth(setting, n=60_000)
    assert known["position bias"] == setting.slot
    assert 0.5 < known["share"] < 0.6
