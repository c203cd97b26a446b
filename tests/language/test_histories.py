"""Exports after a history: nothing of the future, twins, sizes, peers; multiple choice; liked and disliked."""

from __future__ import annotations

import shutil
from typing import Any

import polars as pl
import pytest

import prefgen
from prefgen.errors import SpecError
from tests.language.conftest import Run

EVENTS = pl.DataFrame(
    [
        {
            "persona_id": who,
            "day": day,
            "prompt": f"What for day {day}?",
            "bought": f"{who} thing {day}{'!' * ((day * 7) % 5)}",
            "item_id": f"item {day % 4}",
            "mood": f"secret{who}{day}",
            "worth": day / 2,
            "asset": f"shop/{day}.png",
        }
        for who in ("ann", "bob", "eve")
        for day in range(1, 9)
    ]
)
STEPS: dict[str, Any] = {
    "events": {"table": "events.parquet"},
    "parts": {"split": "events", "time": {"column": "day", "last": 1, "per": "persona", "validation": 1}},
    "known": {
        "pack": "parts",
        "onto": "parts",
        "by": ["persona_id"],
        "order": ["day"],
        "before": True,
        "last": 5,
        "each": ["day", "bought", "mood", "worth", "asset"],
        "into": "before",
    },
    "peers": {
        "pack": "parts",
        "onto": "known",
        "by": ["item_id"],
        "differ": ["persona_id"],
        "order": ["day"],
        "before": True,
        "each": ["persona_id", "day", "bought"],
        "into": "others",
    },
}
OF = {
    "from": "peers",
    "history": "before",
    "target": "bought",
    "input": "prompt",
    "peers": "others",
    "columns": ["day"],
}


def exported(whole: Run, exports: list[Any], hidden: list[str] | None = None, steps: dict[str, Any] = STEPS) -> Any:
    publish = {"exports": exports, "hidden": hidden or []}
    return whole({"steps": steps, "publish": publish}, events__parquet=EVENTS)


def test_a_target_stands_after_what_was_before_it_and_with_what_others_did(whole: Run) -> None:
    rows = exported(whole, [{"history": OF}]).data("history")
    assert rows.height == EVENTS.height
    assert {"input", "profile", "output", "peers", "profile_size", "target_id"} < set(rows.columns)
    for row in rows.iter_rows(named=True):
        mine = EVENTS.filter(pl.col("persona_id") == row["persona_id"], pl.col("day") < row["day"]).tail(5)
        assert row["profile"] == mine.select("day", "bought", "mood", "worth", "asset").to_dicts()
        assert row["profile_size"] == mine.height
        assert row["output"].startswith(f"{row['persona_id']} thing {row['day']}")
        theirs = EVENTS.filter(
            pl.col("persona_id") != row["persona_id"], pl.col("day") < row["day"], pl.col("item_id") == row["item_id"]
        )
        assert sorted(one["bought"] for one in row["peers"]) == sorted(theirs["bought"])
    days = {8: "test", 7: "validation"}
    assert all(row["split"] == days.get(row["day"], "train") for row in rows.iter_rows(named=True))


def test_every_row_has_a_twin_without_history(whole: Run) -> None:
    rows = exported(whole, [{"history": OF | {"twin": True}}]).data("history")
    with_, without = rows.filter(pl.col("profile_size") > 0), rows.filter(pl.col("profile_size") == 0)
    first = with_["target_id"].n_unique()
    assert without.height == EVENTS.height + (EVENTS.height - first)  # the first of everybody has none anyway
    for _, two in rows.group_by("target_id"):
        assert two.height == 2
        assert two.select("input", "output", "day", "split").unique().height == 1
        assert two["profile_size"].to_list()[1] == 0


@pytest.mark.parametrize("sample", ["recent", "long", "random"])
def test_histories_of_sizes_grow_from_each_other(whole: Run, sample: str) -> None:
    rows = exported(whole, [{"history": OF | {"sizes": [0, 1, 3], "sample": sample}}]).data("history")
    full = exported(whole, [{"history": OF}]).data("history")
    whole_of = dict(full.select("target_id", "profile").iter_rows())
    for (number,), three in rows.group_by("target_id"):
        profiles, every = three["profile"].to_list(), whole_of[number]
        assert [len(one) for one in profiles] == [min(n, len(every)) for n in (0, 1, 3)]
        assert [one["day"] for one in profiles[1]] == sorted(one["day"] for one in profiles[1])
        assert all(one in profiles[2] for one in profiles[1])
        if sample == "recent":
            assert profiles[2] == every[-3:]
        if sample == "long" and every:
            assert len(profiles[1][0]["bought"]) == max(len(one["bought"]) for one in every)


def test_what_is_hidden_leaves_no_profile_unless_it_is_named(whole: Run) -> None:
    hiding = exported(whole, [{"history": OF}, {"history": OF | {"name": "open", "labels": ["mood"]}}], ["mood"])
    rows, named = hiding.data("history"), hiding.data("open")
    assert "mood" not in str(rows.schema)
    assert "secret" not in str(rows.to_dicts())
    assert "secret" in str(named["profile"].to_list())
    assert named["mood"].null_count() == 0


