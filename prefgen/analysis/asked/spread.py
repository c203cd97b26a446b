"""`analyse: spread`: how different rows are."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from itertools import combinations, islice

import numpy as np
import polars as pl

from prefgen.analysis.asked.found import Cell, Found, NotAnalysedError, grid
from prefgen.analysis.asked.sources import Sources
from prefgen.estimates import Estimate, crossed_share
from prefgen.spec.analyses import Spread
from prefgen.steps.write.measures import shared, words_of

_MOST_PAIRS = 2_000  # of one group, the first ones
_MOST_VALUES = 30


def spread(spec: Spread, sources: Sources) -> Found:
    """One table: of texts how far they say different things, of anything else how often each value stands."""
    step = sources.step(spec.from_)
    rows = sources.rows(step, [spec.of, *spec.within]).drop_nulls(spec.of)
    if rows.is_empty():
        raise NotAnalysedError(f"{step!r} has no {spec.of!r}")
    if rows.schema[spec.of].is_nested():
        raise NotAnalysedError(f"{spec.of!r} holds lists", "name a column of texts, numbers or words")
    groups = rows.partition_by(spec.within, maintain_order=True) if spec.within else [rows]
    if rows.schema[spec.of] == pl.String and rows[spec.of].n_unique() > _MOST_VALUES:
        return _of_texts(spec.of, [group[spec.of].to_list() for group in groups])
    return _of_values(spec.of, rows, groups)


def _of_texts(of: str, groups: Sequence[list[str]]) -> Found:
    texts = [text for group in groups for text in group]
    alike = overlap(groups)
    lines: list[tuple[Cell, ...]] = [
        ("texts", len(texts)),
        ("different texts", len(set(texts))),
        ("words a text, mean", float(np.mean([len(text.split()) for text in texts]))),
        ("distinct words (distinct-1)", distinct(texts, 1)),
        ("distinct pairs of words (distinct-2)", distinct(texts, 2)),
        ("words shared by two texts of a group", alike),
        ("compressed to", compressed(texts)),
    ]
    said = "" if alike.value is None else f"Two texts of a group share {alike.value:.0%} of their words"
    return Found((said,) if said else (), (grid(of, ("measure", "value"), lines),))


def distinct(texts: Sequence[str], n: int) -> float:
    """Different n-grams of words over all of them, 0 to 1 (distinct-n).

    >>> distinct(["a b a", "a b"], 2)
    0.6666666666666666
    """
    grams = [
        tuple(words[at : at + n])
        for text in texts
        if (words := text.lower().split())
        for at in range(len(words) - n + 1)
    ]
    return len(set(grams)) / len(grams) if grams else 0.0


def overlap(groups: Sequence[list[str]]) -> Estimate:
    """Mean share of words that two texts of a group have in common, with its interval over groups; of large groups some pairs."""
    sums, counts = [], []
    for group in groups:
        words = [words_of(text) for text in group]
        found = [shared(one, other) for one, other in islice(combinations(words, 2), _MOST_PAIRS)]
        sums.append(sum(found))
        counts.append(len(found))
    return crossed_share(sums, counts, binary=False)


def compressed(texts: Sequence[str]) -> float:
    """Bytes of all texts together after compression, as a share of those before: low where they repeat each other."""
    whole = "\n".join(texts).encode()
    return len(zlib.compress(whole, 9)) / max(1, len(whole))


def _of_values(of: str, rows: pl.DataFrame, groups: Sequence[pl.DataFrame]) -> Found:
    counts = rows[of].value_counts(sort=True, name="_n").sort(["_n", of], descending=[True, False])
    n = rows.height
    lines: list[tuple[Cell, ...]] = [
        (str(value), count / n, count) for value, count in counts.head(_MOST_VALUES).iter_rows()
    ]
    entropies = [entropy(group[of]) for group in groups]
    more: list[tuple[Cell, ...]] = [
        ("different values", counts.height),
        ("effective number of values", math.exp(entropy(rows[of]))),
        ("the same within a group, effective", float(np.mean(np.exp(entropies)))),
        ("share of the commonest", counts["_n"][0] / n),
    ]
    if rows.schema[of].is_numeric():
        more += [("mean", float(rows[of].mean())), ("standard deviation", float(rows[of].std() or 0.0))]  # type: ignore[arg-type]
    return Found(
        (),
        (grid(f"values of {of}", ("value", "share", "rows"), lines), grid("how different", ("measure", "value"), more)),
    )


def entropy(values: pl.Series) -> float:
    """Shannon's entropy of the values, in nats.

    >>> round(entropy(pl.Series(["a", "b"])), 4)
    0.6931
    """
    shares = np.sort(values.value_counts(name="_n")["_n"].to_numpy()) / len(values)  # in one order: sums are the same
    return float(-(shares * np.log(shares)).sum())
