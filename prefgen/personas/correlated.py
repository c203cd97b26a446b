"""Numbers that go together: the quantiles of everybody's traits, correlated as the spec says (a Gaussian copula)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.personas.cells import Shares
from prefgen.spec.population import Population

_FARTHEST = 8.0
_GRID = np.linspace(-_FARTHEST, _FARTHEST, 16_385)
_BELOW = np.array([(1 + math.erf(x / math.sqrt(2))) / 2 for x in _GRID])


def matrix_of(population: Population) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """(names, their correlations) of all attributes that some table correlates; SpecError where no numbers can be so."""
    told: dict[frozenset[str], tuple[int, float]] = {}
    for index, table in enumerate(population.tables):
        for (one, other), r in table.correlated.items():
            before = told.setdefault(frozenset((one, other)), (index, r))
            if before[1] != r:
                problem = f"{one!r} and {other!r} are correlated by {before[1]:g} and by {r:g}"
                raise population.error(("tables", index, "correlations"), problem, "write it once")
    names = tuple(name for name in population.attributes if any(name in two for two in told))
    matrix = np.eye(len(names))
    for two, (_, r) in told.items():
        first, second = (names.index(name) for name in two)
        matrix[first, second] = matrix[second, first] = r
    if told and np.linalg.eigvalsh(matrix).min() <= 1e-9:
        last = max(index for index, _ in told.values())
        problem = f"no numbers are correlated so: {', '.join(names)}"
        raise population.error(("tables", last, "correlations"), problem, "bring some of them nearer to 0")
    return names, matrix


def correlated(population: Population, units: Mapping[str, Shares]) -> dict[str, Shares]:
    """Quantiles in [0, 1) of every attribute, those that tables correlate made to go together.

    units    quantiles that are independent of each other
    """
    names, matrix = matrix_of(population)
    if not names:
        return dict(units)
    independent = np.array([np.interp(units[name], _BELOW, _GRID) for name in names])
    together = np.linalg.cholesky(matrix) @ independent
    found = {name: np.interp(row, _GRID, _BELOW) for name, row in zip(names, together, strict=True)}
    return {**units, **found}


def told_of_correlations(population: Population, people: pl.DataFrame) -> Iterator[str]:
    """A sentence for every correlation that was wanted, with the one that the drawn people have."""
    drawn = people.filter(pl.col("control").is_null())
    for part in population.parts or (population,):
        own = drawn.filter(pl.col("population") == part.population) if population.parts else drawn
        for table in part.tables:
            for (one, other), r in table.correlated.items():
                logs = [
                    pl.col(name).log() if part.attributes[name].lognormal else pl.col(name) for name in (one, other)
                ]
                found = own.select(pl.corr(*logs)).item() if own.height > 2 else None
                if found is not None and math.isfinite(found):
                    yield f"{one} and {other} are correlated by {found:.2f}, wanted {r:.2f}"
