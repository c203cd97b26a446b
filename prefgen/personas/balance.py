"""From shares to whole people: systematic rounding, balanced over all tables, with exact margins on request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prefgen.personas.arrival import SPAN
from prefgen.personas.cells import Axis, Cells, Codes, Shares, flat_index, summed
from prefgen.personas.parts import Parts
from prefgen.personas.sample import systematic_counts

Counts = NDArray[np.int64]

_ROUNDS = 72
_AMONG = 128  # givers and takers among whom pairs are sought
_PAIRS = 64  # pairs swapped at once
_WORK = 2_000_000  # cells looked at in all rounds of pairs: where the pool is large, tables are close without them
_FIRST_MOVES = 0.03  # share of the movable people moved at once; halved whenever that overshoots


def balanced_counts(
    cells: Cells, share: Shares, n: int, tables: Sequence[tuple[str, ...]], phase: Shares, rng: np.random.Generator
) -> Counts:
    """Whole counts of `n` people by cell, each less than 1 away from its share of `n`, close to all `tables` at once.

    share     share of each cell in the draw
    tables    attributes of the tables to keep close
    phase     when the people of each cell come, see `arrivals`

    Begins with the first `n` who come, and swaps those who come late among them for those who would come soon, for
    as long as the squared errors of the tables fall. Counts of the tables come about ten times closer than by
    systematic rounding alone, while cells keep (nearly) their probabilities, and a draw
    four times as large keeps everybody.
    """
    expected = share * (n / share.sum())
    whole = np.rint(expected)
    expected = np.where(np.abs(expected - whole) < 1e-9 * np.maximum(whole, 1), whole, expected)
    floor = np.floor(expected)
    left_over = expected - floor
    loose = np.flatnonzero(left_over > 0)
    counts: Counts = floor.astype(np.int64)
    missing = n - int(counts.sum())
    came = (floor[loose] + 1 - phase[loose]) / expected[loose]  # 1: with the last of the n
    first = np.argpartition(came, missing - 1)[:missing] if missing > 0 else np.empty(0, dtype=np.intp)
    counts[loose[first]] += 1
    if missing < 1 or not tables:
        return counts
    pool = loose[(came > 1 / SPAN) & (came < SPAN)]
    parts = Parts(cells, tables)
    errors = parts.sums(expected - counts)
    counts[pool] += _balanced(errors, parts.among(pool), counts[pool] > expected[pool], rng)
    return counts


def _balanced(errors: list[Shares], parts: Parts, high: NDArray[np.bool_], rng: np.random.Generator) -> Counts:
    """What to add to each cell of the pool: -1, 0 or 1.

    errors    of every table: people wanted minus people there
    parts     the tables over the cells of the pool
    high      whether a cell stands above its expectation, and so gives a person away; the others take one
    """
    search = _Search(errors, parts, high.copy())
    moves = max(1, int(min(high.sum(), (~high).sum()) * _FIRST_MOVES))
    for _ in range(_ROUNDS):
        while moves >= 1 and not search.moved(*search.some_best(moves, rng)):
            moves //= 2
        if moves < 1:
            break
    pairs = _PAIRS
    for _ in range(min(_ROUNDS, _WORK // max(1, len(high)))):
        while pairs >= 1 and not search.moved(*search.best_pairs(pairs)):
            pairs //= 2
        if pairs < 1:
            break
    return search.high.astype(np.int64) - high.astype(np.int64)


class _Search:
    """Cells that give people away (`high`) or take them, and the errors of the tables that this leaves."""

    def __init__(self, errors: list[Shares], parts: Parts, high: NDArray[np.bool_]) -> None:
        self.errors, self.parts, self.high = errors, parts, high
        self.objective = _squared(errors)
        self._known: tuple[Shares, NDArray[np.intp], NDArray[np.intp]] | None = None

    def moved(self, givers: NDArray[np.intp], takers: NDArray[np.intp]) -> bool:
        """Move one person each from these givers to these takers, if that lets the squared errors fall."""
        if not len(givers):
            return False
        tried = [
            error - np.bincount(to, minlength=len(error)) + np.bincount(of, minlength=len(error))
            for error, to, of in zip(self.errors, self.parts.places(takers), self.parts.places(givers), strict=True)
        ]
        reached = _squared(tried)
        if reached >= self.objective - 1e-9:
            return False
        self.errors, self.objective, self._known = tried, reached, None
        self.high[takers], self.high[givers] = True, False
        return True

    def some_best(self, moves: int, rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Givers and takers that the tables ask for most, each for itself."""
        gain, givers, takers = self._gains()
        giving, taking = _some_best(givers, gain[givers], moves, rng), _some_best(takers, -gain[takers], moves, rng)
        size = min(len(giving), len(taking))
        return giving[:size], taking[:size]

    def best_pairs(self, pairs: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Givers and takers that suit each other: a table in which both are of one cell is not touched."""
        gain, givers, takers = self._gains()
        givers, takers = _best(givers, gain[givers], _AMONG), _best(takers, -gain[takers], _AMONG)
        from_, to = self.parts.places(givers), self.parts.places(takers)
        alike = np.zeros((len(givers), len(takers)))
        for one, other in zip(from_, to, strict=True):
            alike += one[:, None] == other
        change = len(to) - alike + gain[givers][:, None] - gain[takers]
        found: list[tuple[int, int]] = []
        order = np.argsort(change, axis=None)[: 8 * _AMONG]
        for giver, taker in zip(*np.unravel_index(order, change.shape), strict=True):
            if change[giver, taker] >= 0 or len(found) == pairs:
                break
            if all(giver != one and taker != other for one, other in found):
                found.append((int(giver), int(taker)))
        chosen = np.array(found, dtype=np.intp).reshape(-1, 2)
        return givers[chosen[:, 0]], takers[chosen[:, 1]]

    def _gains(self) -> tuple[Shares, NDArray[np.intp], NDArray[np.intp]]:
        if self._known is None:
            self._known = self.parts.spread(self.errors), np.flatnonzero(self.high), np.flatnonzero(~self.high)
        return self._known


def _squared(errors: list[Shares]) -> float:
    return sum(float((error * error).sum()) for error in errors)


def _some_best(cells: NDArray[np.intp], cost: Shares, moves: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """`moves` of the four times as many cells of least cost: the very best are often all alike, and overshoot together."""
    return rng.permutation(_best(cells, cost, 4 * moves))[:moves]


def _best(cells: NDArray[np.intp], cost: Shares, among: int) -> NDArray[np.intp]:
    """The `among` cells of least cost, in no order."""
    return cells if among >= len(cells) else cells[np.argpartition(cost, among - 1)[:among]]


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
