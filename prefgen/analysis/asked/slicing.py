"""`analyse: slices`: the mean of something by the levels of attributes, and the largest gap."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import polars as pl

from prefgen.analysis.asked.found import Cell, Found, NotAnalysedError, grid
from prefgen.analysis.asked.sources import Sources
from prefgen.estimates import Estimate, crossed_mean, crossed_share
from prefgen.judging.strengths import Floats
from prefgen.spec.analyses import Slices
from prefgen.spec.condition import ConditionError, read_expression

_MOST_LEVELS = 40
_VALUE, _UNIT = "_value", "_unit"


def slices(spec: Slices, sources: Sources) -> Found:
    """A table for every attribute, its last row the largest gap."""
    step = sources.step(spec.from_)
    rows = _measured(spec.of, step, spec.by, sources)
    said, tables = [], []
    for name in spec.by:
        levels = rows.drop_nulls(name)[name].unique().sort().to_list()
        if len(levels) > _MOST_LEVELS:
            raise NotAnalysedError(
                f"{name!r} has {len(levels)} levels, at most {_MOST_LEVELS}", "name a column with few"
            )
        lines: list[tuple[Cell, ...]] = [
            (str(level), mean_of(some), some.height)
            for level in levels
            if not (some := rows.filter(pl.col(name) == level)).is_empty()
        ]
        gap = largest_gap(rows, name, levels)
        if gap is not None:
            high, low, difference = gap
            lines.append((f"{high} less {low}", difference, 0))
            beyond = difference.low is not None and difference.low > 0
            said.append(
                f"By {name} the largest gap is between {high} and {low}" + ("" if beyond else ", and may be chance")
            )
        tables.append(grid(f"{spec.of} by {name}", (name, "mean", "rows"), lines))
    return Found(tuple(said), tuple(tables))


def _measured(of: str, step: str, by: list[str], sources: Sources) -> pl.DataFrame:
    """The rows with `_value`, a number, and `_unit`, what they are independent by: the question, or the row."""
    try:
        expression = read_expression(of)
        names = list(expression.expression.meta.root_names())
        rows = sources.rows(step, [*names, *by])
        values = expression.value(rows)
    except ConditionError as error:
        raise NotAnalysedError(error.problem, error.fix) from None
    if not (values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.Null)):
        raise NotAnalysedError(
            f"{of!r} is of type {values.dtype}, which has no mean", "compare it, e.g. `status = 'refusal'`"
        )
    unit = rows["item_id"].rank("dense") if "item_id" in rows.columns else pl.int_range(rows.height, eager=True)
    measured = rows.with_columns(values.alias(_VALUE), unit.cast(pl.Int64).alias(_UNIT))
    return measured.drop_nulls(_VALUE)


def mean_of(rows: pl.DataFrame) -> Estimate:
    """The mean with its interval over units."""
    binary = rows.schema[_VALUE] == pl.Boolean
    units = (
        rows.with_columns(pl.col(_VALUE).cast(pl.Float64))
        .group_by(_UNIT)
        .agg(pl.col(_VALUE).sum(), pl.len())
        .sort(_UNIT)
    )
    sums, counts = units[_VALUE].to_numpy(), units["len"].to_numpy()
    if binary:
        return crossed_share(sums, counts)
    values = _numbers(rows)
    return crossed_mean(sums, counts, within=(float(values.min()), float(values.max())))


def _numbers(rows: pl.DataFrame) -> Floats:
    found: Floats = rows[_VALUE].cast(pl.Float64).to_numpy()
    return found


def largest_gap(rows: pl.DataFrame, name: str, levels: list[object]) -> tuple[str, str, Estimate] | None:
    """(higher level, lower level, difference): of all pairs of levels the one with the largest difference.

    Its interval is wide enough that of all pairs together 95 % hold (Bonferroni).
    """
    means = {one: numbers.mean() for one in levels if len(numbers := _numbers(rows.filter(pl.col(name) == one)))}
    if len(means) < 2:
        return None
    pair = max(combinations(means, 2), key=lambda two: abs(means[two[0]] - means[two[1]]))
    high, low = sorted(pair, key=lambda one: -means[one])
    level = 1 - 0.05 / comb(len(means), 2)
    return str(high), str(low), _difference(rows, name, high, low, level)


def _difference(rows: pl.DataFrame, name: str, high: object, low: object, level: float) -> Estimate:
    """The difference of two means; paired where both have the same units, as questions that all are asked."""
    values = rows.with_columns(pl.col(_VALUE).cast(pl.Float64))
    of = [
        values.filter(pl.col(name) == one).group_by(_UNIT).agg(pl.col(_VALUE).mean()).sort(_UNIT) for one in (high, low)
    ]
    bounds = (float(_numbers(rows).min()), float(_numbers(rows).max()))
    width = max(1e-12, bounds[1] - bounds[0])
    both = of[0].join(of[1], on=_UNIT, suffix="_low").sort(_UNIT)
    if both.height > 1:
        apart = both[_VALUE].to_numpy() - both[f"{_VALUE}_low"].to_numpy()
        return crossed_mean(apart, np.ones(len(apart)), within=(-width, width), level=level)
    ends = [crossed_mean(one[_VALUE].to_numpy(), np.ones(one.height), within=bounds, level=level) for one in of]
    mean = float(of[0][_VALUE].to_numpy().mean() - of[1][_VALUE].to_numpy().mean())
    if any(one.low is None or one.high is None or one.value is None for one in ends):
        return Estimate(mean, None, None, sum(one.n for one in ends))
    upper, lower = ends
    below = np.hypot(upper.value - upper.low, lower.high - lower.value)  # type: ignore[operator]
    above = np.hypot(upper.high - upper.value, lower.value - lower.low)  # type: ignore[operator]
    return Estimate(mean, mean - float(below), mean + float(above), sum(one.n for one in ends))
