"""Who judges, made of what rows say: a persona a row, and personas that several models play."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from prefgen.schemas import PERSONAS

PLAYED_BY = "played_by"
"""Column with the name of the model that plays a persona, where several do."""


def row_by_row(rows: pl.DataFrame, by: str, population: str) -> pl.DataFrame:
    """Every row as a persona of its own, named by its column `by`; whom it is of stays in `person`.

    rows    persona_id, `by`, perhaps weight, control and others, which stay
    """
    types = {one.name: one.type for one in PERSONAS.columns if one.type is not None}
    without = {"control": pl.lit(None), "weight": pl.lit(1.0), "text": pl.lit(None)}
    return rows.with_columns(
        pl.col("persona_id").cast(pl.String).alias("person"),
        pl.col(by).cast(pl.String).alias("persona_id"),
        pl.lit(population).alias("population"),
        *(value.cast(types[name]).alias(name) for name, value in without.items() if name not in rows.columns),
    )


def played(personas: pl.DataFrame, models: Sequence[str]) -> pl.DataFrame:
    """Every persona once for each model, named `persona@model`; whom it is of stands in `person`, and who plays it in `played_by`."""
    person = pl.coalesce("person", "persona_id") if "person" in personas.columns else pl.col("persona_id")
    told = personas.with_columns(person.alias("person"))
    names = [name for name in ("persona_id", "control_of") if name in personas.columns]
    return pl.concat(
        told.with_columns(
            *(pl.concat_str(name, pl.lit(f"@{model}")).alias(name) for name in names),
            pl.lit(model).alias(PLAYED_BY),
        )
        for model in models
    )
