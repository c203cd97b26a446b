"""`analyse: components`: what vectors differ in most, and who is where on it."""

from __future__ import annotations

import numpy as np
import polars as pl

from prefgen.analysis.asked.found import Cell, Found, NotAnalysedError, grid
from prefgen.analysis.asked.sources import Sources
from prefgen.analysis.asked.vectors import check_plain, is_vector, spread_out
from prefgen.judging.strengths import Floats
from prefgen.spec.analyses import Components

_MOST_LEVELS = 50
_ROUNDING = 1e-20  # of a sum of squares


def components(spec: Components, sources: Sources) -> Found:
    """How much of the differences each component holds, and the mean on it of every level of `by`.

    Of pairs the vectors are what was chosen less what was rejected, about 0 and not about their mean: the first component is then
    what those who chose agree or part in, and the share of pairs on its positive side says which.
    """
    step = sources.step(spec.from_)
    sides = (f"chosen_{spec.of}", f"rejected_{spec.of}")
    of_pairs = set(sides) <= set(sources.tables[step].schema)
    rows = sources.rows(step, [*(sides if of_pairs else (spec.of,)), *spec.by])
    for name in sides if of_pairs else (spec.of,):
        if not is_vector(rows.schema[name]):
            raise NotAnalysedError(f"{name!r} is of type {rows.schema[name]}", "name a column of vectors")
    check_plain(rows, spec.by)
    vectors, rows = _differences(rows, *sides) if of_pairs else _vectors(rows, spec.of)
    if len(vectors) <= spec.n:
        raise NotAnalysedError(f"{len(vectors)} vectors are too few for {spec.n} components")
    apart = vectors if of_pairs else vectors - vectors.mean(axis=0)
    if not np.square(apart).sum() > _ROUNDING * np.square(vectors).sum():
        raise NotAnalysedError("all vectors are the same")
    scores, shares = principal(apart, spec.n)
    numbers = [f"component {place}" for place in range(1, len(shares) + 1)]
    lines: list[tuple[Cell, ...]] = [
        (name, float(share), float(so_far), *((float((one > 0).mean()),) if of_pairs else ()))
        for name, share, so_far, one in zip(numbers, shares, np.cumsum(shares), scores.T, strict=True)
    ]
    columns = ("component", "share of the differences", "together", *(("pairs on its side",) if of_pairs else ()))
    tables = [grid(f"{spec.of}: {len(vectors):,} vectors of {vectors.shape[1]:,} numbers", columns, lines)]
    tables += [grid(f"means by {name}", (name, "rows", *numbers), _means(rows[name], scores)) for name in spec.by]
    said = f"The first of {len(shares)} components holds {shares[0]:.0%} of what {spec.of} differs in, all {shares.sum():.0%}"
    return Found((said,), tuple(tables))


def principal(vectors: Floats, n: int) -> tuple[Floats, Floats]:
    """(rows x n scores, n shares of the sum of squares) of the first principal components.

    By the eigenvectors of the products of columns, which are few. The sign of a component is such that its largest weight is positive, so
    that the same vectors have the same scores.
    """
    squares, weights = np.linalg.eigh(vectors.T @ vectors)
    squares, weights = squares[::-1][:n].clip(min=0), weights[:, ::-1][:, :n]
    weights = weights * np.sign(weights[np.abs(weights).argmax(axis=0), np.arange(weights.shape[1])])
    return vectors @ weights, squares / np.square(vectors).sum()


def _vectors(rows: pl.DataFrame, of: str) -> tuple[Floats, pl.DataFrame]:
    rows, names = spread_out(rows, of)
    return rows.select(names).to_numpy(), rows


def _differences(rows: pl.DataFrame, chosen: str, rejected: str) -> tuple[Floats, pl.DataFrame]:
    rows = rows.drop_nulls([chosen, rejected])
    rows, of_chosen = spread_out(rows, chosen)
    rows, of_rejected = spread_out(rows, rejected)
    if len(of_chosen) != len(of_rejected):
        raise NotAnalysedError("what was chosen and rejected has vectors of different lengths", "ask one model")
    return rows.select(of_chosen).to_numpy() - rows.select(of_rejected).to_numpy(), rows


def _means(levels: pl.Series, scores: Floats) -> list[tuple[Cell, ...]]:
    """One line a level, the most frequent first."""
    texts = levels.cast(pl.String).fill_null("")
    counts = texts.value_counts(sort=True).head(_MOST_LEVELS)
    return [
        (str(level), int(n), *map(float, scores[(texts == level).to_numpy()].mean(axis=0)))
        for level, n in counts.iter_rows()
    ]
