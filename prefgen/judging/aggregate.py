"""Judgments of one persona on one item, taken together: measures beside each of them, and preferences."""

from __future__ import annotations

import re

import polars as pl

from prefgen.judging.presentations import is_balanced, place_of
from prefgen.judging.priors import SlotPriors
from prefgen.records import LEAST_P
from prefgen.schemas import JUDGMENTS, LETTERS, MEASURES, coordinates

KEY = ("persona_id", "item_id")

_NAMES = tuple(one.name for one in MEASURES.columns)


def answers_of(schema: pl.Schema) -> list[str]:
    """What a judgments table gives probabilities of: the fields of its column `p`, option letters first, then `tie` and `na`."""
    p = schema["p"]
    assert isinstance(p, pl.Struct)
    return [field.name for field in p.fields]


def letters_of(schema: pl.Schema) -> list[str]:
    """The options that a judgments table knows."""
    return [name for name in answers_of(schema) if re.fullmatch("[A-Z]", name)]


def measured(judgments: pl.DataFrame, priors: SlotPriors | None = None) -> pl.DataFrame:
    """The same rows in the same order, with the measures of their persona and item.

    judgments    all presentations of whole persona x item groups, adjacent: persona_id, item_id, order, repeat,
                 choice, slot (null = no option named), status, p (struct of options, tie, na; null = nothing read), readout, neither
    priors       what to take out of a persona and item shown in one order only; None leaves it in

    Adds
    p_<answer>         probability over the orders, in [0, 1]: where every answer has probabilities, the mean of the
                       log-odds, normalised, which is free of any slot bias that adds to the log-odds when the orders
                       balance; else the mean over the orders of the mean over the repeats. Null where an order was not read
    p_choice           the largest of those of the options
    item_choice        the option that has it; null when tie or na is as likely, two options share it, or p is null
    debiased           whether p_<answer> is from log-odds over balanced orders, has a slot prior taken out, or was computed
                       without slots, or scored as a likelihood, which has none; null without p
    order_agreement    whether every order has the same likeliest answer; null with one order, or one unread
    repeat_agreement   share of repeats naming their order's most frequent choice, mean over orders; null with one repeat
    position_bias      (share of answers that name the first slot - 1/k) / (1 - 1/k), mean over orders: 1 always the first slot,
                       0 as often as every other, below 0 more seldom; null where the orders do not balance or one was not read
    n_presentations    judgments of this persona and item

    Source of the log-odds: a judge whose slots add b to the utility u of what stands there answers softmax(u + b); over
    balanced orders the mean of log p is u plus the same number for every option.
    """
    answers = answers_of(judgments.schema)
    if judgments.is_empty():
        return judgments.with_columns(_empty_measures(answers))
    rows = _presentations(judgments, answers)
    if priors is not None:
        rows = priors.taken_out(rows, judgments["persona_id"], answers)
    by_item = _from_orders(rows, answers)
    spread = by_item.select(pl.all().gather(rows["_group"])).drop("_group")
    return judgments.hstack(spread.select("item_choice", *(f"p_{name}" for name in answers), *_NAMES))


def _presentations(judgments: pl.DataFrame, answers: list[str]) -> pl.DataFrame:
    """What the measures are made from, one row a judgment."""
    return judgments.select(
        pl.struct(KEY).rle_id().alias("_group"),
        "order",
        "repeat",
        "choice",
        "neither",
        (pl.col("slot") == "A").alias("_first"),
        pl.col("readout").str.starts_with("logprobs").alias("_odds"),
        pl.col("readout").str.contains("^(?:utility$|likelihood)").alias("_slotless"),
        _n_options(letters_of(judgments.schema)).alias("_k"),
        pl.lit(False).alias("_taken_out"),
        *(pl.col("p").struct.field(name).alias(f"p_{name}") for name in answers),
    )


def _n_options(letters: list[str]) -> pl.Expr:
    """How many options the item of a judgment has; 0 where nothing was read."""
    return pl.sum_horizontal(pl.col("p").struct.field(name).is_not_null().cast(pl.Int64) for name in letters)


def _empty_measures(answers: list[str]) -> list[pl.Expr]:
    types = JUDGMENTS.types("item_choice", *(f"p_{name}" for name in answers), *_NAMES)
    return [pl.lit(None, dtype=kind).alias(name) for name, kind in types.items()]


