"""Whether a calibration will be possible, before anybody was asked: the survey against the items and personas as planned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from prefgen.analysis.calibration import questions_of, read_survey_rows
from prefgen.analysis.survey import SurveyAnswers
from prefgen.errors import UsageError, one_of
from prefgen.personas.levels import texts_of
from prefgen.spec.calibration import CalibrationSpec, read_calibration
from prefgen.spec.pipeline import Pipeline
from prefgen.store.finished import Lineage
from prefgen.store.table import Table


def check_calibration(pipeline: Pipeline, path: Path, tables: Mapping[str, Table], grains: Mapping[str, str]) -> None:
    """SpecError for a calibration file that cannot be held against the judgments that are planned.

    tables    of every step, as foreseen
    grains    what one row of each is
    """
    lineage = Lineage.of_pipeline(pipeline, grains)
    spec = read_calibration(path)
    answers = spec.answers or lineage.judgments
    if answers is None:
        raise pipeline.document.error(("calibrate",), "no step has judgments", "add a `judge` step")
    if grains.get(answers) != "judgments":
        raise pipeline.document.error(
            ("calibrate",),
            f"its `answers: {answers}` is no step with judgments",
            f"name {one_of(answers, lineage.of_grain('judgments'))} there",
        )
    items, personas = lineage.items_of(answers), lineage.personas_of(answers)
    if items is None or personas is None:
        return
    try:
        _check(spec, tables[items].read(), tables[personas].read())
    except UsageError as error:
        fix = error.fix or "name other columns in the calibration file"
        raise pipeline.document.error(("calibrate",), error.problem, fix) from None


def _check(spec: CalibrationSpec, items: pl.DataFrame, personas: pl.DataFrame) -> None:
    """UsageError, as `calibrate` would raise it after the judge was paid."""
    survey = read_survey_rows(spec.survey, spec.weight)
    answers = SurveyAnswers.of(
        survey, list(questions_of(items, survey, spec)), spec.columns, weight=spec.weight, least=spec.least
    )
    for attribute, column in spec.columns.items():
        if attribute not in personas.columns:
            raise UsageError(
                f"the personas have no attribute {attribute!r}", fix=f"compare by one of {', '.join(personas.columns)}"
            )
        counts = answers.answers[column].value_counts().filter(pl.col("count") >= spec.least)
        if texts_of(personas[attribute]).is_in(counts[column].implode()).any():
            return
    raise UsageError(
        f"no level of {', '.join(spec.columns)} that the personas have was said by {spec.least} respondents",
        fix="write the levels as the survey has them, or lower `least`",
    )
