"""Layouts of datasets on the Hub: the library `datasets` says which rows are which split, and so do we, or we refuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from prefgen.errors import FileError
from prefgen.store.hub_layout import Layout, configs_of
from prefgen.store.hub_rows import hub_rows
from tests.servers.hub import Hub, hub
from tests.servers.hub_repos import Repo, Stored

NAME = "user/some"


_ORACLE = """
import json, sys, datasets
datasets.disable_progress_bars()
found = {}
for layout, name in json.loads(sys.argv[1]).items():
    try:
        read = datasets.load_dataset(name)
        found[layout] = {str(split): [str(value) for value in rows["x"]] for split, rows in read.items()}
    except Exception as error:
        found[layout] = None
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[str]] | None]:
    """Rows by split of every layout as `datasets` reads them from the Hub; None where it does not."""
    home = tmp_path_factory.mktemp("home")
    with hub() as running:
        names = {layout: f"user/d{place}" for place, layout in enumerate(LAYOUTS)}
        for layout, name in names.items():
            running.repos[name] = Repo(private=False)
            put(running, LAYOUTS[layout], name)
        env = os.environ | running.env(str(home)) | {"HF_DATASETS_CACHE": str(home / "cache")}
        command = [sys.executable, "-c", _ORACLE, json.dumps(names)]
        said = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=280)
    read: dict[str, dict[str, list[str]] | None] = json.loads(said.stdout.splitlines()[-1])
    return read


