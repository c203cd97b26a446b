"""The arithmetic of raking: tables over the cells of a joint, fitted block by block."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefgen.personas.cells import Codes, Shares, Target, flat_index, summed

TOLERANCE = 1e-5
"""Total variation of the worst table at which a fit is done: ten times below what a million people can show."""

_MOST_ROUNDS = 500
_EMPTYINGS = 5  # tries to find the cells that must be empty, each after twice as many rounds
_FALLING = 0.75  # of its share left after twice as many rounds: a cell on its way to nothing has a half
_INNER = 2  # sweeps over the tables of one block before the next block
_SMALL = 1_000_000  # cells; above, positions take half the memory and a little more time
_BLOCK_CELLS = 1_024  # cells of a block: small beside the joint, large enough to hold many tables


class Raking:
    """One table over cells given by their codes.

    index    position of every cell in the table
    """

    __slots__ = ("index", "n_given", "size", "table", "target")

    def __init__(self, table: Target, codes: Mapping[str, Codes]) -> None:
        self.table = table
        self.target = table.share.reshape(-1)
        self.size = self.target.size
        self.n_given = math.prod(table.share.shape[: table.n_given]) if table.n_given else 0
        self.index = flat_index([codes[name] for name in table.names], table.share.shape)

    def wanted(self, found: Shares) -> Shares:
        """The table aimed at: fixed, or for a conditional what it makes of the given attributes as found."""
        if not self.n_given:
            return self.target
        given = found.reshape(self.n_given, -1).sum(axis=1, keepdims=True)
        return np.asarray((self.target.reshape(self.n_given, -1) * given).reshape(-1), dtype=np.float64)

    def apply(self, share: Shares) -> float:
        """Scale `share` in place to this table; returns the total variation before."""
        found = summed(self.index, share, self.size)
        wanted = self.wanted(found)
        share *= np.divide(wanted, found, out=np.zeros(self.size), where=found > 0)[self.index]
        return float(np.abs(wanted - found).sum() / 2)


class Block:
    """Some axes, and the tables that lie within them.

    Raking to a table changes a cell by a factor that depends on the table's axes alone. So all tables of a block
    are raked on the block's marginal, which is small, and the whole joint is passed over once for all of them.
    """

    __slots__ = ("index", "rakings", "size")

    def __init__(
        self, names: Sequence[str], tables: Sequence[Target], codes: Mapping[str, Codes], sizes: Mapping[str, int]
    ) -> None:
        shape = tuple(sizes[name] for name in names)
        self.size = math.prod(shape)
        inner = np.unravel_index(np.arange(self.size), shape)
        self.rakings = [Raking(table, dict(zip(names, inner, strict=True))) for table in tables]
        flat = flat_index([codes[name] for name in names], shape)
        self.index: NDArray[np.integer[Any]] = flat.astype(np.int32) if len(flat) > _SMALL else flat

    def room(self, raking: Raking) -> NDArray[np.bool_]:
        """Which cells of a table of this block have any possible cell of the joint."""
        possible = summed(self.index, None, self.size)
        return summed(raking.index, possible, raking.size) > 0

    def apply(self, share: Shares) -> list[float]:
        """Rake `share` in place to every table of the block; returns the total variation of each before."""
        before = summed(self.index, share, self.size)
        after = before.copy()
        residuals = [raking.apply(after) for raking in self.rakings]
        for _ in range(_INNER - 1):
            for raking in self.rakings:
                raking.apply(after)
        share *= np.divide(after, before, out=np.zeros(self.size), where=before > 0)[self.index]
        return residuals


def blocks_of(tables: Sequence[Target], codes: Mapping[str, Codes], sizes: Mapping[str, int]) -> list[Block]:
    """Blocks that hold every table once, as few as a greedy choice finds."""
    most = max(_BLOCK_CELLS, len(next(iter(codes.values()))) // 64)
    parted = parted_in_blocks([table.names for table in tables], [table.label for table in tables], sizes, most)
    return [Block(names, [tables[at] for at in inside], codes, sizes) for names, inside in parted]


def parted_in_blocks(
    tables: Sequence[tuple[str, ...]], labels: Sequence[str], sizes: Mapping[str, int], most: int
) -> list[tuple[list[str], list[int]]]:
    """Axes of blocks of at most `most` cells (or one table), and which tables each holds; every table is in one of them."""
    left, parted = list(range(len(tables))), []
    while left:
        names = list(tables[max(left, key=lambda at: (_cells(tables[at], sizes), labels[at]))])
        while True:
            room = {
                name: _held([tables[at] for at in left], [*names, name])
                for name in sizes
                if name not in names and _cells([*names, name], sizes) <= most
            }
            best = max(room, key=lambda name: (room[name], -sizes[name], name), default=None)
            if best is None or room[best] == 0:
                break
            names.append(best)
        parted.append((names, [at for at in left if set(tables[at]) <= set(names)]))
        left = [at for at in left if not set(tables[at]) <= set(names)]
    return parted


def _cells(names: Sequence[str], sizes: Mapping[str, int]) -> int:
    return math.prod(sizes[name] for name in names)


def _held(tables: Sequence[tuple[str, ...]], names: Sequence[str]) -> int:
    return sum(set(table) <= set(names) for table in tables if names[-1] in table)


@dataclass(frozen=True, slots=True)
class Raked:
    """Shares of cells after raking, and the last total variation of every table, in the order of `tables`."""

    share: Shares
    rounds: int
    tables: tuple[Target, ...]
    residuals: tuple[float, ...]


def raked(blocks: Sequence[Block], start: Shares) -> Raked:
    """Rake shares in proportion to `start` to all blocks until the worst table is within TOLERANCE, or nothing gains any more.

    Tables of few respondents often leave only solutions in which more cells are empty than any table says. Raking
    comes near those ever more slowly, with shares that fall as 1 / rounds; such cells are emptied, and kept empty if
    then all tables are met.
    """
    tables = tuple(raking.table for block in blocks for raking in block.rakings)
    share, rounds, residuals = _swept(blocks, start / start.sum(), _MOST_ROUNDS)
    for _ in range(_EMPTYINGS if len(start) <= _SMALL and max(residuals) > TOLERANCE else 0):
        later, more, residuals = _swept(blocks, share.copy(), rounds, patient=True)
        rounds += more
        if max(residuals) <= TOLERANCE:
            return Raked(later, rounds, tables, tuple(residuals))
        emptied = np.where(later < _FALLING * share, 0.0, later)
        tried, more, reached = _swept(blocks, emptied / emptied.sum(), _MOST_ROUNDS)
        if max(reached) <= TOLERANCE:
            return Raked(tried, rounds + more, tables, tuple(reached))
        share = later
    return Raked(share, rounds, tables, tuple(residuals))


def _swept(
    blocks: Sequence[Block], share: Shares, most: int, *, patient: bool = False
) -> tuple[Shares, int, list[float]]:
    """(shares, rounds, residuals of the tables) after at most `most` rounds; `patient` goes on where little is gained."""
    residuals: list[float] = []
    best, stale, rounds = math.inf, 0, 0
    while rounds < most and (patient or stale < 20):  # tables that contradict each other never settle
        residuals = [residual for block in blocks for residual in block.apply(share)]
        share /= share.sum()
        rounds += 1
        worst = max(residuals)
        if worst <= TOLERANCE:
            break
        stale = 0 if worst < best * 0.99 else stale + 1
        best = min(best, worst)
    return share, rounds, residuals
