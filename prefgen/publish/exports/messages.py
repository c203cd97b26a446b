"""Conversations as polars expressions: lists of {role, content}, as chat templates read them."""

from __future__ import annotations

import polars as pl

MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))


def message(role: str, content: pl.Expr) -> pl.Expr:
    """One message."""
    return pl.struct(pl.lit(role).alias("role"), content.cast(pl.String).fill_null("").alias("content"))


def answered(content: pl.Expr) -> pl.Expr:
    """A conversation of one assistant message."""
    return pl.concat_list(message("assistant", content))


def asked(system: pl.Expr, user: pl.Expr) -> pl.Expr:
    """A conversation of a user message, after a system message where there is something to say."""
    said = pl.concat_list(message("system", system), message("user", user))
    return (
        pl.when(system.fill_null("").str.strip_chars() == "")
        .then(pl.concat_list(message("user", user)))
        .otherwise(said)
    )
