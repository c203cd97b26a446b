"""Exports after a history: `history`, a target after what its persona did before, and `mcq`, a question with one right option."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from prefgen.publish.exports.details import Details
from prefgen.publish.exports.presets import Preset
from prefgen.publish.exports.source import Source, beside_texts
from prefgen.schemas import LETTERS
from prefgen.seeds import rng_for

_IDS = ("persona_id", "item_id")
_NUMBER, _SIZE = "target_id", "_size"


def histories(_: Preset, source: Source) -> Iterator[pl.DataFrame]:
    """A target after what its persona did before.

    target_id       0-based number of the row: its twin and its shorter histories have the same
    persona_id, item_id    where the rows have them
    input           what is asked; null where nothing is
    profile         list of earlier things, the earliest first, as `pack` made them
    profile_size    how many there are
    output          what is to be foreseen (where a target is named)
    peers           list of what others did (where it is named)
    then            labels and columns named, split
    """
    details = source.details or Details()
    begun = 0
    for frame in source.judgments():
        over = details.over(frame.schema, needs_history=True)
        kept = source.kept(frame).with_row_index(_NUMBER, begun).cast({_NUMBER: pl.Int64})
        begun += kept.height
        yield _formed(_resized(kept, over, source.seed), over, source.columns)


def _formed(rows: pl.DataFrame, details: Details, more: Sequence[str]) -> pl.DataFrame:
    asked = pl.lit(None, pl.String) if details.input is None else pl.col(details.input)
    profile = pl.col(details.history or "")
    named = {"output": details.target, "peers": details.peers}
    own = (_NUMBER, *_IDS, "split")
    return rows.select(
        _NUMBER,
        *(name for name in _IDS if name in rows.columns),
        asked.alias("input"),
        profile.alias("profile"),
        profile.list.len().cast(pl.Int64).alias("profile_size"),
        *(pl.col(name).alias(out) for out, name in named.items() if name is not None),
        *(name for name in more if name not in own),
        *(["split"] if "split" in rows.columns else []),
    )


def _resized(rows: pl.DataFrame, details: Details, seed: int) -> pl.DataFrame:
    """Every row once for each size, in the order of the sizes, a twin without history last; as they are where no size is named."""
    sizes: list[int | None] = list(details.sizes) or [None]
    if details.twin and 0 not in sizes:
        sizes.append(0)
    if sizes == [None] or details.history is None:
        return rows
    places = None if details.sample == "recent" else _places(rows, details, seed)
    each = [
        rows.with_columns(_cut(rows[details.history], size, places), pl.lit(place).alias(_SIZE))
        for place, size in enumerate(sizes)
    ]
    return pl.concat(each).sort(_NUMBER, _SIZE).drop(_SIZE)


def _cut(lists: pl.Series, size: int | None, places: list[list[int]] | None) -> pl.Series:
    """So many elements of every list, in their order."""
    if size is None:
        return lists
    if places is None or size == 0:
        return lists.list.tail(size)
    chosen = pl.Series([sorted(some[:size]) for some in places], dtype=pl.List(pl.Int64))
    return lists.list.gather(chosen)


def _places(rows: pl.DataFrame, details: Details, seed: int) -> list[list[int]]:
    """Places of the elements of every list, the one wanted first first: a longer history has all of a shorter one."""
    lists = rows[details.history or ""]
    if details.sample == "long":
        lengths = lists.list.eval(_length(lists.dtype.inner)).to_list()  # type: ignore[attr-defined]
        return [np.argsort([-n for n in own], kind="stable").tolist() for own in lengths]
    numbers = zip(rows[_NUMBER], lists.list.len(), strict=True)
    return [rng_for(seed, "history", str(number)).permutation(n).tolist() for number, n in numbers]


def _length(kind: pl.DataType) -> pl.Expr:
    """Characters of an element."""
    element = pl.element()
    if isinstance(kind, pl.Struct):
        return element.struct.json_encode().str.len_chars()
    if isinstance(kind, pl.List):
        return element.list.eval(pl.element().cast(pl.String).str.len_chars()).list.sum()
    return element.cast(pl.String).str.len_chars()


def questions(_: Preset, source: Source) -> Iterator[pl.DataFrame]:
    """A question with options, one of which is right.

    question      the prompt
    options       list of texts, in an order drawn for every row, or as they are
    answer        letter of the right one in that order; null where none of them is
    answer_text   its text
    history       list of earlier things (where one is named)
    persona_id, item_id    where the rows have them; then labels and columns named, split
    """
    details = source.details or Details()
    for frame in source.judgments():
        over = details.over(frame.schema, needs_history=False)
        yield _asked(source.kept(frame), over, source)


def _asked(rows: pl.DataFrame, details: Details, source: Source) -> pl.DataFrame:
    lists, right = rows["options"].to_list(), _right(rows, details.answer or "")
    orders = [_order(len(one), source.seed, key) for one, key in zip(lists, _keys(rows), strict=True)]
    if not details.shuffle:
        orders = [list(range(len(one))) for one in lists]
    shown = [[options[at] for at in order] for options, order in zip(lists, orders, strict=True)]
    letters = [None if at is None else LETTERS[order.index(at)] for at, order in zip(right, orders, strict=True)]
    texts = [None if at is None else options[at] for at, options in zip(right, lists, strict=True)]
    history = [] if details.history is None else [pl.col(details.history).alias("history")]
    return rows.select(
        pl.col("prompt").alias("question"),
        pl.Series("options", shown, dtype=pl.List(pl.String)),
        pl.Series("answer", letters, dtype=pl.String),
        pl.Series("answer_text", texts, dtype=pl.String),
        *history,
        *beside_texts(rows, source.columns, ("history",)),
    )


def _keys(rows: pl.DataFrame) -> Iterator[tuple[str, ...]]:
    named = [name for name in _IDS if name in rows.columns] or ["prompt"]
    return (tuple(map(str, row)) for row in rows.select(named).iter_rows())


def _order(n: int, seed: int, key: Sequence[str]) -> list[int]:
    order: list[int] = rng_for(seed, "mcq", *key).permutation(n).tolist()
    return order


def _right(rows: pl.DataFrame, answer: str) -> list[int | None]:
    """Place of the right option of every row: by its text, else by its letter."""
    found: list[int | None] = []
    for options, said in zip(rows["options"], rows[answer].cast(pl.String), strict=True):
        texts = options.to_list()
        letter = LETTERS.find(said) if said is not None and len(said) == 1 else -1
        place = texts.index(said) if said in texts else letter
        found.append(place if 0 <= place < len(texts) else None)
    return found
