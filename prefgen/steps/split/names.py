"""Names of splits."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl


def split_name(held_out: Mapping[str, pl.Expr]) -> pl.Expr:
    """`train` where nothing of a row is held out, `test` where all is, else `test_` with what is."""
    every = pl.all_horizontal(held_out.values())
    none = ~pl.any_horizontal(held_out.values())
    named = pl.concat_str(
        [pl.when(where).then(pl.lit(f"_{name}")).otherwise(pl.lit("")) for name, where in held_out.items()]
    )
    return (
        pl.when(none)
        .then(pl.lit("train"))
        .when(every)
        .then(pl.lit("test"))
        .otherwise(pl.lit("test") + named)
        .alias("split")
    )
