"""Preferences to pairs: which candidate was chosen over which."""

from __future__ import annotations

from typing import Literal

import polars as pl

from prefgen.judging.aggregate import KEY, letters_of, preferences
from prefgen.judging.candidates import OF_OPTIONS, of_options
from prefgen.judging.coordinates import free_names, returned, set_apart
from prefgen.schemas import JUDGMENTS, LETTERS, PAIRS

PairRule = Literal["chosen_vs_other", "best_vs_worst"]


def pairs(judgments: pl.DataFrame, items: pl.DataFrame, *, rule: PairRule = "chosen_vs_other") -> pl.DataFrame:
    """Pairs of candidates, the chosen one first; only from kept preferences of drawn people with status `ok`.

    judgments    whole persona x item groups of a judgments table
    items        item_id, options
    rule         `chosen_vs_other`: one pair for every other substantive option;
                 `best_vs_worst`: one pair, against the option with the smallest probability

    Columns: pair_id, persona_id, item_id, the coordinates, chosen, rejected (letters), chosen_text, rejected_text,
    chosen_<x> and rejected_<x> for every `option_<x>` of the items, p_chosen (order-debiased, in [0, 1]), p_margin (p_chosen - p_rejected, in [0, 1]), weight (of the persona).
    An option marked `neither` is never chosen nor rejected; controls are there to measure, and make no pairs.
    """
    letters = letters_of(judgments.schema)
    chosen = preferences(judgments).filter(
        pl.col("status") == "ok", pl.col("reject_reason").is_null(), pl.col("control").is_null()
    )
    chosen = set_apart(chosen, JUDGMENTS.names)
    each = of_options(items.schema)
    texts = items.select("item_id", "options", *(f"{OF_OPTIONS}{name}" for name in each))
    long = _with_others(chosen, texts, letters)
    if rule == "best_vs_worst":
        long = long.filter(pl.col("p_rejected") == pl.col("p_rejected").min().over(KEY)).unique(
            subset=KEY, keep="first", maintain_order=True
        )
    chosen_index = pl.col("choice").replace_strict(_INDEX, return_dtype=pl.Int64)
    return long.select(
        (pl.col("persona_id") + "|" + pl.col("item_id") + "|" + pl.col("choice") + pl.col("rejected")).alias("pair_id"),
        *KEY,
        *returned(chosen, PAIRS.names),
        pl.col("choice").alias("chosen"),
        "rejected",
        pl.col("options").list.get(chosen_index).alias("chosen_text"),
        pl.col("options").list.get(pl.col("_index")).alias("rejected_text"),
        pl.col("p_choice").alias("p_chosen"),
        (pl.col("p_choice") - pl.col("p_rejected")).alias("p_margin"),
        "weight",
        *_of_both_sides(each, chosen_index),
        *(name for name in ("split",) if name in chosen.columns),
    )


def _of_both_sides(each: list[str], chosen: pl.Expr) -> list[pl.Expr]:
    """`chosen_<x>` and `rejected_<x>` of what the options bring."""
    sides = (("chosen", chosen), ("rejected", pl.col("_index")))
    return [
        pl.col(f"{OF_OPTIONS}{name}").list.get(index).alias(f"{side}_{free}")
        for name, free in free_names(each, {"text"}).items()  # `chosen_text` is the option itself
        for side, index in sides
    ]


def _with_others(chosen: pl.DataFrame, texts: pl.DataFrame, letters: list[str]) -> pl.DataFrame:
    """A row for every other substantive option of each choice: `rejected`, its `_index` and `p_rejected`."""
    return (
        chosen.join(texts, on="item_id", how="left", maintain_order="left")
        .with_columns(rejected=pl.lit(letters), p_rejected=pl.concat_list(f"p_{name}" for name in letters))
        .explode("rejected", "p_rejected")
        .with_columns(_index=pl.col("rejected").replace_strict(_INDEX, return_dtype=pl.Int64))
        .filter(
            pl.col("_index") < pl.col("options").list.len(),
            pl.col("rejected") != pl.col("choice"),
            pl.col("neither").is_null() | (pl.col("rejected") != pl.col("neither")),
        )
    )


_INDEX = {letter: index for index, letter in enumerate(LETTERS)}
