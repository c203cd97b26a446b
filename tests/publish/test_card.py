"""The card: what loads the dataset, and what a reader learns of it; nothing in it is typed by hand or believed blindly."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import datasets
import polars as pl
import pytest
from huggingface_hub import DatasetCard
from hypothesis import given
from hypothesis import strategies as st

from prefgen.publish.card import card_of, write_card
from prefgen.publish.card.facts import Parted, gather
from prefgen.publish.card.markdown import fenced, plain
from prefgen.store.folder import RunFolder, write_json
from prefgen.store.leakage import Leakage
from tests.publish import made

ALL = "dpo, judgments, preferences, margin, kto, cond, fewshot, table, battle"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return made.run_in(tmp_path_factory.mktemp("card"), exports=ALL)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.parametrize("name", [*ALL.split(", "), "personas", "items"])
def test_datasets_loads_every_config_of_the_folder_with_the_rows_that_polars_reads(run: RunFolder, name: str) -> None:
    loaded = datasets.load_dataset(str(run.path), name)
    scanned = pl.scan_parquet(run.data / name / "*.parquet").collect()
    assert list(loaded) == ["train"]
    assert loaded["train"].num_rows == scanned.height
    assert loaded["train"].column_names == scanned.columns


def test_words_of_a_fixed_list_are_class_labels_for_datasets_and_words_for_polars(run: RunFolder) -> None:
    loaded = datasets.load_dataset(str(run.path), "judgments", split="train")
    status = loaded.features["status"]
    assert isinstance(status, datasets.ClassLabel)
    words = pl.read_parquet(run.data / "judgments/*.parquet")["status"].to_list()
    assert [status.int2str(number) for number in loaded["status"]] == words
    winner = datasets.load_dataset(str(run.path), "battle", split="train").features["winner"]
    assert winner.names == ["model_a", "model_b", "tie", "tie (bothbad)"]


def test_the_default_config_is_the_first_that_the_pipeline_publishes(run: RunFolder) -> None:
    assert datasets.load_dataset(str(run.path), split="train").column_names[0] == "prompt"


def test_the_front_matter_is_what_the_hub_reads(run: RunFolder) -> None:
    card = DatasetCard.load(run.card_path)
    said = card.data.to_dict()
    assert (said["license"], said["pretty_name"], said["size_categories"]) == ("cc-by-4.0", "town", ["n<1K"])
    assert [config["config_name"] for config in said["configs"]] == [*ALL.split(", "), "personas", "items"]
    assert "synthetic" in said["tags"]


def test_the_card_says_how_far_to_trust_the_data(run: RunFolder) -> None:
    text = run.card_path.read_text()
    for said in ("town survey 2025", "25.0 %", "No-persona control", "23 compared", "unsure", "run-0", "tiny", "itm-0"):
        assert plain(said) in text or said in text, said
    assert "| `dpo` |" in text


def test_the_card_says_what_the_splits_let_through(run: RunFolder) -> None:
    facts = gather(run, run.read_manifest())
    texts = Leakage(4, 1, 0.8, (("a", "b", 0.9),))
    parted = replace(facts, parted=Parted("dpo", 0, 2, texts))
    said = card_of(run.read_manifest(), parted)
    assert "0 people and 2 questions of `test` stand in `train`" in said
    assert "Of 4 questions that are held out, 1 (25.0 %)" in said
    assert "were not measured" in card_of(run.read_manifest(), replace(facts, parted=Parted("dpo", 0, 0, None)))


def test_a_run_that_kept_nothing_still_loads(tmp_path: Path) -> None:
    run = made.run_in(tmp_path, exports="dpo, judgments", least=2)
    # datasets refuses to prepare a split without rows (5.2); streamed, it gives the columns and no row.
    loaded = datasets.load_dataset(str(run.path), "dpo", split="train", streaming=True)
    assert (list(loaded), loaded.column_names[0]) == ([], "prompt")
    assert pl.scan_parquet(run.data / "dpo/*.parquet").collect().height == 0
    assert "No row was kept" in run.card_path.read_text()


def test_strangers_text_stays_text(tmp_path: Path) -> None:
    run = made.run_in(tmp_path)
    manifest = run.read_manifest()
    evil = '"]: x\n---\n# <script>alert(1)</script> [click](http://evil) `code` ```\n| a | b |'
    manifest["publish"] |= {"title": evil, "description": evil, "tags": [evil]}
    manifest["steps"][0]["summary"] |= {"population": evil, "source": [evil]}
    manifest["models"]["judge"]["model"] = evil
    write_card(run, manifest)
    text = run.card_path.read_text()
    card = DatasetCard(text)
    body = card.text
    assert (card.data.pretty_name, len(card.data.configs)) == (evil, 5)
    outside = [line for line in body.split("```")[0].splitlines() if line]
    assert "<script>" not in body.split("## Cite")[0]
    assert sum(line.startswith("# ") for line in outside) == 1
    assert "[click](" not in body.split("## Cite")[0]


@given(st.text(max_size=80))
def test_plain_text_has_no_html_and_no_second_line(text: str) -> None:
    said = plain(text)
    assert "<" not in said
    assert "\n" not in said
    assert "\r" not in said


@given(st.text(alphabet="`a\n", max_size=40))
def test_nothing_closes_a_fence(text: str) -> None:
    lines = fenced(text).splitlines()
    assert all(line.strip() != lines[0] for line in lines[1:-1])


def test_a_prompt_stands_there_as_it_was_sent(run: RunFolder) -> None:
    card = run.card_path.read_text()
    first = pl.read_parquet(sorted((run.tables / "questions").glob("*.parquet")))["prompt"][0]
    assert "[system]\nYou are person 0, and stern." in card
    assert f"[user]\n{first}\n\nA) by need\nB) by merit" in card


def test_calibration_is_said_where_it_was_made_for_this_run(run: RunFolder, tmp_path: Path) -> None:
    copy = RunFolder(tmp_path / "run")
    shutil.copytree(run.path, copy.path)
    manifest = copy.read_manifest()
    figures = {"verdict": "above the floor", "said": ["Personas are 0.210 from people"]}
    assert "were not held against those of real people" in card_of(manifest, gather(copy, manifest))
    for fingerprint, said in ((manifest["fingerprint"], True), ("run-of-yesterday", False)):
        write_json(copy.path / "calibration.json", {"figures": figures, "fingerprint": fingerprint})
        assert (
            "verdict is: above the floor.\nPersonas are 0.210 from people." in card_of(manifest, gather(copy, manifest))
        ) is said
