"""What an analysis says: sentences, and tables whose cells are texts, numbers and estimates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prefgen.estimates import Estimate

Cell = str | float | int | Estimate | None


@dataclass(frozen=True, slots=True)
class Grid:
    """A table to show."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What was found."""

    said: tuple[str, ...] = ()
    tables: tuple[Grid, ...] = ()


class NotAnalysedError(Exception):
    """Why an analysis says nothing; `fix` is empty where the pipeline is right and there is nothing to see."""

    def __init__(self, problem: str, fix: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix


def grid(title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Grid:
    """A table."""
    return Grid(title, tuple(columns), tuple(map(tuple, rows)))
