"""The run folder: tables are there whole or not at all, and one run at a time works in it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from prefgen.errors import FileError, NotFinished
from prefgen.store.files import write_aside, write_json
from prefgen.store.folder import RunFolder
from prefgen.store.seal import sealed
from tests.analysis.planted import manifest_of, plant

TOLD: dict[str, Any] = {
    "name": "t",
    "kind": "table",
    "grain": "items",
    "model": None,
    "rows_in": 0,
    "rows": 3,
    "kept": 3,
    "dropped": {},
    "seconds": 0.1,
    "summary": {},
}


def frames(n: int, *, breaks: bool = False) -> Iterator[pl.DataFrame]:
    for number in range(n):
        yield pl.DataFrame({"n": [number]})
    if breaks:
        raise RuntimeError("the power went")


def test_a_table_comes_back_in_order_with_its_account(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.tables.write("t", frames(3), fingerprint="f", account=lambda _: TOLD)
    assert folder.table("t").read()["n"].to_list() == [0, 1, 2]
    assert folder.tables.account("t", fingerprint="f") == TOLD
    assert folder.tables.account("t", fingerprint="another") is None


def test_a_table_that_broke_half_way_is_not_there_and_the_old_one_stays(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with pytest.raises(RuntimeError):
        folder.tables.write("t", frames(2, breaks=True), fingerprint="f", account=lambda _: {})
    assert folder.tables.account("t", fingerprint="f") is None
    folder.tables.write("t", frames(2), fingerprint="f", account=lambda _: {})
    with pytest.raises(RuntimeError):
        folder.tables.write("t", frames(5, breaks=True), fingerprint="g", account=lambda _: {})
    assert folder.table("t").n_rows == 2


def test_two_runs_never_share_a_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.locked(), pytest.raises(NotFinished, match="another run"), RunFolder(tmp_path).locked():
        pass
    with folder.locked():
        pass


def test_a_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for content in (None, b"{", b"[]", b'{"format": 99}'):
        if content is not None:
            folder.manifest_path.write_bytes(content)
        with pytest.raises(FileError, match=r"manifest\.json"):
            folder.read_manifest()


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1})
    assert (tmp_path / "a.json").read_text() == '{\n  "b": 1\n}\n'
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileError, match="file"):
        write_aside(tmp_path / "file" / "below", b"x")
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".aside")] == []


def test_a_file_that_cannot_be_written_leaves_no_half_behind(tmp_path: Path) -> None:
    (tmp_path / "a.json" / "below").mkdir(parents=True)
    with pytest.raises(FileError, match=r"a\.json"):
        write_aside(tmp_path / "a.json", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


MISSING = [
    "seed",
    "seconds",
    "steps.0.kept",
    "steps.0.seconds",
    "steps.0.model",
    "configs.0.preset",
    "configs.0.steps",
    "files.0.rows",
    "publish.license",
    "publish.shard_mb",
]
RETYPED = {
    "steps.0.reads": [["items"]],
    "steps.0.notes": [3],
    "steps.0.requests": {"planned": "many"},
    "steps.0.dropped": {"x": -1},
    "steps.0.name": "../x",
    "configs.0.splits": {"train": None},
    "models.judge": None,
    "models.judge.model": [],
    "publish.tags": "x",
    "seed": 2**63,
    "steps.0.cost_usd": "free",
}


@pytest.mark.parametrize(("key", "value"), [*((key, ...) for key in MISSING), *RETYPED.items()])
def test_a_manifest_without_a_key_or_with_another_value_for_it_is_a_sentence(
    tmp_path: Path, key: str, value: object
) -> None:
    manifest = manifest_of(plant(), plant().judgments, name="x")
    write_json(tmp_path / "manifest.json", manifest)
    assert RunFolder(tmp_path).read_manifest() == orjson.loads(orjson.dumps(manifest))
    *above, last = key.split(".")
    place: Any = manifest
    for name in above:
        place = place[int(name) if name.isdigit() else name]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    write_json(tmp_path / "manifest.json", manifest)
    with pytest.raises(FileError, match=r"damaged: .*\n  fix: run the pipeline again"):
        RunFolder(tmp_path).read_manifest()


def test_a_record_beside_a_table_that_is_none_is_no_table(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.tables.write("t", frames(2), fingerprint="f", account=lambda _: {})
    for parts in (3, [3], [{"name": "part-00000.parquet"}], None):
        (folder.tables.path / "t" / "done.json").write_bytes(
            orjson.dumps(sealed({"fingerprint": "f", "rows": 2, "account": {}, "parts": parts}))
        )
        with pytest.raises(FileError, match="there is no finished table"):
            folder.table("t")
