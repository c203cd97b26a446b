"""Exports that name their columns: conditions that a step wrote, labels of pairs, critiques, products of steps."""

from __future__ import annotations

from typing import Any

import pytest

from prefgen.errors import SpecError
from tests.language.conftest import Done, Run

ANSWERS = [
    {"item_id": item, "prompt": f"{item}?", "response": f"{item} {word}", "heat": heat, "by": f"w{heat}"}
    for item in ("tea", "jam")
    for word, heat in (("cold", 0), ("hot", 1))
]
PEOPLE = [{"persona_id": name, "wants": wants} for name, wants in (("ann", 1), ("bo", -1))]


def exported(whole: Run, *exports: Any, portraits: list[dict[str, Any]] | None = None, **steps: Any) -> Done:
    written = [{"persona_id": "ann", "portrait": "Ann likes heat."}, {"persona_id": "bo", "portrait": " "}]
    made = {
        "answers": {"table": ANSWERS},
        "rows": {"table": PEOPLE},
        "crowd": {"people": "rows"},
        "portraits": {"table": written if portraits is None else portraits},
        "picks": {
            "judge": "pick",
            "items": "answers",
            "show": 2,
            "as": "crowd",
            "utility": "people.wants * items.heat",
        },
        "pairs": {"pair": "chosen_vs_other", "from": "picks"},
        **steps,
    }
    return whole({"models": {}, "steps": made, "publish": {"exports": [*exports]}})


def test_a_condition_is_what_a_step_says_of_the_persona(whole: Run) -> None:
    rows = exported(whole, {"cond": {"condition": "portraits.portrait"}}).data("cond")
    assert set(rows.select("persona_id", "condition").iter_rows()) == {
        ("ann", "Ann likes heat.")
    }  # of bo nothing is said
    assert rows.height == 2
    assert {turn["content"] for row in rows["prompt"] for turn in row if turn["role"] == "system"} == {
        "Ann likes heat."
    }


def test_labels_of_pairs_are_those_named(whole: Run) -> None:
    rows = exported(whole, {"fewshot": {"shots": 1, "labels": ["chosen_by", "rejected_by", "p_chosen"]}}).data(
        "fewshot"
    )
    assert rows.columns[3:7] == ["shots", "chosen_by", "rejected_by", "p_chosen"]
    assert "weight" not in rows.columns
    assert rows.columns.count("chosen_by") == 1
    assert set(rows.select("persona_id", "chosen_by").iter_rows()) == {("ann", "w1"), ("bo", "w0")}


def test_a_critique_has_all_three_texts(whole: Run) -> None:
    drafts = [
        {"item_id": "a", "prompt": "Tea?", "first": "No.", "said": "Be kind.", "then": "No, thank you."},
        {"item_id": "b", "prompt": "Jam?", "first": "No.", "said": None, "then": None},
    ]
    export = {"critique": {"from": "drafts", "draft": "first", "feedback": "said", "revision": "then"}}
    rows = exported(whole, export, drafts={"table": drafts}).data("critique")
    assert rows.drop("messages", "split").rows() == [("No.", "Be kind.", "No, thank you.", "a")]
    assert [(turn["role"], turn["content"]) for turn in rows["messages"][0]] == [
        ("user", "Tea?"),
        ("assistant", "No."),
        ("user", "Be kind."),
        ("assistant", "No, thank you."),
    ]


@pytest.mark.parametrize(
    ("export", "said"),
    [
        ({"cond": {"condition": "portraits"}}, "'portraits' names no column of a step"),
        ({"cond": {"condition": "portrait.portrait"}}, "names no column of a step"),
        ({"cond": {"condition": "portraits.text"}}, "'portraits' has no texts in 'text'"),
        ({"cond": {"condition": "answers.by"}}, "'answers' has several rows for item_id"),
        ({"dpo": {"condition": "portraits.portrait"}}, "'dpo' states no condition"),
        ({"dpo": {"labels": ["hue"]}}, "'pairs' has no column 'hue'"),
        ({"dpo": {"labels": ["p_chosen"], "weighted": "resample"}}, "rows are drawn by `weight`"),
        ({"critique": {"from": "answers", "draft": "response", "feedback": "by"}}, "which column is the revision"),
        ({"critique": {"from": "answers", "draft": "response", "feedback": "by", "revision": "x"}}, "no column 'x'"),
    ],
)
def test_what_an_export_cannot_name_is_told(whole: Run, export: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        exported(whole, export)


def test_a_product_of_rows_without_ids_names_them_and_leaves_out_what_was_dropped(whole: Run) -> None:
    steps = {
        "cells": {"product": {"topic": ["tea", "jam"], "tone": ["dry", "kind"]}},
        "kept": {"keep": "cells", "where": {"dry": "tone <> 'dry'"}},
        "meetings": {"product": {"kept_id": {"step": "kept"}, "place": ["home", "work"]}},
    }
    rows = exported(whole, {"rows": {"from": "meetings"}}, **steps).table("meetings")
    assert rows.select("topic", "tone", "place").rows() == [
        (topic, "kind", place) for topic in ("tea", "jam") for place in ("home", "work")
    ]
    assert rows["kept_id"].n_unique() == 2
