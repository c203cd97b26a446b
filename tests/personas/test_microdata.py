"""Survey rows become tables, and only tables: missing values, weights, floors and privacy as the spec says."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from prefgen.errors import SpecError
from prefgen.personas.audit import cramers_v
from prefgen.personas.draw import draw, draw_audited
from prefgen.personas.privacy import holdout_share
from tests.personas.specs import people_only, population, share

SEX = ["woman", "man"]


def survey(rows=4000, seed=0):
    """Age drives vote; region is free; weights favour the old."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 91, rows)
    right = rng.random(rows) < 0.2 + 0.6 * (age - 18) / 72
    return pl.DataFrame(
        {
            "age": age,
            "vote": np.where(right, "right", "left"),
            "sex": rng.choice(SEX, rows),
            "region": rng.choice(["north", "south", "islands"], rows, p=[0.6, 0.38, 0.02]),
            "degree": rng.integers(1, 5, rows),
            "wt": 0.5 + age / 90,
        }
    )


def town(folder, frame, *, columns=("age", "vote", "sex"), **keys):
    frame.write_parquet(folder / "survey.parquet")
    microdata = {"file": "survey.parquet", "columns": list(columns), **keys.pop("microdata", {})}
    keys.setdefault("attributes", {"age": {"bins": ["18-34", "35-64", "65-90"]}} if "age" in columns else {})
    return population(folder, microdata=microdata, **keys)


def test_people_have_the_weighted_tables_of_the_survey(tmp_path):
    frame = survey()
    people = draw(town(tmp_path, frame, microdata={"weight": "wt"}), n=20_000, seed=1)
    old_right = frame.filter(pl.col("age") >= 65, vote="right")["wt"].sum() / frame["wt"].sum()
    assert share(people, age_band="65-90", vote="right") == pytest.approx(old_right, abs=3e-4)
    assert people.schema["age"] == pl.Int64


def test_no_survey_row_needs_to_be_in_the_draw_and_associations_stay(tmp_path):
    frame = survey()
    audit = draw_audited(
        town(tmp_path, frame, columns=("age", "vote", "sex", "region", "degree")), n=5000, seed=1
    ).audit
    by = {(one.first, one.second): one for one in audit.associations} | {
        (one.second, one.first): one for one in audit.associations
    }
    assert by["age", "vote"].target > 0.3
    assert audit.v_difference_mean < 0.003
    assert audit.privacy.respondents == 4000
    assert audit.privacy.smallest_cell >= 1


def test_csv_and_parquet_give_the_same_people(tmp_path):
    frame = survey(500)
    first = draw(town(tmp_path, frame), n=100, seed=1)
    frame.write_csv(tmp_path / "survey.csv")
    second = draw(town(tmp_path, frame, microdata={"file": "survey.csv"}), n=100, seed=1)
    assert first.equals(second)


def test_missing_values_are_what_the_spec_says(tmp_path):
    frame = survey(1000).with_columns(
        pl.when(pl.int_range(pl.len()) % 4 == 0).then(None).otherwise("vote").alias("vote")
    )
    frame = frame.with_columns(
        pl.when(pl.int_range(pl.len()) % 4 == 0)
        .then(None)
        .otherwise(pl.col("vote").replace("vote", "left"))
        .alias("vote")
    )
    with pytest.raises(
        SpecError,
        match=r"microdata\.file: column 'vote' has 250 missing values of 1,000 .*the first on row \d+\)\n  fix: say `missing: drop`",
    ):
        draw(town(tmp_path, frame), n=10, seed=1)
    dropped = draw_audited(town(tmp_path, frame, microdata={"missing": "drop"}), n=100, seed=1)
    assert "missing" not in dropped.people["vote"].to_list()
    assert "250 of 1,000 rows dropped for a missing value" in dropped.audit.fit.notes
    kept = draw(town(tmp_path, frame, microdata={"missing": "level"}), n=1000, seed=1)
    assert share(kept, vote="missing") == pytest.approx(0.25, abs=0.002)


def test_a_floor_under_cells_refuses_or_merges(tmp_path):
    frame = survey(1000)
    columns = ("vote", "region", "degree")
    with pytest.raises(
        SpecError, match=r"microdata\.min_cell: a cell of .*region.* rests on \d+ respondents, fewer than 15"
    ):
        draw(town(tmp_path, frame, columns=columns, microdata={"min_cell": 15}), n=10, seed=1)
    merged = draw_audited(
        town(tmp_path, frame, columns=columns, microdata={"min_cell": 15, "small": "merge"}), n=500, seed=1
    )
    assert merged.audit.privacy.smallest_cell >= 15
    assert "other" in set(merged.people["region"])
    assert any("merged into 'other'" in note for note in merged.audit.fit.notes)


