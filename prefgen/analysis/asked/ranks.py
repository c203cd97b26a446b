"""`analyse: rank`: strengths by the model of Bradley and Terry, with intervals that generalise over questions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from prefgen.analysis.asked.found import Cell, Found, NotAnalysedError, grid
from prefgen.analysis.asked.sources import Sources
from prefgen.estimates import Estimate, quantile_of_t
from prefgen.judging.strengths import Floats, fit_strengths
from prefgen.spec.analyses import Rank
from prefgen.steps.weigh.contest import Contest, Places

_RIDGE = 0.01
_MOST = 500  # values that compete: the strengths of all are solved for at once


@dataclass(frozen=True, slots=True)
class Strength:
    """How strong one is: log-odds, mean 0 over all; the share of its comparisons that it won; how many there were."""

    value: str
    strength: Estimate
    won: float
    n: int


def ranks(spec: Rank, sources: Sources) -> Found:
    """A table of all pairs, and one for every column of `by`."""
    step = sources.step(spec.from_)
    pairs = sources.pairs(step, spec.of, spec.by)
    if pairs.is_empty():
        raise NotAnalysedError(f"no pair of different {spec.of!r} was kept")
    columns = (spec.of, "strength", "won", "pairs")
    overall = strengths(pairs, spec.of)
    tables = [grid(f"{spec.of}, by all", columns, [_cells(one) for one in overall])]
    for name in spec.by:
        levels = pairs.drop_nulls(name).partition_by(name, as_dict=True)
        rows = [
            (str(level), *_cells(one))
            for (level,), some in sorted(levels.items(), key=str)
            for one in strengths(some, spec.of)
        ]
        tables.append(grid(f"{spec.of}, by {name}", (name, *columns), rows))
    return Found((_in_words(overall, spec.of),), tuple(tables))


def _cells(one: Strength) -> tuple[Cell, ...]:
    return one.value, one.strength, one.won, one.n


def _in_words(found: Sequence[Strength], of: str) -> str:
    first, second = found[0], found[1]
    low, high = first.strength.low, second.strength.high
    apart = low is not None and high is not None and low > high
    sure = "clearly" if apart else "though the intervals meet,"
    return f"Of {len(found)} values of {of}, {first.value} is the strongest, {sure} before {second.value}"


def strengths(pairs: pl.DataFrame, of: str) -> list[Strength]:
    """The strongest first.

    The interval is Student's, from a sandwich over questions (`prompt_id`, else `item_id`, else every pair by itself): pairs about one
    question are one observation.
    """
    contest = Contest.of(pairs, *(pairs[f"{side}_{of}"].cast(pl.String) for side in ("chosen", "rejected")))
    n = len(contest.values)
    if n > _MOST:
        raise NotAnalysedError(f"{n:,} values of {of!r} compete, at most {_MOST:,}", "rank another column")
    wins = contest.wins()
    found = fit_strengths(wins, _RIDGE).strength
    unit = next((name for name in ("prompt_id", "item_id") if name in pairs.columns), None)
    units = np.arange(pairs.height) if unit is None else pairs[unit].cast(pl.String).rank("dense").to_numpy() - 1
    errors, n_units = _errors(wins, found, contest, units.astype(np.int64))
    t = quantile_of_t(0.95, float(n_units - 1)) if n_units > 1 else np.inf
    told = _told(contest.values, found, errors * t, wins, contest.met(), n_units)
    return sorted(told, key=lambda one: -(one.strength.value or 0.0))


def _told(values: pl.Series, found: Floats, half: Floats, wins: Floats, met: Places, n: int) -> Iterator[Strength]:
    for at, value in enumerate(values):
        total = float(wins[at].sum() + wins[:, at].sum())
        known = bool(np.isfinite(half[at]))
        low, high = (float(found[at] + sign * half[at]) if known else None for sign in (-1, 1))
        won = float(wins[at].sum()) / total if total else 0.0
        yield Strength(str(value), Estimate(float(found[at]), low, high, n), won, int(met[at]))


def _errors(wins: Floats, strength: Floats, contest: Contest, units: Places) -> tuple[Floats, int]:
    """Standard errors from how the questions differ, and how many questions there are."""
    n, total = len(wins), wins + wins.T
    chance = 1 / (1 + np.exp(np.clip(strength[None, :] - strength[:, None], -500, 500)))
    apart = total * chance * (1 - chance)
    inverse = np.linalg.inv(np.diag(apart.sum(axis=1)) - apart + _RIDGE * np.eye(n))
    first, second = contest.first, contest.second
    slope = contest.counts * (contest.share - chance[first, second])
    scores = np.zeros((int(units.max()) + 1, n))
    np.add.at(scores, (units, first), slope)
    np.add.at(scores, (units, second), -slope)
    g = len(scores)
    meat = scores.T @ scores * (g / max(1, g - 1))
    centred = np.eye(n) - 1 / n
    spread = centred @ inverse @ meat @ inverse @ centred
    return np.sqrt(np.clip(np.diag(spread), 0.0, None)), g
