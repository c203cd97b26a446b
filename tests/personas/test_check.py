"""Checking a population finds what its tables and files hide, and draws nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefgen.errors import SpecError
from prefgen.personas.check import check_population
from tests.personas.specs import AGE_BY_VOTE, AGES, VOTES, population

SPECS = Path(__file__).parents[2] / "persona_specs"


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_population_can_be_fitted(path):
    assert check_population(path).population


def test_tables_that_disagree_are_found_without_a_draw(tmp_path):
    votes = {"left": 0.2, "right": 0.6, "none": 0.2}
    spec = population(
        tmp_path, attributes={"age": AGES, "vote": votes}, tables=[{"of": ["age", "vote"], "shares": AGE_BY_VOTE}]
    )
    with pytest.raises(SpecError, match=r"disagree about vote by 0\.25"):
        check_population(spec.document.path)


def test_the_parts_of_a_combined_population_are_checked_too(tmp_path):
    (tmp_path / "a").mkdir()
    population(tmp_path / "a", attributes={"vote": list(VOTES)})
    both = population(tmp_path, population="both", combine=[{"file": "a/people.yaml", "share": 1.0}])
    with pytest.raises(SpecError, match=r"a/people\.yaml:\d+: attributes\.vote: it has levels, but no shares"):
        check_population(both.document.path)
