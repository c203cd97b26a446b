"""Sheets drawn from a known truth: topics, groups and questions that might have been others, and personas that lean.

On a question a persona has utility `lean + persona + topic + group + question`, logistic, of option A over B; a verdict is a
draw from that. What is true is what infinitely many questions, each about its own topic and group, would show.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from prefgen.analysis.agreement import estimate_alpha, kappa_between, mean_divergence
from prefgen.analysis.bias import mean_bias
from prefgen.analysis.filling import STATUSES
from prefgen.analysis.gaps import Gap, estimate_counterfactual, estimate_counterfactuals, turned
from prefgen.analysis.response_matrix import ResponseMatrix
from prefgen.analysis.slices import estimate_shares
from prefgen.estimates import Estimate
from prefgen.judging.item_facts import coordinates_of
from prefgen.judging.slots import Slots
from prefgen.judging.units import Units, sampled_coordinates

PERSONAS = 5
DIMENSIONS = ("means", "ends")


@dataclass(frozen=True)
class Setting:
    """topics x groups x 2 dimensions; `spread` is the standard deviation of the effects of topic and group, in log-odds.

    lean        log-odds of option A
    dimension   added on the first dimension, taken from the second
    slot        share of the verdicts that name the first slot whatever stands there
    apart       log-odds between the two personas that lean farthest
    """

    topics: int
    groups: int
    spread: float = 0.0
    lean: float = 0.3
    dimension: float = 0.2
    slot: float = 0.1
    apart: float = 1.6

    @property
    def items(self) -> int:
        return self.topics * self.groups * len(DIMENSIONS)

    def named(self) -> str:
        lean = "" if abs(self.lean) < 2 else ", lopsided"
        return f"{self.items:>5} items, effects of sd {self.spread:.1f}{lean}"


@dataclass(frozen=True)
class Drawn:
    """Answers of the personas: (K, I) probability of A, choice (0 for A), and position bias."""

    p: np.ndarray
    choice: np.ndarray
    bias: np.ndarray


def answers(setting: Setting, shared: np.ndarray, dimension: np.ndarray, rng: np.random.Generator) -> Drawn:
    """Answers to questions whose topics and groups add `shared`."""
    persona = np.linspace(-setting.apart / 2, setting.apart / 2, PERSONAS)[:, None]
    question = rng.normal(0, 0.8, shared.size) + rng.normal(0, 0.4, (PERSONAS, shared.size))
    side = np.where(dimension == 0, setting.dimension, -setting.dimension)
    p = 1 / (1 + np.exp(-(setting.lean + persona + shared + side + question)))
    slotted = rng.random(p.shape) < setting.slot
    verdicts = [rng.random(p.shape) < p for _ in range(2)]  # whether A was named, standing first and standing second
    bias = np.where(slotted, 1.0, verdicts[0].astype(float) - verdicts[1])
    return Drawn(p, (rng.random(p.shape) > p).astype(np.int8), bias)


def draw(setting: Setting, rng: np.random.Generator) -> ResponseMatrix:
    """A matrix of one run."""
    topic, group, dimension = (
        x.ravel() for x in np.meshgrid(*map(np.arange, (setting.topics, setting.groups, 2)), indexing="ij")
    )
    of_groups = rng.normal(0, setting.spread, setting.groups) if setting.groups > 5 else np.zeros(setting.groups)
    shared = rng.normal(0, setting.spread, setting.topics)[topic] + of_groups[group]
    items = pl.DataFrame(
        {
            "item_id": [f"itm-{n}" for n in range(setting.items)],
            "n_options": 2,
            "neither": None,
            "longest": None,
            "stretch": None,
            "topic": [f"topic {n}" for n in topic],
            "group": [f"group {n}" for n in group],
            "dimension": [DIMENSIONS[n] for n in dimension],
        }
    )
    return matrix_with(items, answers(setting, shared, dimension, rng))


def matrix_with(items: pl.DataFrame, drawn: Drawn) -> ResponseMatrix:
    """The matrix of items and answers to them."""
    k, i = drawn.p.shape
    coordinates = coordinates_of(items)
    sampled = sampled_coordinates(items, coordinates)
    units = Units.over(np.arange(i), items, sampled)
    twice = np.full((k, i), 2, np.uint8)
    cells = np.full(i, float(k))
    statuses = np.zeros((k, i, len(STATUSES)), np.uint8)
    statuses[:, :, STATUSES.index("ok")] = 2
    first = (1 + drawn.bias).astype(np.uint8)
    return ResponseMatrix(
        personas=tuple(f"p{n}" for n in range(k)),
        controls=(None,) * k,
        control_of=(None,) * k,
        told_as=tuple((f"p{n}", None) for n in range(k)),
        weights=np.ones(k),
        items=items,
        coordinates=coordinates,
        options=("A", "B"),
        sampled=sampled,
        units=units,
        choice=drawn.choice,
        p=np.stack([drawn.p, 1 - drawn.p], axis=2).astype(np.float32),
        verdicts=twice,
        first=first,
        bias=drawn.bias.astype(np.float32),
        pairs=twice // 2,
        changed=(drawn.bias != 0).astype(np.uint8),
        statuses=statuses,
        kept=np.ones((k, i), bool),
        drawn_from=(k, i),
        twins=0,
        slots=Slots(
            units,
            twice.sum(axis=0, dtype=np.int64),
            first.sum(axis=0, dtype=np.int64),
            drawn.bias.sum(axis=0),
            cells,
            np.full(i, 0.5),
        ),
    )


def estimates(matrix: ResponseMatrix, rng: np.random.Generator, draws: int = 400) -> dict[str, Estimate]:
    """One of every kind of number that a report prints with an interval."""
    gap = estimate_counterfactual(matrix, "dimension")
    counts = matrix.options_chosen(matrix.people)
    return {
        "share": estimate_shares(matrix, option="A", rows="dimension").overall,
        "one persona": matrix.units.share(matrix.choice[0] == 0, np.ones(matrix.items.height)),
        "difference": _as_planted(gap.gaps[0]) if gap else Estimate(None, None, None, 0),
        "kappa": kappa_between(matrix.choice[0], matrix.choice[1], 2, matrix.units, rng=rng, draws=draws),
        "alpha": estimate_alpha(counts, matrix.units, rng=rng, draws=draws),
        "divergence": mean_divergence(matrix.p[0], matrix.p[-1], matrix.units),
        "position bias": mean_bias(matrix.slots.bias, matrix.slots.cells, matrix.units),
    }


def _as_planted(gap: Gap) -> Estimate:
    """The first dimension less the second, whichever was found to be larger."""
    return gap.difference if gap.first == DIMENSIONS[0] else turned(gap.difference)


def truth(setting: Setting, *, n: int = 150_000) -> dict[str, float]:
    """What all of `estimates` would be over infinitely many topics, groups and questions."""
    rng = np.random.default_rng(20)
    spread = setting.spread * (np.sqrt(2) if setting.groups > 5 else 1.0)
    dimension = np.arange(n) % 2
    drawn = answers(setting, rng.normal(0, spread, n), dimension, rng)
    items = pl.DataFrame(
        {
            "item_id": pl.Series(range(n)).cast(pl.String),
            "n_options": 2,
            "neither": None,
            "longest": None,
            "stretch": None,
            "dimension": [DIMENSIONS[at] for at in dimension],
        }
    )
    matrix = replace(matrix_with(items, drawn), sampled=())
    found = estimates(matrix, rng, draws=2)
    by_dimension = [drawn.p[:, dimension == at].mean() for at in (0, 1)]
    exact = {
        "share": drawn.p.mean(),
        "one persona": drawn.p[0].mean(),
        "position bias": setting.slot,
        "difference": by_dimension[0] - by_dimension[1],
    }
    return {name: float(exact[name]) if name in exact else float(one.value or 0.0) for name, one in found.items()}


def coverage(setting: Setting, *, runs: int, seed: int = 0) -> dict[str, tuple[float, float, float]]:
    """Per kind of number: share of the intervals that hold the truth, of those that have no width, mean width."""
    true = truth(setting)
    held: dict[str, list[tuple[bool, bool, float]]] = {name: [] for name in true}
    for run in range(runs):
        rng = np.random.default_rng((seed, run))
        for name, one in estimates(draw(setting, rng), rng).items():
            if one.low is not None and one.high is not None:
                held[name].append((one.low <= true[name] <= one.high, one.low == one.high, one.high - one.low))
    return {name: tuple(map(float, np.mean(rows, axis=0))) for name, rows in held.items() if rows}  # type: ignore[misc]


def false_alarms(setting: Setting, *, runs: int, seed: int = 1) -> float:
    """Share of runs in which nothing but topics and groups differs and a gap along another coordinate excludes 0.

    Where topics and groups have effects, they really differ: then theirs are no false alarms.
    """
    null, alarms = replace(setting, dimension=0.0), 0
    for run in range(runs):
        matrix = draw(null, np.random.default_rng((seed, run)))
        found = estimate_counterfactuals(matrix)
        real = ("topic", "group") if setting.spread and setting.groups > 5 else ("topic",) if setting.spread else ()
        alarms += any(one.significant for one in found if one.coordinate not in real)
    return alarms / runs
