"""A dataset that grows night by night: old shards stay, ids never clash, every moment is a complete version."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub.constants
import orjson
import polars as pl
import pytest

from prefgen.errors import FileError
from prefgen.flow.pipeline import load
from prefgen.flow.run import run as make
from prefgen.publish.hub import append_run, download, open_published, push_run
from prefgen.store.files import write_json
from prefgen.store.folder import RunFolder
from tests.publish import made
from tests.servers.hub import Hub
from tests.test_run import Nobody

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes")  # of the client itself

NAME = "user/town"
EXPORTS = "dpo, judgments, preferences, kto, sft, llamafactory, nemo_rl, table, battle"
_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> list[RunFolder]:
    """Runs over new people, all asked the same questions."""
    return [made.run_in(tmp_path_factory.mktemp("night"), exports=EXPORTS, offset=night) for night in range(5)]


def rows_at(served: Hub, revision: str = "main") -> dict[str, int]:
    """Rows by config as the files of a commit hold them, checked against its manifest and its card."""
    commit = served.repos[NAME].at(revision)
    assert commit is not None
    manifest = orjson.loads(commit.files["manifest.json"].content)
    found: dict[str, int] = {}
    for entry in manifest["files"]:
        name = entry["path"].split("/")[1]
        assert commit.files[entry["path"]].sha256 == entry["sha256"]
        found[name] = found.get(name, 0) + pl.read_parquet(commit.files[entry["path"]].content).height
    assert {path for path in commit.files if path.startswith("data/")} == {entry["path"] for entry in manifest["files"]}
    assert found == {config["name"]: sum(config["splits"].values()) for config in manifest["configs"]}
    card = huggingface_hub.DatasetCard(commit.files["README.md"].content.decode())
    said = {
        info["config_name"]: sum(split["num_examples"] for split in info["splits"]) for info in card.data.dataset_info
    }
    assert said == found
    return found


def test_an_export_under_another_name_grows_as_its_preset_does(served: Hub, tmp_path: Path) -> None:
    for night in range(2):
        append_run(
            made.run_in(tmp_path / str(night), exports="table, {table: {name: numbers}}", offset=night).path, NAME
        )
    rows_at(served)
    out = download(open_published(NAME), tmp_path / "out")
    table, numbers = (pl.read_parquet(out / "data" / name / "*.parquet") for name in ("table", "numbers"))
    people = pl.read_parquet(out / "data" / "personas" / "*.parquet")["persona_id"]
    assert numbers.equals(table)
    assert numbers["persona_id"].to_list() == [people[user] for user in numbers["user"]]


def test_the_first_night_is_a_push_and_the_second_adds_to_it(
    served: Hub, nights: list[RunFolder], tmp_path: Path
) -> None:
    first = append_run(nights[0].path, NAME)
    before, sent = rows_at(served), len(served.uploaded)
    old = dict(served.repos[NAME].at("main").files)  # type: ignore[union-attr]
    second = append_run(nights[1].path, NAME)
    after = rows_at(served)
    now = served.repos[NAME].at("main").files  # type: ignore[union-attr]
    assert all(now[path] == file for path, file in old.items() if path.startswith("data/"))
    assert "data/dpo/train-n0001-00000-of-00001.parquet" in now
    assert second.rows == {name: after[name] - before[name] for name in after if after[name] > before[name]}
    assert after["personas"] == 2 * before["personas"]
    assert after["items"] == before["items"]
    assert second.skipped["items"] == before["items"]
    assert len(served.uploaded) - sent == len(second.rows)
    assert {first.tag, second.tag} == set(served.repos[NAME].tags)
    out = download(open_published(NAME), tmp_path / "out")
    loaded = datasets.load_dataset(str(out), "judgments", split="train")
    assert loaded.num_rows == after["judgments"]
    assert len(set(loaded["judgment_id"])) == loaded.num_rows


def test_adding_the_same_run_again_changes_nothing(served: Hub, nights: list[RunFolder]) -> None:
    append_run(nights[0].path, NAME)
    second = append_run(nights[1].path, NAME)
    for run, tag in ((nights[1], second.tag), (nights[0], second.tag)):
        again = append_run(run.path, NAME)
        assert (again.commit, again.tag, again.rows) == (second.commit, tag, {})
    assert len(served.repos[NAME].history()) == 3


def test_a_night_with_new_questions_adds_questions_and_numbers_them_on(served: Hub, tmp_path: Path) -> None:
    append_run(made.run_in(tmp_path / "a", exports=EXPORTS, n_items=3).path, NAME)
    more = append_run(made.run_in(tmp_path / "b", exports=EXPORTS, n_items=6).path, NAME)
    assert (more.rows["items"], more.skipped["personas"]) == (3, 5)
    out = download(open_published(NAME), tmp_path / "out")
    table = pl.read_parquet(sorted((out / "data/table").glob("*.parquet")))
    people = pl.read_parquet(sorted((out / "data/personas").glob("*.parquet")))
    items = pl.read_parquet(sorted((out / "data/items").glob("*.parquet")))
    answers = [
        (item, "ABC"[k])
        for item, options in items.select("item_id", "options").iter_rows()
        for k in range(len(options))
    ]
    for row in table.iter_rows(named=True):
        assert people["persona_id"][row["user"]] == row["persona_id"]
        assert answers[row["item"]] == (row["item_id"], row["option"])
        assert items["item_id"][row["time"]] == row["item_id"]
    assert table.select("persona_id", "item_id", "option").is_unique().all()


def test_people_with_the_id_of_somebody_else_get_an_id_of_their_own(
    served: Hub, nights: list[RunFolder], tmp_path: Path
) -> None:
    append_run(nights[0].path, NAME)
    others = made.run_in(tmp_path, exports=EXPORTS, says="Tonight, ")
    added = append_run(others.path, NAME)
    assert (added.rows["personas"], added.skipped["personas"]) == (
        4,
        1,
    )  # the control without a portrait is the same one
    out = download(open_published(NAME), tmp_path / "out")
    for name, key in (("personas", "persona_id"), ("judgments", "judgment_id"), ("dpo", "pair_id")):
        assert pl.read_parquet(sorted((out / "data" / name).glob("*.parquet")))[key].is_unique().all(), name
    texts = dict(
        pl.read_parquet(sorted((out / "data/personas").glob("*.parquet"))).select("persona_id", "text").iter_rows()
    )
    pairs = pl.read_parquet(sorted((out / "data/dpo").glob("*.parquet")))
    assert all(row["prompt"][0]["content"] == texts[row["persona_id"]] for row in pairs.iter_rows(named=True))
    assert all(row["pair_id"].startswith(row["persona_id"] + "|") for row in pairs.iter_rows(named=True))
    assert append_run(others.path, NAME).rows == {}


def test_an_id_that_means_somebody_else_is_refused(served: Hub, nights: list[RunFolder], tmp_path: Path) -> None:
    append_run(nights[0].path, NAME)
    run = made.run_in(tmp_path, exports=EXPORTS, n_items=7)
    path = next((run.data / "items").glob("*.parquet"))
    changed = pl.read_parquet(path).with_columns(prompt=pl.col("prompt") + " Really?")
    changed.write_parquet(path)
    manifest = run.read_manifest()
    from prefgen.store.manifest import file_entries

    write_json(
        run.manifest_path, manifest | {"files": file_entries(run, [*run.data.rglob("*.parquet"), run.pipeline_path])}
    )
    with pytest.raises(FileError, match="item_id 'itm-0' stands there for another question"):
        append_run(run.path, NAME)


def test_what_a_kill_after_the_commit_left_is_swept_up(served: Hub, nights: list[RunFolder]) -> None:
    for run in nights[:2]:
        append_run(run.path, NAME)
    left = nights[1].path / ".append.aside"
    left.mkdir()
    (left / "train-00000-of-00001.parquet").write_bytes(b"half")
    assert append_run(nights[1].path, NAME).rows == {}
    assert not left.exists()


SPLIT = """
name: town
seed: {seed}
steps:
  items: {{table: items.jsonl}}
  parts: {{split: items, by: [item], test: 0.5}}
