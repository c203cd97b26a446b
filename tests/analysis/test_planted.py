"""What was planted is found again, within the intervals that the analyses themselves state."""

from __future__ import annotations

import numpy as np
import pytest

from prefgen.analysis.agreement import estimate_agreement
from prefgen.analysis.bias import estimate_position_bias
from prefgen.analysis.control import estimate_control_effects
from prefgen.analysis.gaps import estimate_counterfactual
from prefgen.analysis.response_matrix import matrix_of
from prefgen.analysis.slices import count_nonresponse, estimate_shares
from prefgen.judging.item_facts import item_facts
from prefgen.seeds import rng_for
from tests.analysis.planted import Truth, chance_of_first, plant

SEEDS = range(12)


def matrix_from(planted):
    half = planted.judgments.height // 4 * 2  # never through a persona and item
    parts = [planted.judgments[:half], planted.judgments[half:]]
    return matrix_of(parts, item_facts(planted.items.lazy()), planted.personas)


@pytest.fixture(scope="module")
def matrices():
    return [matrix_from(plant(Truth(extra_topics=2), seed=seed)) for seed in SEEDS]


def holds(estimate, truth):
    return estimate.low <= truth <= estimate.high


def mean_chance(bloc):
    groups = ("men", "women", "non-binary people", "children", "adults", "elderly people", "war refugees", "feminists")
    return np.array([chance_of_first(Truth(), bloc, group) for group in groups])


def share_held(hits, nominal=0.95):
    """Of n intervals, about `nominal` hold: 4 standard errors below it is wrong (the n here are not independent)."""
    hits = np.asarray(hits, bool)
    return hits.mean() >= nominal - 4 * np.sqrt(nominal * (1 - nominal) / hits.size)


def test_who_answers_by_slot_and_how_often(matrices):
    hits = []
    for matrix in matrices:
        found = estimate_position_bias(matrix, rng=rng_for(0, "t"))
        for persona in found.by_persona:
            truth = Truth().follows.get(persona.persona_id, 0.1)
            hits += [holds(persona.position_bias, truth), holds(persona.first_slot, truth + (1 - truth) / 2)]
            # and they say something: 576 items in 288 units, so 1.96 x sqrt(.25 / 288) = .06 at most each side
            assert persona.position_bias.high - persona.position_bias.low < 0.16
        assert max(found.by_persona, key=lambda one: one.position_bias.value).persona_id == "cyd"
    assert share_held(hits)


def test_who_thinks_alike(matrices):
    truth, hits = Truth(), []
    for matrix in matrices:
        found = estimate_agreement(matrix, rng=rng_for(0, "test"), draws=120)
        for pair in found.pairs:
            a, b = truth.blocs[pair.first], truth.blocs[pair.second]
            p, q = mean_chance(a), mean_chance(b)
            apart = (p * q + (1 - p) * (1 - q)).mean()
            same = truth.loyalty**2 + (1 - truth.loyalty**2) * apart if a == b else apart
            hits.append(holds(pair.same, same))
        nearest = sorted(found.pairs, key=lambda pair: pair.divergence.value)[:2]
        assert {(pair.first, pair.second) for pair in nearest} == {("ada", "bea"), ("cyd", "dan")}
        assert (
            min(pair.kappa.low for pair in nearest)
            > 0.55
            > max(pair.kappa.high for pair in found.pairs if pair not in nearest)
        )
    assert share_held(hits)


def test_which_groups_are_answered_differently_when_only_the_group_changes(matrices):
    hits, families = [], []
    for matrix in matrices:
        found = estimate_counterfactual(matrix, "group", most_gaps=99)
        assert found.held == ("topic", "dimension", "form")
        gap = Truth().group_gap
        inside = [holds(one.difference, gap.get(one.first, 0) - gap.get(one.second, 0)) for one in found.gaps]
        assert len(inside) == found.compared == 28
        hits += inside
        families.append(all(inside))
        assert (found.gaps[0].first, found.gaps[0].second) == ("war refugees", "women")
    assert sum(families) >= 10  # 95 % of families hold whole; fewer than 10 of 12 has a chance of 2 %
    assert share_held(hits)


def test_how_likely_an_option_is_in_a_slice(matrices):
    hits, widths = [], []
    for matrix in matrices:
        blocs = Truth().blocs.values()
        for one in estimate_shares(matrix, option="A", rows="group", columns="theme").slices:
            truth = np.mean([chance_of_first(Truth(), bloc, one.row) for bloc in blocs])
            hits.append(holds(one.share, truth))
            widths.append(one.share.high - one.share.low)
    assert np.median(widths) < 0.4  # 12 questions of 4 topics, which are a sample
    assert share_held(hits)


def test_who_gets_no_answer(matrices):
    hits = []
    for matrix in matrices:
        for one in count_nonresponse(matrix, ["group"]):
            if one.coordinate == "group":
                hits.append(holds(one.share, Truth().refusals.get(one.level, 0.0)))
    assert share_held(hits)


def test_what_a_persona_changes_against_no_persona(matrices):
    hits = []
    for matrix in matrices:
        for one in estimate_control_effects(matrix, rng=rng_for(0, "test"), halvings=10):
            p, q = mean_chance(Truth().blocs[one.persona_id]), mean_chance(2)
            hits.append(holds(one.differs, (p * (1 - q) + (1 - p) * q).mean()))
            hits.append(holds(one.changes_mind, Truth().follows[one.persona_id]))
            if one.persona_id == "eve":  # leans as the control does: no further apart than halves of oneself
                assert one.overall < 4 * one.halves
            if one.persona_id in ("ada", "bea"):
                assert one.overall > one.halves
    assert share_held(hits)
