"""Rows drawn by weight: as often as they weigh, and nothing else changes."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefgen.publish.exports.resampled import resampled, weighed
from tests.publish import made

ROW = st.tuples(st.floats(0, 50) | st.none(), st.sampled_from(["train", "test", "test_item"]))


def drawn(rows: list[tuple[float | None, str]], part: int, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    frame = pl.DataFrame(rows, schema={"weight": pl.Float64, "split": pl.String}, orient="row").with_row_index("row")
    made = pl.concat(resampled(lambda: iter([frame.head(0), *frame.iter_slices(part)]), seed, "dpo"))
    return frame, made


@given(st.lists(ROW, min_size=1, max_size=40), st.integers(1, 7), st.integers(0, 5))
def test_a_row_stands_there_as_often_as_it_weighs(rows: list[tuple[float | None, str]], part: int, seed: int) -> None:
    frame, made = drawn(rows, part, seed)
    train = frame.filter(split="train").with_columns(pl.col("weight").fill_null(0.0))
    others = frame.filter(pl.col("split") != "train")
    assert made.filter(pl.col("split") != "train").equals(others)
    total = train["weight"].sum()
    if not total:
        assert made.equals(frame)
        return
    counts = dict(made.filter(split="train").group_by("row").len().iter_rows())
    for row, weight in train.select("row", "weight").iter_rows():
        expected = weight * train.height / total
        assert abs(counts.get(row, 0) - expected) < 1 + 1e-6
    assert abs(sum(counts.values()) - train.height) <= 1
    assert set(made.filter(split="train")["weight"]) <= {1.0}
    assert made["row"].is_sorted()
    _, in_one = drawn(rows, 100, seed)
    assert made.equals(in_one)


def test_over_many_seeds_every_row_comes_as_often_as_it_weighs() -> None:
    rows = [(weight, "train") for weight in (0.0, 0.3, 1.0, 2.7)]
    counts = np.zeros(4)
    for seed in range(4000):
        _, made = drawn(rows, 4, seed)
        for row in made["row"]:
            counts[row] += 1
    assert counts / 4000 == pytest.approx([0.0, 0.3, 1.0, 2.7], abs=0.03)


def test_the_effective_size_is_that_of_kish() -> None:
    weights = [0.5, 1.0, 3.0, 0.0]
    frame = pl.DataFrame({"weight": weights})
    found = weighed(iter([frame.head(2), frame.tail(2)]))
    assert found.effective == pytest.approx(sum(weights) ** 2 / sum(w * w for w in weights))


def test_the_card_says_what_drawn_rows_are_worth(tmp_path) -> None:
    folder = made.run_in(tmp_path / "run", exports="{dpo: {weighted: resample}}, {dpo: {name: plain}}")
    drawn_rows, plain = (pl.read_parquet(folder.data / name / "*.parquet") for name in ("dpo", "plain"))
    assert set(drawn_rows["weight"]) == {1.0} or "split" in drawn_rows.columns
    assert abs(drawn_rows.height - plain.height) <= 1
    assert "were drawn by their weight" in folder.card_path.read_text()
