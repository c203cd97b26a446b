"""Exports: what stands in each row, from which table, and that nobody needs glue code to read them."""

from __future__ import annotations

from pathlib import Path

import datasets
import polars as pl
import pytest

from prefgen.errors import SpecError
from prefgen.publish.exports.presets import PRESETS
from prefgen.publish.exports.wanted import wanted_exports
from prefgen.publish.exports.write import write_exports
from tests.publish import made

ALL = "judgments, preferences, dpo, margin, kto, sft, llamafactory, nemo_rl, cond, fewshot, table, battle"
PAIRS = "  pairs: {pair: chosen_vs_other, from: kept, items: questions}\n  parts: {split: pairs, by: [item], test: 0.2}"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    pipeline = made.pipeline_in(tmp_path, exports=ALL)
    write_exports(pipeline, made.tables(), made.GRAINS, tmp_path / "data")
    return tmp_path / "data"


def read(data: Path, name: str) -> pl.DataFrame:
    return pl.read_parquet(data / name / "*.parquet")


def test_every_export_is_there_with_people_and_questions_beside(data: Path) -> None:
    assert sorted(path.name for path in data.iterdir()) == sorted(
        name for name, preset in PRESETS.items() if not preset.of_rows
    )  # of any step: see tests/language
    assert [path.name for path in data.parent.iterdir() if path.name.startswith(".")] == []


def test_judgments_keep_dropped_rows_and_their_reasons(data: Path) -> None:
    rows = read(data, "judgments")
    assert rows.height == 5 * 6 * 2
    assert rows["reject_reason"].null_count() < rows.height


def test_a_dpo_row_reads_as_the_persona_was_asked_and_answered(data: Path) -> None:
    rows = read(data, "dpo")
    assert rows.columns[:6] == ["prompt", "chosen", "rejected", "weight", "p_margin", "p_chosen"]
    people = dict(made.people().select("persona_id", "text").iter_rows())
    questions = {item["item_id"]: item for item in made.questions().iter_rows(named=True)}
    for row in rows.iter_rows(named=True):
        item = questions[row["item_id"]]
        assert row["prompt"] == [
            {"role": "system", "content": people[row["persona_id"]]},
            {"role": "user", "content": item["prompt"]},
        ]
        assert row["chosen"] == [{"role": "assistant", "content": item["options"]["AB".index(row["chosen_option"])]}]
        assert row["rejected"] == [
            {"role": "assistant", "content": item["options"]["AB".index(row["rejected_option"])]}
        ]
        assert 0 < row["p_margin"] <= 1
        assert row["topic"] in ("topic 0", "topic 1")
    assert rows["pair_id"].is_unique().all()


def test_nobody_learns_from_controls_or_dropped_judgments(data: Path) -> None:
    for name in ("dpo", "margin", "kto", "sft", "llamafactory", "nemo_rl", "cond", "fewshot", "table"):
        assert "per-0-none" not in read(data, name)["persona_id"].to_list()
    assert read(data, "dpo")["p_chosen"].min() >= 0.6  # type: ignore[operator]
    assert "per-0-none" not in read(data, "battle")["judge"].to_list()
    assert "per-0-none" in read(data, "judgments")["persona_id"].to_list()


def test_margin_is_a_whole_conversation_and_a_soft_probability(data: Path) -> None:
    dpo, margin = read(data, "dpo"), read(data, "margin")
    assert margin["chosen"].to_list() == [
        a + b for a, b in zip(dpo["prompt"].to_list(), dpo["chosen"].to_list(), strict=True)
    ]
    assert "prompt" not in margin.columns
    assert margin["p_soft"].is_between(0.5, 1).all()


def test_kto_has_each_answer_of_a_person_once_and_says_which_was_wanted(data: Path) -> None:
    rows = read(data, "kto")
    assert rows.select("persona_id", "item_id", "option").is_unique().all()
    assert rows["label"].sum() == read(data, "dpo").height
    assert rows.filter("label")["p"].min() > rows.filter(~pl.col("label"))["p"].max()  # type: ignore[operator]


