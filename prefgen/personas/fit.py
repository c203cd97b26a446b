"""Raking: the joint distribution that reproduces every table of a population at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prefgen.personas.cells import Cells, Codes, Shares, Target, flat_index, summed
from prefgen.personas.targets import Disagreement, Targets, disagreements
from prefgen.spec.population import Population

MOST_CELLS = 10_000_000
"""Above this many cells a joint distribution is not held; see network.py."""

_TOLERANCE = 1e-5  # total variation of the worst table: ten times below what a million people can show
_MOST_ROUNDS = 500
_INDEX_BYTES = 400_000_000  # positions of cells in tables are kept up to here, else computed each time


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted joint distribution and how it was reached.

    rounds            times that all tables were fitted
    residual          total variation of the table that fits worst
    worst             its label
    converged         whether the residual is within 1e-5
    disagreements     tables that contradict each other, the worst first
    """

    cells: Cells
    rounds: int
    residual: float
    worst: str
    converged: bool
    disagreements: tuple[Disagreement, ...]


def fitted(population: Population, targets: Targets) -> Fit:
    """The joint distribution of greatest entropy that has the target tables (iterative proportional fitting).

    Impossible combinations and cells that a table says are empty stay exactly zero. Raises SpecError when
    two tables disagree by more than `max_disagreement`, or when one asks for people that the others rule out.
    Source: Deming & Stephan 1940; conditionals as in Ireland & Kullback 1968.
    """
    contradictions = tuple(disagreements(targets.tables))
    if contradictions and contradictions[0].total_variation > population.max_disagreement:
        worst = contradictions[0]
        raise population.error(
            worst.second.key,
            str(worst),
            "mend one of the two, or raise `max_disagreement` if the sources really differ",
        )
    tables = _finest(targets.tables)
    codes = _possible(targets)
    if not len(codes[0]):
        raise population.error(
            ("impossible",), "nobody is left: every combination is impossible", "take some combinations out"
        )
    rakings = [_Raking(table, targets, codes) for table in tables]
    for raking in rakings:
        _check_room(population, targets, raking)
    share, rounds, residuals = _raked(rakings, len(codes[0]))
    worst_at = max(range(len(tables)), key=lambda i: residuals[i])
    residual = residuals[worst_at]
    if residual > max(population.max_disagreement, _TOLERANCE):
        other = max((i for i in range(len(tables)) if i != worst_at), key=lambda i: residuals[i], default=worst_at)
        problem = f"no population has all these tables: {tables[worst_at].label} misses by {residual:.4f}, {tables[other].label} by {residuals[other]:.4f}"
        raise population.error(
            tables[worst_at].key, problem, "mend one of the two tables, or the impossible combinations"
        )
    some = share > 0
    cells = Cells(targets.axes, tuple(code[some] for code in codes), share[some] / share.sum())
    return Fit(cells, rounds, residual, tables[worst_at].label, residual <= _TOLERANCE, contradictions)


def _finest(tables: Sequence[Target]) -> list[Target]:
    """The tables that are no marginal of another table of the same survey: fitting those twice gains nothing."""
    return [
        table
        for table in tables
        if not any(
            other is not table and other.key == table.key and not other.n_given and set(table.names) < set(other.names)
            for other in tables
        )
    ]


