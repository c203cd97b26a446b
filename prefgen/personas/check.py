"""Everything that can be wrong with a population, tables and survey rows included, without drawing anybody."""

from __future__ import annotations

import math
from pathlib import Path

from prefgen.personas.fit import MOST_CELLS, fitted
from prefgen.personas.network import network, network_pool
from prefgen.personas.targets import targets_of
from prefgen.seeds import rng_for
from prefgen.spec.population import Population, read_population

_TRIED = 1_000  # people that show whether anybody is possible


def check_population(path: Path) -> Population:
    """Read a persona spec and the files it names, and fit it; SpecError for whatever a draw would stumble over.

    What needs drawn people (a template that fails on a value, a filter that leaves nobody) is found by a draw.
    """
    population = read_population(path)
    _check(population)
    return population


def _check(population: Population) -> None:
    for part in population.parts:
        _check(part)
    if population.portraits or population.combine:
        return
    targets = targets_of(population)
    if not targets.axes:
        return
    if math.prod(targets.shape) > MOST_CELLS:
        network_pool(population, targets, network(population, targets), _TRIED, rng_for(0, "check"))
    else:
        fitted(population, targets)