@pytest.fixture
def some(served: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The Hub with an empty dataset, and a cache of our own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    served.repos[NAME] = Repo(private=False)
    return served


def put(running: Hub, files: Mapping[str, str | bytes], name: str = NAME) -> str:
    """A commit with just these files."""
    stored = {path: Stored(said.encode() if isinstance(said, str) else said, False) for path, said in files.items()}
    return running.repos[name].add("main", stored, "by hand").oid


def jsonl(*texts: str) -> str:
    return "".join(f'{{"x": "{text}"}}\n' for text in texts)


def csv(*texts: str, separator: str = ",") -> str:
    return "".join(f"{line}\n" for line in [f"x{separator}y", *(f"{text}{separator}{text}" for text in texts)])


def named(*paths: str) -> dict[str, str]:
    return {path: csv(path) if path.endswith(".csv") else jsonl(path) for path in paths}


def card(text: str) -> dict[str, str]:
    return {"README.md": f"---\n{text}\n---\n# Words\n"}


LAYOUTS: dict[str, dict[str, str]] = {
    "one file": named("data.jsonl"),
    "files by split": named("train.jsonl", "test.jsonl", "dev.jsonl"),
    "valid and val": named("train.csv", "val.csv"),
    "other words": named("my-training-set.jsonl", "my_eval_2.jsonl", "validation.1.jsonl"),
    "words inside words": named("constraint.jsonl", "latest.jsonl", "trainer.jsonl"),
    "folders by split": named("train/a.jsonl", "train/b/c.jsonl", "test/a.jsonl", "validation/a.jsonl"),
    "folders in data": named("data/train/a.csv", "data/dev-2/a.csv", "data/old/test/b.csv"),
    "folders before files": named("train/test.jsonl", "test/train.jsonl"),
    "shards of any split": named(
        "data/fold_a-00000-of-00002.jsonl", "data/fold_a-00001-of-00002.jsonl", "data/z-00000-of-00001.jsonl"
    ),
    "shards before others": named("data/train-00000-of-00001.jsonl", "test.jsonl"),
    "nothing named": named("b.jsonl", "a/c.jsonl", "a.jsonl"),
    "hidden files": named("train.jsonl", ".train.jsonl", ".git/train.jsonl", "__pycache__/train.jsonl"),
    "files that are no data": named("train.jsonl") | {"config.json": "{}", "LICENSE": "MIT", "notes.txt.bak": "x"},
    "a card without configs": named("train.jsonl") | card("license: mit"),
    "an empty card": named("train.jsonl") | {"README.md": ""},
    "data_dir": named("en/train.jsonl", "en/test.jsonl", "de/train.jsonl")
    | card("configs:\n- {config_name: en, data_dir: en}"),
    "data_dir with shards": named("en/data/a-00000-of-00001.jsonl", "x.jsonl")
    | card("configs:\n- {config_name: en, data_dir: ./en/}"),
    "data_dir and files": named("en/a.jsonl", "a.jsonl")
    | card("configs:\n- {config_name: en, data_dir: en, data_files: '*.jsonl'}"),
    "a star stays in its folder": named("data/a.jsonl", "data/old/a.jsonl")
    | card("configs:\n- {config_name: a, data_files: data/*.jsonl}"),
    "two stars at the root": named("a.jsonl", "b/c.jsonl") | card("configs:\n- {config_name: a, data_files: '**'}"),
    "two stars below": named("d/a.jsonl", "d/b/c.jsonl", "e.jsonl")
    | card("configs:\n- {config_name: a, data_files: 'd/**/*.jsonl'}"),
    "brackets": named("a1.jsonl", "a2.jsonl", "ab.jsonl")
    | card("configs:\n- {config_name: a, data_files: 'a[0-9].jsonl'}"),
    "question marks": named("a1.jsonl", "a22.jsonl") | card("configs:\n- {config_name: a, data_files: 'a?.jsonl'}"),
    "dot and slash": named("data/a.jsonl", "b.jsonl")
    | card("configs:\n- {config_name: a, data_files: ./data/a.jsonl}"),
    "lists": named("a.jsonl", "b.jsonl", "c.jsonl")
    | card("configs:\n- config_name: a\n  data_files: [c.jsonl, a.jsonl]"),
    "splits": named("a.jsonl", "b.jsonl", "c.jsonl")
    | card(
        "configs:\n- config_name: a\n  data_files:\n  - {split: dev, path: [b.jsonl, c.jsonl]}\n  - {split: train, path: a.jsonl}"
    ),
    "default by name": named("a.jsonl", "b.jsonl")
    | card("configs:\n- {config_name: x, data_files: a.jsonl}\n- {config_name: default, data_files: b.jsonl}"),
    "default by key": named("a.jsonl", "b.jsonl")
    | card("configs:\n- {config_name: x, data_files: a.jsonl}\n- {config_name: y, data_files: b.jsonl, default: true}"),
    "no default": named("a.jsonl", "b.jsonl")
    | card("configs:\n- {config_name: x, data_files: a.jsonl}\n- {config_name: y, data_files: b.jsonl}"),
    "two defaults": named("a.jsonl", "b.jsonl")
    | card(
        "configs:\n- {config_name: x, data_files: a.jsonl, default: true}\n- {config_name: y, data_files: b.jsonl, default: true}"
    ),
    "carriage returns": named("a.jsonl", "b.jsonl")
    | {"README.md": "---\r\nconfigs:\r\n- config_name: a\r\n  data_files: b.jsonl\r\n---\r\nWords\r\n"},
    "a separator": {"a.csv": csv("1", "2", separator=";")}
    | card("configs:\n- {config_name: a, data_files: a.csv, sep: ';'}"),
    "a delimiter": {"a.csv": csv("1", "2", separator="|")}
    | card("configs:\n- {config_name: a, data_files: a.csv, delimiter: '|'}"),
    "tabs": {"train.tsv": csv("1", separator="\t"), "test.tsv": csv("2", separator="\t")},
    "a file that is not there": named("a.jsonl") | card("configs:\n- {config_name: a, data_files: b.jsonl}"),
    "a pattern of nothing": named("a.jsonl") | card("configs:\n- {config_name: a, data_files: 'b*.jsonl'}"),
    "a split that is no word": named("a.jsonl")
    | card("configs:\n- config_name: a\n  data_files:\n  - {split: a b, path: a.jsonl}"),
    "a split twice": named("a.jsonl")
    | card("configs:\n- config_name: a\n  data_files:\n  - {split: a, path: a.jsonl}\n  - {split: a, path: a.jsonl}"),
    "formats by split": named("train.jsonl", "test.csv"),
    "a few of another format": named("a.jsonl", "b.jsonl", "c.csv"),
    "other rows skipped": {"a.csv": "junk\nx,y\n1,2\n"}
    | card("configs:\n- {config_name: a, data_files: a.csv, skiprows: 1}"),
    "two columns more": {"a.csv": "x,y\n1,2\n", "b.csv": "x,z\n1,2\n"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_read_as_datasets_reads_it_or_refused(
    some: Hub, oracle: dict[str, dict[str, list[str]] | None], layout: str
) -> None:
    commit, expected = put(some, LAYOUTS[layout]), oracle[layout]
    try:
        whole = hub_rows(NAME, commit=commit, config=None, split=None)
    except FileError as error:
        assert expected is None or layout in REFUSED, error
        assert error.fix
        return
    if layout in READ_ANYWAY:
        assert whole["x"].to_list() == READ_ANYWAY[layout]
        return
    assert expected is not None, f"datasets does not read it, and we found {whole}"
    assert whole.height == sum(map(len, expected.values()))
    for split, rows in expected.items():
        found = hub_rows(NAME, commit=commit, config=None, split=split)
        assert sorted(str(value) for value in found["x"]) == sorted(rows), split


REFUSED = {"other rows skipped"}
"""Read by `datasets`, and refused here with the reason."""

READ_ANYWAY = {"dot and slash": ["data/a.jsonl"], "data_dir with shards": ["en/data/a-00000-of-00001.jsonl"]}
"""With `./`, which can mean one thing only: whether `datasets` finds it depends on the server."""


def test_a_byte_order_mark_does_not_hide_a_card() -> None:
    said = "\ufeff---\nconfigs:\n- {config_name: a, data_files: b.jsonl}\n---\n"
    assert [one.name for one in configs_of(NAME, said)] == ["a"]


def read_card(text: str) -> object:
    layout = Layout(NAME, ["a.jsonl"], configs_of(NAME, f"---\n{text}\n---\n"))
    return layout.splits(layout.config(None))


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefghij", "bcdefghijk", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB + "configs: *k",
        BOMB + "configs:\n- config_name: *k",
        "a: &a [*a]\nconfigs: *a",
        "configs:\n" + "- [" * 5_000,
        "configs: [" * 300,
        "x: " + "{a: " * 200 + "1" + "}" * 200,
        "configs: !!python/object/apply:os.system [ls]",
        "configs: !!int ''",
        "configs: !!timestamp x",
        "configs: 3",
        "configs: [3]",
        "configs: [{data_files: x}]",
        "configs: [{config_name: [], data_files: {a: b}}]",
        "configs: [{config_name: x, data_files: [{split: [], path: {}}]}]",
        "configs: [{config_name: x, data_files: [3]}]",
        "configs: [{config_name: x, data_files: '../../etc/passwd'}]",
        "configs: [{config_name: x, data_files: /etc/passwd}]",
        "configs: [{config_name: x, data_files: 'https://example.org/x.csv'}]",
        "configs: [{config_name: x, data_files: '[z-a].jsonl'}]",
        "configs: [{config_name: x, data_files: '***/a**b'}]",
        "configs: [{config_name: x, data_dir: ../.., data_files: '*'}]",
        "configs: [{config_name: x, data_files: a.jsonl, sep: '||'}]",
        "configs: [{config_name: 1, data_files: 2020-01-01}]",
        "? [a]\n: b\nconfigs: [{<<: {}}]",
    ],
)
def test_a_hostile_card_is_refused_in_a_moment(text: str) -> None:
    begun = time.monotonic()
    with pytest.raises(FileError, match="fix: "):
        read_card(text)
    assert time.monotonic() - begun < 5


def test_a_hundred_thousand_files_are_listed_in_a_moment() -> None:
    files = [f"part{k % 100}/{k:06d}-some-file.jsonl" for k in range(100_000)]
    begun = time.monotonic()
    layout = Layout(
        NAME, files, configs_of(NAME, "---\nconfigs: [{config_name: a, data_files: '**/*7*.jsonl'}]\n---\n")
    )
    assert len(layout.splits(layout.config(None))["train"]) > 1_000
    assert sum(map(len, Layout(NAME, files).splits(Layout(NAME, files).config(None)).values())) == 100_000
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("path", ["../x.jsonl", "/etc/x.jsonl", "a/../../x.jsonl", "a//x.jsonl", "a\x1b[31m\n.jsonl"])
def test_a_name_that_leads_out_of_the_dataset_is_refused(path: str) -> None:
    with pytest.raises(FileError) as caught:
        Layout(NAME, [path], ()).splits(Layout(NAME, [path], ()).config(None))
    assert "\x1b" not in str(caught.value)


def test_files_of_one_split_agree_on_types(some: Hub) -> None:
    commit = put(some, {"a.csv": "x,id\n1,7\n", "b.csv": "x,id\n2,007\n"})
    rows: list[dict[str, Any]] = hub_rows(NAME, commit=commit, config=None, split=None).to_dicts()
    assert rows == [{"x": 1, "id": "7"}, {"x": 2, "id": "007"}]
    commit = put(some, {"a.jsonl": '{"x": 1}\n', "b.jsonl": '{"x": "a"}\n'})
    with pytest.raises(FileError, match=r"b\.jsonl:1: key 'x' is 'a', of another type"):
        hub_rows(NAME, commit=commit, config=None, split=None)
