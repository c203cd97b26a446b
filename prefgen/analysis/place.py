"""Where models stand among the personas: agreement with each of them and their majority, and a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.analysis.agreement import kappa_between, mean_divergence, same_share
from prefgen.analysis.distance import Floats
from prefgen.analysis.filling import probabilities_of
from prefgen.analysis.response_matrix import ResponseMatrix
from prefgen.analysis.slices import MOST_LEVELS, levels_of
from prefgen.estimates import Estimate
from prefgen.judging.units import Units

MAJORITY = "majority"


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """One respondent's answers on the items of a matrix.

    kind     'persona', 'control', 'model' or 'majority'
    choice   (I,) index of the chosen option, -1 for none
    p        (I, O) probability of each option, NaN without an answer
    region   where a model comes from, for the map; None for personas
    """

    name: str
    kind: str
    choice: NDArray[np.int8]
    p: NDArray[np.float32]
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Nearness:
    """A model beside one target on one slice of the items.

    coordinate, level   the slice; both '' for all items
    same                share of items with the same choice
    kappa               Cohen's, over choices
    divergence          Jensen-Shannon, bits, mean over items
    """

    model: str
    target: str
    coordinate: str
    level: str
    same: Estimate
    kappa: Estimate
    divergence: Estimate


@dataclass(frozen=True, slots=True)
class Point:
    """One respondent on the map; the axes have the unit of probability, and the origin is the mean of the persons."""

    name: str
    kind: str
    region: str | None
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Map:
    """Principal components of the answer vectors.

    explained    each axis's share of the spread of the persons
    widest       distance of the two farthest persons over all dimensions: root mean square over items of the distance
                 between their probabilities, 0 to 1.41
    """

    points: tuple[Point, ...]
    explained: tuple[float, float]
    widest: float
    items: int


@dataclass(frozen=True, slots=True)
class Placement:
    """Models among personas: nearness to each target, slice by slice, and the map of all."""

    nearness: tuple[Nearness, ...]
    map: Map | None


def persona_answers(matrix: ResponseMatrix, *, controls: bool = True) -> list[Answers]:
    """Every persona of a matrix as a respondent."""
    return [
        Answers(name, "control" if matrix.controls[k] else "persona", matrix.choice[k], matrix.p[k])
        for k, name in enumerate(matrix.personas)
        if controls or matrix.controls[k] is None
    ]


def majority_answers(matrix: ResponseMatrix) -> Answers:
    """What most drawn persons choose, by weight; no choice where two options tie. `p` is the weighted mean."""
    people = matrix.people
    weight = matrix.weights[people][:, None]
    chosen = matrix.choice[people]
    votes = np.stack([((chosen == option) * weight).sum(axis=0) for option in range(len(matrix.options))], axis=1)
    top = votes.max(axis=1)
    tied = (np.isclose(votes, top[:, None])).sum(axis=1) > 1
    choice = np.where((top > 0) & ~tied, votes.argmax(axis=1), -1).astype(np.int8)
    p = matrix.p[people].astype(np.float64)
    known = ~np.isnan(p).any(axis=2)
    shared = (known * weight)[:, :, None]
    with np.errstate(invalid="ignore"):
        mean = (np.nan_to_num(p) * shared).sum(axis=0) / shared.sum(axis=0)
    return Answers(MAJORITY, "majority", choice, mean.astype(np.float32))


def model_answers(
    matrix: ResponseMatrix, name: str, preferences: pl.DataFrame, *, region: str | None = None
) -> Answers:
    """A model's answers, lined up with the items of a matrix.

    preferences    one row an item: item_id, choice (option letter or null), p_<option>, p_tie, p_na; other items are ignored
    """
    rows = preferences.unique("item_id", keep="first", maintain_order=True)
    rows = rows.select("item_id", pl.col("choice").alias("item_choice"), pl.col("^p_([A-Z]|tie|na)$"))
    lined = matrix.items.select("item_id").join(rows, on="item_id", how="left", maintain_order="left")
    places = {letter: place for place, letter in enumerate(matrix.options)}
    choice = lined["item_choice"].cast(pl.String).replace_strict(places, default=-1, return_dtype=pl.Int8).to_numpy()
    return Answers(name, "model", choice, probabilities_of(lined, matrix), region)


def place_models(
    matrix: ResponseMatrix,
    models: Sequence[Answers],
    *,
    by: Sequence[str] = (),
    rng: np.random.Generator,
    draws: int = 1000,
) -> Placement:
    """Models (answers without a persona) beside every drawn person and their majority.

    by    coordinates whose levels are looked at one by one, besides all items together
    """
    targets = [*persona_answers(matrix, controls=False), majority_answers(matrix)]
    nearness = []
    for coordinate, level, items in _slices_of(matrix, by):
        units = matrix.units.among(items)
        nearness += [
            _nearness(model, target, items, units, coordinate, level, options=len(matrix.options), rng=rng, draws=draws)
            for model in models
            for target in targets
        ]
    return Placement(tuple(nearness), draw_map([*persona_answers(matrix), *models, targets[-1]]))


def _slices_of(matrix: ResponseMatrix, by: Sequence[str]) -> list[tuple[str, str, NDArray[np.intp]]]:
    slices = [("", "", np.arange(matrix.items.height))]
    for coordinate in by:
        names, level_of = levels_of(matrix, coordinate)
        if len(names) <= MOST_LEVELS:
            slices += [(coordinate, level, np.flatnonzero(level_of == at)) for at, level in enumerate(names)]
    return slices


def _nearness(
    model: Answers,
    target: Answers,
    items: NDArray[np.intp],
    units: Units,
    coordinate: str,
    level: str,
    *,
    options: int,
    rng: np.random.Generator,
    draws: int,
) -> Nearness:
    one, other = model.choice[items], target.choice[items]
    return Nearness(
        model.name,
        target.name,
        coordinate,
        level,
        same_share(one, other, units),
        kappa_between(one, other, options, units, rng=rng, draws=draws),
        mean_divergence(model.p[items], target.p[items], units),
    )


def draw_map(respondents: Sequence[Answers]) -> Map | None:
    """Respondents on their first two principal components, over the items all of them answered.

    The axes are those of the personas' spread where there are three or more, so that a model added later moves nobody.
    None with fewer than three respondents or without an item that all answered.
    """
    if len(respondents) < 3:
        return None
    p = np.stack([one.p for one in respondents])
    answered = ~np.isnan(p).any(axis=(0, 2))
    if not answered.any():
        return None
    vectors = p[:, answered].reshape(len(respondents), -1) / np.sqrt(answered.sum())
    basis = [place for place, one in enumerate(respondents) if one.kind == "persona"]
    basis = basis if len(basis) >= 3 else list(range(len(respondents)))
    axes, explained = principal_axes(vectors[basis])
    placed = (vectors - vectors[basis].mean(axis=0)) @ axes.T
    points = tuple(
        Point(one.name, one.kind, one.region, float(x), float(y))
        for one, (x, y) in zip(respondents, placed, strict=True)
    )
    return Map(points, explained, _widest(vectors[basis]), int(answered.sum()))


def _widest(vectors: Floats) -> float:
    inner = vectors @ vectors.T
    squares = np.diag(inner)[:, None] + np.diag(inner)[None, :] - 2 * inner
    return float(np.sqrt(max(0.0, float(squares.max()))))


def principal_axes(vectors: Floats) -> tuple[Floats, tuple[float, float]]:
    """The two directions of largest spread (unit rows) and their shares of it; signs fixed, so that maps do not flip.

    vectors    (respondents, features), respondents few
    """
    centred = vectors - vectors.mean(axis=0)
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    axes, spread = np.zeros((2, vectors.shape[1])), float((sizes**2).sum())
    for axis in range(min(2, len(sizes))):
        # The respondent farthest out lies on the positive side.
        farthest = left[np.argmax(np.round(np.abs(left[:, axis]), 9)), axis]
        axes[axis] = right[axis] * (1.0 if farthest >= 0 else -1.0)
    shares = [float(size**2 / spread) if spread > 0 else 0.0 for size in (*sizes[:2], 0.0, 0.0)]
    return axes, (shares[0], shares[1])
