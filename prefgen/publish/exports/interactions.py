"""The export `table` of rows that somebody brought: who did what with what, and when, in whole numbers."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from prefgen.publish.exports.details import Details
from prefgen.publish.exports.source import Source


def interactions(source: Source, details: Details) -> Iterator[pl.DataFrame]:
    """Rows as user, item, level and time.

    user, item    0-based numbers of the values in their order; the same whatever else the table holds of the same people and things
    level, time   as the rows have them; time is the 0-based number of the row where none is named
    then          the columns that user and item are numbers of, columns named, split
    """
    users, items = (_numbers(source, name or "") for name in (details.user, details.item))
    begun = 0
    for frame in source.judgments():
        kept = source.kept(frame).with_row_index("_row", begun)
        begun += kept.height
        yield _formed(
            kept.with_columns(_user=_number(kept, details.user, users), _item=_number(kept, details.item, items)),
            details,
            source,
        )


def _numbers(source: Source, name: str) -> pl.DataFrame:
    """value, number: every value of a column of the kept rows, in order."""
    values = pl.concat(
        [source.kept(frame).select(pl.col(name).alias("value")).unique() for frame in source.judgments()]
    )
    return values.unique().drop_nulls().sort("value").with_row_index("number").cast({"number": pl.Int64})


def _number(rows: pl.DataFrame, name: str | None, numbers: pl.DataFrame) -> pl.Series:
    own = rows.select(pl.col(name or "").alias("value"))
    return own.join(numbers, on="value", how="left", maintain_order="left")["number"]


def _formed(rows: pl.DataFrame, details: Details, source: Source) -> pl.DataFrame:
    own = ("user", "item", "level", "time", "split")
    named = (details.user or "", details.item or "", *source.columns)
    return rows.select(
        pl.col("_user").alias("user"),
        pl.col("_item").alias("item"),
        pl.col(details.level or "").alias("level"),
        pl.col(details.time or "_row").alias("time"),
        *(name for name in dict.fromkeys(named) if name not in own),
        *(["split"] if "split" in rows.columns else []),
    )
