"""Rows and items: combinations, forms, templates."""

import polars as pl
import pytest

from prefgen.errors import SpecError
from prefgen.steps.product import Product
from prefgen.steps.step import Step
from prefgen.steps.table import TableStep
from prefgen.store.table import Table
from tests.steps.asking import context


def made(kind: type[Step], facts: dict[str, object], tables: dict[str, Table] | None = None) -> pl.DataFrame:
    return pl.concat(kind.model_validate(facts).make(tables or {}, context()))


def test_a_product_has_every_combination_once_the_last_axis_fastest() -> None:
    rows = made(
        Product, {"product": {"group": ["x", "y"], "topic": {"by": ["theme"], "tree": {"t": ["1", "2"], "u": ["3"]}}}}
    )
    assert rows.rows() == [
        ("x", "t", "1"),
        ("x", "t", "2"),
        ("x", "u", "3"),
        ("y", "t", "1"),
        ("y", "t", "2"),
        ("y", "u", "3"),
    ]


AXES = {"a": list(range(7)), "b": ["x", "y", "z"], "c": [True, False]}


def test_some_are_drawn_evenly_and_keep_their_order() -> None:
    every = made(Product, {"product": AXES}).rows()
    some = made(Product, {"product": AXES, "draw": 20}).rows()
    assert len(set(some)) == 20
    assert sorted(some, key=every.index) == some
    assert some == made(Product, {"product": AXES, "draw": 20}).rows()
    assert (
        made(Product, {"product": AXES, "draw": 42}).rows()
        == every
        == made(Product, {"product": AXES, "draw": 99}).rows()
    )
    filtered = made(Product, {"product": AXES, "draw": 5, "where": "a > 3"}).rows()
    assert len(filtered) == 5
    assert {row[0] for row in filtered} <= {4, 5, 6}


def test_of_very_many_combinations_only_those_drawn_are_made() -> None:
    axes = {name: list(range(1000)) for name in "abcd"}
    rows = made(Product, {"product": axes, "draw": 3000})
    assert rows.height == 3000
    assert rows.is_unique().all()
    for name in axes:  # evenly: the standard error is 5.3
        assert abs(rows[name].mean() - 499.5) < 30  # type: ignore[operator]
    with pytest.raises(SpecError, match=r"1,000,000,000,000 combinations, at most 20,000,000"):
        made(Product, {"product": axes})
    with pytest.raises(SpecError, match="combinations, at most"):
        made(Product, {"product": {name: list(range(1000)) for name in "abcdefg"}, "draw": 3})


def test_an_axis_of_rows_brings_its_columns_along() -> None:
    rows = made(
        Product,
        {
            "product": {"d": [{"d": "one", "first": "a"}, {"d": "two", "first": "b"}], "g": ["x"]},
            "where": "first <> 'b'",
        },
    )
    assert rows.to_dicts() == [{"d": "one", "first": "a", "g": "x"}]


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ({"g": []}, "without values"),
        ({"g": ["x", "x"]}, "stands on it twice"),
        ({"g": ["x", 1]}, "different types"),
        ({"g": [{"h": "x"}]}, "no column 'g'"),
        ({"g": ["x"], "h": [{"h": "y", "g": "z"}]}, "stands on two axes"),
        ({"g": {"by": ["a", "b"], "tree": {"x": ["y"]}}}, "as deep as"),
    ],
)
def test_a_wrong_axis_is_told(axes: dict[str, object], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        made(Product, {"product": axes})


FORMS = {
    "short": {"prompt": "{{ topic }}?", "options": ["yes to {{ topic }}", "no"]},
    "long": {"prompt": "And {{ topic }}?", "options": ["yes", "no", "neither"], "neither": "C"},
}


def test_of_what_a_step_made_nothing_may_be_left() -> None:
    dropped = pl.DataFrame({"a_id": ["x"], "n": [1], "reject_reason": ["unparsed"]})
    for more in ({}, {"draw": 3}, {"where": "n > 0"}):
        facts = {"product": {"a_id": {"step": "a"}, "b": [1, 2]}, **more}
        rows = made(Product, facts, {"a": Table.of("a", [dropped])})
        assert rows.is_empty()
        assert {"a_id", "n", "b"} <= set(rows.columns)


def test_forms_ask_about_every_row_in_each_way() -> None:
    rows = made(TableStep, {"table": [{"topic": "tea"}, {"topic": "cake"}], "forms": FORMS})
    assert rows["form"].to_list() == ["short", "long", "short", "long"]
    assert rows["prompt"].to_list() == ["tea?", "And tea?", "cake?", "And cake?"]
    assert rows["options"][0].to_list() == ["yes to tea", "no"]
    assert rows["neither"].to_list() == [None, 2, None, 2]
    assert rows["item_id"].n_unique() == 4


def test_item_ids_belong_to_the_content_and_not_to_the_place() -> None:
    forwards = made(TableStep, {"table": [{"topic": "tea"}, {"topic": "cake"}], "forms": FORMS})
    backwards = made(TableStep, {"table": [{"topic": "cake"}, {"topic": "tea"}], "forms": FORMS})
    assert set(forwards["item_id"]) == set(backwards["item_id"])


def test_further_columns_come_from_templates_and_helpers_may_be_dropped() -> None:
    rows = made(TableStep, {"table": [{"a": "x", "b": 1}], "set": {"c": "{{ a }}{{ b }}"}, "drop": ["a"]})
    assert rows.to_dicts() == [{"b": 1, "c": "x1"}]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"forms": {"f": {"prompt": "{{ nobody }}", "options": ["a", "b"]}}}, "'nobody' is undefined"),
        ({"forms": {"f": {"prompt": "{{ topic", "options": ["a", "b"]}}}, "not a template"),
        ({"forms": {"f": {"prompt": "{{ ().__class__ }}", "options": ["a", "b"]}}}, "forms"),
        ({"forms": {"f": {"prompt": "x", "options": ["a", "b"], "neither": "C"}}}, "no option C"),
        ({"drop": ["nothing"]}, "no column 'nothing'"),
    ],
)
def test_a_template_that_cannot_be_filled_is_told(facts: dict[str, object], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        made(TableStep, {"table": [{"topic": "tea"}], **facts})


def test_a_table_may_come_from_an_earlier_step() -> None:
    above = {"rows": Table.of("rows", [pl.DataFrame({"topic": ["tea", "cake"]})])}
    assert made(TableStep, {"table": "rows", "limit": 1}, above)["topic"].to_list() == ["tea"]
