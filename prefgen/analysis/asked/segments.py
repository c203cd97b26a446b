"""`analyse: segments`: people in groups that are alike, by k-means over the means of some columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from prefgen.analysis.asked.found import Cell, Found, NotAnalysedError, grid
from prefgen.analysis.asked.sources import Sources
from prefgen.analysis.asked.vectors import check_plain, is_vector, spread_out
from prefgen.judging.strengths import Floats
from prefgen.seeds import rng_for
from prefgen.spec.analyses import Segments

_STARTS = 20
_STEPS = 100


def segments(spec: Segments, sources: Sources) -> Found:
    """One row a group, the largest first: how many, and the mean of each column."""
    step = sources.step(spec.from_)
    rows = sources.rows(step, [spec.by, *spec.over])
    check_plain(rows, [spec.by])
    rows, over, vectors = _numbers(rows, spec.over)
    means = rows.group_by(spec.by).agg(pl.col(over).cast(pl.Float64).mean()).drop_nulls().sort(spec.by)
    if means.height <= spec.n:
        raise NotAnalysedError(f"{means.height} of {spec.by!r} are too few for {spec.n} groups")
    values = means.select(over).to_numpy()
    shown = [place for place, name in enumerate(over) if name in spec.over]  # the numbers of a vector say nothing alone
    deviation = values.std(axis=0)
    for places in vectors:  # as one column each: the numbers of a vector stay in proportion
        deviation[places] = np.sqrt(np.square(deviation[places]).sum())
    scaled = (values - values.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    group = k_means(scaled, spec.n, rng_for(sources.seed, "segments", step))
    order = sorted(range(spec.n), key=lambda k: (-(group == k).sum(), k))
    lines: list[tuple[Cell, ...]] = [
        (
            f"group {place}",
            int((group == k).sum()),
            *map(float, values[group == k].mean(axis=0)[shown]),
            ", ".join(map(str, means[spec.by].filter(pl.Series(group == k)).head(3))),
        )
        for place, k in enumerate(order, 1)
        if (group == k).any()
    ]
    width = silhouette(scaled, group)
    said = f"{spec.n} groups of {means.height:,}: mean silhouette {width:.2f} (1 apart, 0 no groups at all)"
    columns = ("group", spec.by, *(over[place] for place in shown), "some of them")
    return Found((said,), (grid(f"by {', '.join(spec.over)}", columns, lines),))


def _numbers(rows: pl.DataFrame, names: Sequence[str]) -> tuple[pl.DataFrame, list[str], list[list[int]]]:
    """(the rows with a column for every number, names of these columns, which of them are of one vector)."""
    over: list[str] = []
    vectors: list[list[int]] = []
    for name in dict.fromkeys(names):
        if is_vector(rows.schema[name]):
            rows, parts = spread_out(rows, name)
            vectors.append([*range(len(over), len(over) + len(parts))])
            over += parts
        elif rows.schema[name].is_numeric() or rows.schema[name] in (pl.Boolean, pl.Null):
            over.append(name)
        else:
            fix = "name columns of numbers, of true and false, or of vectors"
            raise NotAnalysedError(f"{name!r} is of type {rows.schema[name]}", fix)
    return rows, over, vectors


def k_means(points: Floats, k: int, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The group of every point: of several starts (k-means++) the one with the least distances."""
    best, least = np.zeros(len(points), dtype=np.int64), np.inf
    for _ in range(_STARTS):
        centres = _start(points, k, rng)
        group = best
        for _ in range(_STEPS):
            apart = ((points[:, None] - centres[None]) ** 2).sum(axis=2)
            group = apart.argmin(axis=1)
            moved = np.array(
                [points[group == one].mean(axis=0) if (group == one).any() else centres[one] for one in range(k)]
            )
            if np.allclose(moved, centres):
                break
            centres = moved
        total = float(apart.min(axis=1).sum())
        if total < least - 1e-12:
            best, least = group.astype(np.int64), total
    return best


def _start(points: Floats, k: int, rng: np.random.Generator) -> Floats:
    centres = [points[rng.integers(len(points))]]
    while len(centres) < k:
        apart = np.min([((points - one) ** 2).sum(axis=1) for one in centres], axis=0)
        chance = apart / apart.sum() if apart.sum() else np.full(len(points), 1 / len(points))
        centres.append(points[rng.choice(len(points), p=chance)])
    return np.array(centres)


def silhouette(points: Floats, group: np.ndarray[tuple[int], np.dtype[np.int64]], most: int = 2_000) -> float:
    """Mean silhouette width, -1 to 1; of very many points the first."""
    some, own = points[:most], group[:most]
    apart = np.sqrt(((some[:, None] - some[None]) ** 2).sum(axis=2))
    widths = []
    for at in range(len(some)):
        means = {one: apart[at][(own == one) & (np.arange(len(some)) != at)] for one in np.unique(own)}
        if not means[own[at]].size:
            widths.append(0.0)
            continue
        inside = means[own[at]].mean()
        outside = min((part.mean() for one, part in means.items() if one != own[at] and part.size), default=inside)
        widths.append((outside - inside) / max(inside, outside, 1e-12))
    return float(np.mean(widths))
