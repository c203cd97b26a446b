"""Where the joint is too large, people come from a network, and that is said aloud."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
import pytest

from prefgen.errors import SpecError
from prefgen.personas.draw import draw_audited
from prefgen.personas.network import mutual_information
from prefgen.screen.audit import audit_lines
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
        "too many for a joint distribution: " in line and "drawn through a two-parent network" in line
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


def test_exact_margins_are_refused_without_the_joint(tmp_path):
    with pytest.raises(SpecError, match=r"needs the joint distribution, which has 1\.3e\+09 cells"):
        draw_audited(large(tmp_path, exact_margins=True), n=10, seed=1)


def test_filters_and_strata_hold_in_a_network(tmp_path):
    kept = draw_audited(large(tmp_path, keep="a = 'l1'"), n=200, seed=1).people
    assert set(kept["a"]) == {"l1"}
    assert (kept["b"] == "l1").mean() == pytest.approx(0.81, abs=0.02)
    drawn = draw_audited(large(tmp_path, oversample={"by": "a", "shares": {"l1": 0.5}}), n=2000, seed=1).people
    assert drawn.filter(a="l1").height == pytest.approx(1000, abs=2)
    assert share(drawn, a="l1") == pytest.approx(0.05, abs=0.002)


def with_empty_cells(folder):
    """Nine attributes of seven levels, 40 million cells, all 36 pairs tabulated from people of whom some are impossible."""
    rng = np.random.default_rng(4)
    hidden = rng.integers(0, 7, 30_000)
    codes = [np.where(rng.random(30_000) < 0.5, hidden, rng.integers(0, 7, 30_000)) for _ in range(9)]
    possible = np.ones(30_000, dtype=bool)
    empty = [(one, other, int(rng.integers(7)), int(rng.integers(7))) for one, other in combinations(range(9), 2)]
    for one, other, level, its in empty:
        possible &= ~((codes[one] == level) & (codes[other] == its))
    frame = pl.DataFrame({f"x{at}": [f"l{level}" for level in code[possible]] for at, code in enumerate(codes)})
    frame.write_parquet(folder / "survey.parquet")
    spec = population(folder, microdata={"file": "survey.parquet", "columns": frame.columns})
    return spec, frame, empty


def test_nobody_stands_in_a_cell_that_a_table_says_is_empty(tmp_path):
    spec, frame, empty = with_empty_cells(tmp_path)
    drawn = draw_audited(spec, n=20_000, seed=1)
    assert drawn.audit.fit.method == "network"
    for one, other, level, its in empty:
        named = {f"x{one}": f"l{level}", f"x{other}": f"l{its}"}
        assert frame.filter(**named).is_empty()
        assert drawn.people.filter(**named).is_empty()
    assert drawn.audit.fit.residual < 1e-3
    assert max(row.total_variation for row in drawn.audit.tables) < 0.002
    assert drawn.audit.v_difference_max < 0.01


def test_a_larger_draw_through_a_network_keeps_people_too(tmp_path):
    small, larger = (set(draw_audited(large(tmp_path), n=n, seed=1).people["persona_id"]) for n in (100, 400))
    assert small < larger


def test_mutual_information_is_the_entropy_of_what_is_shared():
    assert mutual_information(np.diag([0.5, 0.5])) == pytest.approx(np.log(2))
    assert mutual_information(np.outer([0.3, 0.7], [0.6, 0.4])) == pytest.approx(0)
