"""A finished run held against a survey: its tables read, the findings written, the gates told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from prefgen.analysis.calibrate import PERSONAS, Calibration, calibrate
from prefgen.analysis.survey import EVERYBODY, Question
from prefgen.errors import FileError, UsageError
from prefgen.judging.aggregate import preferences
from prefgen.judging.presentations import LETTERS
from prefgen.spec.calibration import CalibrationSpec
from prefgen.store.finished import Lineage, finished
from prefgen.store.folder import RunFolder, file_errors, write_json
from prefgen.store.table import Table


def calibrate_tables(
    *, judgments: Table, items: pl.DataFrame, personas: pl.DataFrame, spec: CalibrationSpec, seed: int
) -> Calibration:
    """`calibrate` over the tables of a run.

    judgments    with their measures; read part by part
    items        item_id, options, and the column that names the survey's
    personas     with their attributes
    """
    survey = read_survey_rows(spec.survey)
    return calibrate(
        pl.concat(preferences(part) for part in judgments.frames()), personas, survey,
        questions=list(questions_of(items, survey, spec)), by=spec.columns, weight=spec.weight, seed=seed, least=spec.least,
    )  # fmt: skip


def questions_of(items: pl.DataFrame, survey: pl.DataFrame, spec: CalibrationSpec) -> Iterator[Question]:
    """The items that the survey asked too, with the answer that each option means."""
    if spec.column not in items.columns:
        raise UsageError(
            f"the items have no column {spec.column!r}", fix=f"`column:` may be one of {', '.join(items.columns)}"
        )
    met = False
    for row in items.select("item_id", "options", pl.col(spec.column).alias("_column")).iter_rows(named=True):
        if row["_column"] not in survey.columns:
            continue
        met = True
        if len(row["options"]) != len(spec.levels):
            raise UsageError(
                f"item {row['item_id']!r} has {len(row['options'])} options, `levels` has {len(spec.levels)}",
                fix="name one answer (or null) for each option",
            )
        options = tuple(
            (letter, level) for letter, level in zip(LETTERS, spec.level_names, strict=False) if level is not None
        )
        yield Question(row["item_id"], row["_column"], options, ordered=spec.ordered)
    if not met:
        raise UsageError(
            f"no item has a {spec.column!r} that is a column of {spec.survey.name}",
            fix=f"the survey has {', '.join(survey.columns[:30])}",
        )


def read_survey_rows(path: Path) -> pl.DataFrame:
    """The respondents of a survey; FileError when the file cannot be read."""
    try:
        return (
            pl.read_parquet(path) if path.suffix.lower() == ".parquet" else pl.read_csv(path, infer_schema_length=None)
        )
    except (OSError, pl.exceptions.PolarsError) as error:
        words = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise FileError(f"{path}: cannot be read: {words}", fix="give a CSV with a header, or Parquet") from None


def write_calibration(folder: RunFolder, spec: CalibrationSpec, manifest: Mapping[str, Any]) -> Calibration:
    """`calibrate_tables` over a run folder, written to RUN/calibration.json, where the report finds it.

    The weights that make the personas the survey's people go to RUN/calibration_weights.parquet: persona_id, weight,
    raked_weight.
    """
    calibration = calibrate_run(folder, spec, manifest)
    with file_errors(folder.path):
        calibration.weights.write_parquet(folder.path / "calibration_weights.parquet")
    said = {
        "fingerprint": manifest["fingerprint"],
        "judgments": spec.answers or Lineage.of_manifest(manifest).judgments,
    }
    write_json(folder.path / "calibration.json", calibration.to_json() | said)
    return calibration


def calibrate_run(folder: RunFolder, spec: CalibrationSpec, manifest: Mapping[str, Any]) -> Calibration:
    """`calibrate_tables` over a run folder, whose manifest need not be written yet."""
    judged = Lineage.of_manifest(manifest).of_grain("judgments")
    if spec.answers is not None and spec.answers not in judged:
        raise UsageError(
            f"the run has no step {spec.answers!r} with judgments",
            fix=f"`answers:` may be one of {', '.join(judged)}"
            if judged
            else "hold a run with a `judge` step against it",
        )
    run = finished(folder, manifest, step=spec.answers)
    if run.judgments is None or run.items is None or run.personas is None:
        raise UsageError(
            "the run has no judgments of personas on items", fix="hold a run with a `judge` step against it"
        )
    return calibrate_tables(
        judgments=run.judgments,
        items=run.items.read(),
        personas=run.personas.read(),
        spec=spec,
        seed=int(manifest["seed"]),
    )


def gate_rows(calibration: Calibration, spec: CalibrationSpec) -> list[dict[str, Any]]:
    """The gates of a calibration, as the manifest lists gates; none where the spec asks for nothing."""
    figures = calibration.figures()
    excess, gain = figures["excess"], figures["gain"]
    rows = []
    if spec.max_excess is not None:
        rows.append(
            {
                "step": "calibration",
                "gate": "max_excess",
                "wanted": spec.max_excess,
                "found": excess,
                "passed": excess is not None and excess <= spec.max_excess,
            }
        )
    if spec.min_gain is not None:
        rows.append(
            {
                "step": "calibration",
                "gate": "min_gain",
                "wanted": spec.min_gain,
                "found": gain,
                "passed": gain is not None and gain >= spec.min_gain,
            }
        )
    return rows


def in_one_line(calibration: Calibration) -> str:
    """What was found, for the screen of a run."""
    figures = calibration.figures()
    gain = figures["gain"]
    beside = "" if gain is None else f", gain {gain:.2f} over the survey as a whole"
    return f"calibration: total variation {figures['total_variation']:.3f} between personas and people of their kind, noise {figures['noise']:.3f}{beside}"


def lines(calibration: Calibration) -> Iterator[str]:
    """The calibration as text for people: each source against each way to make subgroups, then each subgroup."""
    yield f"{'attribute':14} {'source':16} {'total var.':>10} {'noise':>7} {'JS bits':>8} {'rank':>6} {'gain':>6}"
    for row in calibration.summary.sort("attribute", "total_variation").iter_rows(named=True):
        yield (
            f"{row['attribute']:14} {row['source']:16} {row['total_variation']:10.3f} {row['noise_total_variation']:7.3f} "
            f"{row['jensen_shannon']:8.3f} {_number(row['rank_distance'])} {_number(row['gain'])}"
        )
    yield ""
    yield f"{'attribute':14} {'level':16} {'people':>6} {'personas':>8} {'total var.':>10} {'noise':>7}"
    groups = calibration.cells.filter(pl.col("source") == PERSONAS, pl.col("attribute") != EVERYBODY)
    means = groups.group_by("attribute", "level", maintain_order=True).agg(
        pl.col("n_survey", "n_personas").max(), pl.col("total_variation", "noise_total_variation").mean()
    )
    for row in means.iter_rows(named=True):
        yield f"{row['attribute']:14} {row['level']:16} {row['n_survey']:6} {row['n_personas']:8} {row['total_variation']:10.3f} {row['noise_total_variation']:7.3f}"
    told = calibration.poststratification()
    if told["reweighted"] is not None:
        yield ""
        yield (
            f"raked to the survey's marginals, {told['personas']} personas are worth {told['effective_n']:.0f} (largest weight {told['largest']:.2f}), "
            f"and everybody together is {told['reweighted']:.3f} from the survey instead of {told['total_variation']:.3f}"
        )
    yield from calibration.notes


def _number(value: float | None) -> str:
    return f"{'-':>6}" if value is None else f"{value:6.2f}"
