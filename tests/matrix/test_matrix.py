"""Every documented key and value in a small run to its end: what `check` passes, `run` can do.

Each cell changes one key of one pipeline; the slow test combines them at random. That no key and no value is left out
is held by `test_complete.py`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prefgen.engines.weights import default_weights
from prefgen.publish.hub import push_run
from tests.matrix import engines
from tests.matrix.cells import variants
from tests.matrix.engines import COMMIT, HUB, Cell
from tests.matrix.language import language
from tests.matrix.making import finished, write_files, written
from tests.matrix.populations import populations
from tests.publish import made
from tests.servers.hub import Hub
from tests.servers.running import thread

SINGLE = dict(variants()) | dict(populations())
BATCHES, HOLDS, REPLAYS = dict(engines.batches()), dict(engines.holds()), dict(engines.replays())
MISSED = ("held against a survey, all keys", "held against a survey, nothing kept")
REFUSED = ("items that are none", "a survey about other things")


@pytest.fixture(scope="module")
def folder_of_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("matrix")
    write_files(folder)
    return folder


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with thread() as served:
        yield served.base_url


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_OF_THE_MATRIX", "sk-matrix")


def expected(name: str) -> str:
    return "refused" if name in REFUSED else "missed" if name in MISSED else "made"


@pytest.mark.slow
@pytest.mark.parametrize("name", SINGLE)
def test_every_key_and_value_runs_to_the_end(name: str, folder_of_files: Path, address: str, tmp_path: Path) -> None:
    path = written(folder_of_files, SINGLE[name], address=address)
    found, _ = finished(path, tmp_path / "out", report=sum(name.encode()) % 4 == 0)
    assert found.partition(":")[0] == expected(name), found


@pytest.mark.slow
@pytest.mark.parametrize("number", range(80))
def test_what_check_passes_run_can_do(number: int, folder_of_files: Path, address: str, tmp_path: Path) -> None:
    drawn = random.Random(number)
    change: dict[str, Any] = {}
    for name in drawn.sample(sorted({*SINGLE} - {*dict(language())}), 5):
        change |= SINGLE[name]
    finished(written(folder_of_files, change, address=address), tmp_path / "out")


def made_at(cell: Cell, files: Path, out: Path) -> int:
    """How often a cell had to be called until it was made, at a server of its own."""
    key = {"key": "sk-matrix"} if "KEY_OF_THE_MATRIX" in str(cell.change) else {}
    with thread({"personality": cell.personality, "batch": {"polls": 1}, **key}) as served:
        found, calls = finished(written(files, cell.change, address=served.base_url), out)
        log = served.log()
    assert found == "made", found
    assert log["twice"] == log["batch"]["twice"] == 0
    return calls


@pytest.mark.slow
@pytest.mark.parametrize("name", BATCHES)
def test_every_key_of_a_batch_is_submitted_left_and_collected(name: str, folder_of_files: Path, tmp_path: Path) -> None:
    assert made_at(BATCHES[name], folder_of_files, tmp_path / "out") > 1


@pytest.mark.slow
@pytest.mark.parametrize("name", HOLDS)
def test_every_way_of_holding_an_answer_runs_to_the_end(name: str, folder_of_files: Path, tmp_path: Path) -> None:
    assert made_at(HOLDS[name], folder_of_files, tmp_path / "out") == 1


@pytest.mark.slow
def test_stored_answers_make_every_run_again(folder_of_files: Path, address: str, tmp_path: Path) -> None:
    for name, cell in REPLAYS.items():
        asked = {key: value for key, value in cell.change["models.m"].items() if key != "responses"}
        path = written(folder_of_files, {"models.m": asked | {"engine": "openai"}}, address=address)
        assert finished(path, tmp_path / name / "asked")[0] == "made"
        path = written(folder_of_files, cell.change, address=address, here=tmp_path / name / "asked")
        assert finished(path, tmp_path / name / "again")[0] == "made"
        first, again = (sorted((tmp_path / name / one / "data").rglob("*.parquet")) for one in ("asked", "again"))
        assert [one.read_bytes() for one in first] == [one.read_bytes() for one in again]


@pytest.mark.model
@pytest.mark.parametrize("name", EMBEDDED := dict(engines.embedded()))
def test_every_key_of_the_embedded_model_runs_to_the_end(name: str, folder_of_files: Path, tmp_path: Path) -> None:
    path = written(folder_of_files, EMBEDDED[name].change, address="", here=default_weights())
    assert finished(path, tmp_path / "out") == ("made", 1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes")  # of the client itself
def test_every_key_of_items_from_the_hub_runs_to_the_end(
    served: Hub, folder_of_files: Path, address: str, tmp_path: Path
) -> None:
    push_run(made.run_in(tmp_path / "town").path, HUB)
    commit = served.repos[HUB].heads["main"]
    for number, (name, cell) in enumerate(engines.from_hub()):
        path = written(folder_of_files, cell.change, address=address)
        path.write_text(path.read_text().replace(COMMIT, commit))
        assert finished(path, tmp_path / str(number)) == ("made", 1), name
