"""Pipelines: every mistake is found before any model is asked, at its line, with a fix."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from prefgen.errors import SpecError, UsageError
from prefgen.flow.pipeline import load
from prefgen.flow.plan import make_plan

GOOD = """\
name: town
seed: 1
models: {judge: {engine: openai, model: m, base_url: "http://127.0.0.1:1/v1"}}
steps:
  people: {draw: people.yaml, n: 3}
  items: {table: items.jsonl}
  answers: {judge: pick, items: items, as: people, model: judge}
  kept: {keep: answers, where: "order_agreement and p_choice >= 0.6"}
  pairs: {pair: chosen_vs_other, from: kept, items: items}
  parts: {split: pairs, by: [item], test: 0.5}
"""
PEOPLE = "population: town\nsource: made up\nattributes:\n  age: {young: 0.5, old: 0.5}\ntext: You are {{ age }}.\n"
ITEMS = (
    '{"prompt": "Tea or coffee?", "options": ["tea", "coffee"]}\n{"prompt": "Cat or dog?", "options": ["cat", "dog"]}\n'
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "people.yaml").write_text(PEOPLE)
    (tmp_path / "items.jsonl").write_text(ITEMS)
    return tmp_path


def planned(folder: Path, text: str = GOOD, *overrides: str) -> Any:
    path = folder / "p.yaml"
    path.write_text(text)
    return make_plan(load(path, overrides))


def test_a_plan_counts_every_row_and_request(folder: Path) -> None:
    plan = planned(folder)
    assert {step.name: step.rows for step in plan.steps} == {
        "people": 3,
        "items": 2,
        "answers": 12,
        "kept": 12,
        "pairs": None,
        "parts": None,
    }
    # Three people of two kinds: two of them are the same person, and are asked once.
    assert plan.requests == 2 * 2 * 2


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seed: 1", "seeds: 1", "p.yaml:2: seeds: unknown key"),
        ("seed: 1", "seed: -1", "p.yaml:2: seed: "),
        ("seed: 1", "seed: [1]", "p.yaml:2: seed: "),
        ("engine: openai", "engine: opnai", "p.yaml:3: models.judge"),
        ("model: m,", "model: m, concurrency: 0,", "models.judge.concurrency"),
        ("http://127.0.0.1:1/v1", "http://user:secret@host/v1", "name or password"),
        ("n: 3", "m: 3", "p.yaml:5: steps.people.m: unknown key"),
        ("people.yaml", "nobody.yaml", "no such file"),
        ("items.jsonl", "none.jsonl", "no such file"),
        ("judge: pick", "judge: pik", "steps.answers.judge: 'pik' is not allowed"),
        ("items: items, as", "items: itms, as", "steps.answers.items: no step named 'itms'"),
        ("keep: answers", "keep: parts", "steps.kept.keep: step 'parts' stands below"),
        ("keep: answers", "keep: kept", "a step cannot read its own table"),
        ("model: judge}", "model: jdge}", "no model named 'jdge'"),
        ("order_agreement and", "order_agrement and", "steps.kept.where"),
        ("p_choice >= 0.6", "p_choice >=", "steps.kept.where"),
        ('"order_agreement and p_choice >= 0.6"', "p_choice", "not true or false"),
        ("by: [item]", "by: [colour]", "steps.parts.by[0]: no column 'colour'"),
        ("test: 0.5", "test: 1.5", "steps.parts.test"),
        ("  pairs:", "  ../pairs:", "is not a name"),
        ("name: town", "name: ../../town", "is not a name"),
        ("from: kept", "from: items", "no column"),
        ("{table: items.jsonl}", "{tabel: items.jsonl}", "no kind of step"),
        ("as: people", "as: items", "has no personas"),
        ("steps:", "expect: {items: 3}\nsteps:", "expect.items: 2 rows, expected 3"),
        ("steps:", "expect: {itms: 3}\nsteps:", "no step named 'itms'"),
    ],
)
def test_a_mistake_is_told_at_its_line_with_a_fix(folder: Path, old: str, new: str, words: str) -> None:
    assert old in GOOD
    with pytest.raises(SpecError) as caught:
        planned(folder, GOOD.replace(old, new, 1))
    assert words in str(caught.value)
    assert "fix: " in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ("", "the file is empty"),
        ('{"prompt": "a", "options": ["x", "y"]}\n{"prompt": ', "items.jsonl:2: not JSON"),
        ("[1]\n", "items.jsonl:1: a list, not an object"),
        ('{"prompt": "a", "options": ["x", "x"]}\n', "row 1 has two equal options"),
        ('{"prompt": "a", "options": ["x"]}\n', "row 1 has fewer than two options"),
        ('{"prompt": " ", "options": ["x", "y"]}\n', "row 1 has an empty prompt"),
        ('{"prompt": "a", "options": ["x", ""]}\n', "row 1 has an empty option"),
        ('{"item_id": 1, "prompt": "a", "options": ["x", "y"]}\n' * 2, "rows 1 and 2 have the same item_id"),
        (
            '{"prompt": "a", "options": ["x", "y"]}\n{"prompt": 3, "options": ["x", "y"]}\n',
            "items.jsonl:2: key 'prompt'",
        ),
        ('{"prompt": "a", "options": ["x", "y"], "neither": "D"}\n', "`neither` names no option"),
        ('{"question": "a"}\n', "it needs the columns `prompt` and `options`"),
    ],
)
def test_bad_items_are_told_by_their_row(folder: Path, items: str, words: str) -> None:
    (folder / "items.jsonl").write_text(items)
    with pytest.raises(SpecError) as caught:
        planned(folder)
    assert words in str(caught.value)


def test_items_may_be_csv_or_parquet_alike(folder: Path) -> None:
    import polars as pl

    (folder / "items.csv").write_text(
        'prompt,options,neither\nTea?,"[""yes"", ""no"", ""both""]",C\nCat?,yes | no | both,C\n'
    )
    pl.DataFrame({"prompt": ["Tea?"], "options": [["yes", "no"]]}).write_parquet(folder / "items.parquet")
    for suffix, rows in (("csv", 2), ("parquet", 1)):
        plan = planned(folder, GOOD.replace("items.jsonl", f"items.{suffix}"))
        assert plan.steps[1].rows == rows


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
@settings(max_examples=40, deadline=None)
@given(content=st.binary(max_size=300))
def test_no_bytes_in_an_items_file_give_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, content: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "people.yaml").write_text(PEOPLE)
    (folder / f"items.{suffix}").write_bytes(content)
    with pytest.raises(SpecError):
        planned(folder, GOOD.replace("items.jsonl", f"items.{suffix}"))


def test_an_override_replaces_any_key(folder: Path) -> None:
    assert planned(folder, GOOD, "steps.people.n=7", "limit=1").steps[0].rows == 7
    for wrong in ("x", "=1", "a..b=1", "name.x=1"):
        with pytest.raises((UsageError, SpecError)):
            planned(folder, GOOD, wrong)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_no_mutation_of_a_good_pipeline_gives_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "people.yaml").write_text(PEOPLE)
    (folder / "items.jsonl").write_text(ITEMS)
    content = yaml.safe_load(GOOD)
    here = content
    while isinstance(here, dict) and here:
        key = data.draw(st.sampled_from(sorted(here)))
        if not isinstance(here[key], dict) or data.draw(st.booleans()):
            here[key] = data.draw(JUNK)
            break
        here = here[key]
    try:
        planned(folder, yaml.safe_dump(content, allow_unicode=True))
    except SpecError as error:
        assert error.complaints


def test_all_problems_are_told_in_one_round_each_with_the_nearest_key(folder: Path) -> None:
    text = GOOD.replace("seed: 1", "sead: 1").replace("n: 3", "nn: 3").replace("model: judge}", "modle: judge}")
    with pytest.raises(SpecError) as caught:
        planned(folder, text.replace("test: 0.5", "test: half"))
    said = {(one.key, one.problem, one.fix.split(",")[0]) for one in caught.value.complaints}
    assert said >= {
        ("sead", "unknown key", "use one of 'seed'"),
        ("steps.people.nn", "unknown key", "use one of 'n'"),
        ("steps.answers.modle", "unknown key", "use one of 'model'"),
        ("steps.answers.model", "missing", "add this key"),
        ("steps.parts.test", "'half' is not a number", "write e.g. 0.5"),
    }


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("engine: openai", "engine: opnai", "models.judge.engine: 'opnai' is not allowed\n  fix: use one of 'openai'"),
        ("seed: 1", "seed: one", "seed: 'one' is not a whole number"),
        ("n: 3", "n: [3]", "steps.people.n: [3] is not a whole number"),
        ("test: 0.5", "test: 1.5", "steps.parts.test: 1.5 is too large: it must be"),
        ("by: [item]", "by: {a: b}", "steps.parts.by: {'a': 'b'} is not a list"),
        ("seed: 1", 'seed: !!int ""', "p.yaml:2: seed: not valid YAML: '' with the tag !!int"),
        ("items.jsonl", "x" * 300 + ".jsonl", "can be no file"),
        ("people.yaml", "x" * 300, "can be no file"),
        ("seed: 1", "seed: !!timestamp x", "with the tag !!timestamp"),
        ("seed: 1", "seed: 99999999999999999999", "larger than any whole number here"),
        ("test: 0.5", "test: 1e999", "larger than any number"),
        (
            '"order_agreement and p_choice >= 0.6"',
            "\"p_choice in (select x from read_csv('/etc/passwd'))\"",
            "p.yaml:8: steps.kept.where: ",
        ),
    ],
)
def test_what_is_wrong_is_said_in_words(folder: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        planned(folder, GOOD.replace(old, new, 1))
    assert words in str(caught.value)
    assert "input should" not in str(caught.value).lower()


def test_a_flag_sets_one_of_two_models_that_share_an_alias(folder: Path) -> None:
    text = GOOD.replace("models: {judge: {", "models: {other: &m {").replace('/v1"}}', '/v1"}, judge: *m}')
    (folder / "p.yaml").write_text(text)
    models = load(folder / "p.yaml", ["models.judge.temperature=0.5"]).models
    assert (models["judge"].temperature, models["other"].temperature) != (0.5, 0.5)


def test_a_check_of_very_many_people_is_as_quick_as_one_of_many(folder: Path) -> None:
    import time

    from prefgen.flow.pipeline import lighter

    (folder / "p.yaml").write_text(
        GOOD.replace("n: 3", "n: 50000000").replace("steps:", "expect: {people: 50000000, items: 2}\nsteps:")
    )
    begun = time.monotonic()
    make_plan(lighter(load(folder / "p.yaml")))
    assert time.monotonic() - begun < 20  # a second; minutes before
