"""Push and pull over a real socket: one commit, nothing twice, nothing half there, no token in sight."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import datasets
import polars as pl
import pytest

from prefgen.errors import FileError, GateError, UsageError
from prefgen.publish.hub import download, open_published, pull_rows, push_run, write_rows
from prefgen.store import shards
from prefgen.store.files import write_json
from prefgen.store.folder import RunFolder
from tests.publish import made
from tests.servers.hub import Hub

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes")  # of the client itself

NAME = "user/town"
COMMIT = r"POST /api/datasets/user/town/commit"
_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return made.run_in(tmp_path_factory.mktemp("hub"), exports="dpo, judgments")


def files(served: Hub) -> dict[str, bytes]:
    return {path: one.content for path, one in served.repos[NAME].at("main").files.items()}  # type: ignore[union-attr]


def versions(served: Hub) -> list[str]:
    return [commit.summary for commit in served.repos[NAME].history()]


def test_a_push_is_one_commit_private_and_tagged(served: Hub, run: RunFolder) -> None:
    pushed = push_run(run.path, NAME)
    repo = served.repos[NAME]
    assert repo.private
    assert len(versions(served)) == 2  # the Hub's own first commit, and ours
    assert repo.tags == {pushed.tag: pushed.commit}
    assert pushed.tag.startswith("v-")
    there = files(served)
    for path in run.data.rglob("*.parquet"):
        assert there[path.relative_to(run.path).as_posix()] == path.read_bytes()
    assert {"README.md", "manifest.json", "pipeline.yaml"} <= set(there)
    assert "responses.sqlite" not in there


@pytest.mark.parametrize("name", ["README.md", "report.html", "pipeline.yaml"])
def test_a_page_that_is_no_text_any_more_is_not_pushed(served: Hub, run: RunFolder, tmp_path: Path, name: str) -> None:
    broken = shutil.copytree(run.path, tmp_path / "broken")
    (broken / name).write_bytes(b"\x80\x81")
    # the pipeline is listed with its hash
    words = "pipeline.yaml" if name == "pipeline.yaml" else f"{name}: cannot be read"
    with pytest.raises(FileError, match=words):
        push_run(broken, "user/broken")
    assert "user/broken" not in served.repos


def test_pushing_again_sends_nothing(served: Hub, run: RunFolder) -> None:
    first = push_run(run.path, NAME)
    sent = list(served.uploaded)
    again = push_run(run.path, NAME)
    assert (again.commit, again.tag, again.uploaded) == (first.commit, first.tag, ())
    assert (served.uploaded, len(versions(served)), served.asked(COMMIT)) == (sent, 2, 1)


def test_only_what_changed_is_uploaded_and_what_is_gone_is_deleted(served: Hub, run: RunFolder, tmp_path: Path) -> None:
    push_run(run.path, NAME)
    sent = len(served.uploaded)
    other = made.run_in(tmp_path, exports="judgments, kto")
    pushed = push_run(other.path, NAME)
    assert [path for path in pushed.uploaded if path.endswith(".parquet")] == ["data/kto/train-00000-of-00001.parquet"]
    assert pushed.deleted == ("data/dpo/train-00000-of-00001.parquet",)
    assert len(served.uploaded) == sent + 1
    assert ".gitattributes" in files(served)
    assert len(served.repos[NAME].tags) == 2


def test_a_commit_whose_answer_was_lost_is_not_made_twice(served: Hub, run: RunFolder) -> None:
    served.fault(COMMIT, 503, after=True)
    pushed = push_run(run.path, NAME)
    assert (len(versions(served)), served.asked(COMMIT)) == (2, 1)
    assert served.repos[NAME].tags == {pushed.tag: pushed.commit}


@pytest.mark.parametrize("status", [500, 502, 503, 429])
@pytest.mark.parametrize("call", [COMMIT, r"POST /api/repos/create", r"POST .*/tag/", r"GET /api/datasets/user/town$"])
def test_a_busy_hub_is_asked_again(served: Hub, run: RunFolder, call: str, status: int) -> None:
    served.fault(call, status, times=2)
    push_run(run.path, NAME)
    assert len(versions(served)) == 2
    assert len(served.repos[NAME].tags) == 1


def test_a_hub_that_stays_down_leaves_no_version_and_says_what_to_do(served: Hub, run: RunFolder) -> None:
    served.fault(COMMIT, 503, times=99)
    with pytest.raises(FileError, match=r"user/town on http.*: HTTP 503.*\n  fix: run the same command again"):
        push_run(run.path, NAME)
    assert (len(versions(served)), served.repos[NAME].tags) == (1, {})


def test_somebody_elses_commit_is_not_overwritten_unseen(served: Hub, run: RunFolder) -> None:
    served.fault(COMMIT, 412)
    with pytest.raises(FileError, match="somebody else committed while this push was on its way"):
        push_run(run.path, NAME)


@pytest.mark.slow
def test_a_push_killed_at_any_call_leaves_the_old_version_and_the_next_completes_it(
    served: Hub, run: RunFolder, tmp_path: Path
) -> None:
    push_run(run.path, NAME)
    old = files(served)
    other = made.run_in(tmp_path / "next", exports="judgments, kto", offset=1)
    for at in (r"objects/batch", r"PUT /lfs/", COMMIT, r"POST .*/tag/"):
        served.hold = at
        served.held.clear()
        served.go.clear()
        process = subprocess.Popen([sys.executable, "-c", _PUSH, str(other.path), NAME], cwd=_ROOT, env={**os.environ})
        assert served.held.wait(60), at
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        served.hold = None
        if "tag" not in at and at != COMMIT:
            assert files(served) == old, at
        served.go.set()
        time.sleep(0.05)
    uploaded = list(served.uploaded)
    pushed = push_run(other.path, NAME)
    assert served.uploaded[: len(uploaded)] == uploaded
    assert len(set(served.uploaded)) == len(served.uploaded), "an object was uploaded twice"
    assert len(versions(served)) == 3
    assert served.repos[NAME].tags[pushed.tag] == served.repos[NAME].heads["main"] == pushed.commit
    assert {path for path in files(served) if path.startswith("data/")} == {
        path.relative_to(other.path).as_posix() for path in other.data.rglob("*.parquet")
    }


_LOAD = """
import json, sys
from datasets import load_dataset
print(json.dumps(load_dataset(sys.argv[1], "dpo", split="train", revision=sys.argv[2]).to_list()))
"""

_PUSH = """
import sys
from pathlib import Path
from prefgen.publish.hub import push_run
push_run(Path(sys.argv[1]), sys.argv[2])
"""


def test_what_is_read_back_is_what_was_pushed(served: Hub, run: RunFolder, tmp_path: Path) -> None:
    pushed = push_run(run.path, NAME)
    local = pl.read_parquet(run.data / "dpo/*.parquet")
    command = [sys.executable, "-c", _LOAD, NAME, pushed.tag]
    loaded = subprocess.run(
        command, env={**os.environ, "HF_DATASETS_CACHE": str(tmp_path / "cache")}, capture_output=True
    )
    assert json.loads(loaded.stdout) == local.to_dicts(), loaded.stderr.decode()[-2000:]
    out = download(open_published(NAME, revision=pushed.tag), tmp_path / "out")
    for path in run.data.rglob("*.parquet"):
        assert (out / path.relative_to(run.path)).read_bytes() == path.read_bytes()
    assert datasets.load_dataset(str(out), "judgments", split="train").num_rows == 60
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "data", "manifest.json", "pipeline.yaml"]


def test_a_pull_lists_configs_and_splits(served: Hub, run: RunFolder) -> None:
    push_run(run.path, NAME)
    assert open_published(NAME).configs["dpo"] == {"train": pl.read_parquet(run.data / "dpo/*.parquet").height}


def test_rows_are_chosen_without_downloading_files(served: Hub, run: RunFolder, tmp_path: Path) -> None:
    push_run(run.path, NAME)
    published = open_published(NAME)
    rows = pl.concat(
        pull_rows(published, "judgments", where="p_choice > 0.7", columns=["persona_id", "p_choice"], head=7)
    )
    local = pl.read_parquet(run.data / "judgments/*.parquet").filter(pl.col("p_choice") > 0.7)
    assert rows.equals(local.select("persona_id", "p_choice").head(7))
    assert (
        write_rows(pull_rows(published, "judgments", where="status = 'failed'"), tmp_path / "f.jsonl", jsonl=True) == 2
    )
    assert write_rows(pull_rows(published, "judgments", where="false"), tmp_path / "f.parquet") == 0
    assert pl.read_parquet(tmp_path / "f.parquet").columns == local.columns


def test_only_the_bytes_that_are_needed_come_over_the_wire(
    served: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "ROW_GROUP_ROWS", 600)
    run = made.run_in(tmp_path, exports="judgments", n_people=120, n_items=30)
    push_run(run.path, NAME)
    published = open_published(NAME)
    local = pl.read_parquet(run.data / "judgments/*.parquet")
    size = sum(path.stat().st_size for path in (run.data / "judgments").glob("*.parquet"))

    def fetched(**asked: Any) -> tuple[float, pl.DataFrame]:
        served.fetched = 0
        rows = pl.concat(pull_rows(published, "judgments", **asked))
        return served.fetched / size, rows

    everything, rows = fetched()
    assert rows.equals(local)
    assert everything < 1.1
    person = "per-7"
    shares = {
        "one person": fetched(where=f"persona_id = '{person}'"),
        "one column": fetched(columns=["p_choice"]),
        "the first rows": fetched(head=10),
        "nobody": fetched(where="p_choice > 1.5"),
        "two columns of one person": fetched(where=f"persona_id = '{person}'", columns=["item_id", "choice"]),
    }
    print({name: f"{share:.1%}" for name, (share, _) in shares.items()})
    assert shares["one person"][1].equals(local.filter(persona_id=person))
    assert shares["one column"][1].equals(local.select("p_choice"))
    assert shares["the first rows"][1].equals(local.head(10))
    assert shares["nobody"][1].is_empty()
    assert shares["two columns of one person"][1].equals(local.filter(persona_id=person).select("item_id", "choice"))
    assert all(share < 0.5 for share, _ in shares.values())


def test_an_interrupted_pull_goes_on_and_a_damaged_file_is_refused(served: Hub, run: RunFolder, tmp_path: Path) -> None:
    push_run(run.path, NAME)
    victim = "data/judgments/train-00000-of-00001.parquet"
    repo = served.repos[NAME]
    head = repo.at("main")
    assert head is not None
    whole = head.files[victim]
    served.lfs[whole.sha256] = b"x" * len(whole.content)
    with pytest.raises(FileError, match=r"judgments/train-.*sha256 differs"):
        download(open_published(NAME), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    served.lfs[whole.sha256] = whole.content
    served.journal.clear()
    download(open_published(NAME), tmp_path / "out")
    assert served.asked(r"GET /lfs/") <= 3  # dpo had come already
    calls = served.asked("GET /lfs/")
    download(open_published(NAME), tmp_path / "out")
    assert served.asked("GET /lfs/") == calls
    (tmp_path / "out/mine.txt").touch()
    (tmp_path / "out/README.md").unlink()
    (tmp_path / "out/manifest.json").unlink()
    with pytest.raises(FileError, match="is not empty"):
        download(open_published(NAME), tmp_path / "out")


def test_a_slow_link_is_waited_for(served: Hub, run: RunFolder, tmp_path: Path) -> None:
    push_run(run.path, NAME)
    served.bytes_per_s = 60_000
    assert download(open_published(NAME), tmp_path / "out", configs=["dpo"]).is_dir()


def test_a_wrong_token_is_refused_and_never_shown(
    served: Hub, run: RunFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong_and_secret")
    with pytest.raises(FileError, match=r"token is missing or not accepted.*\n  fix: set HF_TOKEN") as caught:
        push_run(run.path, NAME)
    assert "hf_wrong_and_secret" not in f"{caught.value!r} {caught.value} {caplog.text}"
    assert NAME not in served.repos


def test_no_token_and_no_address_is_published(served: Hub, tmp_path: Path) -> None:
    run = made.run_in(tmp_path)
    manifest = run.read_manifest()
    manifest["models"]["judge"] |= {"base_url": "http://inside.example:8000/v1", "api_key_env": "MY_KEY"}
    text = run.pipeline_path.read_text().replace(
        "engine: replay", "engine: replay\n    base_url: http://inside.example:8000/v1"
    )
    run.pipeline_path.write_text(text)
    from prefgen.publish.card import write_card
    from prefgen.store.manifest import file_entries

    manifest["files"] = file_entries(run, [*run.data.rglob("*.parquet"), run.pipeline_path])
    write_card(run, manifest)
    write_json(run.manifest_path, manifest)
    push_run(run.path, NAME)
    everything = b"".join(files(served).values())
    assert served.token.encode() not in everything
    assert b"inside.example" not in everything
    assert b"MY_KEY" not in everything


@pytest.mark.parametrize(
    ("change", "said", "error"),
    [
        ({"status": "unfinished"}, "the run is not finished", FileError),
        (
            {"gates": [{"step": "kept", "gate": "min_yield", "wanted": 1, "found": 0, "passed": False}]},
            r"1 gate\(s\) missed: kept.min_yield",
            GateError,
        ),
    ],
)
def test_what_is_not_good_enough_is_not_published(
    served: Hub, tmp_path: Path, change: dict[str, Any], said: str, error: type[Exception]
) -> None:
    run = made.run_in(tmp_path)
    write_json(run.manifest_path, run.read_manifest() | change)
    with pytest.raises(error, match=said):
        push_run(run.path, NAME)
    assert served.journal == []


def test_a_changed_file_is_not_published(served: Hub, tmp_path: Path) -> None:
    run = made.run_in(tmp_path)
    path = next(run.data.rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(FileError, match="not the file that the manifest describes"):
        push_run(run.path, NAME)


def test_another_dataset_is_not_replaced_without_force(served: Hub, run: RunFolder) -> None:
    push_run(run.path, NAME)
    repo = served.repos[NAME]
    head = repo.at("main")
    assert head is not None
    foreign = {path: one for path, one in head.files.items() if path != "manifest.json"}
    repo.add("main", foreign, "by hand")
    with pytest.raises(FileError, match="holds data that prefgen did not publish"):
        push_run(run.path, NAME)
    assert push_run(run.path, NAME, force=True).uploaded == ("manifest.json",)


def test_a_tag_names_one_version_for_ever(served: Hub, run: RunFolder, tmp_path: Path) -> None:
    first = push_run(run.path, NAME, tag="v1.0")
    assert push_run(run.path, NAME, tag="v1.0").commit == first.commit
    other = made.run_in(tmp_path, exports="kto")
    with pytest.raises(FileError, match=r"the tag 'v1.0' names another version"):
        push_run(other.path, NAME, tag="v1.0")
    assert len(versions(served)) == 2


def test_complaints_about_names(served: Hub, run: RunFolder) -> None:
    with pytest.raises(UsageError, match="'town' is not the name of a dataset"):
        push_run(run.path, "town")
    with pytest.raises(UsageError, match="cannot be a tag"):
        push_run(run.path, NAME, tag="a b")
    with pytest.raises(FileError, match="no such dataset, or one that this token cannot see"):
        open_published("user/nothing")
    push_run(run.path, NAME)
    with pytest.raises(FileError, match="no revision 'v9'"):
        open_published(NAME, revision="v9")
    published = open_published(NAME)
    with pytest.raises(UsageError, match="has no config 'dppo'\n  fix: use one of 'dpo'"):
        list(pull_rows(published, "dppo"))
    with pytest.raises(UsageError, match="no column 'personaid'\n  fix: use one of 'persona_id'"):
        list(pull_rows(published, "dpo", columns=["personaid"]))
    with pytest.raises(UsageError, match="--where"):
        list(pull_rows(published, "dpo", where="margin >"))
    with pytest.raises(UsageError, match="no column 'nonsense'"):
        list(pull_rows(published, "dpo", where="nonsense > 1"))


def test_a_hub_that_is_not_there_is_one_sentence(run: RunFolder, served: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(FileError, match="cannot be reached"):
        push_run(run.path, NAME)
