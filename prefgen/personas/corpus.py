"""Values of attributes from a file: a row of it for everybody."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.errors import one_of
from prefgen.personas.cells import Shares
from prefgen.seeds import rng_for
from prefgen.spec.attribute import Corpus
from prefgen.spec.population import Population
from prefgen.store.rows import read_rows_with_notes


def from_corpus(population: Population, name: str, number: NDArray[np.int64], unit: Shares, *, seed: int) -> pl.Series:
    """The value of everybody. SpecError for a column that is not there, and for a file with too few rows for `once`.

    number    of every person in the order of arrival, 0-based: of `once` each number has a row of its own, whatever the size of
              the draw; people whose number is beyond the rows get what is left
    unit      in [0, 1), where in the file
    """
    corpus = population.attributes[name].rows
    assert corpus is not None
    values = _values(population, name, corpus)
    if not corpus.once:
        return values.gather(np.floor(unit * len(values)).astype(np.int64)).alias(name)
    if len(values) < len(number):
        problem = f"{corpus.file.name} has {len(values):,} rows, and each of {len(number):,} people needs one"
        raise population.error(("attributes", name, "rows"), problem, "draw fewer people, or leave `once` out")
    order = rng_for(seed, "corpus", population.population, name).permutation(len(values))
    own = number < len(values)
    left = np.setdiff1d(np.arange(len(values)), number[own])
    places = np.empty(len(number), dtype=np.int64)
    places[own], places[~own] = number[own], left[: (~own).sum()]
    return values.gather(order[places]).alias(name)


def _values(population: Population, name: str, corpus: Corpus) -> pl.Series:
    rows, _ = read_rows_with_notes(corpus.file)
    at = ("attributes", name, "rows", "column")
    if corpus.column not in rows.columns:
        fix = f"name {one_of(corpus.column, rows.columns)}"
        raise population.error(at, f"no column {corpus.column!r} in {corpus.file.name}", fix)
    values = rows[corpus.column]
    if values.dtype.is_nested() or values.null_count() or values.is_empty():
        said = f"{corpus.column!r} is of type {values.dtype}" if values.dtype.is_nested() else "some values are missing"
        raise population.error(at, said, "bring a text or a number in every row")
    return values
