"""Whether drawn people stand closer to the respondents they were fitted to than to others like them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from prefgen.personas.cells import Codes

_MOST_SUBSETS = 600  # subsets of attributes compared; distances beyond them count as ties

Keys = NDArray[np.uint64]


def holdout_share(people: Sequence[Codes], train: Sequence[Codes], holdout: Sequence[Codes]) -> float:
    """Share of people whose closest record lies in `train` rather than in `holdout`; ties count half.

    All three are level codes by the same axes; distance is the number of attributes that differ. `train` and
    `holdout` must have equally many rows, or the larger one is closer by chance alone.

    Two rows differ in at most d attributes when they agree on some subset of all but d: so each distance is a
    handful of look-ups in sorted keys instead of a comparison of every person with every record.
    """
    n_axes = len(people)
    mine, near, far = _keys(people, train, holdout)
    undecided = np.arange(len(people[0]))
    score = np.full(len(people[0]), 0.5)
    looked = 0
    for distance in range(n_axes):
        if looked + math.comb(n_axes, distance) > _MOST_SUBSETS or not len(undecided):
            break
        in_train, in_holdout = np.zeros(len(undecided), dtype=bool), np.zeros(len(undecided), dtype=bool)
        for agreeing in combinations(range(n_axes), n_axes - distance):
            wanted = _sum(mine, agreeing)[undecided]
            in_train |= np.isin(wanted, _sum(near, agreeing))
            in_holdout |= np.isin(wanted, _sum(far, agreeing))
            looked += 1
        score[undecided] = (1 + in_train.astype(np.float64) - in_holdout) / 2
        undecided = undecided[~(in_train | in_holdout)]
    return float(score.mean())


def _keys(*groups: Sequence[Codes]) -> list[list[Keys]]:
    """A random 64-bit number for each level of each axis: sums of them name combinations of levels."""
    rng = np.random.default_rng(0)
    keyed: list[list[Keys]] = [[] for _ in groups]
    for axis in range(len(groups[0])):
        size = max(int(group[axis].max(initial=0)) for group in groups) + 1
        numbers = rng.integers(0, 2**64, size=size, dtype=np.uint64)
        for group, keys in zip(groups, keyed, strict=True):
            keys.append(numbers[group[axis]])
    return keyed


def _sum(keys: list[Keys], axes: Sequence[int]) -> Keys:
    total = keys[axes[0]].copy()
    for axis in axes[1:]:
        total += keys[axis]
    return total
