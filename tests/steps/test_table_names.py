"""Names that users bring: each reaches the judgments under its own name, or under another that is told."""

from __future__ import annotations

import polars as pl
import pytest
import yaml

from prefgen.errors import SpecError
from prefgen.judging.aggregate import preferences
from prefgen.judging.items import CORE, free_names, taken
from prefgen.schemas import JUDGMENTS
from prefgen.steps import judge, pair, split, table
from prefgen.store.table import Table
from tests.steps.asking import PEOPLE, context

SQL = """select from where and or not null true false in is as by on order group having limit offset union join left
right inner outer full cross natural using case when then else end cast like between exists distinct all any some
create table insert into values update set delete drop alter index view with recursive interval date time timestamp
extract over partition rows range current row count sum avg min max rank lag lead first last"""
TRAINERS = """prompt_ids completion completion_ids messages conversations chosen rejected score_chosen score_rejected
label labels margin image images video audio tools text texts input input_ids attention_mask pixel_values weight
weights score reward sources system user assistant content role data features default train test validation split
config dataset file path bytes url _id id idx index key value values name names type types class n n_all len length
mean std var median option options_text condition shots agree_share level item user_id model_a model_b winner judge
turn conversation_a conversation_b question_id retold form topic subject category source language lang"""
INSIDE = """_group _index _factor _user _item _persona _prompt _text _time _before _options _neither _sources _a _b _k
_run _place _pair _x __x __index_level_0__ _ __ ___ p_z P_A p_a p_AA item_ item_id_ itemid persona persona-id 0 1 -1 007
1e3 a.b a/b a\\b a"b a'b a`b a;b a,b a:b a|b a{b} {{x}} $x %s %(x)s #x @x !x ?x *x ^x $ ~x (x) [x] <x> a=b a+b
x.y.z None nan NaN null NULL NA true True yes no on off y n ~ = <<"""
ODD = [
    "",
    " ",
    "  a",
    "a ",
    "a b",
    "a\tb",
    "a\nb",
    "Unnamed: 0",
    "Prompt",
    "OPTIONS",
    "Item_ID",
    "ä",
    "ß",
    "ﬁ",
    "日本語",
    "🙂",
    "👩‍👩‍👧",
    "é",
    "e\u0301",
    "\u200b",
    "\u202eabc",
    "x" * 300,
    "\x7f",
    "İ",
    "ı",
]
NAMES = sorted({*SQL.split(), *TRAINERS.split(), *INSIDE.split(), *ODD, *JUDGMENTS.names} - set(CORE))


def items(names: list[str]) -> pl.DataFrame:
    rows = [
        {"prompt": f"Question {k}?", "options": ["tea", "coffee"]} | {name: f"{name}={k}" for name in names}
        for k in range(2)
    ]
    return pl.concat(table.TableStep.model_validate({"table": rows}).make({}, context()))


def judged(rows: pl.DataFrame) -> dict[str, Table]:
    said = {"judge": "pick", "items": "items", "as": "people", "model": "m", "readout": "text"}
    tables = {"people": Table.of("people", [PEOPLE]), "items": Table.of("items", [rows])}
    here = context(lambda request: "A" if any("A) tea" in text for _, text in request.messages) else "B")
    return tables | {"answers": Table.of("answers", judge.Judge.model_validate(said).make(tables, here))}


def test_there_are_enough_names() -> None:
    assert len(NAMES) >= 300


def test_every_name_reaches_judgments_preferences_pairs_and_splits() -> None:
    names = [name for name in NAMES if taken([name]) is None]
    tables = judged(items(names))
    said = pair.Pair.model_validate({"pair": "chosen_vs_other", "from": "answers", "items": "items"})
    tables["pairs"] = Table.of("pairs", said.make(tables, context()))
    parts = split.Split.model_validate({"split": "pairs", "by": ["item"], "test": 0.5})
    for made in (
        tables["answers"].read(),
        preferences(tables["answers"].read()),
        tables["pairs"].read(),
        pl.concat(parts.make(tables, context())),
    ):
        number = dict(tables["items"].read().select("item_id", pl.col("prompt").str.slice(9, 1)).iter_rows())
        assert made.height
        for name in names:
            assert made[name].to_list() == [f"{name}={number[one]}" for one in made["item_id"]], name


