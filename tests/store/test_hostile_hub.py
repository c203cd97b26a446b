"""A Hub that answers what no Hub answers: a sentence and exit 4, in bounded time and memory, and nothing outside of the folder."""

from __future__ import annotations

import json
import random
import resource
import subprocess
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from prefgen.cli import app
from prefgen.cli.ending import _code_of
from prefgen.errors import FileError
from prefgen.publish.hub import push_run
from prefgen.store.hub_rows import hub_rows
from prefgen.store.remote import connect, who_am_i
from tests.faults.pipelines import COMMAND
from tests.faults.test_damaged import mutated
from tests.publish import made
from tests.servers.hub import Hub
from tests.servers.hub_repos import Repo, Stored

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes")

NAME = "user/town"
INFO = r"GET /api/datasets/user/town(/revision/\w+)?$"
RIGHT: dict[str, Any] = {
    "_id": "0",
    "id": NAME,
    "sha": "a" * 40,
    "private": False,
    "gated": False,
    "disabled": False,
    "downloads": 0,
    "likes": 0,
    "tags": [],
    "siblings": [{"rfilename": "a.jsonl", "size": 9, "blobId": "b" * 40}],
}


def prefgen(*words: object) -> int:
    """The exit code of a command; 1 is a traceback."""
    return _code_of(lambda: app([*map(str, words)], standalone_mode=False))


def pipeline(folder: Path) -> Path:
    path = folder / "p.yaml"
    steps = {"items": {"table": {"hub": NAME}}}
    path.write_text(yaml.safe_dump({"name": "again", "steps": steps, "publish": {"exports": ["items"]}}))
    return path


@pytest.fixture
def town(served: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    served.repos[NAME] = Repo(private=False)
    served.repos[NAME].add("main", {"a.jsonl": Stored(b'{"x": 1}\n', False)}, "by hand")
    return served


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in RIGHT.items() if name != key}


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b"3",
        b"{" * 100_000,
        b"[" * 100_000,
        b"\x00" * 10,
        b'{"sha": NaN}',
        without("id"),
        without("sha"),
        without("siblings"),
        RIGHT | {"sha": None},
        RIGHT | {"sha": "main"},
        RIGHT | {"sha": ["a" * 40]},
        RIGHT | {"siblings": 3},
        RIGHT | {"siblings": [3]},
        RIGHT | {"siblings": [{}]},
        RIGHT | {"siblings": [{"rfilename": None}]},
        RIGHT | {"siblings": [{"rfilename": 3, "size": 1}]},
        RIGHT | {"siblings": [{"rfilename": "../../../tmp/x.jsonl", "size": 9, "blobId": "b"}]},
        RIGHT | {"siblings": [{"rfilename": "/tmp/x.jsonl", "size": 9, "blobId": "b"}]},
        RIGHT | {"siblings": [{"rfilename": "a\\..\\..\\x.jsonl", "size": 9, "blobId": "b"}]},
        RIGHT | {"siblings": [{"rfilename": "\x1b[31m.jsonl", "size": "many", "blobId": "b"}]},
        RIGHT | {"siblings": [{"rfilename": "a.jsonl", "size": 2**70, "blobId": "b"}]},
        RIGHT | {"siblings": [{"rfilename": "a.jsonl", "lfs": 3}]},
    ],
    ids=lambda said: repr(said)[:40],
)
def test_an_odd_list_of_files_is_one_sentence(
    town: Hub, folder: Path, said: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(folder.rglob("*"))
    path = pipeline(folder)
    town.says[INFO] = said
    assert prefgen("check", path) == 4
    assert prefgen("pull", NAME, "--out", folder / "out") == 4
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    assert "\x1b[31m" not in printed.err + printed.out
    assert {one for one in folder.rglob("*") if "home" not in str(one)} - before <= {path}


@pytest.mark.parametrize(
    "content",
    [b"", b"PAR1", b"PAR1" + b"\xff" * 200 + b"PAR1", b"\x00" * 100, b"{}"],
)
@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "csv"])
def test_junk_in_a_file_is_one_sentence(town: Hub, content: bytes, suffix: str) -> None:
    commit = town.repos[NAME].add("main", {f"a.{suffix}": Stored(content, False)}, "junk").oid
    try:
        rows = hub_rows(NAME, commit=commit, config=None, split=None)
    except FileError as error:
        assert "prefgen-hub-" not in str(error)
        assert error.fix
    else:
        assert suffix != "parquet"
        assert rows.height <= 1


