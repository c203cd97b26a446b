"""The audit of a draw says what anybody would find who counted the people again."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefgen.personas.audit import association_kept, cramers_v
from prefgen.personas.draw import draw_audited
from prefgen.screen.audit import audit_lines
from tests.personas.specs import AGE_BY_VOTE, AGES, VOTES, people_only, population
from tests.personas.test_microdata import survey, town

BIASED = {"by": "vote", "shares": {"none": 0.5}}


def seen(people: pl.DataFrame, *names: str) -> dict[tuple[str, ...], float]:
    """Weighted shares of a table, counted from the people alone."""
    counts = people.group_by(names).agg(pl.col("weight").sum())
    return {tuple(row[:-1]): row[-1] / people["weight"].sum() for row in counts.iter_rows()}


def apart(wanted: dict[tuple[str, ...], float], found: dict[tuple[str, ...], float]) -> float:
    return sum(abs(wanted.get(cell, 0.0) - found.get(cell, 0.0)) for cell in wanted | found) / 2


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n=st.integers(1, 400), seed=st.integers(0, 99), oversample=st.sampled_from([None, BIASED]))
def test_the_total_variation_is_that_of_the_people_counted_again(tmp_path, n, seed, oversample):
    spec = population(
        tmp_path,
        attributes={"age": AGES, "vote": VOTES},
        tables=[{"of": ["age", "vote"], "shares": AGE_BY_VOTE}],
        oversample=oversample,
    )
    drawn = draw_audited(spec, n=n, seed=seed)
    people = people_only(drawn.people)
    wanted = {(age, vote): share for age, inner in AGE_BY_VOTE.items() for vote, share in inner.items()}
    rows = {row.table: row for row in drawn.audit.tables}
    assert rows["age x vote"].total_variation == pytest.approx(apart(wanted, seen(people, "age", "vote")), abs=1e-9)
    assert rows["vote"].total_variation == pytest.approx(
        apart({(vote,): share for vote, share in VOTES.items()}, seen(people, "vote")), abs=1e-9
    )
    found = seen(people, "age", "vote")
    error = max(abs(wanted[cell] - found.get(cell, 0.0)) for cell in wanted) * n
    assert rows["age x vote"].largest_count_error == pytest.approx(error, abs=1e-6)
    weight = people["weight"].to_numpy()
    assert drawn.audit.effective_n == pytest.approx(weight.sum() ** 2 / (weight**2).sum())


def test_associations_are_those_of_the_people_counted_again(tmp_path):
    drawn = draw_audited(town(tmp_path, survey(), columns=("vote", "sex", "region")), n=3_000, seed=2)
    people = people_only(drawn.people)
    for one in drawn.audit.associations:
        table = people.pivot(one.second, index=one.first, values="weight", aggregate_function="sum").fill_null(0)
        realised = cramers_v(table.drop(one.first).to_numpy().astype(np.float64))
        assert one.realised == pytest.approx(realised, abs=1e-9)
    apart = [abs(one.realised - one.target) for one in drawn.audit.associations]
    assert drawn.audit.v_difference_max == max(apart)


def test_bars_are_shares_that_sum_to_one_and_keep_the_order_of_levels(tmp_path):
    margins = draw_audited(population(tmp_path, attributes={"age": AGES, "vote": VOTES}), n=50, seed=1).audit.margins
    assert {one.attribute: one.levels for one in margins} == {"age": tuple(AGES), "vote": tuple(VOTES)}
    assert all(sum(shares) == pytest.approx(1) for one in margins for shares in (one.target, one.realised))


def test_the_floor_under_cells_and_what_it_merged_stand_in_the_audit(tmp_path):
    audit = draw_audited(
        town(tmp_path, survey(rows=2000), columns=("sex", "region"), microdata={"min_cell": 100, "small": "merge"}),
        n=200,
        seed=1,
    ).audit
    assert (audit.privacy.min_cell, audit.privacy.merged) == (100, 1)
    assert audit.privacy.smallest_cell >= 100
    said = "\n".join(audit_lines(audit.to_json()))
    assert "(floor 100, 1 levels merged)" in said
    assert "merged into 'other'" in said


def test_the_screen_has_tables_associations_effective_size_and_privacy(tmp_path):
    spec = town(tmp_path, survey(), columns=("age", "vote", "sex"), oversample={"by": "sex", "shares": {"woman": 0.8}})
    lines = list(audit_lines(draw_audited(spec, n=500, seed=1).audit.to_json()))
    assert lines[0].startswith("town: 500 people, effective sample size ")
    assert lines[0].endswith("of them, for their weights)")
    assert "total variation  largest count error" in lines[1]
    assert any(line.startswith("age x vote") for line in lines)
    assert any(line.startswith("Cramer's V over 3 pairs differs by ") for line in lines)
    assert any(line.startswith("privacy: 4,000 respondents, smallest cell") for line in lines)
    assert any("are closer to it than to the other half (ideal 0.5)" in line for line in lines)


def test_portraits_of_which_each_is_one_persona_need_no_table_on_the_screen(tmp_path):
    portraits = [{"id": name, "share": 0.5, "text": name} for name in ("one", "two")]
    audit = draw_audited(population(tmp_path, portraits=portraits), seed=1).audit
    assert list(audit_lines(audit.to_json())) == ["town: 2 people, effective sample size 2"]


def test_an_audit_is_plain_json_with_one_row_a_table(tmp_path):
    part = {"population": "part", "attributes": {"vote": VOTES}, "text": "You."}
    (tmp_path / "part.yaml").write_text(json.dumps(part), encoding="utf-8")
    spec = population(tmp_path, combine=[{"file": "part.yaml", "share": 1.0}], text=None)
    audit = json.loads(json.dumps(draw_audited(spec, n=9, seed=1).audit.to_json()))
    assert "tables" not in audit
    assert [row["table"] for row in audit["parts"][0]["audit"]] == ["vote"]


def test_many_merged_levels_do_not_fill_the_screen(tmp_path):
    frame = survey(rows=1500).with_columns(
        region=pl.when(pl.col("age") < 60).then(pl.col("degree") % 2).otherwise("age").cast(pl.String)
    )
    data = {"min_cell": 30, "small": "merge"}
    audit = draw_audited(town(tmp_path, frame, columns=("sex", "region"), microdata=data), n=50, seed=1).audit.to_json()
    assert audit["privacy"]["merged"] > 20
    lines = list(audit_lines(audit))
    assert sum("merged into" in line for line in lines) == 6
    assert any(line.startswith("... and ") and line.endswith("more such notes, in the audit's file") for line in lines)


@pytest.mark.parametrize(("n", "told"), [(20, True), (5000, False)])
def test_few_people_are_told_to_lose_associations(tmp_path, n, told):
    spec = town(tmp_path, survey(rows=3000), columns=("age", "vote", "sex", "region", "degree"))
    audit = draw_audited(spec, n=n, seed=1).audit
    lines = [line for line in audit_lines(audit.to_json()) if "associations between attributes are" in line]
    assert bool(lines) == told
    if told:
        assert lines[0].startswith(f"with {n} people, ")
        assert f"({audit.association_kept:.0%} of what is wanted)" in lines[0]
    else:
        assert audit.association_kept == pytest.approx(1, abs=0.02)


def test_people_drawn_attribute_by_attribute_keep_no_association():
    rng = np.random.default_rng(1)
    aim = rng.dirichlet(np.full(20, 0.4)).reshape(4, 5)
    kept = []
    for _ in range(300):
        one, other = rng.choice(4, 50, p=aim.sum(axis=1)), rng.choice(5, 50, p=aim.sum(axis=0))
        kept.append(association_kept(aim, np.histogram2d(one, other, [np.arange(5) - 0.5, np.arange(6) - 0.5])[0]))
    assert np.mean(kept) == pytest.approx(0, abs=0.05)
    drawn = [association_kept(aim, rng.multinomial(5000, aim.reshape(-1)).reshape(4, 5)) for _ in range(50)]
    assert np.mean(drawn) == pytest.approx(1, abs=0.03)
