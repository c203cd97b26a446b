"""Weights of the user's own on pairs: found by their ids, whatever their order, their number and their gaps."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefgen.errors import SpecError
from prefgen.flow.pipeline import load
from prefgen.flow.run import run
from prefgen.steps.pair import _Weights
from tests.faults.pipelines import write_pipeline
from tests.steps.asking import context
from tests.test_run import Nobody

IDS = ("persona_id", "item_id")


@given(
    made=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=30),
    weighed=st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=40),
    ids=st.sampled_from([("persona_id",), ("item_id",), IDS]),
    seed=st.integers(0, 99),
)
def test_each_pair_gets_the_weight_of_its_ids_and_1_where_there_is_none(made, weighed, ids, seed):
    keys = sorted({tuple(key[IDS.index(name)] for name in ids) for key in weighed})
    random.Random(seed).shuffle(keys)
    factor = {key: 2.0 + place for place, key in enumerate(keys)}
    weights = pl.DataFrame(
        {**{name: [f"{key[at]}" for key in keys] for at, name in enumerate(ids)}, "weight": list(factor.values())},
        schema={**dict.fromkeys(ids, pl.String), "weight": pl.Float64},
    )
    pairs = pl.DataFrame(
        {"persona_id": [f"{p}" for p, _ in made], "item_id": [f"{i}" for _, i in made], "weight": [0.5] * len(made)},
        schema={**dict.fromkeys(IDS, pl.String), "weight": pl.Float64},
    )
    found = _Weights.of(weights, context()).on(pairs)
    assert found.columns == pairs.columns
    assert found.select(IDS).equals(pairs.select(IDS))
    wanted = [0.5 * factor.get(tuple(pair[IDS.index(name)] for name in ids), 1.0) for pair in made]
    assert found["weight"].to_list() == wanted


def run_with(folder: Path, base_url: str, csv: str) -> pl.DataFrame:
    folder.mkdir(exist_ok=True)
    (folder / "weights.csv").write_text(csv)
    steps = {
        "mine": {"table": "weights.csv"},
        "pairs": {"pair": "chosen_vs_other", "from": "answers", "items": "items", "weight": "mine"},
    }
    path = write_pipeline(folder, base_url, personas=3, items=4, steps=steps, exports=("dpo",))
    run(load(path), folder / "run", Nobody(), report=False)
    return pl.read_parquet(folder / "run" / "tables" / "pairs" / "*.parquet")


def test_a_file_of_weights_reaches_the_pairs(tmp_path, endpoint):
    server = endpoint()
    plain = run_with(tmp_path / "a", server.base_url, "item_id,weight\nnone-of-them,3\n")
    assert set(plain["weight"]) == {1.0}
    ids = plain["item_id"].unique(maintain_order=True).to_list()
    rows = "".join(f"{name},{number + 2}\n" for number, name in enumerate(ids[1:]))
    weighed = run_with(tmp_path / "b", server.base_url, f"item_id,weight\n{rows}")
    wanted = {ids[0]: 1.0} | {name: number + 2.0 for number, name in enumerate(ids[1:])}
    assert weighed["weight"].to_list() == [wanted[name] for name in weighed["item_id"]]
    assert weighed.drop("weight").equals(plain.drop("weight"))


@pytest.mark.parametrize(
    ("csv", "said"),
    [
        ("item_id,weight\na,heavy\n", r"pairs.weight: its table has the columns .*weight \(String\)"),
        ("item_id,size\na,1\n", r"pairs.weight: its table has the columns .*size \(Int64\)"),
        (
            "colour,weight\nred,1\n",
            r"pairs.weight: its table has the columns .*it needs numbers in `weight`, and an id",
        ),
        ("item_id,weight\na,1\na,2\n", r"pairs.weight: it has several weights for one item_id"),
    ],
)
def test_weights_that_cannot_be_used_are_named(csv, said, tmp_path, endpoint):
    with pytest.raises(SpecError, match=f"(?s){said}"):
        run_with(tmp_path / "x", endpoint().base_url, csv)
