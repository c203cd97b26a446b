"""The card: what loads the dataset, and what a reader learns of it; nothing in it is typed by hand or believed blindly."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from pathlib import Path

import datasets
import polars as pl
import pytest
from huggingface_hub import DatasetCard
from hypothesis import given
from hypothesis import strategies as st

from prefgen.estimates import NOTHING
from prefgen.flow.outcome import Outcome
from prefgen.publish.card import card_of, write_card
from prefgen.publish.card.facts import Parted, gather
from prefgen.publish.card.markdown import fenced, plain
from prefgen.screen.watch import outcome_lines
from prefgen.store.files import write_json
from prefgen.store.folder import RunFolder
from prefgen.store.leakage import Leakage
from tests.publish import made

ALL = "dpo, judgments, preferences, margin, kto, sft, llamafactory, nemo_rl, cond, fewshot, table, battle"


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


def test_a_run_that_kept_nothing_says_what_is_empty_and_why_and_loads_the_rest(tmp_path: Path) -> None:
    run = made.run_in(tmp_path, exports="dpo, judgments", least=2)
    # datasets refuses to prepare a split without rows (5.2); streamed, it gives the columns and no row.
    loaded = datasets.load_dataset(str(run.path), "dpo", split="train", streaming=True)
    assert (list(loaded), loaded.column_names[0]) == ([], "prompt")
    assert pl.scan_parquet(run.data / "dpo/*.parquet").collect().height == 0
    for name in ("judgments", "personas", "items"):
        assert datasets.load_dataset(str(run.path), name, split="train").num_rows
    assert datasets.load_dataset(str(run.path), split="train").column_names[0] == "judgment_id"
    card = run.card_path.read_text()
    assert (
        "`dpo` has no rows, and `load_dataset` refuses what has none: all 60 rows of kept were dropped, 58 for unsure"
        in card
    )
    assert 'load_dataset("PATH_OR_REPO", "judgments")' in card


def test_the_screen_says_what_is_empty_and_loads_what_is_not(tmp_path: Path) -> None:
    run = made.run_in(tmp_path, exports="dpo, judgments", least=2)
    lines = list(outcome_lines(Outcome(run, run.read_manifest(), fresh=True)))
    assert "data/dpo: empty: all 60 rows of kept were dropped, 58 for unsure" in lines
    assert lines[-1] == f"load it: datasets.load_dataset({str(run.path)!r}, 'judgments')"
    nothing = run.read_manifest() | {"configs": []}
    assert list(outcome_lines(Outcome(run, nothing, fresh=True)))[-1] == "there is nothing to load: no export has a row"


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
    messages = "[system]\nYou are person 0, and stern.\n\n[user]\nQuestion 0: which is fairer?\n\nA) by need\n\n[assistant]\nAnswer:"
    assert f"```\n{messages}\n```" in run.card_path.read_text()


def test_a_run_without_a_request_for_a_person_has_no_prompt_on_its_card(run: RunFolder) -> None:
    manifest = run.read_manifest()
    for step in manifest["steps"]:
        step["summary"].pop("example", None)
    assert "as it was sent" not in card_of(manifest, gather(run, manifest))


def test_position_bias_stands_there_with_its_interval_and_what_people_have(run: RunFolder) -> None:
    card = run.card_path.read_text()
    assert "| 25.0 % (10.0 % to 40.0 %, n = 6) | 62.0 % (50.0 % to 70.0 %, n = 6) | 70.0 % | – | 93.0 % |" in card
    assert "50.5 %, a position bias of +1 %" in card
    assert "- `answers`: orders do not balance" in card


@pytest.mark.parametrize(
    ("control", "choice", "said"),
    [
        (None, "A", "none was run"),
        ("none", None, "asked about 6 items, and none of its choices could be compared"),
        ("none", "A", r"without any persona makes"),
    ],
)
def test_a_control_that_was_asked_is_never_said_not_to_be(
    run: RunFolder, tmp_path: Path, control: str | None, choice: str | None, said: str
) -> None:
    """A judge that always names the first slot leaves no option likeliest: nothing can be compared, and that is said."""
    copy = RunFolder(tmp_path / "run")
    shutil.copytree(run.path, copy.path)
    rows = copy.table("kept").read()
    rows = rows.filter(pl.col("control").is_null() | pl.lit(control is not None))
    rows = rows.with_columns(
        pl.when(pl.col("control") == "none").then(pl.lit(choice)).otherwise("item_choice").alias("item_choice")
    )
    copy.tables.write("kept", iter([rows]), fingerprint="kept", account=lambda _: {})
    manifest = copy.read_manifest()
    card = " ".join(card_of(manifest, gather(copy, manifest)).split())
    assert said in card
    assert ("none was run" in card) is (control is None)


def test_the_year_of_the_citation_is_the_run_s(run: RunFolder) -> None:
    manifest = run.read_manifest()
    assert "year = {2026}" in card_of(manifest, gather(run, manifest))
    started = {key: value for key, value in manifest.items() if key != "finished"} | {
        "started": "2025-02-03T04:05:06+00:00"
    }
    assert "year = {2025}" in card_of(started, gather(run, started))


@pytest.mark.parametrize(
    "text",
    [
        "Fair-PP quickstart",
        "smollm2-135m-instruct",
        "2020 (more than half)",
        "a_b_c, R&D, x > y, 5 + 3 = 8!",
        "p. 3: {levels}",
        "#1",
        "-5 to +5",
        "v1.0",
    ],
)
def test_what_would_not_act_is_not_escaped(text: str) -> None:
    assert plain(text) == text


ACTING = st.text(alphabet="ab1 *_`[]()<>&;#!|~$\\:/.@-+=wh>éß", max_size=24) | st.sampled_from(
    [
        "- x",
        "1. x",
        "1) x",
        "# x",
        "x #",
        "x ##",
        "---",
        "===",
        "> x",
        "+ x",
        "&lt;",
        "&#60;",
        "**a**",
        "__a__",
        "_a_",
        "~~a~~",
        "[a](b)",
        "![a](b)",
        "<b>",
        "<!-- a -->",
        "http://a.b",
        "<http://a.b>",
        "a\\",
        "|a|b|",
        "```",
        "~~~",
        "    a",
        "[^1]",
        "[a]: b",
    ]
)


@given(ACTING)
def test_text_made_plain_reads_in_markdown_as_it_was_written(text: str) -> None:
    """Held against a Markdown parser of its own: nothing but text comes out, the same text, whatever it stands in."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    one_line = " ".join(text.split())
    if not one_line:
        return
    for before, kinds in (("", {"paragraph"}), ("- ", {"bullet_list", "list_item", "paragraph"}), ("# ", {"heading"})):
        tokens = parser.parse(f"{before}{plain(text)}")
        assert {token.type.rsplit("_", 1)[0] for token in tokens if token.type != "inline"} == kinds
        (inline,) = [token for token in tokens if token.type == "inline"]
        assert {child.type for child in inline.children or []} <= {"text", "text_special"}
        assert "".join(child.content for child in inline.children or []) == one_line
    cells = parser.parse(f"| x | y |\n|---|---|\n| {plain(text)} | z |")
    assert sum(token.type == "td_open" for token in cells) == 2


