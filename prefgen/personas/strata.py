"""Whom to draw and how often: filters and oversampled strata, with the weights that take it back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.errors import one_of
from prefgen.personas.cells import Shares
from prefgen.spec.condition import ConditionError, read_expression
from prefgen.spec.population import Population

Levels = NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Frame:
    """How often each cell is drawn.

    kept      share of each cell among the people wanted, before oversampling; sums to 1, 0 for those filtered out
    drawn     share of each cell in the draw; sums to 1
    weight    kept / drawn, 1 where nothing is drawn: what a person of that cell stands for
    """

    kept: Shares
    drawn: Shares
    weight: Shares


def sampling_frame(population: Population, share: Shares, columns: Callable[[], pl.DataFrame]) -> Frame:
    """The sampling frame of a population with these shares of cells; SpecError when nobody is left.

    columns    gives the attributes of every cell; called only when the spec filters or oversamples
    """
    kept = share / share.sum()
    if population.keep is None and population.oversample is None:
        return Frame(kept, kept, np.ones_like(kept))
    cells = columns()
    if population.keep is not None:
        kept = kept * _holds(population, cells)
        if kept.sum() <= 0:
            raise population.error(("keep",), "nobody is left", "loosen the expression")
        kept = kept / kept.sum()
    drawn = _oversampled(population, cells, kept)
    weight = np.divide(kept, drawn, out=np.ones_like(kept), where=drawn > 0)
    return Frame(kept, drawn, weight)


def _holds(population: Population, cells: pl.DataFrame) -> Shares:
    try:
        condition = read_expression(population.keep or "")
        held = condition.holds(cells).cast(pl.Boolean).fill_null(False)
    except (ConditionError, pl.exceptions.PolarsError) as error:
        known = f"write an SQL condition over {', '.join(cells.columns[:12])}"
        problem, fix = (error.problem, error.fix) if isinstance(error, ConditionError) else (str(error)[:200], known)
        raise population.error(("keep",), f"cannot be evaluated: {problem}", fix) from None
    if not condition.row_wise:
        raise population.error(
            ("keep",), "is not a condition on one person", "write a comparison such as vote = 'left'"
        )
    return np.asarray(held.to_numpy(), dtype=np.float64)


def _oversampled(population: Population, cells: pl.DataFrame, kept: Shares) -> Shares:
    stratum = population.oversample
    if stratum is None:
        return kept
    if stratum.by not in cells.columns:
        raise population.error(
            ("oversample", "by"),
            f"no attribute with levels named {stratum.by!r}",
            f"use {one_of(stratum.by, cells.columns)}",
        )
    level = cells[stratum.by].cast(pl.String).fill_null("").to_numpy()
    factor = np.zeros_like(kept)
    for name, wanted in stratum.shares.items():
        held = kept[level == name].sum()
        _check_stratum(population, name, wanted, held, levels=level)
        if held > 0:
            factor[level == name] = wanted / held
    others = ~np.isin(level, list(stratum.shares))
    rest, left = 1 - sum(stratum.shares.values()), kept[others].sum()
    if left > 0 and rest <= 1e-9:
        raise population.error(
            ("oversample", "shares"),
            "shares of 1 leave out the levels not named",
            "name every level, or leave room for the others",
        )
    if left > 0:
        factor[others] = rest / left
    drawn = kept * factor
    return np.asarray(drawn / drawn.sum(), dtype=np.float64)


def _check_stratum(population: Population, name: str, wanted: float, held: float, *, levels: Levels) -> None:
    """SpecError for a stratum that nobody is in, or that leaves its people out."""
    assert population.oversample is not None
    at = ("oversample", "shares", name)
    if held <= 0 and wanted > 0:
        raise population.error(
            at, f"nobody has {population.oversample.by} {name!r}", f"use {one_of(name, map(str, set(levels)))}"
        )
    if held > 0 and wanted <= 0:
        raise population.error(
            at, "a stratum of share 0 leaves its people out", "leave them out with `keep`, or give it a share"
        )
