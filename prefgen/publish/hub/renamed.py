"""People of two runs who happen to have one id are two people: the one who comes later gets an id of their own."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from prefgen.ids import content_id
from prefgen.publish.hub.pull import Published, pull_rows
from prefgen.store.folder import RunFolder

_NAMES = ("persona_id", "judge", "control_of")


def renamings(folder: RunFolder, published: Published) -> dict[str, str]:
    """New ids for those of a run whose id stands for somebody else in `published`: the id and a hash of the portrait.

    The portrait decides who somebody is, so that a person who comes again on another night is found again.
    """
    if "personas" not in published.configs:
        return {}
    columns = ["persona_id", "text"]
    ours = pl.read_parquet(folder.data / "personas" / "*.parquet", columns=columns)
    there = pl.concat(pull_rows(published, "personas", columns=columns))
    others = ours.join(there, on="persona_id", suffix="_there").filter(pl.col("text").ne_missing(pl.col("text_there")))
    return {name: f"{name}.{content_id('p', text)[2:10]}" for name, text in others.select(columns).iter_rows()}


def renamed(frame: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """The same rows with the new ids, in `pair_id` too, which begins with the id of the person."""
    if not names:
        return frame
    changed = [pl.col(name).replace(names) for name in _NAMES if name in frame.columns]
    if {"pair_id", "persona_id"} <= set(frame.columns):
        rest = pl.col("pair_id").str.strip_prefix(pl.col("persona_id"))
        changed.append((pl.col("persona_id").replace(names) + rest).alias("pair_id"))
    return frame.with_columns(changed)
