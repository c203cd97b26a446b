"""audit.json: what a run's draws were found to be, listed with its hash like every other file."""

from __future__ import annotations

import orjson
import yaml

from prefgen.flow.pipeline import load
from prefgen.flow.run import run
from prefgen.ids import file_sha256
from prefgen.store.folder import RunFolder
from prefgen.store.manifest import write_audit
from tests.personas.specs import VOTES, population
from tests.test_run import Nobody


def test_a_run_leaves_the_audit_of_its_draws_beside_the_manifest(tmp_path):
    population(tmp_path, attributes={"vote": VOTES, "sex": {"woman": 0.5, "man": 0.5}})
    steps = {"here": {"draw": "people.yaml", "n": 40}, "there": {"draw": "people.yaml", "n": 60, "seed": 5}}
    path = tmp_path / "pipeline.yaml"
    publish = {"exports": [{"personas": {"from": "here"}}]}
    path.write_text(yaml.safe_dump({"name": "drawn", "seed": 1, "steps": steps, "publish": publish}))
    manifest = run(load(path), tmp_path / "out", Nobody(), report=False).manifest
    audit = tmp_path / "out" / "audit.json"
    listed = {entry["path"]: entry["sha256"] for entry in manifest["files"]}
    assert listed["audit.json"] == file_sha256(audit)
    draws = orjson.loads(audit.read_bytes())["draws"]
    assert [(one["step"], one["n"], [row["table"] for row in one["audit"]]) for one in draws] == [
        ("here", 40, ["sex", "vote"]),
        ("there", 60, ["sex", "vote"]),
    ]


def test_a_run_that_draws_nobody_has_none(tmp_path):
    folder = RunFolder(tmp_path)
    folder.audit_path.write_text("{}")
    assert write_audit(folder, [{"name": "items", "kind": "table", "summary": {}}]) == []
    assert not folder.audit_path.exists()
