"""What a population must look like: every marginal, table and conditional of its spec, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prefgen.personas.cells import Axis, Shares
from prefgen.spec.document import Key
from prefgen.spec.population import Population


@dataclass(frozen=True, slots=True)
class Target:
    """One table to reproduce.

    key        where the spec gives it
    names      its attributes, conditioned ones first: the order of the axes of `share`
    n_given    how many of them are conditioned on
    share      sums to 1; of a conditional, sums to 1 for each combination of the given ones (or to 0: unknown)
    """

    key: Key
    names: tuple[str, ...]
    share: Shares
    n_given: int = 0

    @property
    def label(self) -> str:
        """How people call it: `age x vote`, `vote | age`."""
        given, of = self.names[: self.n_given], self.names[self.n_given :]
        return " x ".join(of) + (f" | {' x '.join(given)}" if given else "")


@dataclass(frozen=True, slots=True)
class Targets:
    """All tables of a population over its axes.

    impossible    for each impossible combination, a mask of levels by axis name
    """

    axes: tuple[Axis, ...]
    tables: tuple[Target, ...]
    impossible: tuple[dict[str, NDArray[np.bool_]], ...] = ()

    def axis(self, name: str) -> Axis:
        """The axis of this name."""
        return next(axis for axis in self.axes if axis.name == name)


def targets_of(population: Population) -> Targets:
    """Read everything that a spec says about its people; SpecError for what cannot be."""
    axes = tuple(
        Axis.of(name, attribute) for name, attribute in population.attributes.items() if attribute.distribution is None
    )
    tables = []
    for axis in axes:
        shares = population.attributes[axis.name].shares
        if shares is None:
            raise population.error(
                ("attributes", axis.name), "no shares, and no table that gives them", "write {level: share}"
            )
        share = np.array(list(shares.values()))
        tables.append(Target(("attributes", axis.name), (axis.name,), share / share.sum()))
    return Targets(axes, tuple(tables))
