"""People in a file: whole or not at all, in the format its name says."""

from __future__ import annotations

import orjson
import polars as pl
import pytest

from prefgen.errors import FileError, UsageError
from prefgen.personas.draw import draw
from prefgen.personas.write import write_personas
from tests.personas.specs import VOTES, population

READ = {"parquet": pl.read_parquet, "csv": pl.read_csv, "jsonl": pl.read_ndjson}


@pytest.mark.parametrize("suffix", READ)
def test_people_are_written_as_they_are_drawn(tmp_path, suffix):
    spec = population(tmp_path, attributes={"vote": VOTES})
    out = tmp_path / "deep" / f"people.{suffix}"
    audit = write_personas(spec.document.path, n=50, seed=3, out=out).audit
    assert audit.n == 50
    people = READ[suffix](out)
    wanted = draw(spec, n=50, seed=3)
    for name in ("persona_id", "vote", "weight", "text"):
        assert people[name].to_list() == wanted[name].to_list()
    assert {path.name for path in out.parent.iterdir()} == {out.name, "people.audit.json"}
    assert orjson.loads((out.parent / "people.audit.json").read_bytes())["audit"][0]["table"] == "vote"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("a/../b.csv", "leads out of its folder"),
        ("people.xlsx", "cannot be written as '.xlsx'"),
        ("people", "cannot be written as ''"),
    ],
)
def test_a_name_that_cannot_be_written_is_refused_before_anything_is_drawn(tmp_path, name, sentence):
    with pytest.raises(UsageError, match=sentence):
        write_personas(tmp_path / "nowhere.yaml", n=1, seed=1, out=tmp_path / name)


def test_a_folder_that_is_a_file_is_a_file_error(tmp_path):
    spec = population(tmp_path, attributes={"vote": VOTES})
    with pytest.raises(FileError, match="cannot be written"):
        write_personas(spec.document.path, n=1, seed=1, out=spec.document.path / "people.csv")