def _possible(targets: Targets) -> tuple[Codes, ...]:
    """Codes of every cell that no table and no impossible combination rules out."""
    place = {axis.name: index for index, axis in enumerate(targets.axes)}
    possible = np.ones(targets.shape, dtype=bool)
    for table in targets.tables:
        if not table.share.all():
            order = np.argsort([place[name] for name in table.names])
            sizes = [1] * len(targets.axes)
            for name in table.names:
                sizes[place[name]] = len(targets.axes[place[name]].levels)
            possible &= (table.share > 0).transpose(order).reshape(sizes)
    for masks in targets.impossible:
        met = np.ones([1] * len(targets.axes), dtype=bool)
        for name, mask in masks.items():
            sizes = [1] * len(targets.axes)
            sizes[place[name]] = len(mask)
            met = met & (mask > 0).reshape(sizes)
        possible &= ~met
    flat = np.flatnonzero(possible)
    codes = []
    stride = possible.size
    for size in targets.shape:
        stride //= size
        codes.append((flat // stride % size).astype(np.uint16))  # small: the memory of ten million cells is in here
    return tuple(codes)


class _Raking:
    """One table, ready to be fitted to."""

    __slots__ = ("_codes", "_index", "_shape", "n_given", "size", "table", "target")

    def __init__(self, table: Target, targets: Targets, codes: tuple[Codes, ...]) -> None:
        place = {axis.name: index for index, axis in enumerate(targets.axes)}
        self.table = table
        self.target = table.share.reshape(-1)
        self.size = self.target.size
        self.n_given = math.prod(table.share.shape[: table.n_given]) if table.n_given else 0
        self._shape = table.share.shape
        self._codes = [codes[place[name]] for name in table.names]
        small = len(codes[0]) * len(targets.tables) * 8 <= _INDEX_BYTES
        self._index = flat_index(self._codes, self._shape) if small else None

    @property
    def index(self) -> NDArray[np.intp]:
        """Position of every cell of the joint in this table."""
        return flat_index(self._codes, self._shape) if self._index is None else self._index

    def wanted(self, found: Shares) -> Shares:
        """The table aimed at: fixed, or for a conditional what it makes of the given attributes as found."""
        if not self.n_given:
            return self.target
        given = found.reshape(self.n_given, -1).sum(axis=1, keepdims=True)
        return np.asarray((self.target.reshape(self.n_given, -1) * given).reshape(-1), dtype=np.float64)

    def apply(self, share: Shares) -> float:
        """Scale `share` in place to this table; returns the total variation before."""
        index = self.index
        found = summed(index, share, self.size)
        wanted = self.wanted(found)
        factor = np.divide(wanted, found, out=np.zeros(self.size), where=found > 0)
        share *= factor[index]
        return float(np.abs(wanted - found).sum() / 2)


def _raked(rakings: Sequence[_Raking], n_cells: int) -> tuple[Shares, int, list[float]]:
    """Shares, rounds, and the last residual of every table."""
    share = np.full(n_cells, 1 / n_cells)
    residuals, best, stale, rounds = [1.0] * len(rakings), math.inf, 0, 0
    while (
        rounds < _MOST_ROUNDS and stale < 20
    ):  # tables that contradict each other never settle: stop when nothing gains
        residuals = [raking.apply(share) for raking in rakings]
        share /= share.sum()
        rounds += 1
        worst = max(residuals)
        if worst <= _TOLERANCE:
            break
        stale = 0 if worst < best * 0.99 else stale + 1
        best = min(best, worst)
    return share, rounds, residuals


def _check_room(population: Population, targets: Targets, raking: _Raking) -> None:
    """Every cell that a table fills must be possible."""
    room = np.bincount(raking.index, minlength=raking.size) > 0
    lost = np.where(room, 0.0, raking.target)
    if raking.n_given:
        blocked = ~room.reshape(raking.n_given, -1).any(axis=1)  # nobody is like that at all: nothing to condition on
        lost = np.where(np.repeat(blocked, raking.size // raking.n_given), 0.0, lost)
    if lost.max() > 1e-12:
        by_name = {axis.name: axis for axis in targets.axes}
        at = np.unravel_index(int(lost.argmax()), raking.table.share.shape)
        who = ", ".join(
            f"{name} {by_name[name].levels[int(level)]!r}" for name, level in zip(raking.table.names, at, strict=True)
        )
        problem = f"{raking.table.label} gives {lost.max():.4g} of the people {who}, which another table or `impossible` rules out"
        raise population.error(raking.table.key, problem, "make that cell zero, or allow the combination")