@pytest.mark.parametrize("endless", [INFO, "README.md", "a.jsonl", "manifest.json"])
def test_an_answer_without_end_is_cut(town: Hub, folder: Path, endless: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"README.md": b"# x\n", "a.jsonl": b'{"x": 1}\n', "manifest.json": b"{}"}
    town.repos[NAME].add("main", {path: Stored(content, False) for path, content in files.items()}, "by hand")
    town.endless = f"GET .*{endless}" if endless != INFO else INFO
    command = [COMMAND, *(["pull", NAME] if endless == "manifest.json" else ["check", str(pipeline(folder))])]
    begun = time.monotonic()
    found = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30)),
    )
    assert found.returncode == 4, found.stderr
    assert "sends more than the" in found.stderr
    assert "Traceback" not in found.stderr
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize(
    "said",
    [b"", b"null", b"[]", b"3", {}, {"name": None}, {"name": "\x1b[2J", "auth": 3}, {"auth": {"accessToken": []}}],
)
def test_an_odd_answer_about_the_token_is_one_sentence(town: Hub, said: Any) -> None:
    town.says["whoami"] = said
    try:
        assert "\x1b" not in who_am_i()
    except FileError as error:
        assert error.fix


def test_what_a_server_says_in_an_error_cannot_steer_the_terminal(town: Hub) -> None:
    remote = connect(NAME)
    said = remote._masked("\x1b]0;owned\x07 \x9b31m")
    assert said.isprintable()
    assert "owned" in said


def test_a_published_manifest_that_was_changed_is_one_sentence_or_right(
    served: Hub, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = made.run_in(folder / "made")
    push_run(run.path, NAME)
    repo = served.repos[NAME]
    head = repo.at("main")
    assert head is not None
    manifest = orjson.loads(head.files["manifest.json"].content)
    for seed in range(40):
        content = json.dumps(mutated(manifest, random.Random(seed))).encode()
        repo.add("main", {**head.files, "manifest.json": Stored(content, False)}, f"mutant {seed}")
        for words in (["pull", NAME], ["pull", NAME, "dpo"], ["pull", NAME, "--out", folder / f"out{seed}"]):
            assert prefgen(*words) in (0, 2, 4), (seed, words)
        printed = capsys.readouterr()
        assert "\x1b[31m" not in printed.out + printed.err
    assert {path.name for path in folder.iterdir() if not path.name.startswith("out")} <= {"made", "home", "cache"}


def test_a_manifest_may_not_name_files_outside_of_its_folder(served: Hub, folder: Path) -> None:
    run = made.run_in(folder / "made")
    push_run(run.path, NAME)
    repo = served.repos[NAME]
    head = repo.at("main")
    assert head is not None
    manifest = orjson.loads(head.files["manifest.json"].content)
    for path in ("../../evil.parquet", "/tmp/evil.parquet", "data/dpo/../../../evil.parquet"):
        entry = {"path": path, "bytes": 3, "sha256": "0" * 64, "rows": 1}
        content = orjson.dumps(manifest | {"files": [*manifest["files"], entry]})
        repo.add("main", {**head.files, "manifest.json": Stored(content, False)}, "evil")
        assert prefgen("pull", NAME, "--out", folder / "out") == 4
        assert not (folder / "out").exists()


def test_a_file_larger_than_memory_is_not_fetched(town: Hub, folder: Path) -> None:
    town.says[INFO] = RIGHT | {"siblings": [{"rfilename": "a.jsonl", "size": 10**12, "blobId": "b" * 40}]}
    with pytest.raises(FileError, match="have 1000 GB, at most 20 are read"):
        hub_rows(NAME, commit="a" * 40, config=None, split=None)
