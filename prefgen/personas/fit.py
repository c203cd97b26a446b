"""Raking: the joint distribution that reproduces every table of a population at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prefgen.personas.cells import Cells, Codes, Shares, Target
from prefgen.personas.raking import TOLERANCE, Block, Raked, Raking, blocks_of, raked
from prefgen.personas.targets import Disagreement, Targets, disagreements
from prefgen.spec.population import Population

MOST_CELLS = 10_000_000
"""Above this many cells a joint distribution is not held; see network.py."""


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
    contradictions = _contradictions(population, targets)
    codes = _possible(targets)
    if not len(codes[0]):
        raise population.error(
            ("impossible",), "nobody is left: every combination is impossible", "take some combinations out"
        )
    blocks = _blocks(targets, codes)
    for block in blocks:
        for raking in block.rakings:
            _check_room(population, targets, raking, block.room(raking))
    return _fit(population, targets, codes, raked(blocks, np.ones(len(codes[0]))), contradictions)


def fitted_to_pool(population: Population, targets: Targets, codes: tuple[Codes, ...], times: Shares) -> Fit:
    """The distribution over some possible cells that has the target tables and is nearest to how often each was met.

    A cell of a table that none of them belongs to stays empty: `residual` says how much that is.
    """
    contradictions = _contradictions(population, targets)
    return _fit(population, targets, codes, raked(_blocks(targets, codes), times), contradictions)


def _contradictions(population: Population, targets: Targets) -> tuple[Disagreement, ...]:
    contradictions = tuple(disagreements(targets.tables))
    if contradictions and contradictions[0].total_variation > population.max_disagreement:
        raise population.error(
            contradictions[0].second.key,
            str(contradictions[0]),
            "correct one of the two, or raise `max_disagreement` if the sources really differ",
        )
    return contradictions


def _blocks(targets: Targets, codes: tuple[Codes, ...]) -> list[Block]:
    by_name = {axis.name: code for axis, code in zip(targets.axes, codes, strict=True)}
    return blocks_of(_finest(targets.tables), by_name, {axis.name: len(axis.levels) for axis in targets.axes})


def _fit(
    population: Population,
    targets: Targets,
    codes: tuple[Codes, ...],
    found: Raked,
    contradictions: tuple[Disagreement, ...],
) -> Fit:
    worst, other = (*sorted(range(len(found.tables)), key=lambda i: -found.residuals[i]), 0)[:2]
    residual, share = found.residuals[worst], found.share
    if residual > max(population.max_disagreement, TOLERANCE):
        first, second = found.tables[worst], found.tables[other]
        problem = f"no population has all these tables: {first.label} misses by {residual:.4f}, {second.label} by {found.residuals[other]:.4f}"
        raise population.error(first.key, problem, "correct one of the two tables, or the impossible combinations")
    some = share > 0
    cells = Cells(targets.axes, tuple(code[some] for code in codes), share[some] / share.sum())
    return Fit(cells, found.rounds, residual, found.tables[worst].label, residual <= TOLERANCE, contradictions)


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


def _check_room(population: Population, targets: Targets, raking: Raking, room: NDArray[np.bool_]) -> None:
    """Every cell that a table fills must be possible."""
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
