"""From shares to whole people: systematic rounding, balanced over all tables, with exact margins on request."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prefgen.personas.cells import Axis, Cells, Codes, Shares, flat_index, summed
from prefgen.personas.sample import systematic_counts

Counts = NDArray[np.int64]

_COMBS = 12  # further systematic draws whose cells may take a person over
_ROUNDS = 72
_FIRST_MOVES = 0.03  # share of the movable people moved at once; halved whenever that overshoots


def balanced_counts(
    cells: Cells, share: Shares, n: int, tables: Sequence[tuple[str, ...]], rng: np.random.Generator
) -> Counts:
    """Whole counts of `n` people by cell, each less than 1 away from its share of `n`, close to all `tables` at once.

    share     share of each cell in the draw
    tables    attributes of the tables to keep close

    Begins with one systematic draw, and hands people over to cells that further systematic draws would have
    chosen, for as long as the squared errors of the tables fall. Counts of the tables come about ten times
    closer than by systematic rounding alone, while cells keep (nearly) their probabilities.
    """
    counts = systematic_counts(share, n, rng.random())
    expected = share * (n / share.sum())
    left_over = expected - np.floor(expected)
    movable = float(left_over.sum())
    if movable < 2 or not tables:
        return counts
    chosen = counts > expected
    for _ in range(_COMBS):
        chosen |= systematic_counts(left_over, round(movable), rng.random()) > 0
    pool = np.flatnonzero(chosen)
    place = {axis.name: index for index, axis in enumerate(cells.axes)}
    errors, indexes = [], []
    for names in tables:
        shape = [len(cells.axes[place[name]].levels) for name in names]
        index = flat_index([cells.codes[place[name]] for name in names], shape)
        errors.append(summed(index, expected - counts, math.prod(shape)))
        indexes.append(index[pool])
    moved = _balanced(errors, indexes, counts[pool] > expected[pool], left_over[pool] > 0, rng)
    counts[pool] += moved
    return counts


def _balanced(
    errors: list[Shares],
    indexes: list[NDArray[np.intp]],
    high: NDArray[np.bool_],
    loose: NDArray[np.bool_],
    rng: np.random.Generator,
) -> Counts:
    """What to add to each cell of the pool: -1, 0 or 1.

    errors     of every table: people wanted minus people there
    indexes    of every table: position of each cell of the pool
    high       whether a cell stands above its expectation, and so can give a person away
    loose      whether its expectation is no whole number, so that it can give or take one
    """
    high = high.copy()
    before = high.copy()
    objective = sum(float((error * error).sum()) for error in errors)
    moves = max(1, int(min(high.sum(), (~high & loose).sum()) * _FIRST_MOVES))
    for _ in range(_ROUNDS):
        gain = np.zeros(len(high))
        for error, index in zip(errors, indexes, strict=True):
            gain += error[index]
        takers, givers = np.flatnonzero(~high & loose), np.flatnonzero(high)
        while moves >= 1:
            taking = _some_best(takers, -gain[takers], moves, rng)
            giving = _some_best(givers, gain[givers], moves, rng)
            size = min(len(taking), len(giving))
            tried = [
                error
                - np.bincount(index[taking[:size]], minlength=len(error))
                + np.bincount(index[giving[:size]], minlength=len(error))
                for error, index in zip(errors, indexes, strict=True)
            ]
            reached = sum(float((error * error).sum()) for error in tried)
            if reached < objective:
                break
            moves //= 2
        else:
            break
        errors, objective = tried, reached
        high[taking[:size]] = True
        high[giving[:size]] = False
    return high.astype(np.int64) - before.astype(np.int64)


def _some_best(cells: NDArray[np.intp], cost: Shares, moves: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """`moves` of the four times as many cells of least cost: the very best are often all alike, and overshoot together."""
    among = min(len(cells), 4 * moves)
    if among == 0:
        return cells
    best = cells[np.argpartition(cost, among - 1)[:among]]
    return rng.permutation(best)[:moves]


@dataclass(frozen=True, slots=True)
class Repair:
    """People moved to other cells to make margins exact.

    cell      index into the cells, by person
    moved     changes made
    short     people that no possible change could place; 0 when all margins are exact
    """

    cell: NDArray[np.intp]
    moved: int
    short: int


def exact_margins(cells: Cells, share: Shares, cell: NDArray[np.intp], rng: np.random.Generator) -> Repair:
    """People (by their cells) changed one attribute at a time until every attribute has its exact counts.

    A change keeps all other attributes, leads only to possible cells, and prefers cells that are likelier than the
    one left. Exact means: each level within 1 of its share, and rounded so that they sum to the people drawn.
    """
    shape = [len(axis.levels) for axis in cells.axes]
    known = flat_index(cells.codes, shape)
    order = np.argsort(known)
    likely = _Likely(known[order], share[order], shape)
    mine = [code[cell].astype(np.intp) for code in cells.codes]
    moved = short = 0
    for at, axis in enumerate(cells.axes):
        wanted = systematic_counts(summed(cells.codes[at].astype(np.intp), share, shape[at]), len(cell), 0.5)
        changes, left = _exact_axis(axis, at, mine, wanted, likely, rng)
        moved, short = moved + changes, short + left
    now = flat_index(mine, shape)
    changed = np.flatnonzero(now != known[cell])  # few of many: only they are looked up
    repaired = cell.copy()
    repaired[changed] = order[np.searchsorted(likely.known, now[changed])]
    return Repair(repaired, moved, short)


@dataclass(frozen=True, slots=True)
class _Likely:
    known: NDArray[np.intp]
    share: Shares
    shape: list[int]

    def of(self, codes: Sequence[Codes]) -> Shares:
        """Share of the cell of each row; 0 for what is impossible."""
        flat = flat_index(codes, self.shape)
        found = np.minimum(np.searchsorted(self.known, flat), len(self.known) - 1)
        return np.where(self.known[found] == flat, self.share[found], 0.0)


def _exact_axis(
    axis: Axis, at: int, mine: list[NDArray[np.intp]], wanted: Counts, likely: _Likely, rng: np.random.Generator
) -> tuple[int, int]:
    """(changes made, people left over) on one axis; changes `mine[at]` in place."""
    moved = 0
    for via in (False, True):  # directly first; then over a third level, where structural zeros bar the direct way
        over = wanted - np.bincount(mine[at], minlength=len(wanted))
        for source in np.flatnonzero(over < 0):
            for goal in sorted(
                np.flatnonzero(over > 0), key=lambda level: (abs(level - source) if axis.ordered else 0, level)
            ):
                amount = int(min(-over[source], over[goal]))
                if not via:
                    done = _change(at, mine, int(source), int(goal), amount, likely, rng)
                    moved += done
                else:
                    done, changes = _change_over(at, mine, int(source), int(goal), amount, likely, rng)
                    moved += changes
                over[source] += done
                over[goal] -= done
    return moved, int(np.abs(wanted - np.bincount(mine[at], minlength=len(wanted))).sum() // 2)


def _change(
    at: int,
    mine: list[NDArray[np.intp]],
    source: int,
    goal: int,
    amount: int,
    likely: _Likely,
    rng: np.random.Generator,
) -> int:
    """Move up to `amount` people from one level to another; how many it were."""
    if amount <= 0:
        return 0
    rows = np.flatnonzero(mine[at] == source)
    enough = 2_000 + 200 * amount
    some = rng.choice(rows, enough, replace=False) if len(rows) > enough else rows  # a random part is choice enough
    before, after = _before_and_after(at, mine, some, goal, likely)
    if len(some) < len(rows) and (after > 0).sum() < amount:
        some = rows
        before, after = _before_and_after(at, mine, some, goal, likely)
    rows = some
    open_to = after > 0
    rows, ratio = rows[open_to], after[open_to] / np.maximum(before[open_to], 1e-300)
    keys = np.log(np.maximum(ratio, 1e-300)) + rng.gumbel(
        size=len(rows)
    )  # a draw in proportion to the ratio, without replacement
    chosen = rows[np.argsort(-keys)[:amount]]
    mine[at][chosen] = goal
    return len(chosen)


def _before_and_after(
    at: int, mine: list[NDArray[np.intp]], rows: NDArray[np.intp], goal: int, likely: _Likely
) -> tuple[Shares, Shares]:
    """Shares of the cells of some people, as they are and with the level `goal`."""
    there = [code[rows] for code in mine]
    before = likely.of(there)
    there[at] = np.full(len(rows), goal)
    return before, likely.of(there)


def _change_over(
    at: int,
    mine: list[NDArray[np.intp]],
    source: int,
    goal: int,
    amount: int,
    likely: _Likely,
    rng: np.random.Generator,
) -> tuple[int, int]:
    """The same by way of a third level: (people placed, changes made)."""
    placed = changes = 0
    for third in range(likely.shape[at]):
        if third in (source, goal) or placed >= amount:
            continue
        room = _change(at, mine, third, goal, amount - placed, likely, rng)
        filled = _change(at, mine, source, third, room, likely, rng)
        if filled < room:  # not enough can follow: let the rest go back
            _change(at, mine, goal, third, room - filled, likely, rng)
        placed, changes = placed + filled, changes + room + filled
    return placed, changes
