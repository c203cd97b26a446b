"""Attributes from a corpus, and numbers that go together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from prefgen.errors import SpecError
from prefgen.personas.draw import draw
from prefgen.spec.population import read_population

TRAITS = ("open", "calm", "warm")
WANTED = {("open", "calm"): 0.3, ("calm", "warm"): -0.4}
NORMAL = {name: {"normal": {"mean": 50, "sd": 10, "decimals": 3}} for name in TRAITS}


def people(folder: Path, spec: dict[str, Any], n: int, seed: int = 1, rows: int = 40) -> pl.DataFrame:
    (folder / "seeds.jsonl").write_text("".join(json.dumps({"seed": f"s{k}", "k": k}) + "\n" for k in range(rows)))
    path = folder / "people.yaml"
    path.write_text(yaml.safe_dump({"population": "town", "text": "{{ vote }}", **spec}, sort_keys=False))
    return draw(read_population(path), n=n, seed=seed)


def corpus(once: bool, **more: Any) -> dict[str, Any]:
    rows = {"file": "seeds.jsonl", "column": "seed", "once": once, **more}
    return {
        "attributes": {"vote": {"left": 0.5, "right": 0.5}, "seed": {"rows": rows}},
        "text": "{{ vote }} {{ seed }}",
    }


@pytest.mark.parametrize("n", [1, 7, 39, 40])
def test_of_a_corpus_every_row_stands_for_one(tmp_path: Path, n: int) -> None:
    drawn = people(tmp_path, corpus(once=True), n)
    assert drawn["seed"].n_unique() == n
    assert {*drawn["seed"]} <= {f"s{k}" for k in range(40)}
    assert all(text.endswith(seed) for text, seed in drawn.select("text", "seed").iter_rows())


def test_a_larger_draw_begins_with_the_people_of_a_smaller_one(tmp_path: Path) -> None:
    few, many = (people(tmp_path, corpus(once=True), n, rows=400) for n in (10, 40))
    assert {*few.select("persona_id", "seed").iter_rows()} <= {*many.select("persona_id", "seed").iter_rows()}


def test_without_once_rows_are_drawn_evenly(tmp_path: Path) -> None:
    counts = people(tmp_path, corpus(once=False), 4000)["seed"].value_counts()["count"]
    assert len(counts) == 40
    assert counts.min() >= 80  # type: ignore[operator]
    assert counts.max() <= 120  # type: ignore[operator]


@pytest.mark.parametrize(
    ("more", "n", "said"),
    [
        ({}, 41, "seeds.jsonl has 40 rows, and each of 41 people needs one"),
        ({"column": "sead"}, 5, "no column 'sead' in seeds.jsonl"),
        ({"file": "nothing.jsonl"}, 5, "attributes.seed.rows.file: no such file"),
        ({"twice": True}, 5, "attributes.seed.rows.twice: unknown key"),
    ],
)
def test_a_corpus_that_does_not_do_is_told(tmp_path: Path, more: dict[str, Any], n: int, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        people(tmp_path, corpus(once=True, **more), n)


def traits(**tables: Any) -> dict[str, Any]:
    return {"attributes": {"vote": {"left": 0.5, "right": 0.5}, **NORMAL}, "tables": [{"of": list(TRAITS), **tables}]}


def test_traits_are_correlated_as_the_table_says_and_keep_their_curves(tmp_path: Path) -> None:
    said = {"open": {"calm": 0.3}, "calm": {"warm": -0.4}}
    drawn = people(tmp_path, traits(correlations=said), 4000)
    numbers = drawn.select(TRAITS).to_numpy()
    found = np.corrcoef(numbers.T)
    for i, one in enumerate(TRAITS):
        for j, other in enumerate(TRAITS[:i]):
            wanted = WANTED.get((other, one), WANTED.get((one, other), 0.0))
            assert found[i, j] == pytest.approx(wanted, abs=0.03)
    assert numbers.mean(axis=0) == pytest.approx([50] * 3, abs=0.4)
    assert numbers.std(axis=0) == pytest.approx([10] * 3, abs=0.3)


def test_what_no_table_correlates_is_as_it_was(tmp_path: Path) -> None:
    spec = {"attributes": {"vote": {"left": 0.5, "right": 0.5}, **NORMAL}}
    plain = people(tmp_path, spec, 50)
    two = {"of": ["calm", "warm"], "correlations": 0.5}
    assert people(tmp_path, spec | {"tables": [two]}, 50)["open"].to_list() == plain["open"].to_list()
    assert people(tmp_path, spec | {"tables": [two]}, 50)["warm"].to_list() != plain["warm"].to_list()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"correlations": {"open": {"calm": 1.0}}}, "the correlation of 'open' and 'calm' is 1"),
        ({"correlations": {"open": {"vote": 0.2}}}, "are no two of this table"),
        ({"correlations": 0.5}, "one number is the correlation of two"),
        ({"of": ["open", "vote"], "correlations": 0.5}, "'vote' has no numbers that can be correlated"),
        (
            {"correlations": {"open": {"calm": 0.9, "warm": 0.9}, "calm": {"warm": -0.9}}},
            "no numbers are correlated so",
        ),
        ({"correlations": {"open": {"calm": 0.1}, "calm": {"open": 0.2}}}, "correlated by 0.1 and by 0.2"),
        ({"shares": {"left": 1}}, "'open' has no levels"),
    ],
)
def test_correlations_that_cannot_be_are_told(tmp_path: Path, table: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        people(tmp_path, traits(**table), 5)
