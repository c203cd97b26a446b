"""Candidates: answers to a prompt that somebody brought or a model wrote, and the sets of them that are shown together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.ids import content_id
from prefgen.judging.presentations import MAX_OPTIONS

CORE = ("candidate_id", "item_id", "prompt", "response")
"""Columns of every table of candidates; `item_id` names the prompt that they answer."""

OF_OPTIONS = "option_"
"""Begins the name of a column of items that has one value for every option: `option_writer`, say."""


def is_candidates(columns: Sequence[str]) -> bool:
    """Whether a table has candidates."""
    return set(CORE) <= set(columns)


def are_turns(kind: pl.DataType | None) -> bool:
    """Whether a column holds conversations: lists of `role` and `content`."""
    inner = kind.inner if isinstance(kind, pl.List) else None
    return isinstance(inner, pl.Struct) and {"role", "content"} <= {one.name for one in inner.fields}


def of_options(schema: pl.Schema) -> list[str]:
    """Columns of items with one value for every option, without their prefix."""
    return [
        name.removeprefix(OF_OPTIONS)
        for name, kind in schema.items()
        if name.startswith(OF_OPTIONS) and isinstance(kind, pl.List)
    ]


def shown_sets(candidates: pl.DataFrame, within: Sequence[str], size: int | None) -> pl.DataFrame:
    """Items whose options are candidates: every set of `size` of those that agree in `within`, or all of them at once.

    candidates    CORE and any columns; of equal responses in one group the first is taken
    size          None for all of a group, at most 26

    Columns: item_id (of the set), prompt, options, neither (null), prompt_id (the candidates' item_id), what is in `within`,
    option_candidate_id, and `option_<name>` for every other column: a list with one value for every option.
    Groups with fewer than two different responses, or than `size`, make no item.
    """
    by = list(dict.fromkeys(["item_id", *within]))
    different = candidates.unique(subset=[*by, "response"], keep="first", maintain_order=True)
    groups = different.group_by(by, maintain_order=True).agg(pl.all())
    sets = _chosen_rows(groups["response"].list.len().to_numpy(), size)
    picked = groups.select(pl.all().gather(sets["_group"])).with_columns(sets["_at"])
    others = [name for name in candidates.columns if name not in {*by, "prompt", "response"}]
    each = [pl.col(name).list.gather(pl.col("_at")).alias(f"{OF_OPTIONS}{name}") for name in others]
    ids = pl.col("candidate_id").list.gather(pl.col("_at"))
    return picked.select(
        ids.map_elements(lambda some: content_id("set", some.to_list()), return_dtype=pl.String).alias("item_id"),
        pl.col("prompt").list.first(),
        pl.col("response").list.gather(pl.col("_at")).alias("options"),
        pl.lit(None, dtype=pl.Int64).alias("neither"),
        pl.col("item_id").alias("prompt_id"),
        *(pl.col(name) for name in by[1:]),
        *each,
    )


def _chosen_rows(sizes: NDArray[np.integer], size: int | None) -> pl.DataFrame:
    """`_group` and `_at`, the places in it, of every set; made for all groups of one size at once."""
    schema = pl.Schema({"_group": pl.UInt32(), "_at": pl.List(pl.UInt32())})
    found = [pl.DataFrame(schema=schema)]
    for n in np.unique(sizes).tolist():
        whole = [tuple(range(n))] if 2 <= n <= MAX_OPTIONS else []
        some = np.array(whole if size is None else list(combinations(range(n), size)), dtype=np.uint32)
        groups = np.flatnonzero(sizes == n).astype(np.uint32)
        if len(some) and len(groups):
            at = pl.Series("_at", np.tile(some, (len(groups), 1))).arr.to_list()
            found.append(pl.DataFrame([pl.Series("_group", np.repeat(groups, len(some))), at]).cast(schema))
    return pl.concat(found).sort("_group", maintain_order=True)
