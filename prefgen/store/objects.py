"""Objects as JSON and YAML have them, to a frame: one type for each key, found over all rows, and no value changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from prefgen.errors import first_words

_EXACT = 2**53
"""Whole numbers up to this are the same as floats."""

_DEPTH = 50

Complain = Callable[[int, str, str], Exception]
"""An exception from the number of a row (0-based), a problem and its fix."""


class _UnfitError(Exception):
    """A value that does not fit: where in its row, and why."""


@dataclass(slots=True)
class _Shape:
    """What was seen at one place of all rows.

    kind      `bool`, `int`, `float` (of a fraction, and whole numbers beside it), `str`, `list`, `dict`; None: only nulls
    low, high least and largest whole number
    inner     of the elements of lists
    fields    of the keys of objects, in the order in which they came
    """

    kind: str | None = None
    low: int = 0
    high: int = 0
    inner: _Shape | None = None
    fields: dict[str, _Shape] = field(default_factory=dict)

    def see(self, value: Any, at: str, depth: int = 0) -> None:
        """Take in one more value; _UnfitError when it is of another type than those before."""
        if value is None:
            return
        kind = _KINDS.get(type(value))
        if kind is None or depth > _DEPTH:
            problem = (
                f"is nested more than {_DEPTH} levels deep" if kind else f"is {value!r:.60}, which is no JSON value"
            )
            raise _UnfitError(f"{at} {problem}")
        both = {kind, self.kind or kind}
        if len(both) > 1 and both != {"int", "float"}:
            raise _UnfitError(f"{at} is {value!r:.60}, of another type than in the rows before")
        self.kind = kind if len(both) == 1 else "float"
        if kind in ("int", "float"):
            self._number(value, at)
        if kind == "list":
            self.inner = self.inner or _Shape()
            for element in value:
                self.inner.see(element, f"an element of {at}", depth + 1)
        elif kind == "dict":
            for name, below in value.items():
                if name not in self.fields:
                    self.fields[name] = _Shape()
                self.fields[name].see(below, f"{name!r} in {at}", depth + 1)

    def _number(self, value: int | float, at: str) -> None:
        """Refuse whole numbers that 64 bits, or the floats they stand among, do not hold as they are."""
        if isinstance(value, int):
            self.low, self.high = min(self.low, value), max(self.high, value)
        elif math.isinf(value):
            raise _UnfitError(f"{at} is a number too large to be one")
        if self.high >= 2**64 or self.low < -(2**63) or (self.low < 0 and self.high >= 2**63):
            raise _UnfitError(f"{at} is {value}, and whole numbers that do not fit into 64 bits together")
        if self.kind == "float" and max(-self.low, self.high) > _EXACT:
            largest = self.high if self.high > _EXACT else self.low
            raise _UnfitError(f"{at} is {largest} in one row and a fraction in another: together they would be rounded")

    def dtype(self) -> pl.DataType:
        """As polars calls it."""
        if self.kind == "list":
            assert self.inner is not None
            return pl.List(self.inner.dtype())
        if self.kind == "dict":
            return pl.Struct({name: below.dtype() for name, below in self.fields.items()})
        if self.kind == "int":
            return pl.UInt64() if self.high >= 2**63 else pl.Int64()
        return {None: pl.Null(), "bool": pl.Boolean(), "float": pl.Float64(), "str": pl.String()}[self.kind]


_KINDS = {bool: "bool", int: "int", float: "float", str: "str", list: "list", dict: "dict"}


def frame_of(rows: Iterable[Mapping[str, Any]], complain: Complain) -> pl.DataFrame:
    """The rows, with every key that any of them has; a key that a row does not have is null there.

    A key has one type in all rows; whole numbers among fractions become floats where that changes none of them.
    Raises what `complain` makes of the first row that does not fit.
    """
    listed = list(rows)
    shape = _Shape(kind="dict")
    for number, row in enumerate(listed):
        try:
            for name, value in row.items():
                if name not in shape.fields:
                    shape.fields[name] = _Shape()
                shape.fields[name].see(value, f"key {name!r}")
        except _UnfitError as error:
            raise complain(
                number, str(error), "give a key the same type in every row; quote numbers that are names"
            ) from None
    schema = {name: below.dtype() for name, below in shape.fields.items()}
    try:
        return pl.DataFrame(listed, schema=schema, strict=True)
    except (pl.exceptions.PolarsError, TypeError, OverflowError, ValueError) as error:
        said = first_words(error)
        raise complain(0, f"the rows do not fit together: {said}", "give a key the same type in every row") from None
