"""A pipeline that names the survey it is held against: judged, calibrated and gated by one command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest

from prefgen.errors import GateError
from prefgen.flow.pipeline import load
from prefgen.flow.run import run
from tests.faults.pipelines import write_pipeline
from tests.test_run import Nobody


class Listener(Nobody):
    """A reporter who keeps what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def says(self, sentence: str) -> None:
        self.said.append(sentence)


def test_a_run_is_held_against_its_survey_and_leaves_by_the_gate(folder: Path, endpoint) -> None:
    path = write_pipeline(folder, endpoint().base_url, personas=8, items=4)
    first = run(load(path), folder / "first", Nobody(), report=False)
    items = first.folder.table("items").read()
    rng = np.random.default_rng(0)
    said = {item: rng.choice(["yes", "no"], 400) for item in items["item_id"]}
    vote = rng.choice(["left", "right", "none"], 400)
    pl.DataFrame({"vote": vote, **said}).write_parquet(folder / "survey.parquet")
    spec = {"survey": "survey.parquet", "by": ["vote"], "levels": ["yes", "no"], "max_excess": -1}
    (folder / "survey.yaml").write_bytes(orjson.dumps(spec))
    listener = Listener()
    with pytest.raises(GateError, match=r"calibration\.max_excess: found .*, wanted -1"):
        run(load(path, ["calibrate=survey.yaml"]), folder / "out", listener, report=False)
    assert any(line.startswith("calibration: With one answer each, personas are ") for line in listener.said)
    manifest = orjson.loads((folder / "out" / "manifest.json").read_bytes())
    assert [(gate["step"], gate["passed"]) for gate in manifest["gates"]] == [("calibration", False)]
