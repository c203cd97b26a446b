"""How well a draw matches what was asked for: realised against target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import polars as pl

from prefgen.personas.cells import Cells, Codes, Shares, tabulate
from prefgen.personas.targets import Target


@dataclass(frozen=True, slots=True)
class TableAudit:
    """One table, realised against target.

    total_variation        half the sum of absolute differences of shares, 0..1
    largest_count_error    largest difference of a cell in people (weighted, so that they sum to n)
    """

    table: str
    cells: int
    total_variation: float
    largest_count_error: float


@dataclass(frozen=True, slots=True)
class Audit:
    """The audit of one draw.

    n                 people drawn, controls and further wordings not counted
    effective_n       Kish's effective sample size of their weights
    """

    population: str
    source: tuple[str, ...]
    n: int
    effective_n: float
    tables: tuple[TableAudit, ...] = ()
    parts: tuple[Audit, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """The audit as plain values, for the manifest and audit.json; `audit` has one row a table."""
        row = asdict(self)
        return {**row, "audit": row.pop("tables"), "parts": [part.to_json() for part in self.parts]}

    def lines(self) -> Iterator[str]:
        """The audit as a table for people, in rich markup."""
        yield f"[bold]{self.population}[/bold]: {self.n:,} people, effective sample size {self.effective_n:,.0f}"
        width = max((len(row.table) for row in self.tables), default=5)
        yield f"{'table':{width}}  cells  total variation  largest count error"
        for row in self.tables:
            yield f"{row.table:{width}}  {row.cells:5d}  {row.total_variation:15.5f}  {row.largest_count_error:19.1f}"
        for part in self.parts:
            yield from part.lines()


def effective_n(weight: Shares) -> float:
    """Kish's effective sample size: (sum w)^2 / sum w^2."""
    return float(weight.sum() ** 2 / np.square(weight).sum())


def compared(label: str, target: Shares, realised: Shares, n: int) -> TableAudit:
    """A table of shares against another of the same shape."""
    difference = np.abs(realised - target)
    return TableAudit(label, int(target.size), float(difference.sum() / 2), float(difference.max() * n))


def sources(source: str | Sequence[str] | None) -> tuple[str, ...]:
    """Sources as a tuple, however the spec writes them."""
    return () if source is None else (source,) if isinstance(source, str) else tuple(source)


def audit_of_portraits(
    population: str, source: tuple[str, ...], *, ids: Sequence[str], target: Shares, people: pl.DataFrame
) -> Audit:
    """The audit of named portraits: one table of shares."""
    weight = people["weight"].to_numpy()
    place = {name: index for index, name in enumerate(ids)}
    codes = np.array([place[name] for name in people["portrait"]], dtype=np.intp)
    realised = np.bincount(codes, weights=weight, minlength=len(ids)) / weight.sum()
    row = compared("portrait", target, realised, people.height)
    return Audit(population, source, people.height, effective_n(weight), (row,))


def audit_of_cells(
    population: str,
    source: tuple[str, ...],
    *,
    cells: Cells,
    targets: Sequence[Target],
    codes: Sequence[Codes],
    weight: Shares,
) -> Audit:
    """The audit of drawn cells against every table of the spec.

    codes    level of every person, by axis of `cells`
    """
    rows = []
    for target in targets:
        realised = tabulate(cells.axes, codes, target.names, weight) / weight.sum()
        rows.append(compared(target.label, target.share, realised, len(weight)))
    return Audit(population, source, len(weight), effective_n(weight), tuple(rows))


def combined_audit(population: str, source: tuple[str, ...], parts: Sequence[Audit], people: pl.DataFrame) -> Audit:
    """The audit of several populations drawn together; `people` may hold controls."""
    weight = people.filter(pl.col("control").is_null())["weight"].to_numpy()
    return Audit(population, source, sum(part.n for part in parts), effective_n(weight), parts=tuple(parts))
