"""What a title may claim: that of several numbers some are told apart, whichever were looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prefgen.estimates import quantile_of_t
from prefgen.publish.report.words import Record

TITLES = 8
"""Titles and sentences of one report that name the largest or the smallest of something."""
_FREEDOM = 10  # of an interval, where items share a few topics and groups


def told_apart(
    rows: Sequence[Record], of: Callable[[Record], Record], *, among: int | None = None
) -> tuple[Record, Record] | None:
    """The rows with the least and the largest value, where the second is beyond the first; None where that may be chance.

    of       the estimate of a row
    among    how many rows were looked at, where these are some of them

    Picking the ends of many numbers finds a difference where there is none: the intervals are widened so that in a report in
    which nothing differs at most one in twenty names anything (Bonferroni over the rows and the titles).
    """
    known = [row for row in rows if of(row)["low"] is not None]
    if len(known) < 2:
        return None
    low, high = (pick(known, key=lambda row: of(row)["value"]) for pick in (min, max))
    wide = widening(among or len(known))
    return (low, high) if upper(of(low), wide) < lower(of(high), wide) else None


def widening(rows: int) -> float:
    """How much wider than 95 % the interval of each of several rows is, to hold for all of them and for every title."""
    return quantile_of_t(1 - 0.05 / (TITLES * max(1, rows)), _FREEDOM) / quantile_of_t(0.95, _FREEDOM)


def lower(estimate: Record, wide: float) -> float:
    """The lower end of a widened interval."""
    return float(estimate["value"] - wide * (estimate["value"] - estimate["low"]))


def upper(estimate: Record, wide: float) -> float:
    """The upper end of a widened interval."""
    return float(estimate["value"] + wide * (estimate["high"] - estimate["value"]))
