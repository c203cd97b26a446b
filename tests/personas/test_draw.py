"""People are what their spec says, and nobody else."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefgen.errors import SpecError
from prefgen.personas.draw import draw, draw_audited
from tests.personas.specs import AGE_BY_VOTE, AGES, VOTES, people_only, population, share

PORTRAITS = [
    {"id": "a", "share": 0.5, "text": "You are A.", "job": "nurse"},
    {"id": "b", "share": 0.3, "text": "You are B, a {{ job }}.", "job": "miner"},
    {"id": "c", "share": 0.2, "text": "You are C.", "job": "clerk"},
]
in_folder = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def test_without_n_every_portrait_is_one_persona_that_weighs_its_share(tmp_path):
    people = draw(population(tmp_path, portraits=PORTRAITS), seed=1)
    assert people.columns == ["persona_id", "population", "control", "control_of", "weight", "portrait", "job", "text"]
    assert people["persona_id"].to_list() == ["a", "b", "c"]
    assert people["weight"].to_list() == pytest.approx([1.5, 0.9, 0.6])
    assert people["text"].to_list() == ["You are A.", "You are B, a miner.", "You are C."]
    assert people["control"].null_count() == 3


@in_folder
@given(n=st.integers(1, 500), seed=st.integers(0, 2**40))
def test_portraits_with_n_follow_their_shares_to_the_person(tmp_path, n, seed):
    people = draw(population(tmp_path, portraits=PORTRAITS), n=n, seed=seed)
    counts = dict(people["portrait"].value_counts().iter_rows())
    assert people.height == n == people["persona_id"].n_unique()
    assert people["weight"].to_list() == [1.0] * n
    for portrait in PORTRAITS:
        assert abs(counts.get(portrait["id"], 0) - portrait["share"] * n) < 1


def test_attributes_become_typed_columns_and_a_text(tmp_path):
    spec = population(
        tmp_path,
        attributes={
            "age": {"bins": {"18-29": 0.5, "30-90": 0.5}},
            "children": {0: 0.5, 1: 0.3, 2: 0.2},
            "zip": {"01": 0.5, "02": 0.5},
            "member": {"true": 0.5, "false": 0.5},
            "height": {"normal": {"mean": 170, "sd": 10, "min": 150, "max": 190}},
            "wealth": {"lognormal": {"mean": 3, "sd": 1, "decimals": 2}},
        },
        text="{{ age }} {{ age_band }} {{ children + 1 }} {{ zip }} {% if member %}in{% else %}out{% endif %} {{ height }}",
    )
    people = draw(spec, n=2000, seed=1)
    kinds = {
        "age": pl.Int64,
        "age_band": pl.String,
        "children": pl.Int64,
        "zip": pl.String,
        "member": pl.Boolean,
        "height": pl.Int64,
        "wealth": pl.Float64,
    }
    assert {name: people.schema[name] for name in kinds} == kinds
    for row in people.head(50).iter_rows(named=True):
        low, high = map(int, row["age_band"].split("-"))
        assert low <= row["age"] <= high
        words = row["text"].split()
        assert words[:4] == [str(row["age"]), row["age_band"], str(row["children"] + 1), row["zip"]]
        assert words[4] == ("in" if row["member"] else "out")
    assert people["height"].min() >= 150
    assert people["height"].max() <= 190
    assert people["height"].mean() == pytest.approx(170, abs=0.3)  # symmetric cut
    assert people["wealth"].log().mean() == pytest.approx(3, abs=0.05)


@in_folder
@given(n=st.integers(1, 400), seed=st.integers(0, 2**40))
def test_tables_are_kept_within_a_few_people(tmp_path, n, seed):
    spec = population(
        tmp_path, attributes={"age": AGES, "vote": VOTES}, tables=[{"of": ["age", "vote"], "shares": AGE_BY_VOTE}]
    )
    people = draw(spec, n=n, seed=seed)
    assert people.height == n
    for age, votes in AGE_BY_VOTE.items():
        for vote, wanted in votes.items():
            assert abs(people.filter(age=age, vote=vote).height - wanted * n) < 1 + 1e-9


def test_the_order_in_which_attributes_are_written_changes_nobody(tmp_path):
    table = {"of": ["age", "vote"], "shares": AGE_BY_VOTE}
    sex = {"woman": 0.51, "man": 0.49}
    first = draw(
        population(tmp_path, attributes={"age": AGES, "vote": VOTES, "sex": sex}, tables=[table]), n=300, seed=4
    )
    second = draw(
        population(tmp_path, attributes={"sex": sex, "vote": VOTES, "age": AGES}, tables=[table]), n=300, seed=4
    )
    assert first.equals(second.select(first.columns))


def test_a_draw_depends_on_its_seed_and_name_alone(tmp_path):
    spec = population(tmp_path, attributes={"age": AGES, "vote": VOTES}, text="{{ age }}")
    assert draw(spec, n=500, seed=1).equals(draw(spec, n=500, seed=1))
    assert draw(spec, n=500, seed=1, controls=["none", "wrong"]).head(500).equals(draw(spec, n=500, seed=1))
    assert not draw(spec, n=500, seed=1).equals(draw(spec, n=500, seed=2))
    other = population(tmp_path, population="village", attributes={"age": AGES, "vote": VOTES})
    assert draw(other, n=500, seed=1)["vote"].to_list() != draw(spec, n=500, seed=1)["vote"].to_list()


def test_a_number_attribute_more_leaves_the_others_as_they_are(tmp_path):
    without = draw(population(tmp_path, attributes={"age": AGES, "vote": VOTES}), n=100, seed=1)
    extra = {"iq": {"normal": {"mean": 100, "sd": 15}}}
    with_it = draw(population(tmp_path, attributes={"age": AGES, **extra, "vote": VOTES}), n=100, seed=1)
    assert with_it.drop("iq", "persona_id").equals(without.drop("persona_id"))


def test_a_filter_leaves_only_those_it_holds_for_in_their_proportions(tmp_path):
    spec = population(
        tmp_path,
        attributes={"age": AGES, "vote": VOTES},
        tables=[{"of": ["age", "vote"], "shares": AGE_BY_VOTE}],
        keep="vote <> 'none'",
    )
    people = draw(spec, n=4000, seed=1)
    assert set(people["vote"]) == {"left", "right"}
    assert share(people, vote="left") == pytest.approx(0.45 / 0.80, abs=0.001)
    assert share(people, age="18-34", vote="left") == pytest.approx(0.18 / 0.80, abs=0.001)


def test_oversampling_a_stratum_changes_the_draw_and_the_weights_take_it_back(tmp_path):
    spec = population(
        tmp_path,
        attributes={"age": AGES, "vote": VOTES},
        tables=[{"of": ["age", "vote"], "shares": AGE_BY_VOTE}],
        oversample={"by": "vote", "shares": {"none": 0.6}},
    )
    drawn = draw_audited(spec, n=5000, seed=1)
    people = drawn.people
    assert people.filter(vote="none").height == pytest.approx(3000, abs=1)
    assert people.filter(vote="left").height / people.filter(vote="right").height == pytest.approx(45 / 35, abs=0.01)
    assert people["weight"].mean() == pytest.approx(1)
    for vote, wanted in VOTES.items():
        assert share(people, vote=vote) == pytest.approx(wanted, abs=0.001)
    assert share(people, age="65-90") == pytest.approx(0.2, abs=0.001)
    assert drawn.audit.effective_n == pytest.approx(3000)  # 1 / (.8 ** 2 / .4 + .2 ** 2 / .6) = .6
    assert max(row.total_variation for row in drawn.audit.tables) < 0.005


def test_combined_populations_come_in_their_shares_under_their_own_names(tmp_path):
    (tmp_path / "north").mkdir()
    (tmp_path / "south").mkdir()
    population(tmp_path / "north", population="north", attributes={"vote": VOTES}, text="North {{ vote }}")
    population(tmp_path / "south", population="south", attributes={"home": {"x": 1.0}}, text="South {{ home }}")
    both = population(
        tmp_path,
        population="both",
        combine=[{"file": "north/people.yaml", "share": 0.25}, {"file": "south/people.yaml", "share": 0.75}],
    )
    people = draw(both, n=200, seed=1, controls=["none"])
    assert people.filter(control="none").height == 1
    people = people_only(people)
    assert dict(people["population"].value_counts().iter_rows()) == {"north": 50, "south": 150}
    assert people.filter(population="south")["vote"].null_count() == 150
    assert people["weight"].mean() == pytest.approx(1)
    assert people.columns[-1] == "text"


def test_combined_populations_may_not_share_a_name(tmp_path):
    (tmp_path / "a").mkdir()
    population(tmp_path / "a", attributes={"vote": VOTES})
    both = population(tmp_path, population="both", combine=[{"file": "a/people.yaml", "share": 0.5}] * 2)
    with pytest.raises(SpecError, match="combine: two of the populations have a persona 'town-"):
        draw(both, n=10, seed=1)


def test_several_wordings_portray_the_same_people(tmp_path):
    spec = population(
        tmp_path, attributes={"vote": VOTES}, text={"you": "You vote {{ vote }}.", "i": "I vote {{ vote }}."}
    )
    people = draw(spec, n=30, seed=1, controls=["shuffled"])
    assert people_only(people).height == 60
    told = people_only(people).pivot(on="wording", index=["person", "vote"], values="text")
    assert told.height == 30
    for row in told.iter_rows(named=True):
        assert row["you"] == f"You vote {row['vote']}."
        assert row["i"] == f"I vote {row['vote']}."
    assert people["persona_id"].n_unique() == people.height == 120


@pytest.mark.parametrize("n", [0, -3, None])
def test_a_number_of_people_that_cannot_be_is_refused(tmp_path, n):
    with pytest.raises(SpecError, match=r"e\.g\. n: 200|between 1 and"):
        draw(population(tmp_path, attributes={"vote": VOTES}), n=n, seed=1)


def test_one_person_is_a_population(tmp_path):
    assert draw(population(tmp_path, attributes={"vote": VOTES, "age": AGES}), n=1, seed=1).height == 1


WRONG = {
    "filter syntax": ({"keep": "vote ="}, r"keep: cannot be evaluated"),
    "filter name": ({"keep": "votes = 'left'"}, r"keep: cannot be evaluated"),
    "filter empties": ({"keep": "vote = 'green'"}, r"keep: nobody is left"),
    "filter is no condition": ({"keep": "count(*) > 1"}, r"keep: is not a condition on one person"),
    "stratum": (
        {"oversample": {"by": "party", "shares": {"x": 1}}},
        r"oversample\.by: no attribute with levels named 'party'",
    ),
    "stratum level": (
        {"oversample": {"by": "vote", "shares": {"lft": 0.5}}},
        r"oversample\.shares\.lft: nobody has vote 'lft'",
    ),
    "stratum leaves out": (
        {"oversample": {"by": "vote", "shares": {"left": 1}}},
        r"shares of 1 leave out the levels not named",
    ),
    "template fails": ({"text": "{{ vote / 2 }}"}, r"text: the template fails: TypeError"),
    "template is empty": (
        {"text": "{% if vote == 'left' %}x{% endif %}"},
        r"text: the template leaves somebody without a text",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_drawn_is_said(case, tmp_path):
    keys, sentence = WRONG[case]
    with pytest.raises(SpecError, match=sentence):
        draw(population(tmp_path, attributes={"vote": VOTES}, **keys), n=10, seed=1)


def test_templates_reach_nothing_but_attributes(tmp_path):
    spec = population(tmp_path, attributes={"vote": VOTES}, text="{{ vote.__class__.__mro__ }}")
    with pytest.raises(SpecError, match="the template fails: SecurityError"):
        draw(spec, n=3, seed=1)


def test_numbers_come_from_all_of_their_bin(tmp_path):
    people = draw(population(tmp_path, attributes={"age": {"bins": {"20-29": 1.0}}}), n=3000, seed=1)
    counts = people["age"].value_counts()["count"].cast(pl.Int64).to_numpy()
    assert len(counts) == 10
    assert np.abs(counts - 300).max() < 5 * np.sqrt(300)
