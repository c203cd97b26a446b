"""Weights of everybody's own, from a Dirichlet distribution."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.spec.population import Population


def weights_of(population: Population, number: NDArray[np.int64], rng: np.random.Generator) -> list[pl.Series]:
    """One column a name, summing to 1 in every row; none where the population has no weights.

    number    of every person in the order of arrival, 0-based: a larger draw gives the same people the same weights
    """
    said = population.weights
    if said is None:
        return []
    drawn = rng.standard_gamma(said.dirichlet, size=(int(number.max(initial=-1)) + 1, len(said.over)))
    total = drawn.sum(axis=1, keepdims=True)
    share = np.where(total > 0, drawn / np.where(total > 0, total, 1.0), 1.0 / len(said.over))[number]
    return [pl.Series(name, share[:, place]) for place, name in enumerate(said.over)]