@pytest.mark.parametrize("name", [name for name in NAMES if taken([name]) is not None])
def test_a_name_that_is_needed_travels_under_another(name: str) -> None:
    if name == "reject_reason":
        return  # of an item that was dropped before: it is not asked about
    rows = items([name]).with_columns(pl.lit("x").alias(name))
    if name in ("persona_id", "split"):
        with pytest.raises(SpecError, match=r"p\.yaml:1: steps\.s\.items: .*\n  fix: write `rename:"):
            judged(rows)
        return  # who is asked, and names nobody here; by what exports part their rows
    (new,) = free_names([name]).values()
    assert taken([new]) is None
    assert judged(rows)["answers"].read()[new].to_list() == ["x"] * 12


def test_all_names_that_are_needed_travel_and_are_told() -> None:
    here = context(lambda _: "A")
    tables = {"people": Table.of("people", [PEOPLE]), "items": Table.of("items", [items(["order", "topic", "model"])])}
    said = {"judge": "pick", "items": "items", "as": "people", "model": "m", "readout": "text"}
    list(judge.Judge.model_validate(said).make(tables, here))
    assert here.notes[0].startswith("column 'order' travels as 'item_order'; column 'model' travels as 'item_model'")


def test_renaming() -> None:
    rows = [{"Prompt": "Tea?", " options": ["a", "b"], "": 1}]
    said = {"table": rows, "rename": {"Prompt": "prompt", " options": "options", "": "row"}}
    made = pl.concat(table.TableStep.model_validate(said).make({}, context()))
    assert made.columns == ["item_id", "prompt", "options", "neither", "row"]
    swapped = {"table": [{"a": 1, "b": 2}], "rename": {"a": "b", "b": "a"}}
    assert pl.concat(table.TableStep.model_validate(swapped).make({}, context())).to_dicts() == [{"b": 1, "a": 2}]


@pytest.mark.parametrize(
    ("rename", "words"),
    [
        ({"topc": "x"}, r"steps\.s\.rename\.topc: no column 'topc'\n  fix: name one of 'topic'"),
        ({"topic": "prompt"}, "there is another column 'prompt'"),
        ({"topic": "x", "prompt": "x"}, "there is another column 'x'"),
    ],
)
def test_a_wrong_renaming_is_told(rename: dict[str, str], words: str) -> None:
    said = {"table": [{"prompt": "Tea?", "topic": "t"}], "rename": rename}
    with pytest.raises(SpecError, match=words):
        list(table.TableStep.model_validate(said).make({}, context()))


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (["Prompt", "Options"], r"has 'Prompt', 'Options'\n  fix: write `rename: {Prompt: prompt, Options: options}`"),
        (["question", "options"], r"if another column is it, write e\.g\. `rename: {question: prompt}`"),
        (["promt", "option"], r"write `rename: {promt: prompt, option: options}`"),
        (["topic"], "name a `table` step with `forms:`"),
    ],
)
def test_rows_that_are_no_items_say_which_columns_they_have(columns: list[str], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        judged(pl.DataFrame([dict.fromkeys(columns, "x")]))


def test_a_name_that_is_nearly_one_that_means_something_is_said() -> None:
    here = context()
    rows = [{"prompt": "Tea?", "options": ["a", "b"], "neithr": "B", "Item ID": 1, "idem": 2}]
    list(table.TableStep.model_validate({"table": rows}).make({}, here))
    assert here.notes == [
        "column 'Item ID' is carried along; if it is `item_id`, write `rename: {'Item ID': item_id}`",
        "column 'neithr' is carried along; if it is `neither`, write `rename: {neithr: neither}`",
    ]


def test_the_name_of_a_form_does_not_hide_a_column() -> None:
    said = {"table": [{"form": "mine"}], "forms": {"f": {"prompt": "x", "options": ["a", "b"]}}}
    with pytest.raises(SpecError, match="have a column `form`"):
        list(table.TableStep.model_validate(said).make({}, context()))


@pytest.mark.parametrize("name", ["*", "^x$", "^.*$"])
def test_names_that_stand_for_other_columns_are_refused(name: str) -> None:
    with pytest.raises(SpecError, match=r"steps\.s\.table: .* is a pattern to polars") as caught:
        items([name])
    rename = yaml.safe_load(caught.value.complaints[0].fix.split("`")[1])
    assert list(rename["rename"]) == [name]


def test_a_column_split_is_not_overwritten() -> None:
    rows = pl.DataFrame({"item_id": ["i"], "split": ["mine"]})
    with pytest.raises(SpecError, match="has a column 'split' already"):
        list(
            split.Split.model_validate({"split": "t", "by": ["item"], "test": 0.5}).make(
                {"t": Table.of("t", [rows])}, context()
            )
        )