def test_cond_says_how_many_others_chose_the_same(data: Path) -> None:
    rows = read(data, "cond")
    assert rows["condition"].null_count() == 0
    for row in rows.iter_rows(named=True):
        on_item = rows.filter((pl.col("item_id") == row["item_id"]) & (pl.col("persona_id") != row["persona_id"]))
        same = (on_item["chosen_option"] == row["chosen_option"]).mean()
        assert row["agree_share"] == (None if on_item.is_empty() else pytest.approx(same))


def test_shots_are_other_choices_of_the_same_person_and_the_only_thing_said_of_them(data: Path) -> None:
    rows, dpo = read(data, "fewshot"), read(data, "dpo")
    assert rows.height == dpo.height
    own = {
        (row["persona_id"], row["prompt"][-1]["content"]): row["chosen"][0]["content"]
        for row in dpo.iter_rows(named=True)
    }
    for row in rows.iter_rows(named=True):
        asked = row["prompt"][-1]["content"]
        assert all(shot["prompt"] != asked for shot in row["shots"])
        assert all(own[row["persona_id"], shot["prompt"]] == shot["chosen"] for shot in row["shots"])
        assert len(row["shots"]) == min(4, sum(person == row["persona_id"] for person, _ in own) - 1)
        assert not row["shots"] or row["shots"][0]["chosen"] in row["prompt"][0]["content"]
        assert "You are person" not in str(row["prompt"])


def test_table_numbers_people_and_answers_by_their_rows(data: Path) -> None:
    rows, people, items = read(data, "table"), read(data, "personas"), read(data, "items")
    answers = [
        (item, "ABC"[k])
        for item, options in items.select("item_id", "options").iter_rows()
        for k in range(len(options))
    ]
    for row in rows.iter_rows(named=True):
        assert people["persona_id"][row["user"]] == row["persona_id"]
        assert answers[row["item"]] == (row["item_id"], row["option"])
        assert items["item_id"][row["time"]] == row["item_id"]
    assert set(rows["level"]) == {0, 1}


def test_a_battle_is_won_by_the_slot_that_the_judge_named(data: Path) -> None:
    rows, answers = read(data, "battle"), read(data, "judgments")
    choices = dict(answers.select("judgment_id", "choice").iter_rows())
    assert set(rows["winner"]) <= set(PRESETS["battle"].classes["winner"])
    for row in rows.iter_rows(named=True):
        chosen = {"A": "by need", "B": "by merit"}[choices[row["judgment_id"]]]
        assert row[row["winner"]] == chosen
        assert row["conversation_a"][-1]["content"] == row["model_a"]


def test_an_export_is_made_from_pairs_and_their_splits_where_a_step_makes_them(tmp_path: Path) -> None:
    pipeline = made.pipeline_in(tmp_path, exports="dpo, fewshot", more=PAIRS)
    tables = made.tables(with_pairs=True)
    tables["parts"] = tables["pairs"]
    (dpo, fewshot, *_) = write_exports(
        pipeline, tables, made.GRAINS | {"pairs": "pairs", "parts": "pairs"}, tmp_path / "data"
    )
    assert (dpo["step"], list(dpo["splits"])) == ("parts", ["train", "test"])
    assert fewshot["splits"] == dpo["splits"]
    test = pl.read_parquet(tmp_path / "data/dpo/test-00000-of-00001.parquet")
    assert set(test["item_id"]) == {"itm-0"}
    shots = pl.read_parquet(tmp_path / "data/fewshot/*.parquet")["shots"].to_list()
    assert not any(shot["prompt"].startswith("Question 0") for row in shots for shot in row)


