"""Controls tell how much a portrait matters, so they must be exactly what they claim."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefgen.errors import SpecError
from prefgen.personas.draw import draw
from tests.personas.specs import AGE_BY_VOTE, AGES, VOTES, people_only, population

TEXT = "You are {{ age }} and vote {{ vote }}."


def town(folder):
    return population(
        folder,
        attributes={"age": AGES, "vote": VOTES},
        tables=[{"of": ["age", "vote"], "shares": AGE_BY_VOTE}],
        text=TEXT,
    )


def test_nobody_is_one_row_without_a_portrait(tmp_path):
    nobody = draw(town(tmp_path), n=40, seed=1, controls=["none"]).filter(control="none")
    assert nobody.select("persona_id", "control_of", "weight", "age", "vote", "text").rows() == [
        ("none", None, 1.0, None, None, "")
    ]


def test_everybody_in_the_wrong_portrait_reads_another_one(tmp_path):
    people = draw(town(tmp_path), n=200, seed=1, controls=["wrong"])
    own = people_only(people)
    both = people.filter(control="wrong").join(own, left_on="control_of", right_on="persona_id", suffix="_own")
    assert both.height == 200
    assert (both["text"] != both["text_own"]).all()
    assert (both["weight"] == both["weight_own"]).all()
    assert sorted(both["text"]) == sorted(own["text"])  # every portrait is lent once
    assert (
        both["text"] == pl.select(pl.format("You are {} and vote {}.", both["age"], both["vote"])).to_series()
    ).all()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shares=st.lists(st.integers(1, 100), min_size=2, max_size=6), n=st.integers(1, 60), seed=st.integers(0, 999))
def test_whatever_the_shares_nobody_wears_the_own_portrait(tmp_path, shares, n, seed):
    portraits = [{"id": f"p{i}", "share": share, "text": f"You are {i}."} for i, share in enumerate(shares)]
    spec = population(tmp_path, portraits=portraits, normalize=True)
    own = draw(spec, n=n, seed=seed)
    if own["text"].n_unique() < 2:
        with pytest.raises(SpecError, match="nobody can get a wrong one"):
            draw(spec, n=n, seed=seed, controls=["wrong"])
        return
    wrong = draw(spec, n=n, seed=seed, controls=["wrong"]).filter(control="wrong")
    assert wrong["control_of"].to_list() == own["persona_id"].to_list()
    assert (wrong["text"] != own["text"]).all()


def test_shuffled_attributes_keep_their_counts_and_lose_their_company(tmp_path):
    people = draw(town(tmp_path), n=2000, seed=1, controls=["shuffled"])
    own, shuffled = people_only(people), people.filter(control="shuffled")
    for name in ("age", "vote"):
        assert sorted(own[name]) == sorted(shuffled[name])
    independent = 0.3 * 0.45
    assert shuffled.filter(age="18-34", vote="left").height / 2000 == pytest.approx(independent, abs=0.025)
    assert own.filter(age="18-34", vote="left").height / 2000 == pytest.approx(0.18, abs=0.001)
    assert shuffled["control_of"].to_list() == own["persona_id"].to_list()


def test_a_band_moves_with_its_number(tmp_path):
    spec = population(tmp_path, attributes={"age": {"bins": {"18-29": 0.5, "30-90": 0.5}}, "vote": VOTES})
    for row in draw(spec, n=100, seed=1, controls=["shuffled"]).filter(control="shuffled").iter_rows(named=True):
        low, high = map(int, row["age_band"].split("-"))
        assert low <= row["age"] <= high


def test_named_portraits_have_nothing_to_shuffle(tmp_path):
    spec = population(tmp_path, portraits=[{"id": "a", "share": 1.0, "text": "x"}])
    with pytest.raises(SpecError, match="named portraits have no attributes to shuffle"):
        draw(spec, seed=1, controls=["shuffled"])