@given(
    st.sampled_from(
        [
            "http://evil.example",
            "https://a",
            "www.evil.example",
            "a@evil.example",
            "@someone",
            ":smile:",
            "mailto:a",
            "ftp://x",
        ]
    )
)
def test_nothing_becomes_a_link_or_a_mention(text: str) -> None:
    assert "\\" in plain(text)


def test_calibration_is_said_where_it_was_made_for_this_run(run: RunFolder, tmp_path: Path) -> None:
    copy = RunFolder(tmp_path / "run")
    shutil.copytree(run.path, copy.path)
    manifest = copy.read_manifest()
    nothing = asdict(NOTHING)
    measured = ("total_variation", "floor", "excess", "gain", "gain_over_no_persona", "spread_floor", "coherence_floor")
    figures = dict.fromkeys(measured, nothing) | {"spread": None, "coherence": None}
    figures |= {"verdict": "above the floor", "said": ["Personas are 0.210 from people"]}
    weights = {"personas": 2, "effective_n": 2.0, "largest": 1.0, "share_distance": None, "reweighted": None}
    tables: dict[str, object] = {"cells": [], "summary": [], "subgroups": [], "certainty": [], "notes": []}
    found = tables | {"judgments": None, "figures": figures, "poststratification": weights}
    assert "were not held against those of real people" in card_of(manifest, gather(copy, manifest))
    for fingerprint, said in ((manifest["fingerprint"], True), ("run-of-yesterday", False)):
        write_json(copy.path / "calibration.json", found | {"fingerprint": fingerprint})
        assert (
            "verdict is: above the floor.\nPersonas are 0.210 from people.\n\n"
            in card_of(manifest, gather(copy, manifest))
        ) is said
