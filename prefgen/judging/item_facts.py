"""What is known of an item besides its text: how many options, which is longest, and the coordinates that group items."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.judging.units import FORM
from prefgen.schemas import ITEMS, coordinates

_FACTS = ("n_options", "longest", "stretch", "lengths")


def item_facts(items: pl.LazyFrame) -> pl.DataFrame:
    """What the analyses need of each item, without its prompt: see `ResponseMatrix.items`."""
    schema = items.collect_schema()
    neither = pl.col("neither").cast(pl.Int64) if "neither" in schema else pl.lit(None, pl.Int64)
    facts_of_user = facts_brought(schema)
    facts = items.select(
        "item_id",
        pl.col("options").list.len().cast(pl.Int64).alias("n_options"),
        neither.alias("neither"),
        pl.col("options").list.eval(pl.element().str.len_chars().cast(pl.Int64)).alias("lengths"),
        *facts_of_user,
    ).collect()
    facts = facts.unique("item_id", keep="first", maintain_order=True)
    names = [column.meta.output_name() for column in facts_of_user]
    by_length = facts.join(_longest(facts), on="item_id", how="left", maintain_order="left")
    return by_length.select("item_id", "n_options", "neither", "longest", "stretch", *names)


def facts_brought(items: pl.Schema) -> list[pl.Expr]:
    """The columns of the user's own that can group items, as texts."""
    brought = coordinates(items, ITEMS)
    return [
        pl.col(name).cast(pl.String)
        for name, kind in items.items()
        if name in brought
        and name not in _FACTS
        and (kind.is_integer() or kind in (pl.String, pl.Boolean, pl.Categorical, pl.Enum))
    ]


def _longest(facts: pl.DataFrame) -> pl.DataFrame:
    """Per item with two substantive options or more: `longest` (null when two share it) and `stretch`."""
    place = pl.int_range(pl.len()).over("item_id")
    options = facts.select("item_id", "neither", "lengths").explode("lengths").drop_nulls("lengths")
    real = options.with_columns(place=place).filter(pl.col("place") != pl.col("neither").fill_null(-1))
    top = pl.col("lengths") == pl.col("lengths").max()
    found = real.group_by("item_id", maintain_order=True).agg(
        n=pl.len(),
        tops=top.sum(),
        first=pl.col("place").filter(top).first(),
        stretch=pl.col("lengths").max() / pl.col("lengths").min().clip(1),
    )
    return found.filter(pl.col("n") > 1).select(
        "item_id", pl.when(pl.col("tops") == 1).then("first").cast(pl.Int64).alias("longest"), "stretch"
    )


def coordinates_of(items: pl.DataFrame) -> tuple[str, ...]:
    """Coordinates that group items: at least 2 levels, and on average at least 2 items a level."""
    names = [name for name in coordinates(items.columns, ITEMS) if name not in _FACTS]
    return tuple(name for name in names if 2 <= items[name].n_unique() <= max(2, items.height // 2))


def in_units(items: pl.DataFrame) -> tuple[pl.DataFrame, NDArray[np.intp]]:
    """Items with those side by side that ask one question in several forms, and the unit of each.

    They are told by their coordinates, where all of them together name one item and without the form several.
    """
    rest = [name for name in coordinates_of(items) if name != FORM]
    n_named = items.select(pl.struct(*rest, FORM).n_unique()).item() if FORM in items.columns and rest else 0
    if n_named != items.height:
        return items, np.arange(items.height)
    named = items.select(pl.struct(rest).alias("rest"), pl.int_range(pl.len()).alias("place"))
    unit = named.select(pl.col("place").min().over("rest")).to_series()
    order = np.argsort(unit.to_numpy(), kind="stable")
    starts = unit[order].rle_id()
    return items[order], starts.to_numpy().astype(np.intp)
