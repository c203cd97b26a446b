"""In which order people come: a larger draw begins with the people of a smaller one."""

from __future__ import annotations

import math
from itertools import count

import numpy as np
from numpy.typing import NDArray

from prefgen.personas.cells import Shares
from prefgen.seeds import unit_for

SPAN = 2.0
"""Who comes between n / SPAN and n x SPAN may be swapped to balance a draw of n: a draw of SPAN^2 x n keeps them all."""

_GOLDEN = (math.sqrt(5) - 1) / 2


def phases(n_cells: int, start: float) -> Shares:
    """A number in (0, 1] for every cell, of the right mean over all starts, and spread evenly over neighbouring cells."""
    return np.asarray(1 - (start + np.arange(n_cells) * _GOLDEN) % 1, dtype=np.float64)


def arrivals(share: Shares, phase: Shares, copy: NDArray[np.int64]) -> Shares:
    """When the copy-th person of a cell comes, in people drawn so far; share and phase of the cell stand beside every copy.

    phase    one random number by cell, in (0, 1]: the first person of a cell comes at (1 - phase) / share, each
             further one 1 / share later

    By the time t a cell has floor(t x share + phase) people: on average t x share, never more than 1 away, and never
    fewer than before. Source: sequential Poisson sampling, Ohlsson 1998.
    """
    return np.asarray((copy - phase) / share, dtype=np.float64)


def people_in_order(
    share: Shares, phase: Shares, counts: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """(cell of every person, number among all who could have come before), in the order in which people come.

    The number of one and the same person is the same in every draw, whatever its size.
    """
    some = counts > 0
    last = float(((counts[some] - phase[some]) / share[some]).max())
    everybody = np.zeros(len(share))
    np.floor(last * share + phase, out=everybody, where=share > 0)
    times = np.maximum(everybody.astype(np.int64), counts)
    cell = np.repeat(np.arange(len(counts)), times)
    copy = np.arange(1, len(cell) + 1) - np.repeat(np.cumsum(times) - times, times)
    order = _in_order(arrivals(np.repeat(share, times), np.repeat(phase, times), copy))
    number = np.flatnonzero((copy <= np.repeat(counts, times))[order])
    return cell[order[number]], number


def _in_order(came: Shares) -> NDArray[np.intp]:
    """The order of `came`, those who come together as they stand: by the faster sort, unless any do."""
    order = np.argsort(came)
    sorted_ = came[order]
    return np.argsort(came, kind="stable") if (sorted_[1:] == sorted_[:-1]).any() else order


def units(number: NDArray[np.integer], name: str, start: float) -> Shares:
    """A number in [0, 1) for every person by their number, spread evenly over any run of numbers.

    Attributes of different names are spread independently of each other. Source: Kronecker sequences, Weyl 1916.
    """
    return np.asarray((number * _step(name) + start) % 1.0, dtype=np.float64)


def _step(name: str) -> float:
    """A step that belongs to a name and lies far from all simple fractions, whose multiples would leave gaps."""
    for tried in count():
        step = unit_for(0, "step", name, str(tried))
        if min(q * abs(q * step - round(q * step)) for q in range(1, 200)) > 0.2:
            return step
    raise AssertionError("every fourth number or so is such a step")
