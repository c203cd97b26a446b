"""Candidates: answers to a prompt that somebody brought or a model wrote, and the sets of them that are shown together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.ids import content_id
from prefgen.judging.presentations import MAX_OPTIONS
from prefgen.store.numbered import as_lists

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


def keys_of(candidates: pl.DataFrame, within: Sequence[str]) -> pl.DataFrame:
    """What sets are made from, short however long the texts are: hashes of the `question`, the `group`, and what is said (`text`).

    within    columns in which candidates shown together agree, besides the question
    """
    return candidates.select(
        pl.col("item_id").hash().alias("question"),
        pl.struct(grouped_by(within)).hash().alias("group"),
        pl.col("response").hash().alias("text"),
    )


def sets_of(keys: pl.DataFrame, size: int | None) -> pl.Series:
    """Rows of the candidates of each set: every `size` of those of one group, or all of them at once.

    keys    `row`, and what `keys_of` says of it; of equal texts in one group the first is taken
    size    None for all of a group, at most 26

    Groups with fewer than two different texts, or than `size`, make no set. Groups come in the order of their first rows.
    """
    rows, starts, sizes = _groups(keys)
    firsts, sets = [np.array([], dtype=np.uint32)], [pl.Series([], dtype=pl.List(keys["row"].dtype))]
    for n in np.unique(sizes).tolist():
        whole = [tuple(range(n))] if 2 <= n <= MAX_OPTIONS else []
        some = np.array(whole if size is None else list(combinations(range(n), size)), dtype=np.int64)
        if len(some):
            begins = starts[sizes == n]
            chosen = rows[begins[:, None, None] + some[None]].reshape(-1)
            firsts.append(np.repeat(rows[begins], len(some)))
            sets.append(as_lists(np.full(len(begins) * len(some), some.shape[1]), pl.Series(chosen)))
    return pl.concat(sets).gather(np.argsort(np.concatenate(firsts), kind="stable"))


def _groups(keys: pl.DataFrame) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64]]:
    """(rows of different texts group by group, where each group begins, how many it has)."""
    row, group, text = (keys[name].to_numpy() for name in ("row", "group", "text"))
    order = np.lexsort((text, group))  # stable; polars groups a million rows in ten times the memory
    again = (group[order][1:] == group[order][:-1]) & (text[order][1:] == text[order][:-1])
    different = np.ones(len(row), dtype=bool)
    different[order[1:][again]] = False
    kept = np.flatnonzero(different)
    kept = kept[np.argsort(group[kept], kind="stable")]
    starts = np.flatnonzero(np.concatenate([[True], group[kept][1:] != group[kept][:-1]])[: len(kept)])
    return row[kept], starts, np.diff(starts, append=len(kept))


def as_shown(
    sets: pl.Series, rows: Callable[[NDArray[np.integer]], pl.DataFrame], within: Sequence[str]
) -> pl.DataFrame:
    """Items whose options are candidates.

    sets    row numbers of the candidates of each
    rows    the candidates with some numbers

    Columns: item_id (of the set), prompt, options, neither (null), prompt_id (the candidates' item_id), what is in `within`,
    option_candidate_id, and `option_<name>` for every other column: a list with one value for every option.
    """
    lengths = sets.list.len().to_numpy()
    candidates = rows(sets.explode().to_numpy())
    firsts = candidates[np.cumsum(lengths) - lengths] if len(sets) else candidates.clear()
    by = grouped_by(within)
    others = [name for name in candidates.columns if name not in {*by, "prompt", "response"}]
    each = {name: as_lists(lengths, candidates[name]) for name in ("response", *others)}
    ids = [content_id("set", some) for some in each["candidate_id"].to_list()]
    return pl.DataFrame(
        [
            pl.Series("item_id", ids, pl.String),
            firsts["prompt"],
            each["response"].alias("options"),
            pl.Series("neither", [None] * len(sets), pl.Int64),
            firsts["item_id"].alias("prompt_id"),
            *(firsts[name] for name in by[1:]),
            *(each[name].alias(f"{OF_OPTIONS}{name}") for name in others),
        ]
    )


def grouped_by(within: Sequence[str]) -> list[str]:
    """The columns in which candidates shown together agree: the question is always among them."""
    return list(dict.fromkeys(["item_id", *within]))
