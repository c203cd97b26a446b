"""Where the joint is too large, people come from a network, and that is said aloud."""

from __future__ import annotations

import numpy as np
import pytest

from prefgen.cli.audit import audit_lines
from prefgen.errors import SpecError
from prefgen.personas import draw_audited
from prefgen.personas.network import mutual_information
from tests.personas.specs import population, share

LEVELS = [f"l{i}" for i in range(20)]


def large(folder, **keys):
    """Twenty levels by seven attributes: over a billion cells; a and b are nearly the same."""
    attributes = {name: dict.fromkeys(LEVELS, 0.05) for name in "abcdefg"}
    tied = {one: {other: 0.05 * (0.81 if one == other else 0.01) for other in LEVELS} for one in LEVELS}
    return population(folder, attributes=attributes, tables=[{"of": ["a", "b"], "shares": tied}], **keys)


def test_a_joint_too_large_to_hold_is_drawn_through_a_network_and_says_so(tmp_path):
    drawn = draw_audited(large(tmp_path), n=20_000, seed=1)
    assert drawn.audit.fit.method == "network"
    assert any(
        "too many for a joint distribution: drawn through a two-parent network" in line
        for line in audit_lines(drawn.audit.to_json())
    )
    people = drawn.people
    assert (people["a"] == people["b"]).mean() == pytest.approx(0.81, abs=0.01)
    for name in "abcdefg":
        assert share(people, **{name: "l3"}) == pytest.approx(0.05, abs=0.003)


def test_impossible_combinations_stay_impossible_in_a_network(tmp_path):
    people = draw_audited(
        large(tmp_path, impossible=[{"a": "l0", "g": "l0"}, {"c": "l1", "d": ["l1", "l2"]}]), n=5000, seed=1
    ).people
    assert people.filter(a="l0", g="l0").is_empty()
    assert people.filter(c="l1", d="l2").is_empty()


@pytest.mark.parametrize(
    "keys",
    [{"keep": "a = 'l1'"}, {"exact_margins": True}, {"oversample": {"by": "a", "shares": {"l1": 0.5}}}],
    ids=lambda keys: next(iter(keys)),
)
def test_what_needs_the_joint_is_refused_without_it(tmp_path, keys):
    with pytest.raises(SpecError, match=r"needs the joint distribution, which has 1\.3e\+09 cells"):
        draw_audited(large(tmp_path, **keys), n=10, seed=1)


def test_mutual_information_is_the_entropy_of_what_is_shared():
    assert mutual_information(np.diag([0.5, 0.5])) == pytest.approx(np.log(2))
    assert mutual_information(np.outer([0.3, 0.7], [0.6, 0.4])) == pytest.approx(0)
