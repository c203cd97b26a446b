"""Parquet files of respondents, of tables and of surveys: right, or one sentence; never a traceback."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pytest
import yaml

from prefgen.analysis.calibration import calibrate_run, gate_rows, lines
from prefgen.spec.calibration import read_calibration
from prefgen.store.folder import RunFolder
from tests.faults.pipelines import write_pipeline
from tests.fuzz.ending import told, wrong_in, wrong_with
from tests.fuzz.parquets import changed, parquet

FIT = {"microdata": {"file": "rows.parquet", "columns": ["age", "vote"], "weight": "w", "missing": "drop"}}
TABLE = {
    "attributes": {"age": ["young", "old"], "vote": ["left", "right"]},
    "tables": [{"of": ["age", "vote"], "file": "rows.parquet"}],
}
PEOPLE = """\
population: town
source: made up
attributes: {age: {young: 0.5, old: 0.5}, vote: {left: 0.4, right: 0.6}, number: {uniform: {min: 1, max: 999999999}}}
text: "You are {{ age }}, number {{ number }}, and vote {{ vote }}."
"""
CHUNKS = 4


def respondents(n: int = 120) -> pa.Table:
    rng = np.random.default_rng(3)
    said = {f"item-{k:05d}": rng.choice(["yes", "no"], n).tolist() for k in range(3)}
    age, vote = rng.choice(["young", "old"], n).tolist(), rng.choice(["left", "right", "none"], n).tolist()
    return pa.table({"age": age, "vote": vote, "w": rng.random(n) + 0.5, **said})


def shares() -> pa.Table:
    levels = [(age, vote) for age in ("young", "old") for vote in ("left", "right")]
    ages, votes = zip(*levels, strict=True)
    return pa.table({"age": list(ages), "vote": list(votes), "share": [0.1, 0.2, 0.3, 0.4]})


def people(folder: Path, keys: dict[str, object]) -> Path:
    path = folder / "people.yaml"
    said = {"population": "town", "source": "made up", "text": "You are {{ age }} and vote {{ vote }}.", **keys}
    path.write_text(yaml.safe_dump(said, sort_keys=False))
    return path


@pytest.mark.parametrize("kind", ["respondents", "tables"])
@pytest.mark.parametrize(
    "numbers", [range(10), *(pytest.param(range(k, 500, CHUNKS), marks=pytest.mark.slow) for k in range(CHUNKS))]
)
def test_no_parquet_file_of_people_ends_in_a_traceback(folder: Path, kind: str, numbers: range) -> None:
    whole, keys = (respondents(), FIT) if kind == "respondents" else (shares(), TABLE)
    spec, found = people(folder, keys), {}
    (folder / "rows.parquet").write_bytes(parquet(whole))
    assert wrong_with("check", spec, folder=folder, codes=(0,)) is None
    for number in numbers:
        (folder / "rows.parquet").write_bytes(changed(whole, random.Random(f"{kind} {number}")))
        for words in (["check", spec], ["personas", spec, "--n", 5, "--out", folder / "out.parquet"]):
            if (wrong := wrong_with(*words, folder=folder)) is not None:
                found.setdefault(f"{words[0]}: {wrong}", []).append(number)
    assert not found, told(found)


@pytest.mark.parametrize(
    "numbers", [range(12), *(pytest.param(range(k, 300, CHUNKS), marks=pytest.mark.slow) for k in range(CHUNKS))]
)
def test_no_survey_ends_a_calibration_in_a_traceback(folder: Path, endpoint, numbers: range) -> None:
    path = write_pipeline(folder, endpoint().base_url, personas=8, items=3)
    (folder / "people.yaml").write_text(PEOPLE)
    assert wrong_with("run", path, "--out", folder / "run", "--no-report", codes=(0,)) is None
    said = {"survey": "rows.parquet", "by": ["age", "vote"], "levels": ["yes", "no"], "weight": "w", "least": 5}
    (folder / "survey.yaml").write_text(yaml.safe_dump(said))
    whole, found = respondents(), {}
    for number in (None, *numbers):
        content = parquet(whole) if number is None else changed(whole, random.Random(f"survey {number}"))
        (folder / "rows.parquet").write_bytes(content)
        if (wrong := wrong_in(lambda: held_against(folder), codes=(0,) if number is None else (0, 2, 4))) is not None:
            found.setdefault(wrong, []).append(number)
    assert not found, told(found)


def held_against(folder: Path) -> None:
    """What `prefgen calibrate` does before it writes files."""
    run = RunFolder(folder / "run")
    calibration = calibrate_run(run, read_calibration(folder / "survey.yaml"), run.read_manifest())
    orjson.dumps(calibration.to_json())
    assert [*lines(calibration)]
    gate_rows(calibration, read_calibration(folder / "survey.yaml"))