def test_ordered_levels_merge_with_a_neighbour(tmp_path):
    frame = survey(1000).with_columns(pl.when(pl.col("degree") == 4).then(3).otherwise("degree").alias("degree"))
    frame = frame.with_columns(pl.when(pl.int_range(pl.len()) < 5).then(4).otherwise("degree").alias("degree"))
    people = draw(
        town(tmp_path, frame, columns=("vote", "degree"), microdata={"min_cell": 10, "small": "merge"}), n=100, seed=1
    )
    assert set(people["degree"]) == {"1", "2", "3 to 4"}


WRONG = {
    "column": (
        lambda f: f,
        {"columns": ["age", "party"]},
        r"microdata\.columns: survey\.parquet has no column 'party'",
    ),
    "no weight": (lambda f: f, {"weight": "weight"}, r"microdata\.weight: survey\.parquet has no column 'weight'"),
    "text weight": (lambda f: f, {"weight": "vote"}, r"microdata\.weight: column 'vote' holds text, not weights"),
    "negative weight": (
        lambda f: f.with_columns(wt=-pl.col("wt")),
        {"weight": "wt"},
        r"missing, negative or only zero weights",
    ),
    "zero weight": (lambda f: f.with_columns(wt=0.0), {"weight": "wt"}, r"missing, negative or only zero weights"),
    "outside": (
        lambda f: f.with_columns(age=pl.col("age") + 10),
        {},
        r"attributes\.age: \d+ survey values lie outside all bins, e\.g\. \d+",
    ),
    "empty": (lambda f: f.head(0), {}, r"survey\.parquet has no rows"),
    "all missing": (
        lambda f: f.with_columns(vote=pl.lit(None, dtype=pl.String)),
        {"missing": "drop"},
        r"no row is complete",
    ),
    "bins of text": (
        lambda f: f.with_columns(age=pl.lit("old")),
        {},
        r"attributes\.age: column 'age' holds text, which bins cannot order",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_survey_rows_that_cannot_be_used_are_refused(case, tmp_path):
    change, keys, sentence = WRONG[case]
    with pytest.raises(SpecError, match=sentence):
        draw(town(tmp_path, change(survey(200)), microdata=keys), n=10, seed=1)


def test_a_file_that_is_no_table_is_refused(tmp_path):
    spec = town(tmp_path, survey(200))
    (tmp_path / "survey.parquet").write_bytes(b"garbage" * 100)
    with pytest.raises(SpecError, match=r"microdata\.file: survey\.parquet cannot be read"):
        draw(spec, n=10, seed=1)


def test_levels_the_spec_does_not_know_are_refused(tmp_path):
    with pytest.raises(SpecError, match=r"attributes\.vote: the survey has 'right', which is not among the levels"):
        draw(town(tmp_path, survey(200), attributes={"vote": ["left"], "age": {"bins": ["18-90"]}}), n=10, seed=1)


def test_marginals_of_the_spec_and_tables_of_the_survey_are_fitted_together(tmp_path):
    spec = town(tmp_path, survey(), columns=("vote", "sex"), attributes={"home": {"rents": 0.4, "owns": 0.6}})
    people = draw(spec, n=1000, seed=1)
    assert share(people, home="rents") == pytest.approx(0.4, abs=0.002)
    assert set(people_only(people)["sex"]) == set(SEX)


def codes(rng, rows, sizes=(5, 4, 6, 3, 7, 4)):
    return [rng.integers(0, size, rows) for size in sizes]


def test_people_unlike_anyone_are_as_close_to_either_half():
    rng = np.random.default_rng(0)
    assert holdout_share(codes(rng, 4000), codes(rng, 1500), codes(rng, 1500)) == pytest.approx(0.5, abs=0.02)


def test_copied_rows_are_caught():
    rng = np.random.default_rng(0)
    train, holdout = codes(rng, 1500), codes(rng, 1500)
    rows = rng.integers(0, 1500, 4000)
    assert holdout_share([code[rows] for code in train], train, holdout) > 0.85


def test_the_closest_record_is_the_one_that_differs_least():
    """Against every record compared one by one."""
    rng = np.random.default_rng(1)
    people, train, holdout = codes(rng, 200), codes(rng, 90), codes(rng, 90)
    near, far = (
        np.sum([p[:, None] != c[None, :] for p, c in zip(people, half, strict=True)], axis=0).min(axis=1)
        for half in (train, holdout)
    )
    assert holdout_share(people, train, holdout) == pytest.approx(np.mean((near < far) + 0.5 * (near == far)))


def test_cramers_v_is_one_for_the_same_thing_and_zero_for_strangers():
    assert cramers_v(np.diag([0.2, 0.3, 0.5])) == pytest.approx(1)
    assert cramers_v(np.outer([0.2, 0.8], [0.3, 0.3, 0.4])) == pytest.approx(0, abs=1e-9)
