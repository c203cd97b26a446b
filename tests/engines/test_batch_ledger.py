"""What is kept between two calls of a batch run: when it is damaged it is told or brought anew, and nothing is bought again."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import pytest

from prefgen.engines.batch_ledger import Ledger
from prefgen.errors import FileError
from tests.faults.pipelines import judgments, run
from tests.fuzz.test_batch_folders import at_stage


def kept(folder: Path, pattern: str) -> Path:
    return next(iter(sorted((folder / "stage" / "batches").glob(f"*/{pattern}"))))


def test_results_that_are_damaged_are_brought_home_again_and_not_bought_again(folder: Path) -> None:
    with at_stage("collected", folder) as (path, served, _):
        output = kept(folder, "00000.output.jsonl")
        output.write_bytes(output.read_bytes()[:-900])
        for file in (folder / "stage").glob("responses.sqlite*"):
            file.unlink()
        served.endpoint.desk.advance()
        assert run(path, folder / "stage").code == 0
        assert set(judgments(folder / "stage")["status"]) == {"ok"}
        found = served.log()["batch"]
    assert (found["rows"], found["twice"]) == ([8, 8, 4], 0)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("00000.ids", b"req-1\n", "00000.ids: cannot tell which requests are in a batch: damaged, or changed by hand"),
        ("00000.ids", None, "00000.ids: cannot tell which requests are in a batch: No such file"),
        (
            "ledger.json",
            None,
            "ledger.json: not a ledger of batches (it is gone, and 00000.ids beside it is of a batch)",
        ),
        ("ledger.json", b"{}", "ledger.json: not a ledger of batches (format is missing)"),
    ],
)
def test_what_tells_who_was_asked_is_missed_before_anything_is_bought_again(
    folder: Path, name: str, content: bytes | None, words: str
) -> None:
    with at_stage("submitted", folder) as (path, served, _):
        file = kept(folder, name)
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        ran = run(path, folder / "stage")
        assert ran.code == 4
        assert f"{file.parent.name}/{words}" in ran.err
        assert "fix: restore it from a copy" in ran.err
        assert served.log()["batch"]["rows"] == [8, 8, 4]
        shutil.rmtree(file.parent)  # as the fix says, for those who have no copy
        assert run(path, folder / "stage").code == 75


def test_rows_that_were_never_handed_over_and_are_damaged_are_written_anew(folder: Path) -> None:
    with at_stage("written", folder) as (path, served, _):
        rows = kept(folder, "00000.rows.jsonl")
        rows.write_bytes(rows.read_bytes()[:-50])
        served.follow({"batch": {"polls": 1}})
        codes = [run(path, folder / "stage").code for _ in range(3)]
        assert codes[0] == 75
        assert codes[-1] == 0
        assert served.log()["batch"]["twice"] == 0


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("began", 9e9, "began is 9000000000.0, which is still to come"),
        ("gave_up", [], "gave_up is [], not a mapping"),
        ("chunks", [{}], "chunks[0].number is missing"),
        ("most_active", 0, "most_active is 0, not "),
        ("run", "x", "chunks[0] is of number 0 and key "),
    ],
)
def test_a_ledger_of_odd_values_is_told_with_its_key(
    folder: Path, tmp_path: Path, key: str, value: object, words: str
) -> None:
    with at_stage("submitted", folder):
        path = kept(folder, "ledger.json")
    said = {name: one for name, one in orjson.loads(path.read_bytes()).items() if name != "seal"}  # as before seals
    path.write_bytes(orjson.dumps(said))
    assert Ledger.open(path.parent).chunks
    path.write_bytes(orjson.dumps(said | {key: value}))
    with pytest.raises(FileError) as caught:
        Ledger.open(path.parent)
    assert words in str(caught.value)
