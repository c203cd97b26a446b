"""An id is one person, whatever the size and seed of a draw; a larger draw keeps the people of a smaller one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefgen.personas.arrival import arrivals, people_in_order, phases, units
from prefgen.personas.draw import draw
from prefgen.spec.population import read_population
from tests.personas.specs import AGE_BY_VOTE, AGES, VOTES, population

SPECS = Path(__file__).parents[2] / "persona_specs"
GSS = read_population(SPECS / "gss_2018.yaml")


def kept(spec, small, large, seed=1):
    """Share of the people of a small draw who are in a larger one."""
    before, after = (set(draw(spec, n=n, seed=seed)["persona_id"]) for n in (small, large))
    assert len(before) == small
    return len(before & after) / small


def test_an_id_is_one_person_whatever_size_and_seed():
    draws = [
        draw(GSS, n=n, seed=seed, controls=["none", "wrong", "shuffled"]) for n in (20, 48, 200, 500) for seed in (1, 2)
    ]
    everybody = pl.concat(draws).drop("weight").unique()
    assert everybody["persona_id"].is_unique().all()
    everybody = everybody.filter(pl.col("control").is_null())
    kinds = everybody.with_columns(pl.col("persona_id").str.extract("^(gss-2018-[a-z0-9]{13})")).unique()
    assert kinds["persona_id"].is_unique().all()
    assert not kinds.drop("persona_id").is_duplicated().any()


def test_growing_a_draw_keeps_its_people():
    assert kept(GSS, 48, 200) == 1.0
    assert kept(GSS, 200, 800) == 1.0
    assert kept(GSS, 1000, 2000) > 0.95


def test_the_people_of_a_smaller_draw_come_first():
    small, large = (draw(GSS, n=n, seed=1)["persona_id"].to_list() for n in (100, 400))
    assert len(set(small) & set(large[:100])) > 60
    assert [name for name in large if name in set(small)] == small


def test_twins_are_told_apart_stably(tmp_path):
    spec = population(tmp_path, attributes={"vote": VOTES}, text="You vote {{ vote }}.")
    small, large = draw(spec, n=20, seed=1), draw(spec, n=80, seed=5)
    ids = small.filter(vote="left")["persona_id"].to_list()
    assert len(ids) == 9
    assert ids == [ids[0], *(f"{ids[0]}-{copy}" for copy in range(2, 10))]
    assert set(ids) < set(large.filter(vote="left")["persona_id"])


def test_another_text_or_attribute_is_another_person(tmp_path):
    keys = {"attributes": {"vote": {"left": 1.0}}}
    first = draw(population(tmp_path, **keys, text="Left."), n=1, seed=1)["persona_id"][0]
    assert first != draw(population(tmp_path, **keys, text="Right."), n=1, seed=1)["persona_id"][0]
    more = {"attributes": {"vote": {"left": 1.0}, "home": {"rents": 1.0}}}
    assert first != draw(population(tmp_path, **more, text="Left."), n=1, seed=1)["persona_id"][0]
    other = draw(population(tmp_path, **keys, text="Left.", population="city"), n=1, seed=1)["persona_id"][0]
    assert other.startswith("city-")
    assert first.removeprefix("town-") != other.removeprefix("city-")


def test_named_portraits_keep_their_ids_and_copies_are_numbered_alike_in_every_draw(tmp_path):
    spec = population(
        tmp_path, portraits=[{"id": "a", "share": 0.7, "text": "A"}, {"id": "b", "share": 0.3, "text": "B"}]
    )
    assert draw(spec, seed=1)["persona_id"].to_list() == ["a", "b"]
    small, large = (set(draw(spec, n=n, seed=1)["persona_id"]) for n in (10, 200))
    assert small == {*(f"a-{k}" for k in range(1, 8)), *(f"b-{k}" for k in range(1, 4))}
    assert small < large


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 500))
def test_the_number_of_a_person_is_the_same_in_every_draw(seed, n):
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.full(40, 0.4))
    phase = phases(40, rng.random())
    found = []
    for size in (n, 2 * n):
        counts = np.floor(share * size + phase).astype(np.int64)
        if counts.sum() == 0:
            return
        cell, number = people_in_order(share, phase, counts)
        assert np.array_equal(np.bincount(cell, minlength=40), counts)
        assert np.all(np.diff(number) > 0)
        found.append(list(zip(cell.tolist(), number.tolist(), strict=True)))
    assert set(found[0]) <= set(found[1])


def test_a_cell_has_its_share_of_people_at_any_time_on_average():
    share = np.array([0.001, 0.2, 0.799])
    counts = np.mean([np.floor(share * 7 + phases(3, (k + 0.5) / 4000)) for k in range(4000)], axis=0)
    np.testing.assert_allclose(counts, share * 7, atol=2e-3)
    came = arrivals(share, np.array([1.0, 0.5, 0.25]), np.array([1, 1, 1]))
    np.testing.assert_allclose(came, [0, 2.5, 0.75 / 0.799])


@pytest.mark.parametrize("alike", [1, 200])
def test_people_who_come_together_come_in_the_order_of_their_cells(alike):
    share = np.repeat(np.random.default_rng(3).dirichlet(np.ones(500)), alike)[:500]
    phase = np.full(500, 0.5) if alike > 1 else phases(500, 0.3)
    cell, number = people_in_order(share, phase, np.full(500, 4))
    among = np.repeat(np.arange(500), 4)
    came = arrivals(share[among], phase[among], np.tile(np.arange(1, 5), 500))
    assert (cell == among[np.lexsort((among, came))]).all()
    assert (np.diff(number) > 0).all()


@pytest.mark.parametrize("n", [30, 300, 3000])
def test_units_are_spread_evenly_and_independently_by_name(n):
    one, other = units(np.arange(n), "age", 0.3), units(np.arange(n), "income", 0.9)
    assert np.abs(np.sort(one) - (np.arange(n) + 0.5) / n).max() < 8 / n
    assert abs(np.corrcoef(one, other)[0, 1]) < 3 / np.sqrt(n)


def test_a_draw_of_numbers_grows_too(tmp_path):
    spec = population(
        tmp_path,
        attributes={"age": {"bins": AGES}, "vote": VOTES, "iq": {"normal": {"mean": 100, "sd": 15, "decimals": 2}}},
        tables=[{"of": ["age", "vote"], "shares": AGE_BY_VOTE}],
    )
    assert kept(spec, 50, 200) == 1.0
    people = draw(spec, n=2000, seed=1)
    assert people["iq"].mean() == pytest.approx(100, abs=0.2)
    assert people["iq"].std() == pytest.approx(15, abs=0.2)
