"""What cannot be: lists to agree in, names that stand twice, times that are words, nothing at all. A complaint with its place and a fix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from prefgen.cli.commands import check_files
from prefgen.judging.utility import shares
from tests.language.conftest import Run

ANSWERS = [
    {
        "prompt": prompt,
        "response": f"{prompt} {k}",
        "kind": 1 + k,
        "l": [1, 2],
        "st": {"a": 1},
        "big": 1e308 * (-1) ** k,
    }
    | {"who": "p" if k else None, "t": k, "s": "x"}
    for prompt in ("What?", "Warum ü 🙂?")
    for k in range(4)
]
PEOPLE = {
    "population": "town",
    "weights": {"dirichlet": 1, "over": ["kind", "t"]},
    "attributes": {"mood": {"calm": 0.5, "wild": 0.5}},
    "text": "{{ mood }}",
}
PICK = {"judge": "pick", "items": "a", "as": "u"}
RATE = {"judge": "check", "items": "a", "model": "m", "criteria": {"c": "good"}}
NOTE = {"write": "note", "for": "a", "model": "m"}
PACK = {"pack": "a", "onto": "a", "by": ["s"]}
RULE = {"pair": "rows", "from": "a", "where": "chosen.kind > rejected.kind"}


def jsonl(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (PACK | {"by": ["l"]}, "x.by: column 'l' is of type List(Int64)"),
        (PACK | {"by": ["s", "s"]}, "x.by: a column stands twice"),
        (PACK | {"each": ["kind", "kind"]}, "x.each: a column stands twice"),
        (PACK | {"order": ["st"]}, "x.order: column 'st' is of type Struct"),
        (
            PACK | {"onto": "b", "order": ["t"], "before": True},
            "x.order: column 't' is of type Int64 in one table and String in the other",
        ),
        (PACK | {"into": "reject_reason"}, "x.into: 'reject_reason' means something else"),
        (RATE | {"criteria": {"persona_id": "x"}, "as": "u"}, "x.criteria: there is a column 'persona_id' already"),
        (RATE | {"criteria": {"c": "x", "c_p": "y"}}, "x.criteria: there is a column 'c_p' already"),
        (RATE | {"criteria": {"c": ""}}, "x.criteria.c:"),
        (NOTE | {"model": []}, "x.model:"),
        (NOTE | {"model": ["m", "m"]}, "a model stands twice"),
        (NOTE | {"for": []}, "x.for:"),
        (NOTE | {"write": "reject_reason"}, "x.write: 'reject_reason' is a column of the step's own"),
        (NOTE | {"measure": {"repeat": {"words": "note"}}}, "x.measure: 'repeat' is a column of the step's own"),
        (NOTE | {"tries": 2, "again": "{{ nope.a }}"}, "x.again: UndefinedError"),
        ({"keep": "a", "apart": {"column": "response", "within": ["l"]}}, "x.apart: 'l' is of type List(Int64)"),
        (RULE | {"take": 0}, "x.take"),
        (RULE | {"take": {"widest": "chosen.s"}}, "x.take.widest: conversion"),
        ({"table": ["a"], "sql": "select nope from a"}, "x.sql: 'select nope from a': there is no column 'nope'"),
        ({"table": ["a"], "sql": "select * from nobody"}, "fix: ask the tables a"),
    ],
)
def test_a_complaint_names_its_place_and_a_fix(
    step: dict[str, Any], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.jsonl").write_text(jsonl(ANSWERS))
    (tmp_path / "u.yaml").write_text(yaml.safe_dump(PEOPLE))
    steps = {
        "u": {"draw": "u.yaml", "n": 3},
        "a": {"table": "a.jsonl"},
        "b": {"table": [{"s": "x", "t": "late"}]},
        "x": step,
    }
    path = tmp_path / "p.yaml"
    models = {"m": {"engine": "embedded"}}
    path.write_text(
        yaml.safe_dump({"name": "t", "models": models, "steps": steps, "publish": {"exports": []}}, sort_keys=False)
    )
    assert check_files([path]) == 2
    said = capsys.readouterr().out
    assert words in said
    assert "p.yaml:" in said
    assert "fix:" in said


def run(whole: Run, rows: list[dict[str, Any]] = ANSWERS, **steps: dict[str, Any]) -> Any:
    first = {"u": {"draw": "u.yaml", "n": 3}, "a": {"table": "a.jsonl"}}
    return whole({"steps": first | steps, "publish": {"exports": []}}, a__jsonl=jsonl(rows), u__yaml=PEOPLE)


def test_columns_may_be_quoted_and_text_is_no_column(whole: Run) -> None:
    told = [row | {"group": "items.kind"} for row in ANSWERS]
    sql = """CASE items."group" WHEN 'items.kind' THEN items.kind ELSE 0 END"""
    quoted = run(whole, told, x=PICK | {"show": 2, "utility": sql})
    plain = run(whole, told, x=PICK | {"show": 2, "utility": "items.kind"})
    assert quoted.table("x")["choice"].to_list() == plain.table("x")["choice"].to_list()
    assert quoted.table("x")["status"].unique().to_list() == ["ok"]


def test_a_utility_that_is_no_number_is_no_choice(whole: Run) -> None:
    rows = [row | {"kind": None if row["t"] == 1 else row["kind"]} for row in ANSWERS]
    done = run(
        whole, rows, x=PICK | {"show": 2, "utility": "items.kind"}, pairs={"pair": "chosen_vs_other", "from": "x"}
    )
    shown = {row["item_id"]: row["option_kind"] for row in done.table("x_shown").iter_rows(named=True)}
    judged = done.table("x")
    for item, choice, status, reason in judged.select("item_id", "choice", "status", "reject_reason").iter_rows():
        known = None not in shown[item]
        assert (status, reason) == (("ok", None) if known else ("failed", "failed"))
        assert (choice is not None) == known
    assert (
        done.table("pairs").height == 3 * 2 * 3
    )  # personas x questions x pairs of the three answers that have a number
    assert set(judged.filter(status="failed")["failure"]) == {"the utility of an option is not a number"}


def test_numbers_beyond_all_measure_are_no_choice_and_rounding_decides_nothing(whole: Run) -> None:
    done = run(whole, x=PICK | {"show": 2, "utility": "items.big * 1000 - items.big * 1000"})
    assert set(done.table("x")["status"]) == {"failed"}
    one, other = 0.1 + 0.2, 0.3
    assert one != other
    assert shares(pl.Series([one, other]).to_numpy(), pl.Series([0, 0]).to_numpy(), 0.0).tolist() == [0.5, 0.5]


def test_who_is_not_known_agrees_with_nobody(whole: Run) -> None:
    made = run(whole, x=PACK | {"by": ["who"], "each": ["t"]}).table("x")
    assert made["packed"].list.len().to_list() == [0, 6, 6, 6, 0, 6, 6, 6]


def test_the_widest_gap_is_a_number(whole: Run) -> None:
    gap = "case when chosen.kind = 4 then sqrt(0 - 1) else chosen.kind - rejected.kind end"
    made = run(whole, x=RULE | {"take": {"widest": gap}}).table("x")
    assert made.select("chosen_kind", "rejected_kind").rows() == [(3, 1)] * 2


def test_a_table_of_which_nothing_is_left_is_an_empty_table(whole: Run) -> None:
    done = run(
        whole,
        none={"keep": "a", "where": "kind > 99"},
        counts={"table": ["none"], "sql": "select prompt, count(*) as n from none group by prompt"},
        packed=PACK | {"pack": "none"},
        pairs=RULE | {"from": "none"},
        loops={"pair": "cycle", "from": "none", "over": ["kind", "t", "big"]},
    )
    assert [done.table(name).height for name in ("counts", "pairs", "loops")] == [0, 0, 0]
    assert done.table("packed")["packed"].list.len().to_list() == [0] * 8
    assert done.table("counts").columns == ["prompt", "n"]


def test_an_item_of_somebody_is_asked_of_nobody_else(whole: Run) -> None:
    people = {
        "population": "two",
        "portraits": [{"id": name, "share": 0.5, "text": "x", "kind": 1} for name in ("ann", "bob")],
    }
    rows = [row | {"persona_id": "ann" if row["prompt"] == "What?" else None} for row in ANSWERS]
    steps = {"u": {"draw": "u.yaml"}, "a": {"table": "a.jsonl"}}
    judged = {"x": PICK | {"within": ["persona_id"], "utility": "items.kind"}}
    done = whole({"steps": steps | judged, "publish": {"exports": []}}, a__jsonl=jsonl(rows), u__yaml=people)
    asked = done.table("x").join(done.table("x_shown").select("item_id", "prompt"), on="item_id")
    assert asked.filter(prompt="What?")["persona_id"].unique().to_list() == ["ann"]
    assert sorted(asked.filter(pl.col("prompt") != "What?")["persona_id"].unique()) == ["ann", "bob"]


def test_rows_of_named_columns_keep_their_split(whole: Run) -> None:
    steps = {"a": {"table": "a.jsonl"}, "parts": {"split": "a", "time": {"column": "t", "test": 3}}}
    exports = [{"rows": {"columns": ["prompt", "t"]}}, {"ordinal": {"labels": ["kind"], "columns": ["t"]}}]
    done = whole({"steps": steps, "publish": {"exports": exports}}, a__jsonl=jsonl(ANSWERS))
    for config in ("rows", "ordinal"):
        told = done.data(config)
        assert dict(told["split"].value_counts().iter_rows()) == {"train": 6, "test": 2}
        assert told.filter(split="test")["t"].to_list() == [3, 3]
