"""A finished run held against a survey: its tables read, the findings written, the gates told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from prefgen.analysis.calibrate import Calibration, calibrate
from prefgen.analysis.figures import Found
from prefgen.analysis.survey import Question
from prefgen.errors import Complaint, FileError, SpecError, UsageError
from prefgen.judging.aggregate import preferences
from prefgen.personas.levels import number_fix, number_of, texts_of, without_missing
from prefgen.schemas import LETTERS
from prefgen.spec.calibration import CalibrationSpec
from prefgen.store.delimited import read_delimited
from prefgen.store.files import file_errors
from prefgen.store.finished import Lineage, finished
from prefgen.store.folder import RunFolder, write_of_run
from prefgen.store.rows import read_parquet
from prefgen.store.table import Table


def calibrate_tables(
    *, judgments: Table, items: pl.DataFrame, personas: pl.DataFrame, spec: CalibrationSpec, seed: int
) -> Calibration:
    """`calibrate` over the tables of a run.

    judgments    with their measures; read part by part
    items        item_id, options, and the column that names the survey's
    personas     with their attributes
    """
    survey = read_survey_rows(spec.survey, spec.weight)
    answers = pl.concat(preferences(part) for part in judgments.frames())
    kept = answers.filter(pl.col("reject_reason").is_null())
    found = calibrate(
        kept,
        personas,
        survey,
        questions=list(questions_of(items, survey, spec)),
        by=spec.columns,
        weight=spec.weight,
        seed=seed,
        least=spec.least,
    )
    read, left = (len(rows) - rows["p_choice"].null_count() for rows in (answers, kept))
    if read == left:
        return found
    filtered = (
        f"held against it are the {left:,} answers that filters kept, of {read:,}: what filters drop is not a random "
        "part (name the judge step under `answers:` to hold all of them against the survey)"
    )
    return replace(found, notes=(filtered, *found.notes))


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


def read_survey_rows(path: Path, weight: str | None = None) -> pl.DataFrame:
    """The respondents of a survey; FileError or SpecError when the file cannot be read.

    Columns of a CSV are text as written, as the levels of personas are, with null for a missing value; only those of
    `weight` are numbers.
    """
    if path.suffix.lower() == ".parquet":
        try:
            return read_parquet(path)
        except ValueError as error:
            raise FileError(f"{path}: cannot be read: {error}", fix="give a CSV with a header, or Parquet") from None
    read = read_delimited(path)
    frame = read.frame.select(without_missing(texts_of(column)) for column in read.frame)
    if weight not in frame.columns:
        return frame
    numbers = {text: number_of(text) for text in frame[weight].unique().drop_nulls()}
    for line, text in zip(read.lines, frame[weight], strict=True):
        if text is not None and numbers[text] is None:
            raise SpecError(Complaint(str(path), int(line), weight, f"{text!r} is no number", number_fix(text)))
    return frame.with_columns(frame[weight].replace_strict(numbers, return_dtype=pl.Float64))


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
    write_of_run(folder.calibration_path, calibration.to_json() | said)
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
    """The gates of a calibration, as the manifest lists gates; none where the spec asks for nothing.

    A gate is missed where chance does not explain it: the distance lies above the floor's band by more than `max_excess`,
    the whole interval of the gain below `min_gain`, the spread below `min_spread` and below that of real
    respondents. So real people pass. A figure that cannot be told misses its gate.
    """
    found = calibration.found
    excess, gain, spread = found.excess.value, found.gain.value, found.spread
    surely = {
        "max_excess": _difference(found.total_variation.value, found.floor.high),
        "min_gain": gain if found.gain.high is None else found.gain.high,
        "min_spread": None if spread is None else max(spread, 1.0) if _like_people(found) else spread,
    }
    rows = []
    for gate, value in (("max_excess", excess), ("min_gain", gain), ("min_spread", spread)):
        wanted, sure = getattr(spec, gate), surely[gate]
        if wanted is not None:
            passed = sure is not None and (sure <= wanted if gate == "max_excess" else sure >= wanted)
            rows.append({"step": "calibration", "gate": gate, "wanted": wanted, "found": value, "passed": passed})
    return rows


def untold_gates(spec: CalibrationSpec) -> list[dict[str, Any]]:
    """The gates of a calibration where nothing could be compared: all missed, and nothing found."""
    asked = {gate: getattr(spec, gate) for gate in ("max_excess", "min_gain", "min_spread")}
    return [
        {"step": "calibration", "gate": gate, "wanted": wanted, "found": None, "passed": False}
        for gate, wanted in asked.items()
        if wanted is not None
    ]


def _like_people(found: Found) -> bool:
    low = found.spread_floor.low
    return found.spread is not None and (low is None or found.spread >= low)


def _difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def in_one_line(calibration: Calibration) -> str:
    """What was found, for the screen of a run."""
    return f"calibration: {'. '.join(calibration.figures()['said'])}"


def lines(calibration: Calibration) -> Iterator[str]:
    """The calibration as text for people: each source against each way to make subgroups, then each subgroup."""
    yield f"{'attribute':14} {'source':16} {'total var.':>10} {'real people':>19} {'of shares':>9} {'JS bits':>8} {'rank':>6} {'gain':>7}"
    for row in calibration.summary.sort("attribute", "total_variation").iter_rows(named=True):
        yield (
            f"{row['attribute']:14} {row['source']:16} {row['total_variation']:10.3f} {_floor(row)} {row['share_distance']:9.3f} "
            f"{row['jensen_shannon']:8.3f} {_number(row['rank_distance'], 6)} {_number(row['gain'], 7)}"
        )
    yield ""
    yield f"{'attribute':14} {'level':16} {'people':>6} {'personas':>8} {'total var.':>10} {'real people':>19} {'differ':>6} {'real':>5}"
    for row in calibration.subgroups.iter_rows(named=True):
        yield (
            f"{row['attribute']:14} {row['level']:16} {row['n_survey']:6} {row['n_personas']:8} {row['total_variation']:10.3f} "
            f"{_floor(row)} {_number(row['spread'], 6)} {_number(row['survey_spread'], 5)}"
        )
    yield ""
    yield from calibration.figures()["said"]
    told = calibration.poststratification()
    if told["reweighted"] is not None:
        yield (
            f"raked to the survey's marginals, {told['personas']} personas are worth {told['effective_n']:.0f} (largest weight {told['largest']:.2f}), "
            f"and the shares of everybody together are {told['reweighted']:.3f} from the survey's instead of {told['share_distance']:.3f}"
        )
    yield from calibration.notes


def _floor(row: Mapping[str, Any]) -> str:
    return f"{row['floor_total_variation']:.3f} ({row['floor_low']:.3f}-{row['floor_high']:.3f})".rjust(19)


def _number(value: float | None, width: int) -> str:
    return "-".rjust(width) if value is None else f"{value:{width}.2f}"
