"""Judgments of one persona on one item, taken together: measures beside each of them, and preferences."""

from __future__ import annotations

import polars as pl

from prefgen.judging.judgments import RESERVED
from prefgen.judging.presentations import LETTERS

KEY = ("persona_id", "item_id")

MEASURES = ("p_choice", "order_agreement", "repeat_agreement", "position_bias", "n_presentations")
"""Measures besides `item_choice` and the `p_<option>` columns."""

_OF_ONE_PRESENTATION = (
    "judgment_id", "order", "repeat", "slot", "p", "certainty", "readout", "model", "request_id", "failure",
)  # fmt: skip


def letters_of(schema: pl.Schema) -> list[str]:
    """The options that a judgments table knows: the fields of its column `p`."""
    p = schema["p"]
    assert isinstance(p, pl.Struct)
    return [field.name for field in p.fields]


def measured(judgments: pl.DataFrame) -> pl.DataFrame:
    """The same rows in the same order, with the measures of their persona and item.

    judgments    all presentations of whole persona x item groups, adjacent: persona_id, item_id, order, repeat,
                 choice, slot (null = nothing read), status, p (struct of options, null = nothing read)

    Adds
    p_<option>         mean over the orders of the mean over the repeats, in [0, 1]; null = nothing was read
    p_choice           the largest of them
    item_choice        the option that has it; null when two options share it, or nothing was read
    order_agreement    whether every order has the same likeliest option; null with one order, or one unread
    repeat_agreement   share of repeats naming their order's most frequent choice, mean over orders; null with one repeat
    position_bias      share of swapped presentations where the verdict follows the slot and not the option,
                       against the same repeat in the first order; null when no such two were read
    n_presentations    judgments of this persona and item
    """
    letters = letters_of(judgments.schema)
    group = pl.struct(KEY).rle_id().alias("_group")
    rows = judgments.select(
        group,
        "order",
        "repeat",
        "choice",
        "slot",
        *(pl.col("p").struct.field(name).alias(f"p_{name}") for name in letters),
    )
    if rows.is_empty():
        return judgments.with_columns(_empty_measures(letters))
    by_item = _from_orders(rows, letters).join(_position_bias(rows), on="_group", how="left", maintain_order="left")
    spread = by_item.select(pl.all().gather(rows["_group"])).drop("_group")
    return judgments.hstack(spread.select("item_choice", *(f"p_{name}" for name in letters), *MEASURES))


def _empty_measures(letters: list[str]) -> list[pl.Expr]:
    types = {"item_choice": pl.String, **dict.fromkeys((f"p_{name}" for name in letters), pl.Float64), **MEASURE_TYPES}
    return [pl.lit(None, dtype=kind).alias(name) for name, kind in types.items()]


MEASURE_TYPES = {
    "p_choice": pl.Float64,
    "order_agreement": pl.Boolean,
    "repeat_agreement": pl.Float64,
    "position_bias": pl.Float64,
    "n_presentations": pl.Int64,
}


def _from_orders(rows: pl.DataFrame, letters: list[str]) -> pl.DataFrame:
    """One row per group, in group order: everything that needs the orders side by side."""
    columns = [f"p_{name}" for name in letters]
    modal = pl.col("choice").drop_nulls().unique_counts().max().fill_null(0)
    orders = rows.group_by("_group", "order", maintain_order=True).agg(
        *(pl.col(name).mean() for name in columns),
        (modal / pl.len()).alias("repeat_agreement"),
        pl.len().alias("n"),
    )
    orders = orders.with_columns(_likeliest(letters).alias("order_choice"))
    by_item = orders.group_by("_group", maintain_order=True).agg(
        *(pl.col(name).mean() for name in columns),
        pl.when((pl.len() > 1) & (pl.col("order_choice").null_count() == 0))
        .then(pl.col("order_choice").n_unique() == 1)
        .alias("order_agreement"),
        pl.when(pl.col("n").max() > 1).then(pl.col("repeat_agreement").mean()).alias("repeat_agreement"),
        pl.col("n").sum().cast(pl.Int64).alias("n_presentations"),
    )
    return by_item.with_columns(pl.max_horizontal(columns).alias("p_choice"), _likeliest(letters).alias("item_choice"))


