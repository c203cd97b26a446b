"""Answers that are no option, and orders that nobody read, in every export: rows with a reason, never a pair."""

from __future__ import annotations

import polars as pl
import pytest

from prefgen.publish.card.columns import meaning
from prefgen.publish.exports.beside import Beside
from prefgen.publish.exports.columns import own_columns
from prefgen.publish.exports.presets import ALWAYS, PRESETS
from prefgen.publish.exports.rows import rows_of
from prefgen.publish.exports.source import Source
from prefgen.records import Request
from prefgen.schemas import LETTERS
from prefgen.steps import judge, table
from prefgen.store.table import Table
from tests.steps.asking import PEOPLE, context

SAYS = {"tie": "TIE", "na": "NA", "refused": "I'm sorry, I can't help with that.", "half": "", "drink": ""}
"""What the judge says about each item; about `drink` it names tea, about `half` too, but refuses in the second order."""


def answer(request: Request) -> str:
    page = next(text for role, text in request.messages if role == "user")
    about = page.split("?")[0].split()[-1]
    first = page.index("tea") < page.index("coffee")
    if about == "half" and not first:
        return SAYS["refused"]
    return SAYS[about] or ("A" if first else "B")


@pytest.fixture(scope="module")
def exported() -> dict[str, pl.DataFrame]:
    rows = [{"item_id": name, "prompt": f"Which about {name}?", "options": ["tea", "coffee"]} for name in SAYS]
    items = pl.concat(table.TableStep.model_validate({"table": rows}).make({}, context()))
    tables = {"people": Table.of("people", [PEOPLE]), "items": Table.of("items", [items])}
    said = {"judge": "pick", "items": "items", "as": "people", "model": "m", "readout": "text", "also": ["tie", "na"]}
    answers = Table.of("answers", judge.Judge.model_validate(said).make(tables, context(answer)))
    source = Source(answers, Beside((tables["people"],), (tables["items"],)), seed=1)
    return {
        name: pl.concat(rows_of(preset, source))
        for name, preset in PRESETS.items()
        if name not in ALWAYS and not preset.of_rows
    }


@pytest.mark.parametrize("name", ["dpo", "margin", "kto", "sft", "llamafactory", "nemo_rl", "cond", "fewshot", "table"])
def test_only_a_choice_in_every_order_makes_a_pair(exported: dict[str, pl.DataFrame], name: str) -> None:
    assert set(exported[name]["item_id"]) == {"drink"}


def test_preferences_say_what_was_likeliest_and_have_p_only_where_every_order_was_read(
    exported: dict[str, pl.DataFrame],
) -> None:
    rows = exported["preferences"].filter(pl.col("control").is_null()).unique("item_id")
    found = {row["item_id"]: row for row in rows.iter_rows(named=True)}
    assert {item: row["status"] for item, row in found.items()} == {
        "tie": "tie",
        "na": "na",
        "refused": "refusal",
        "half": "refusal",
        "drink": "ok",
    }
    assert {item for item, row in found.items() if row["p_A"] is not None} == {"tie", "na", "drink"}
    assert (found["tie"]["p_tie"], found["na"]["p_na"]) == (1.0, 1.0)
    assert {row["debiased"] for row in found.values()} == {False, None}


def test_a_tie_is_a_battle_that_nobody_won_and_a_refusal_is_none(exported: dict[str, pl.DataFrame]) -> None:
    rows = exported["battle"]
    assert set(rows["question_id"]) == {"tie", "na", "drink"} | {"half"}
    assert (
        dict(
            rows.group_by("question_id")
            .agg(pl.col("winner").unique())
            .filter(pl.col("winner").list.len() == 1)
            .explode("winner")
            .iter_rows()
        )["tie"]
        == "tie"
    )


def test_every_column_that_an_export_makes_has_a_meaning_of_its_own(exported: dict[str, pl.DataFrame]) -> None:
    assert {"p_read", "reason", "p_tie", "p_na", "debiased"} <= set(exported["judgments"].columns)
    for name, rows in exported.items():
        if PRESETS[name].of_rows:
            continue  # they have no columns of their own
        own = own_columns(PRESETS[name])
        assert set(rows.columns) <= own, name
        assert all("carried over" not in meaning(name, column) for column in rows.columns)
        assert all(meaning(name, f"p_{letter}") for letter in LETTERS if f"p_{letter}" in own)
