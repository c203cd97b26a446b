"""Memory: rows of a group are asked one after the other, and each sees what the earlier ones gave."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import polars as pl
from pydantic import Field

from prefgen.errors import one_of
from prefgen.spec.fields import Name
from prefgen.spec.fields import Spec as Part
from prefgen.steps.context import Context

NAME = "memory"
"""What templates call the list of what was remembered."""


class Remembering(Protocol):
    """What is asked for once: a row, and who is asked."""

    @property
    def row(self) -> Mapping[str, Any]: ...
    @property
    def asked_of(self) -> Hashable:
        """Whoever has a memory of its own: model, persona and repeat."""
        ...


J = TypeVar("J", bound=Remembering)


class Memory(Part):
    """Rows that agree in some columns are one another's past."""

    by: list[Name] = Field(min_length=1, description="Columns in which rows of a group agree.")
    order: Name | None = Field(
        None, description="Column by which a group is put in order, the earliest first; else the order of the table."
    )
    see: str = Field(min_length=1, description="Column of what a row gave that later rows see.")
    last: int | None = Field(None, ge=1, description="At most so many, the latest.")

    def check(self, columns: pl.Schema, context: Context) -> None:
        """SpecError for a column that is not there, or that cannot be compared; and where the rows have one called `memory`."""
        order = [] if self.order is None else [("order", self.order)]
        for key, name in (*(("by", name) for name in self.by), *order):
            if name not in columns:
                raise context.error((NAME, key), f"no column {name!r}", f"name {one_of(name, list(columns))}")
            if columns[name].is_nested():
                said = f"column {name!r} is of type {columns[name]}"
                raise context.error((NAME, key), said, "name one with texts, numbers or times")
        if NAME in columns:
            raise context.error(NAME, f"the rows have a column {NAME!r}", "give that column another name")

    def lines(self, jobs: Iterable[J]) -> Iterator[list[J]]:
        """The jobs of each group in order, groups by their first job; a job of which a column is null has no past."""
        groups: dict[Hashable, list[J]] = {}
        for number, job in enumerate(jobs):
            key = tuple(job.row[name] for name in self.by)
            alone = number if None in key else None
            groups.setdefault((key, job.asked_of, alone), []).append(job)
        for line in groups.values():
            yield line if self.order is None else sorted(line, key=self._placed)

    def _placed(self, job: Remembering) -> tuple[bool, Any]:
        value = job.row[self.order or ""]
        return value is None, 0 if value is None else value

    def latest(self, seen: Sequence[Any]) -> list[Any]:
        """What of all that was seen is still known, the earliest first."""
        return list(seen if self.last is None else seen[-self.last :])


def lines_of(memory: Memory | None, jobs: Iterable[J]) -> Iterator[list[J]]:
    """Jobs that are done one after the other; each alone where there is no memory."""
    return ([job] for job in jobs) if memory is None else memory.lines(jobs)


def longest(memory: Memory | None, jobs: Iterable[J]) -> int:
    """How many jobs are done one after the other, at most."""
    return 1 if memory is None else max(map(len, memory.lines(jobs)), default=0)


def submissions(n: int) -> str:
    """What a plan says of steps whose requests rest on one another."""
    return f"under `engine: batch` at most {n:,} submissions one after the other, each of which ends a run with exit 75"
