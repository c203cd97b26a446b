"""What every kind of step is: the keys of a YAML mapping, and a table made from the tables that it reads."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Iterator, Mapping
from typing import Any, TypeAlias

import polars as pl

from prefgen.spec.pipeline import StepSpec
from prefgen.steps.context import Context, StepEstimate
from prefgen.store.table import Packed, Table

Summary: TypeAlias = dict[str, Any]
"""Facts about a table, for the manifest, the card and the screen."""

Parts: TypeAlias = Generator[pl.DataFrame, None, Summary | None]
"""A table part by part; returns its summary, where there is something to say."""


class Step(StepSpec):
    """One step as written, and what it makes. Each kind is a subclass with `kind`, in its own file of this folder."""

    @abstractmethod
    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """The step's table."""

    def packed(self, tables: Mapping[str, Table]) -> Packed | None:  # noqa: ARG002 - a kind that packs looks at them
        """How a column of row numbers in what `make` yields is read; None where it has none."""
        return None

    def estimate(self, tables: Mapping[str, Table], context: Context) -> StepEstimate:
        """What `make` will ask, without asking; only of a step that asks a model."""
        raise NotImplementedError(self.kind)


class Output:
    """The table of a step while it is made: its parts, once, and what is told of it, complete when they are through."""

    def __init__(self, step: Step, tables: Mapping[str, Table], context: Context) -> None:
        self._parts = step.make(tables, context)
        self._context = context
        self.summary: Summary = {}

    def __iter__(self) -> Iterator[pl.DataFrame]:
        self.summary |= (yield from self._parts) or {}
        if self._context.notes:
            self.summary["notes"] = list(self._context.notes)
