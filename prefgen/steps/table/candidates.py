"""Rows with a prompt and a response, checked and brought into one shape: candidates."""

from __future__ import annotations

import polars as pl

from prefgen.ids import content_id
from prefgen.judging.candidates import CORE
from prefgen.steps.context import Context
from prefgen.steps.table.items import hashable
from prefgen.steps.table.seen import Seen

_TEXT = (pl.String, pl.Categorical, pl.Enum)


def as_candidates(rows: pl.DataFrame, seen: Seen, context: Context) -> pl.DataFrame:
    """candidate_id, item_id, prompt, response, then every other column; SpecError for what is wrong.

    seen    the parts of the table before

    Without ids of their own, `item_id` comes from the prompt and `candidate_id` from the whole row.
    """
    for name in ("prompt", "response"):
        if rows[name].dtype not in _TEXT:
            raise context.error("table", f"`{name}` is of type {rows[name].dtype}, not text", "quote it")
        texts = rows[name].cast(pl.String)
        empty = (texts.is_null() | ~texts.str.contains(r"\S")).arg_true()
        if len(empty):
            said = f"row {seen.rows + empty[0] + 1} has an empty {name}"
            raise context.error("table", said, f"write the {name}, or drop the row")
    rows = rows.with_columns(pl.col("prompt", "response").cast(pl.String))
    if "item_id" not in rows.columns:
        named = {prompt: content_id("item", prompt) for prompt in rows["prompt"].unique()}
        rows = rows.with_columns(pl.col("prompt").replace_strict(named, return_dtype=pl.String).alias("item_id"))
    rows = rows.with_columns(pl.col("item_id").cast(pl.String))
    if rows["item_id"].null_count():
        row = seen.rows + rows["item_id"].is_null().arg_true()[0] + 1
        raise context.error("table", f"row {row} has no item_id", "give every row one, or none")
    rows = _with_ids(rows)
    seen.candidates(rows)
    return rows.select(*CORE, pl.exclude(CORE))


def _with_ids(rows: pl.DataFrame) -> pl.DataFrame:
    """Every row with a `candidate_id`; one that has none, as those of some tables that stand one below the other, gets it from the whole row."""
    own = rows["candidate_id"].cast(pl.String) if "candidate_id" in rows.columns else None
    if own is not None and not own.null_count():
        return rows.with_columns(own)
    made = [content_id("cand", row) for row in hashable(rows)]
    ids = made if own is None else [has or new for has, new in zip(own, made, strict=True)]
    return rows.with_columns(pl.Series("candidate_id", ids, pl.String))