def _from_orders(rows: pl.DataFrame, answers: list[str]) -> pl.DataFrame:
    """One row per group, in group order: everything that needs the orders side by side."""
    columns = [f"p_{name}" for name in answers]
    modal = pl.col("choice").drop_nulls().unique_counts().max().fill_null(0)
    orders = rows.group_by("_group", "order", maintain_order=True).agg(
        *(pl.col(name).mean() for name in columns),
        (modal / pl.len()).alias("repeat_agreement"),
        pl.len().alias("n"),
        pl.col("_first").mean(),
        pl.col("_odds").all(),
        pl.col("_slotless").all(),
        pl.col("_taken_out").any(),
        pl.col("_k").max(),
        pl.col("neither").first(),
    )
    orders = orders.with_columns(_likeliest(answers).alias("order_choice"))
    by_item = orders.group_by("_group", maintain_order=True).agg(
        *(pl.col(name).mean() for name in columns),
        *(pl.col(name).clip(LEAST_P).log().mean().alias(f"log_{name}") for name in columns),
        (pl.col(columns[0]).null_count() == 0).alias("_read"),
        pl.col("_odds").all(),
        pl.col("_slotless").all(),
        pl.col("_taken_out").all(),
        pl.col("_k").max(),
        pl.col("neither").first(),
        pl.col("order").sort().str.join(",").alias("_orders"),
        pl.when((pl.len() > 1) & (pl.col("order_choice").null_count() == 0))
        .then(pl.col("order_choice").n_unique() == 1)
        .alias("order_agreement"),
        pl.when(pl.col("n").max() > 1).then(pl.col("repeat_agreement").mean()).alias("repeat_agreement"),
        pl.when(pl.col("_first").null_count() == 0).then(pl.col("_first").mean()).alias("_first"),
        pl.col("n").sum().cast(pl.Int64).alias("n_presentations"),
    )
    return _over_orders(_with_balance(by_item), answers)


def _with_balance(by_item: pl.DataFrame) -> pl.DataFrame:
    """Adds `_balanced`: looked up once for each of the few combinations there are."""
    by = ["_orders", "_k", "neither"]
    kinds = by_item.select(by).unique()
    balanced = [
        k > 1 and is_balanced(frozenset(orders.split(",")), k, place_of(neither))
        for orders, k, neither in kinds.iter_rows()
    ]
    known = kinds.with_columns(pl.Series("_balanced", balanced, pl.Boolean))
    return by_item.join(known, on=by, how="left", nulls_equal=True, maintain_order="left")


def _over_orders(by_item: pl.DataFrame, answers: list[str]) -> pl.DataFrame:
    """The measures over the orders of each group."""
    columns, options = [f"p_{name}" for name in answers], [f"p_{name}" for name in answers if name in LETTERS]
    top = pl.max_horizontal(f"log_{name}" for name in columns)
    raised = [(pl.col(f"log_{name}") - top).exp().alias(f"log_{name}") for name in columns]
    total = pl.sum_horizontal(f"log_{name}" for name in columns)
    by_odds = pl.col("_odds") & pl.col("_read")
    chance = 1 / pl.col("_k")
    return (
        by_item.with_columns(raised)
        .with_columns(
            pl.when(by_odds).then(pl.col(f"log_{name}") / total).when("_read").then(name).alias(name)
            for name in columns
        )
        .with_columns(
            pl.max_horizontal(options).alias("p_choice"),
            _likeliest(answers).alias("item_choice"),
            pl.when("_read")
            .then(pl.col("_slotless") | (by_odds & (pl.col("_balanced") | pl.col("_taken_out"))))
            .alias("debiased"),
            pl.when(pl.col("_balanced") & pl.col("_read"))
            .then((pl.col("_first") - chance) / (1 - chance))
            .alias("position_bias"),
        )
        .with_columns(pl.when(pl.col("item_choice").is_in(list(LETTERS))).then("item_choice").alias("item_choice"))
    )


def _likeliest(answers: list[str]) -> pl.Expr:
    """The answer with the largest `p_<answer>`; null when two share it (a tie is not broken by the alphabet)."""
    columns = [f"p_{name}" for name in answers]
    best = pl.max_horizontal(columns)
    at_best = pl.sum_horizontal(((pl.col(name) - best).abs() < 1e-12).cast(pl.Int8).fill_null(0) for name in columns)
    named = pl.coalesce(pl.when((pl.col(f"p_{name}") - best).abs() < 1e-12).then(pl.lit(name)) for name in answers)
    return pl.when(at_best == 1).then(named)