def test_histories_from_what_it_finds_itself(whole: Run) -> None:
    steps = {name: STEPS[name] for name in ("events", "parts", "known")}
    rows = exported(whole, [{"history": {"target": "bought"}}], steps=steps).data("history")
    assert sorted(set(rows["input"])) == [f"What for day {day}?" for day in range(1, 9)]
    assert rows["profile_size"].max() == 5


ASKED = pl.DataFrame(
    {
        "persona_id": [f"p{k}" for k in range(40)],
        "prompt": ["Which?"] * 40,
        "options": [[f"right {k}", f"b {k}", f"c {k}", f"d {k}"] for k in range(40)],
        "gold": ["A", "right 1"] + ["A"] * 37 + ["none of these"],
        "told": [["one", "two"]] * 40,
    }
)


def test_the_right_option_is_found_again_wherever_it_stands(whole: Run) -> None:
    exports = [
        {"mcq": {"answer": "gold", "history": "told"}},
        {"mcq": {"name": "plain", "answer": "gold", "shuffle": False}},
    ]
    done = whole(
        {"steps": {"asked": {"table": "asked.parquet"}}, "publish": {"exports": exports}}, asked__parquet=ASKED
    )
    rows, plain = done.data("mcq"), done.data("plain")
    for k, row in enumerate(rows.iter_rows(named=True)):
        assert sorted(row["options"]) == sorted(ASKED["options"][k])
        assert row["answer_text"] == (None if k == 39 else f"right {k}")
        assert row["answer"] is None if k == 39 else row["options"]["ABCD".index(row["answer"])] == f"right {k}"
    assert rows["answer"].n_unique() == 5
    assert rows["history"].to_list() == ASKED["told"].to_list()
    assert plain["answer"].to_list() == ["A"] * 39 + [None]


def test_shots_as_what_was_liked_and_disliked_and_columns_ride_along(whole: Run) -> None:
    steps = {
        "answers": {
            "table": [
                {"persona_id": "p", "prompt": f"Q{q}?", "response": f"{q}{k}", "fit": k, "image": f"{q}{k}.png"}
                for q in range(6)
                for k in range(2)
            ]
        },
        "pairs": {"pair": "rows", "from": "answers", "where": "chosen.fit > rejected.fit"},
    }
    exports = [{"fewshot": {"shots": 3, "lists": True}}, {"fewshot": {"name": "shots", "shots": 3}}]
    done = whole({"steps": steps, "publish": {"exports": exports}})
    rows, shots = done.data("fewshot"), done.data("shots")
    assert [len(one) for one in rows["liked"]] == [3] * 6
    assert rows["liked"].to_list() == [[one["chosen"] for one in own] for own in shots["shots"].to_list()]
    assert rows["disliked"].to_list() == [[one["rejected"] for one in own] for own in shots["shots"].to_list()]
    assert all(row["chosen_image"] == f"{row['chosen'][0]['content']}.png" for row in rows.iter_rows(named=True))


@pytest.mark.parametrize(
    ("export", "words"),
    [
        ({"history": OF | {"history": "bought"}}, "'bought' is no column with lists"),
        ({"history": OF | {"target": "nothing"}}, "no column 'nothing'"),
        ({"history": OF | {"sizes": [1, 1]}}, r"\[1, 1\] is not understood"),
        ({"history": OF | {"sample": "best"}}, "'best' is not understood"),
        ({"history": {"from": "events", "target": "bought"}}, "it has no column with lists"),
        ({"history": OF | {"answer": "bought"}}, "is not understood"),
        ({"mcq": {"from": "peers", "answer": "bought"}}, "'peers' has no items or judgments"),
    ],
)
def test_what_cannot_be_a_history_is_told(whole: Run, export: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        exported(whole, [export])


def test_a_finished_run_is_exported_again(whole: Run, tmp_path: Any) -> None:
    done = exported(whole, [{"rows": {"from": "peers"}}])
    prefgen.export(done.folder, "history", tmp_path / "out")
    assert pl.read_parquet(tmp_path / "out" / "*.parquet").height == EVENTS.height


def test_lost_and_damaged_tables_of_numbers_are_made_anew_with_the_same_bytes(whole: Run) -> None:
    first = exported(whole, [{"history": OF}])
    before = [path.read_bytes() for path in sorted((first.folder / "data").rglob("*.parquet"))]
    damaged = next((first.folder / "tables" / "parts").glob("*.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:-9])
    (first.folder / "manifest.json").unlink()
    shutil.rmtree(first.folder / "tables" / "known")
    shutil.rmtree(first.folder / "data")
    again = exported(whole, [{"history": OF}])
    assert [path.read_bytes() for path in sorted((again.folder / "data").rglob("*.parquet"))] == before
