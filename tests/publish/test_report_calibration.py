"""Calibration in the report: a section of its own where a run was held against a survey, and nothing elsewhere."""

from __future__ import annotations

import re

import polars as pl
import pytest

from prefgen.analysis.calibrate import OVERALL, PERSONAS
from prefgen.analysis.calibration import write_calibration
from prefgen.publish.report import write_report
from prefgen.publish.report.calibrating import draw_calibrations
from prefgen.publish.report.headlines import headlines
from prefgen.spec.calibration import read_calibration
from prefgen.store.files import write_json
from prefgen.store.folder import RunFolder
from tests.analysis.test_calibration import SPEC, run_and_survey, spec_file
from tests.publish.test_report import Page, found_in, html_of


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """A run held against a survey, with its report, and what was found."""
    folder = tmp_path_factory.mktemp("held")
    run = RunFolder(run_and_survey(folder))
    found = write_calibration(
        run, read_calibration(spec_file(folder, f"{SPEC}answers: answers\n")), run.read_manifest()
    )
    write_report(run)
    return run, found


def test_the_page_has_a_section_with_its_figures_by_subgroup_question_and_certainty(held):
    run, _ = held
    html = html_of(run)
    section = html[html.index('<section id="calibration">') : html.index('<section id="people">')]
    shown = re.findall(r'<figure id="figure-(\w+)">', section)
    assert shown == ["calibration", "calibration_certainty", "calibration_items"]
    assert {f"{name}.png" for name in shown} <= {path.name for path in run.figures.iterdir()}
    assert "worth" in section
    assert '<a href="#calibration">' in html
    assert Page(html).open == []


def test_the_marks_of_the_figure_are_the_numbers_found(held):
    _, found = held
    drawings = {key: drawing for key, _, drawing in draw_calibrations({"calibration": found.to_json()})}
    axes = drawings["calibration"].figure.axes[0]
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows == [*reversed(["everybody", "party", *_by_distance(found)])]
    marked = {(round(float(line.get_ydata()[0])), round(float(line.get_xdata()[0]), 9)) for line in axes.lines}
    for source in (PERSONAS, OVERALL):
        mean = found.summary.filter(source=source, attribute="party")["total_variation"].item()
        assert (rows.index("party"), round(mean, 9)) in marked
    items = drawings["calibration_items"].table.rows
    assert {row[0] for row in items} == set(found.cells["item_id"])


def _by_distance(found) -> list[str]:
    means = (
        found.cells.filter(source=PERSONAS, attribute="party").group_by("level").agg(pl.col("total_variation").mean())
    )
    return means.sort("total_variation", descending=True)["level"].to_list()


def estimate(value, low, high):
    return {"value": value, "low": low, "high": high, "n": 9}


@pytest.mark.parametrize(
    ("verdict", "gain", "weight"),
    [
        ("above the floor", (-0.5, -0.9, -0.1), "grave"),
        ("above the floor", (-0.5, -1.2, 0.3), "plain"),
        ("above the floor", (0.4, 0.2, 0.6), "plain"),
        ("above the floor", (None, None, None), "plain"),
        ("on the floor", (-0.7, -2.1, -0.1), "plain"),
        ("on the floor", (0.9, -0.4, 1.0), "plain"),
        ("on the floor", (0.9, 0.5, 1.0), "good"),
        ("too alike", (1.0, 0.9, 1.0), "plain"),
    ],
)
def test_grave_is_only_what_is_surely_farther_than_the_survey_as_a_whole(held, verdict, gain, weight):
    run, found = held
    figures = found.figures() | {"gain": estimate(*gain), "verdict": verdict}
    said = headlines(run.read_manifest(), {"matrix": None, "calibration": {"figures": figures}})
    one = next(one for one in said if one.key == "calibration")
    assert one.weight == weight
    assert one.sentence.startswith("Held against a survey, personas are .")
    assert one.sentence.endswith(f"{verdict}.")


def test_the_weights_are_a_file_that_gives_the_personas_the_marginals_of_the_survey(held):
    run, found = held
    weights = pl.read_parquet(run.path / "calibration_weights.parquet")
    assert weights.columns == ["persona_id", "weight", "raked_weight"]
    survey = pl.read_parquet(run.path.parent / "survey.parquet")
    left = (
        weights.filter(pl.col("persona_id").is_in(["ada", "bea"]))["raked_weight"].sum() / weights["raked_weight"].sum()
    )
    assert left == pytest.approx((survey["party"] == "left").mean(), abs=1e-6)
    told = found.poststratification()
    assert told["effective_n"] == pytest.approx(
        weights["raked_weight"].sum() ** 2 / (weights["raked_weight"] ** 2).sum()
    )


def test_a_run_without_a_survey_has_no_word_of_it(tmp_path):
    run = found_in(tmp_path / "run")
    write_report(run)
    assert 'id="calibration"' not in html_of(run)
    assert not list(run.figures.glob("calibration*"))


def test_another_runs_calibration_is_not_shown(held, tmp_path):
    run = found_in(tmp_path / "run")
    write_json(run.path / "calibration.json", held[1].to_json() | {"fingerprint": "another"})
    write_report(run)
    assert 'id="calibration"' not in html_of(run)


def test_what_an_earlier_version_found_is_left_out_not_misread(held, tmp_path):
    run = found_in(tmp_path / "run")
    old = {"figures": {"total_variation": 0.2, "noise": 0.1, "gain": None}, "summary": [{}], "cells": [], "notes": []}
    write_json(run.path / "calibration.json", old | {"fingerprint": run.read_manifest()["fingerprint"]})
    write_report(run)
    assert 'id="calibration"' not in html_of(run)
