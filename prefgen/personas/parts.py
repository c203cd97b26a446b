"""Many small tables over the same cells, passed over block by block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy

import numpy as np
from numpy.typing import NDArray

from prefgen.personas.cells import Cells, Shares, flat_index, summed
from prefgen.personas.raking import parted_in_blocks

_BLOCK_CELLS = 1_024  # cells that a block of tables may have


class Parts:
    """Tables over cells, block by block: what a block has in common is passed over once for all of its tables.

    blocks    of each: position of every cell in it, and of every cell of the block its position in each of the tables
    """

    def __init__(self, cells: Cells, tables: Sequence[tuple[str, ...]]) -> None:
        sizes = {axis.name: len(axis.levels) for axis in cells.axes}
        codes = dict(zip(sizes, cells.codes, strict=True))
        self.blocks: list[tuple[NDArray[np.intp], list[NDArray[np.intp]]]] = []
        most = max(_BLOCK_CELLS, len(cells.share) // 64)
        for names, inside in parted_in_blocks(tables, [" x ".join(names) for names in tables], sizes, most):
            shape = [sizes[name] for name in names]
            inner = dict(zip(names, np.unravel_index(np.arange(math.prod(shape)), shape), strict=True))
            places = [
                flat_index([inner[name] for name in tables[at]], [sizes[name] for name in tables[at]]) for at in inside
            ]
            self.blocks.append((flat_index([codes[name] for name in names], shape), places))

    def among(self, pool: NDArray[np.intp]) -> Parts:
        """The same of some of the cells."""
        some = copy(self)
        some.blocks = [(index[pool], places) for index, places in self.blocks]
        return some

    def sums(self, weights: Shares) -> list[Shares]:
        """Weights of cells, summed into every table."""
        blocks = [(summed(index, weights, len(places[0])), places) for index, places in self.blocks]
        return [summed(place, block, int(place.max()) + 1) for block, places in blocks for place in places]

    def spread(self, tables: Sequence[Shares]) -> Shares:
        """Of every cell the sum of its places in all tables."""
        left = iter(tables)
        return sum(
            (
                sum((next(left)[place] for place in places), np.zeros(len(places[0])))[index]
                for index, places in self.blocks
            ),
            np.zeros(len(self.blocks[0][0])),
        )

    def places(self, some: NDArray[np.intp]) -> list[NDArray[np.intp]]:
        """Positions of some cells in every table."""
        return [place[index[some]] for index, places in self.blocks for place in places]