def preferences(judgments: pl.DataFrame) -> pl.DataFrame:
    """One row per persona and item: what its kept judgments add up to.

    judgments    a judgments table or whole parts of one

    Columns: persona_id, item_id, the coordinates, choice, status, certainty (mean), p_<answer>, the measures, weight,
    reject_reason. Measures are taken over the kept judgments. A persona and item of which an order has no kept
    judgment is dropped, with the first reason why, and keeps the measures over all of its judgments: what is left of it
    would have the bias of the slots. `status` is `ok` for a choice, `na` when that is the option marked neither or `na` is the
    likeliest answer, `tie` when `tie` is, or answers share the largest probability, else that of the first judgment without one.
    """
    answers = answers_of(judgments.schema)
    measures = ["item_choice", *(f"p_{name}" for name in answers), *_NAMES]
    judgments = _whole_or_dropped(judgments)
    # Where all or none are kept, the measures beside the judgments are those wanted: measuring is most of the work.
    in_part = _kept_in_part(judgments)
    both = judgments
    if in_part.any():
        part = judgments.filter(in_part & judgments["reject_reason"].is_null())
        both = pl.concat([measured(part.drop(measures)).select(judgments.columns), judgments.filter(~in_part)])
    carried = {*coordinates(judgments.columns, JUDGMENTS), "control", "neither", "split"}
    others = [name for name in judgments.columns if name in carried]
    one = both.group_by(KEY, maintain_order=True).agg(
        *(pl.col(name).first() for name in others),
        pl.col("item_choice").first().alias("choice"),
        _status(answers),
        pl.col("certainty").mean(),
        *(pl.col(name).first() for name in measures if name != "item_choice"),
        pl.col("weight").first(),
        pl.col("reject_reason").first(),
    )
    if both is judgments:
        return one
    order = judgments.select(KEY).unique(maintain_order=True)
    return order.join(one, on=KEY, how="left", maintain_order="left")


def _whole_or_dropped(judgments: pl.DataFrame) -> pl.DataFrame:
    """The same rows; those of a persona and item that lost a whole order are all dropped, for the first reason that dropped one."""
    reason = pl.col("reject_reason")
    if judgments["reject_reason"].null_count() in (0, judgments.height):
        return judgments
    lost = reason.is_not_null().all().over(*KEY, "order").any().over(KEY)
    first = reason.drop_nulls().first().over(KEY)
    return judgments.with_columns(
        pl.when(lost).then(pl.coalesce(reason, first)).otherwise(reason).alias("reject_reason")
    )


def _kept_in_part(judgments: pl.DataFrame) -> pl.Series:
    """Whether a judgment is of a persona and item some of whose judgments are kept, and some not."""
    is_kept = judgments["reject_reason"].is_null()
    if is_kept.all() or not is_kept.any():
        return pl.repeat(False, judgments.height, eager=True)
    kept = pl.col("reject_reason").is_null()
    return judgments.select(kept.any().over(KEY) & ~kept.all().over(KEY)).to_series()


def preference_columns(schema: pl.Schema, *, coordinates: bool) -> list[str]:
    """The columns of a judgments table that its preferences are made from, with the coordinates or without."""
    of_a_request = {"judgment_id", "model", "request_id", "failure", "reason", "p_read"}
    return [name for name in schema if name not in of_a_request and (coordinates or name in JUDGMENTS.names)]


def _status(answers: list[str]) -> pl.Expr:
    choice, p_choice = pl.col("item_choice").first(), pl.col("p_choice").first()
    p_tie, p_na = (pl.col(f"p_{name}").first() if name in answers else pl.lit(0.0) for name in ("tie", "na"))
    unread = pl.col("status").filter(pl.col("p").is_null()).first()
    return (
        pl.when(choice == pl.col("neither").first())
        .then(pl.lit("na"))
        .when(choice.is_not_null())
        .then(pl.lit("ok"))
        .when(p_choice.is_not_null() & (p_na > p_choice) & (p_na > p_tie))
        .then(pl.lit("na"))
        .when(p_choice.is_not_null())
        .then(pl.lit("tie"))
        .otherwise(pl.coalesce(unread, pl.col("status").first()))
        .alias("status")
    )


__all__ = [
    "KEY",
    "answers_of",
    "letters_of",
    "measured",
    "preference_columns",
    "preferences",
]