def _likeliest(letters: list[str]) -> pl.Expr:
    """The option with the largest `p_<option>`; null when two share it (a tie is not broken by the alphabet)."""
    columns = [f"p_{name}" for name in letters]
    best = pl.max_horizontal(columns)
    at_best = pl.sum_horizontal(((pl.col(name) - best).abs() < 1e-12).cast(pl.Int8).fill_null(0) for name in columns)
    named = pl.coalesce(pl.when((pl.col(f"p_{name}") - best).abs() < 1e-12).then(pl.lit(name)) for name in letters)
    return pl.when(at_best == 1).then(named)


def _position_bias(rows: pl.DataFrame) -> pl.DataFrame:
    first = rows.filter(pl.col("order") == pl.col("order").first().over("_group"))
    others = rows.filter(pl.col("order") != pl.col("order").first().over("_group"))
    both = others.join(first, on=["_group", "repeat"], suffix="_first", how="inner").drop_nulls(["slot", "slot_first"])
    follows = (pl.col("slot") == pl.col("slot_first")) & (pl.col("choice") != pl.col("choice_first"))
    return both.group_by("_group").agg(follows.mean().alias("position_bias"))


def preferences(judgments: pl.DataFrame) -> pl.DataFrame:
    """One row per persona and item: what its kept judgments add up to.

    judgments    a judgments table or whole parts of one

    Columns: persona_id, item_id, the coordinates, choice, status, certainty (mean), p_<option>, the measures, weight,
    reject_reason. Measures are taken over the kept judgments; a persona and item without one keeps those
    over all of its judgments, and the first reason why they were dropped. `status` is `ok` for a choice, `na`
    when that is the option marked neither, `tie` when options share the largest probability, else the status
    of the first judgment.
    """
    letters = letters_of(judgments.schema)
    measures = ["item_choice", *(f"p_{name}" for name in letters), *MEASURES]
    # Where all or none are kept, the measures beside the judgments are those wanted: measuring is most of the work.
    in_part = _kept_in_part(judgments)
    both = judgments
    if in_part.any():
        part = judgments.filter(in_part & judgments["reject_reason"].is_null())
        both = pl.concat([measured(part.drop(measures)).select(judgments.columns), judgments.filter(~in_part)])
    others = [
        name
        for name in judgments.columns
        if name not in {*KEY, *_OF_ONE_PRESENTATION, *measures, "choice", "status", "reject_reason", "weight"}
    ]
    one = both.group_by(KEY, maintain_order=True).agg(
        *(pl.col(name).first() for name in others),
        pl.col("item_choice").first().alias("choice"),
        _status(),
        pl.col("certainty").mean(),
        *(pl.col(name).first() for name in measures if name != "item_choice"),
        pl.col("weight").first(),
        pl.col("reject_reason").first(),
    )
    if both is judgments:
        return one
    order = judgments.select(KEY).unique(maintain_order=True)
    return order.join(one, on=KEY, how="left", maintain_order="left")


def _kept_in_part(judgments: pl.DataFrame) -> pl.Series:
    """Whether a judgment is of a persona and item some of whose judgments are kept, and some not."""
    is_kept = judgments["reject_reason"].is_null()
    if is_kept.all() or not is_kept.any():
        return pl.repeat(False, judgments.height, eager=True)
    kept = pl.col("reject_reason").is_null()
    return judgments.select(kept.any().over(KEY) & ~kept.all().over(KEY)).to_series()


def preference_columns(schema: pl.Schema, *, coordinates: bool) -> list[str]:
    """The columns of a judgments table that its preferences are made from, with the coordinates or without."""
    of_a_request = {"judgment_id", "readout", "model", "request_id", "failure"}
    of_the_judge = RESERVED | {"item_id", "neither"}
    return [name for name in schema if name not in of_a_request and (coordinates or name in of_the_judge)]


def _status() -> pl.Expr:
    choice = pl.col("item_choice").first()
    return (
        pl.when(choice == pl.col("neither").first())
        .then(pl.lit("na"))
        .when(choice.is_not_null())
        .then(pl.lit("ok"))
        .when(pl.col("p_choice").first().is_not_null())
        .then(pl.lit("tie"))
        .otherwise(pl.col("status").first())
        .alias("status")
    )


__all__ = ["KEY", "LETTERS", "MEASURES", "MEASURE_TYPES", "letters_of", "measured", "preference_columns", "preferences"]
