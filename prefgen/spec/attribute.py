"""One attribute of a population: levels with shares, numbers in bins, or numbers from a named distribution."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pydantic import Field, field_validator, model_validator

from prefgen.spec.fields import InputPath, Spec

Level = str | int | float | bool
"""A level as YAML may have read it; `level_name` is how it is called everywhere else."""

_BIN = re.compile(r"^\s*(-?\d+(?:\.\d+)?)\s*(?:-|–|to)\s*(-?\d+(?:\.\d+)?)\s*$")
_LARGEST = 1e15  # whole numbers are exact as floats up to here
_OPTIONS = ("levels", "bins", "normal", "lognormal", "uniform", "rows")


@dataclass(frozen=True, slots=True)
class ShareProblem:
    """What is wrong with a list of shares, and what to do."""

    problem: str
    fix: str


@dataclass(frozen=True, slots=True)
class Bin:
    """A range of numbers: whole numbers include both ends, others exclude the upper one."""

    low: float
    high: float
    whole: bool


class Distribution(Spec):
    """Numbers from a named distribution, cut to [min, max]."""

    mean: float | None = Field(None, description="Mean (normal) or mean of the logarithm (lognormal).")
    sd: float | None = Field(None, gt=0, description="Standard deviation (lognormal: of the logarithm).")
    min: float = Field(-math.inf, allow_inf_nan=True, description="Least value.")
    max: float = Field(math.inf, allow_inf_nan=True, description="Largest value.")
    decimals: int = Field(0, ge=0, le=9, description="Decimals kept; 0 makes whole numbers.")

    @model_validator(mode="after")
    def _not_empty(self) -> Distribution:
        if not self.min < self.max:
            raise ValueError("`min` must be smaller than `max`\nfix: change one of them")
        return self

    def problem(self, *, bell: bool, logarithm: bool) -> ShareProblem | None:
        """What keeps numbers from being drawn, or None."""
        low, high = self.min, self.max
        if not bell:
            if not (math.isfinite(low) and math.isfinite(high)):
                return ShareProblem("a uniform distribution needs `min` and `max`", "add them")
        elif self.mean is None or self.sd is None:
            return ShareProblem("this distribution needs `mean` and `sd`", "add them")
        else:
            if logarithm:
                low, high = (math.log(edge) if edge > 0 else -math.inf for edge in (low, high))
            low, high = max(low, self.mean - 8 * self.sd), min(high, self.mean + 8 * self.sd)
            if not low < high:
                return ShareProblem(
                    "`min` and `max` leave nothing of this distribution", "widen them, or change `mean` or `sd`"
                )
            if logarithm:
                low, high = 0.0, math.exp(min(high, 700))
        if max(abs(low), abs(high)) > _LARGEST:
            return ShareProblem(f"its numbers go beyond {_LARGEST:.0e}", "choose another unit")
        return None


class Corpus(Spec):
    """Values from a file, a row each: seed texts, occupations, names."""

    file: InputPath = Field(description="A jsonl, csv, tsv or parquet file.")
    column: str = Field(min_length=1, description="Its column with the values.")
    once: bool = Field(False, description="Every row at most once; otherwise rows are drawn evenly, again and again.")


class Attribute(Spec):
    """One attribute. Written plainly as {level: share}, as a list of levels, or with options.

    A list of levels has no shares of its own: they come from tables or microdata.
    """

    levels: dict[str, float] | list[Level] | None = Field(
        None, description="Levels with shares, or just levels, in order."
    )
    bins: dict[str, float] | list[str] | None = Field(
        None, description="Ranges of numbers like `18-29` with shares, or just ranges; the column holds numbers."
    )
    normal: Distribution | None = Field(None, description="Normal distribution.")
    lognormal: Distribution | None = Field(None, description="Lognormal distribution.")
    uniform: Distribution | None = Field(None, description="Uniform distribution from `min` to `max`.")
    rows: Corpus | None = Field(None, description="A value from a file for everybody.")
    ordered: bool = Field(False, description="Whether the levels have the order written (bins always do).")

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        if isinstance(value, list):
            return {"levels": value}
        if isinstance(value, Mapping) and not any(isinstance(value.get(key), Mapping | list) for key in _OPTIONS):
            return {"levels": dict(value)}
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> Attribute:
        kinds = [key for key in _OPTIONS if getattr(self, key) is not None]
        if len(kinds) != 1:
            raise ValueError(f"an attribute has one of {', '.join(_OPTIONS)}; here are {kinds}\nfix: keep one")
        curve = self.distribution
        problem = (
            None if curve is None else curve.problem(bell=self.uniform is None, logarithm=self.lognormal is not None)
        )
        if problem is not None:
            raise ValueError(f"{problem.problem}\nfix: {problem.fix}")
        if self.has_levels:
            if not self.names:
                raise ValueError("an attribute needs at least one level\nfix: write {level: share, ...}")
            if len(set(self.names)) < len(self.names):
                raise ValueError("a level stands twice\nfix: write each level once")
        return self

    @field_validator("bins")
    @classmethod
    def _ranges(cls, value: dict[str, float] | list[str] | None) -> dict[str, float] | list[str] | None:
        ranges = [parse_bin(label) for label in value or ()]
        for left, right in pairwise(ranges):
            if right.low < left.high or (left.whole and right.low == left.high):
                raise ValueError("bins must rise and not overlap\nfix: write them like 18-29, 30-44, 45-64")
        return value

    @property
    def distribution(self) -> Distribution | None:
        """The named distribution, for an attribute that has no levels."""
        return self.normal or self.lognormal or self.uniform

    @property
    def has_levels(self) -> bool:
        """Whether it has levels, so that tables can say how many people have each."""
        return self.distribution is None and self.rows is None

    @property
    def names(self) -> tuple[str, ...]:
        """Levels (or labels of bins) in the order written; empty for a distribution."""
        return tuple(level_name(level) for level in (self.levels or self.bins or ()))

    @property
    def shares(self) -> dict[str, float] | None:
        """Share by level, or None where tables or microdata give them."""
        content = self.levels if self.levels is not None else self.bins
        return content if isinstance(content, dict) else None

    @property
    def in_order(self) -> bool:
        """Whether neighbouring levels are near each other."""
        return self.ordered or self.bins is not None


def level_name(level: object) -> str:
    """A level as text, the way a YAML key would have been read.

    >>> [level_name(x) for x in (True, 2020, 3.0, "65+")]
    ['true', '2020', '3', '65+']
    """
    if isinstance(level, bool):
        return "true" if level else "false"
    if isinstance(level, float) and level.is_integer():
        return str(int(level))
    return str(level)


def parse_bin(label: str) -> Bin:
    """The range that a label means; ValueError for a label that is none, such as `65+`."""
    found = _BIN.match(label)
    if found is None:
        raise ValueError(f"{label!r} is not a range of numbers\nfix: write both ends, e.g. 65-99")
    low, high = float(found[1]), float(found[2])
    whole = "." not in found[1] + found[2]
    if low > high or (low == high and not whole):
        raise ValueError(f"{label!r} ends before it begins\nfix: write the smaller number first")
    return Bin(low, high, whole)


def share_problem(shares: Sequence[float], *, normalize: bool) -> ShareProblem | None:
    """What is wrong with shares of one whole, or None.

    >>> share_problem([0.5, 0.47], normalize=False).problem
    'shares sum to 0.97, must sum to 1'
    """
    total = math.fsum(shares)
    if any(share < 0 for share in shares):
        return ShareProblem(f"a share is negative ({min(shares):g})", "write shares of 0 or more")
    if not math.isfinite(total) or total <= 0:
        return ShareProblem(
            "all shares are zero" if total == 0 else "the shares are too large", "write shares that sum to 1"
        )
    if not normalize and abs(total - 1) > 1e-6:
        return ShareProblem(f"shares sum to {total:.7g}, must sum to 1", "correct the shares or set `normalize: true`")
    return None
