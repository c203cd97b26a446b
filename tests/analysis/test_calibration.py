"""A run folder held against a survey file: read, written, gated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest

from prefgen.analysis.calibrate import NOBODY, OVERALL, PERSONAS, UNIFORM, Calibration
from prefgen.analysis.calibration import calibrate_run, lines
from prefgen.analysis.survey import EVERYBODY
from prefgen.errors import SpecError, UsageError
from prefgen.spec.calibration import read_calibration
from prefgen.store.folder import RunFolder
from tests.analysis.planted import plant, plant_run
from tests.faults.pipelines import prefgen

PARTY = {"ada": "left", "bea": "left", "cyd": "right", "dan": "right", "eve": "right", "none": None}
SPEC = "survey: survey.parquet\nby: [party]\ncolumn: asks\nlevels: [first, second, null]\n"


def run_and_survey(folder: Path, rows: int = 800) -> Path:
    """A planted run whose first four items a survey asked too, and that survey."""
    planted = plant()
    asks = pl.Series("asks", [f"q{n}" if n < 4 else None for n in range(planted.items.height)], dtype=pl.String)
    people = planted.personas.with_columns(party=pl.col("persona_id").replace_strict(PARTY, return_dtype=pl.String))
    rng = np.random.default_rng(0)
    party = rng.choice(["left", "right"], rows)
    said = {
        f"q{n}": np.where(rng.random(rows) < np.where(party == "left", 0.7, 0.3), "first", "second") for n in range(4)
    }
    pl.DataFrame({"party": party, **said}).write_parquet(folder / "survey.parquet")
    return plant_run(folder / "run", replace(planted, items=planted.items.with_columns(asks), personas=people))


def spec_file(folder: Path, text: str = SPEC) -> Path:
    path = folder / "calibration.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def calibrated(run: Path, spec: Path) -> Calibration:
    folder = RunFolder(run)
    return calibrate_run(folder, read_calibration(spec), folder.read_manifest())


def test_a_run_is_held_against_the_survey_by_subgroup(tmp_path):
    run = run_and_survey(tmp_path)
    calibration = calibrated(run, spec_file(tmp_path))
    assert set(calibration.cells["source"]) == {PERSONAS, NOBODY, UNIFORM, OVERALL}
    assert calibration.cells["item_id"].n_unique() == 4
    assert set(calibration.cells["level"]) == {EVERYBODY, "left", "right"}
    assert calibration.cells.filter(source=PERSONAS, level="left")["n_personas"].max() <= 2
    assert (calibration.cells.filter(source=PERSONAS)["answered"] < 1).all()  # the third option means nothing there
    assert calibration.weights["raked_weight"].mean() == pytest.approx(1)
    assert any(line.startswith("party") and PERSONAS in line for line in lines(calibration))


def test_the_command_writes_the_findings_and_leaves_by_the_gates(tmp_path):
    run = run_and_survey(tmp_path)
    said = prefgen("calibrate", str(run), str(spec_file(tmp_path)))
    assert said.code == 0, said.err
    assert "as many real respondents in their place are" in said.out
    written = orjson.loads((run / "calibration.json").read_bytes())
    assert written["figures"]["total_variation"]["value"] > written["figures"]["floor"]["low"]
    assert "calibration" in (run / "report.html").read_text().lower()
    missed = prefgen("calibrate", str(run), str(spec_file(tmp_path, SPEC + "max_excess: -0.5\n")))
    assert missed.code == 5
    assert "max_excess" in missed.err
    assert prefgen("calibrate", str(tmp_path / "nowhere"), str(spec_file(tmp_path))).code == 4


def test_a_table_that_filters_went_over_is_said_to_be_one(tmp_path):
    run = run_and_survey(tmp_path)
    kept = calibrated(run, spec_file(tmp_path))
    judged = calibrated(run, spec_file(tmp_path, SPEC + "answers: answers\n"))
    assert kept.notes[0].startswith("held against it are the ")
    assert "answers that filters kept" in kept.notes[0]
    assert not any("filters" in note for note in judged.notes)
    at = {"source": PERSONAS, "attribute": EVERYBODY}
    assert kept.cells.filter(**at)["n_personas"].sum() < judged.cells.filter(**at)["n_personas"].sum()


WRONG_SPEC = {
    "no file": (SPEC.replace("survey.parquet", "nowhere.parquet"), r":1: survey: no such file"),
    "unknown key": (SPEC + "bye: 1\n", r":5: bye: unknown key"),
    "no levels": (SPEC.replace("[first, second, null]", "[first, null]"), r":4: levels: fewer than two options"),
    "twice": (SPEC.replace("[party]", "[party, party]"), r"an attribute stands twice"),
    "list": ("- 1\n", r":1: a calibration is a mapping"),
}


@pytest.mark.parametrize("case", WRONG_SPEC)
def test_what_is_wrong_with_a_calibration_is_said_with_its_line(case, tmp_path):
    (tmp_path / "survey.parquet").touch()
    text, sentence = WRONG_SPEC[case]
    with pytest.raises(SpecError, match=sentence):
        read_calibration(spec_file(tmp_path, text))


ODD_COLUMNS = {
    "lists": ("q0", pl.List(pl.String), r"column 'q0' of the survey holds List"),
    "bytes": ("party", pl.Binary, r"'party' of the survey holds Binary"),
    "texts": ("w", pl.String, r"'w' of the survey holds String, not weights"),
    "truth values": ("w", pl.Boolean, "not weights"),
    "infinite": ("w", float("inf"), "must be 0 or more, not all 0, and less than"),
    "too large": ("w", 1e300, "less than 1e[+]100"),
}


@pytest.mark.parametrize("case", ODD_COLUMNS)
def test_a_survey_whose_columns_are_no_answers_or_no_weights_is_refused(case, tmp_path):
    run = run_and_survey(tmp_path)
    column, kind, sentence = ODD_COLUMNS[case]
    survey = pl.read_parquet(tmp_path / "survey.parquet").with_columns(w=pl.lit(1.0))
    value = pl.lit(kind) if isinstance(kind, float) else pl.lit(None, kind)
    survey.with_columns(value.alias(column)).write_parquet(tmp_path / "survey.parquet")
    with pytest.raises(UsageError, match=sentence):
        calibrated(run, spec_file(tmp_path, SPEC + "weight: w\n"))


def test_answers_that_are_fractions_or_huge_numbers_are_levels_as_in_a_csv(tmp_path):
    run = run_and_survey(tmp_path)
    survey = pl.read_parquet(tmp_path / "survey.parquet")
    said = pl.when(pl.col("q1") == "first").then(1.0).otherwise(1e308)
    survey.with_columns(q1=said).write_parquet(tmp_path / "survey.parquet")
    with pytest.raises(UsageError, match=r"nobody in the survey answered 'q1' with one of 'first', 'second'"):
        calibrated(run, spec_file(tmp_path))


WRONG_RUN = {
    "step": ("answers: judged\n", r"the run has no step 'judged'"),
    "column": (SPEC.replace("asks", "question"), r"the items have no column 'question'"),
    "items": (SPEC.replace("asks", "theme"), r"no item has a 'theme' that is a column of survey\.parquet"),
    "options": (SPEC.replace("second, null]", "second]"), r"has 3 options, `levels` has 2"),
}


@pytest.mark.parametrize("case", WRONG_RUN)
def test_a_survey_that_does_not_meet_the_run_is_refused(case, tmp_path):
    run = run_and_survey(tmp_path)
    text, sentence = WRONG_RUN[case]
    with pytest.raises(UsageError, match=sentence):
        calibrated(run, spec_file(tmp_path, text if "survey:" in text else SPEC + text))
