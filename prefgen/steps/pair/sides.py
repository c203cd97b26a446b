"""The two sides of a pair of candidates."""

from __future__ import annotations

import re

import polars as pl

from prefgen.judging.candidates import OF_OPTIONS, of_options
from prefgen.judging.coordinates import free_names

_QUALIFIED = re.compile(r"\b(chosen|rejected)\.([^\W\d]\w*)")


def flattened(sql: str) -> str:
    """`chosen.x` as the column `chosen_x`.

    >>> flattened("chosen.score > rejected.score")
    '"chosen_score" > "rejected_score"'
    """
    return _QUALIFIED.sub(r'"\1_\2"', sql)


def pairs_of(sets: pl.DataFrame, *more: str) -> pl.DataFrame:
    """Pairs from sets of two candidates and `_chosen`, the place (0 or 1) of the one preferred.

    more    further columns to keep besides `_gap`

    The columns of pairs: pair_id, persona_id (where both name the same, else null), item_id, what the candidates share,
    chosen, rejected (letters), chosen_text, rejected_text, p_chosen, p_margin (1: a rule does not doubt), weight 1, and
    chosen_<x>, rejected_<x> for every `option_<x>`.
    """
    chosen, rejected = pl.col("_chosen"), 1 - pl.col("_chosen")
    each = of_options(sets.schema)
    letters = {0: "A", 1: "B"}
    sides = (("chosen", chosen), ("rejected", rejected))
    named = [place.replace_strict(letters, return_dtype=pl.String).alias(side) for side, place in sides]
    shared = [
        name
        for name in sets.columns
        if name not in {"item_id", "prompt", "options", "neither", "_chosen", "_gap", *more}
        and name not in {f"{OF_OPTIONS}{one}" for one in each}
    ]
    key = pl.concat_str("item_id", *named, *more, separator="|")
    return sets.select(
        key.alias("pair_id"),
        _persona(sets.schema),
        "item_id",
        *(name for name in shared if name != "persona_id"),
        *more,
        *named,
        *(pl.col("options").list.get(place).alias(f"{side}_text") for side, place in sides),
        pl.lit(1.0).alias("p_chosen"),
        pl.lit(1.0).alias("p_margin"),
        pl.lit(1.0).alias("weight"),
        *(
            pl.col(f"{OF_OPTIONS}{name}").list.get(place).alias(f"{side}_{free}")
            for name, free in free_names(each, {"text"}).items()
            if name != "persona_id"
            for side, place in sides
        ),
        "_gap",
    )


def _persona(schema: pl.Schema) -> pl.Expr:
    if "persona_id" in schema:
        return pl.col("persona_id")
    if f"{OF_OPTIONS}persona_id" in schema:
        names = pl.col(f"{OF_OPTIONS}persona_id")
        return pl.when(names.list.n_unique() == 1).then(names.list.first()).alias("persona_id")
    return pl.lit(None, dtype=pl.String).alias("persona_id")