def test_rows_do_not_depend_on_how_the_table_was_cut(tmp_path: Path) -> None:
    pipeline = made.pipeline_in(tmp_path, exports=ALL)
    write_exports(pipeline, made.tables(), made.GRAINS, tmp_path / "a")
    whole = made.tables()
    whole = {name: type(table).of(name, [table.read()]) for name, table in whole.items()}
    write_exports(pipeline, whole, made.GRAINS, tmp_path / "b")
    for path in (tmp_path / "a").rglob("*.parquet"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes(), path.name


def test_when_all_rows_are_dropped_every_export_still_has_its_columns(tmp_path: Path, data: Path) -> None:
    pipeline = made.pipeline_in(tmp_path, exports=ALL)
    write_exports(pipeline, made.tables(least=2), made.GRAINS, tmp_path / "empty")
    for name in ("dpo", "margin", "kto", "sft", "llamafactory", "nemo_rl", "cond", "fewshot", "table", "battle"):
        empty = pl.read_parquet(tmp_path / "empty" / name / "*.parquet")
        assert (empty.height, empty.schema) == (0, read(data, name).schema), name


def test_datasets_reads_conversations_as_lists_of_structs(data: Path, tmp_path: Path) -> None:
    rows = datasets.load_dataset(
        "parquet", data_files=str(data / "dpo/*.parquet"), split="train", cache_dir=str(tmp_path / "c")
    )
    said = {"role": datasets.Value("string"), "content": datasets.Value("string")}
    assert rows.features["prompt"] == datasets.List(said)
    assert rows[0]["chosen"][0]["role"] == "assistant"


@pytest.mark.parametrize(
    ("exports", "said"),
    [
        ("dppo", r"publish.exports\[0\]: no export named 'dppo'\n  fix: use one of 'dpo'"),
        ("{dpo: {from: nowhere}}", r"dpo.from: no step named 'nowhere'\n  fix: name one of 'answers', 'kept'"),
        ("{dpo: {from: people}}", r"'people' has no pairs or judgments"),
        ("{fewshot: {shots: 0}}", r"shots: 0 is not a number from 1 to 64"),
        ("{dpo: {form: kept}}", r"dpo: {'form': 'kept'} is not understood"),
        ("dpo, dpo", r"exports\[1\]: two exports are named 'dpo'"),
        ("{dpo: {name: items}}", r"dpo.name: 'items' cannot be the name of this export"),
        ("{items: {name: mine}}", r"items.name: 'mine' cannot be the name of this export"),
        ("{dpo: {name: ../x}}", r"dpo.name: '../x' cannot be the name of this export"),
        ("{dpo: {name: 3}}", r"dpo.name: 3 cannot be the name of this export"),
        ("{dpo: {system_role: 0}}", r"dpo.system_role: 0 is neither true nor false"),
    ],
)
def test_an_export_that_cannot_be_made_is_named_with_its_line(tmp_path: Path, exports: str, said: str) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        wanted_exports(made.pipeline_in(tmp_path, exports=exports), made.GRAINS)
    assert "town.yaml:11: publish" in str(caught.value)


def test_the_judgments_that_speak_for_a_run_are_a_step_that_has_some(tmp_path: Path) -> None:
    pipeline = made.pipeline_in(tmp_path, exports="dpo], judgments: people, tags: [")
    with pytest.raises(
        SpecError, match=r"publish.judgments: no step 'people' with judgments\n  fix: name one of 'answers'"
    ):
        wanted_exports(pipeline, made.GRAINS)


def test_rows_that_are_no_items_are_not_exported_as_items(tmp_path: Path) -> None:
    pipeline = made.pipeline_in(tmp_path, exports="items")
    with pytest.raises(
        SpecError, match=r"export 'items' needs items, and no step makes them\n  fix: add a `table` \(of rows with"
    ):
        wanted_exports(pipeline, dict.fromkeys(pipeline.steps, "rows"))


def test_an_export_can_name_its_step(tmp_path: Path) -> None:
    pipeline = made.pipeline_in(tmp_path, exports="{dpo: {from: answers}}, {fewshot: {shots: 2}}")
    assert [(one.name, one.step, one.shots) for one in wanted_exports(pipeline, made.GRAINS)] == [
        ("dpo", "answers", 4),
        ("fewshot", "kept", 2),
    ]