publish: {{exports: [items]}}
"""


def test_a_run_that_trains_on_what_is_held_out_there_is_refused(served: Hub, folder: Path) -> None:
    def night(number: int, seed: int) -> Path:
        rows = [{"item_id": f"i{k}", "prompt": f"Which {k}?", "options": ["yes", "no"]} for k in range(10 + number)]
        Path("items.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        Path("p.yaml").write_text(SPLIT.format(seed=seed))
        return make(load(Path("p.yaml")), folder / f"night-{number}-{seed}", Nobody(), report=False).folder.path

    append_run(night(0, seed=1), NAME)
    assert sum(append_run(night(3, seed=1), NAME).rows.values()) == 3
    with pytest.raises(
        FileError, match=r"value\(s\) of 'item_id', e.g. 'i\d+', are held out in this run and trained on in the dataset"
    ):
        append_run(night(5, seed=2), NAME)
    commit = served.repos[NAME].at("main")
    assert commit is not None
    items = {
        split: pl.concat(
            pl.read_parquet(one.content)
            for path, one in commit.files.items()
            if path.startswith(f"data/items/{split}-")
        )
        for split in ("train", "test")
    }
    assert not set(items["train"]["item_id"]) & set(items["test"]["item_id"])
    assert sum(frame.height for frame in items.values()) == 13


def test_other_exports_do_not_fit(served: Hub, nights: list[RunFolder], tmp_path: Path) -> None:
    append_run(nights[0].path, NAME)
    with pytest.raises(FileError, match="this run has no config 'preferences'"):
        append_run(made.run_in(tmp_path, exports="dpo, judgments", offset=9).path, NAME)


def test_a_push_does_not_remove_what_was_appended(served: Hub, nights: list[RunFolder]) -> None:
    append_run(nights[0].path, NAME)
    append_run(nights[1].path, NAME)
    with pytest.raises(FileError, match=r"1 run\(s\) were added to it"):
        push_run(nights[0].path, NAME)


def test_two_nights_at_once_are_both_added(served: Hub, nights: list[RunFolder]) -> None:
    append_run(nights[0].path, NAME)
    served.fault(r"POST .*/commit/", 412)
    append_run(nights[1].path, NAME)
    served.fault(r"POST .*/commit/", 503, after=True)
    append_run(nights[2].path, NAME)
    assert rows_at(served)["personas"] == 15
    assert len(served.repos[NAME].history()) == 4


@pytest.mark.slow
def test_five_nights_killed_at_random_are_at_every_moment_a_complete_version(
    served: Hub, nights: list[RunFolder]
) -> None:
    chance = random.Random(7)
    seen: set[str] = set()
    stop = threading.Event()
    wrong: list[Any] = []

    def look() -> None:
        while not stop.wait(0.01):
            repo = served.repos.get(NAME)
            head = repo.heads.get("main") if repo else None
            if head and head not in seen and any(path.startswith("data/") for path in repo.commits[head].files):  # type: ignore[union-attr]
                seen.add(head)
                try:
                    rows_at(served, head)
                except AssertionError as error:
                    wrong.append(error)

    looking = threading.Thread(target=look)
    looking.start()
    kills = 0
    for run in nights:
        for _ in range(3):
            process = subprocess.Popen(
                [sys.executable, "-c", _APPEND, str(run.path), NAME], cwd=_ROOT, env={**os.environ}
            )
            time.sleep(chance.uniform(0.5, 2.2))
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
            process.wait()
        append_run(run.path, NAME)
    stop.set()
    looking.join()
    assert wrong == []
    assert rows_at(served)["personas"] == 25
    assert len(served.repos[NAME].history()) == 6, "the Hub's first commit and five versions"
    assert len(set(served.uploaded)) == len(served.uploaded)
    assert len(served.repos[NAME].tags) == 5
    assert kills >= 5


_APPEND = """
import sys
from pathlib import Path
from prefgen.publish.hub import append_run
append_run(Path(sys.argv[1]), sys.argv[2])
"""


def test_measures_of_a_grown_dataset_are_means_and_counts_are_sums(served: Hub, nights: list[RunFolder]) -> None:
    for night in nights[:2]:
        append_run(night.path, NAME)
    grown = open_published(NAME)
    here = nights[0].read_manifest()
    (one,), (both,) = (
        [step["summary"] for step in each["steps"] if step["kind"] == "judge"] for each in (here, grown.manifest)
    )
    for name in ("position_bias", "first_slot"):
        assert both[name] == pytest.approx(one[name])
    assert both["statuses"]["ok"] == 2 * one["statuses"]["ok"]
    card = served.repos[NAME].at("main").files["README.md"].content.decode()  # type: ignore[union-attr]
    assert "25.0 % (10.0 % to 40.0 %, n = 6)" in card
