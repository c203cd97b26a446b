"""Raking: the joint distribution that reproduces every table of a population at once."""

from __future__ import annotations

import numpy as np

from prefgen.personas.cells import Cells
from prefgen.personas.targets import Targets


def fitted(targets: Targets) -> Cells:
    """The joint distribution of a population."""
    shape = tuple(len(axis.levels) for axis in targets.axes)
    joint = np.ones(1)
    for table in targets.tables:
        joint = np.multiply.outer(joint, table.share)
    flat = joint.reshape(-1)
    possible = np.flatnonzero(flat > 0)
    return Cells(targets.axes, tuple(np.unravel_index(possible, shape)), flat[possible] / flat[possible].sum())
