"""Rows from the Hub: of one commit, which the run folder keeps; nothing is fetched twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
import yaml

from prefgen.errors import FileError, SpecError
from prefgen.flow.pipeline import load
from prefgen.flow.plan import make_plan
from prefgen.flow.run import run
from prefgen.publish.hub import push_run
from prefgen.store.hub_rows import hub_rows
from tests.publish import made
from tests.servers.hub import Hub
from tests.servers.hub_repos import Stored
from tests.test_run import Nobody

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes")  # of the client itself

NAME = "user/town"


@pytest.fixture
def town(served: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The Hub with a dataset of prefgen on it, and a cache of our own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    push_run(made.run_in(folder / "made", exports="dpo, judgments").path, NAME)
    served.journal.clear()
    return served


def pipeline(folder: Path, **said: Any) -> Path:
    path = folder / "p.yaml"
    steps = {"items": {"table": {"hub": NAME, "config": "items", **said}}}
    path.write_text(yaml.safe_dump({"name": "again", "steps": steps, "publish": {"exports": ["items"]}}))
    return path


def made_in(folder: Path, path: Path) -> dict[str, Any]:
    run(load(path), folder, Nobody(), report=False)
    found: dict[str, Any] = orjson.loads((folder / "manifest.json").read_bytes())
    return found


def changed(town: Hub) -> None:
    """Somebody removes three questions from the published dataset."""
    repo = town.repos[NAME]
    head = repo.at("main")
    assert head is not None
    path = next(path for path in head.files if path.startswith("data/items/"))
    buffer = Path("changed.parquet")
    pl.read_parquet(head.files[path].content).head(3).write_parquet(buffer)
    stored = Stored(buffer.read_bytes(), True)
    town.lfs[stored.sha256] = stored.content
    repo.add("main", {**head.files, path: stored}, "three questions")


def test_a_run_stays_with_the_commit_it_began_with(town: Hub, folder: Path) -> None:
    commit = town.repos[NAME].heads["main"]
    manifest = made_in(folder / "out", pipeline(folder))
    assert manifest["steps"][0]["rows"] == 6
    assert manifest["steps"][0]["summary"] == {"hub": NAME, "commit": commit}
    resolved = folder / "out" / "pipeline.yaml"
    assert yaml.safe_load(resolved.read_text())["steps"]["items"]["table"]["commit"] == commit
    changed(town)
    assert made_in(folder / "out", folder / "p.yaml")["steps"][0]["rows"] == 6
    assert made_in(folder / "again", resolved)["steps"][0]["rows"] == 6
    assert made_in(folder / "new", folder / "p.yaml")["steps"][0]["rows"] == 3


def test_a_finished_run_and_kept_rows_ask_nobody(town: Hub, folder: Path) -> None:
    path = pipeline(folder)
    made_in(folder / "out", path)
    asked = list(town.journal)
    made_in(folder / "out", path)
    made_in(folder / "elsewhere", folder / "out" / "pipeline.yaml")
    assert town.journal == asked


def test_kept_rows_that_were_damaged_are_fetched_again(town: Hub, folder: Path) -> None:
    commit = town.repos[NAME].heads["main"]
    rows = hub_rows(NAME, commit=commit, config="items", split=None)
    (kept,) = (folder / "cache").rglob("*.parquet")
    kept.write_bytes(kept.read_bytes()[:-10])
    assert hub_rows(NAME, commit=commit, config="items", split=None).equals(rows)
    assert pl.read_parquet(kept).equals(rows)


def test_configs_and_splits_are_those_of_the_card(town: Hub, folder: Path) -> None:
    commit = town.repos[NAME].heads["main"]
    dpo = hub_rows(NAME, commit=commit, config=None, split="train")
    assert dpo.equals(pl.read_parquet(folder / "made/run/data/dpo/*.parquet"))
    people = hub_rows(NAME, commit=commit, config="personas", split=None)
    assert people.equals(pl.read_parquet(folder / "made/run/data/personas/*.parquet"))


def test_files_without_a_card_are_read_by_name(town: Hub, folder: Path) -> None:
    repo = town.repos[NAME]
    files = {f"{name}.jsonl": Stored(b'{"n": %d}\n' % n, False) for n, name in enumerate(("train", "test"))}
    repo.add("main", files, "by hand")
    commit = repo.heads["main"]
    assert hub_rows(NAME, commit=commit, config=None, split=None)["n"].to_list() == [0, 1]
    assert hub_rows(NAME, commit=commit, config=None, split="test")["n"].to_list() == [1]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"config": "itmes"}, r"user/town has no config 'itmes'\n  fix: use one of 'items'"),
        ({"split": "tset"}, r"user/town has no split 'tset'\n  fix: use"),
        ({"revision": "v9"}, r"user/town on http.*: no revision 'v9'"),
        ({"hub": "user/nothing"}, r"no such dataset, or one that this token cannot see"),
    ],
)
def test_what_is_not_there_is_told(town: Hub, folder: Path, said: dict[str, Any], words: str) -> None:
    with pytest.raises(FileError, match=words):
        make_plan(load(pipeline(folder, **said)))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"hub": "nothing"}, r"p.yaml:\d+: steps.items.table.hub: 'nothing'"),
        ({"revison": "main"}, r"p.yaml:\d+: steps.items.table.revison: unknown key"),
        ({"commit": "main"}, r"p.yaml:\d+: steps.items.table.commit: 'main'"),
    ],
)
def test_what_is_written_wrong_is_told_with_its_line(folder: Path, said: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        load(pipeline(folder, **said))


def test_a_hub_that_cannot_be_reached_is_exit_4(town: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(FileError, match="cannot be reached") as caught:
        make_plan(load(pipeline(folder)))
    assert caught.value.exit_code == 4
