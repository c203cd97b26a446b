"""How well a draw matches what was asked for: realised against target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import polars as pl

from prefgen.personas.cells import Cells, Codes, Shares, Target, tabulate
from prefgen.personas.targets import Targets
from prefgen.spec.population import Population


@dataclass(frozen=True, slots=True)
class TableAudit:
    """One table, realised (weighted) against target.

    total_variation        half the sum of absolute differences of shares, 0..1
    largest_count_error    largest difference of a cell, in people
    """

    table: str
    cells: int
    total_variation: float
    largest_count_error: float


@dataclass(frozen=True, slots=True)
class Margin:
    """Shares of the levels of one attribute, for the bars of a figure."""

    attribute: str
    levels: tuple[str, ...]
    target: tuple[float, ...]
    realised: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Association:
    """Cramer's V of two attributes, 0..1, for the heat maps of a figure.

    kept    how much of the association wanted the people have: 1 all, 0 none (as people drawn attribute by attribute
            would, though their V is above 0), in units of the squared V wanted; null where none is wanted
    """

    first: str
    second: str
    target: float
    realised: float
    kept: float | None = None


@dataclass(frozen=True, slots=True)
class FitFacts:
    """How the people were come by.

    method           `joint`, or `network` when the joint has too many cells
    rounds           sweeps of raking over all tables (0 for a network)
    residual         total variation of the worst table after the fit, before people are drawn
    converged        whether that is within 1e-5
    disagreements    tables that contradict each other, in sentences
    repaired         changes made for exact margins; `short` of them no possible change could make
    notes            what looks odd, was dropped, merged or approximated, in sentences
    levels           levels found in the survey and their respondents, the rarest first, in sentences
    """

    method: Literal["joint", "network"]
    rounds: int = 0
    residual: float | None = None
    converged: bool | None = None
    disagreements: tuple[str, ...] = ()
    repaired: int = 0
    short: int = 0
    notes: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Privacy:
    """What a draw could give away about the respondents behind it.

    respondents      survey rows used
    smallest_cell    least respondents behind a cell, not empty, of the tables
    min_cell         the floor that the spec sets under that
    merged           levels that the floor merged into others
    holdout_share    share of people, fitted to one half of the survey, who are closer to that half than to the
                     other (ties count half): 0.5 when nothing of single respondents shows, more when rows leak;
                     null for surveys too small to halve
    holdout_n        people compared for it
    """

    respondents: int
    smallest_cell: int
    min_cell: int
    merged: int
    holdout_share: float | None
    holdout_n: int


@dataclass(frozen=True, slots=True)
class Audit:
    """The audit of one draw.

    n                 people drawn; controls and further wordings not counted
    effective_n       Kish's effective sample size of their weights
    v_difference_*    mean and largest absolute difference of Cramer's V over all pairs of attributes; null without pairs
    association_kept  `kept` of all pairs together, each with its squared V as weight: few people lose associations
    """

    population: str
    source: tuple[str, ...]
    n: int
    effective_n: float
    tables: tuple[TableAudit, ...] = ()
    margins: tuple[Margin, ...] = ()
    associations: tuple[Association, ...] = ()
    v_difference_mean: float | None = None
    v_difference_max: float | None = None
    association_kept: float | None = None
    fit: FitFacts | None = None
    privacy: Privacy | None = None
    parts: tuple[Audit, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The audit as plain values, for the manifest and audit.json; `audit` has one row a table."""
        row = asdict(self)
        return {"audit": row.pop("tables")} | row | {"parts": [part.to_json() for part in self.parts]}


def effective_n(weight: Shares) -> float:
    """Kish's effective sample size: (sum w)^2 / sum w^2."""
    return float(weight.sum() ** 2 / np.square(weight).sum())


def cramers_v(table: Shares) -> float:
    """Cramer's V of a table of shares or counts, 0..1; 0 when one side has a single level.

    >>> cramers_v(np.array([[1.0, 0.0], [0.0, 1.0]]))
    1.0
    """
    share = table / table.sum()
    share = share[share.sum(axis=1) > 0][:, share.sum(axis=0) > 0]
    least = min(share.shape) - 1
    if least < 1:
        return 0.0
    independent = np.outer(share.sum(axis=1), share.sum(axis=0))
    return float(np.sqrt((np.square(share - independent) / independent).sum() / least))


def compared(label: str, target: Shares, realised: Shares, n: int) -> TableAudit:
    """A table of shares against another of the same shape."""
    difference = np.abs(realised - target)
    return TableAudit(label, int(target.size), float(difference.sum() / 2), float(difference.max() * n))


def sources_of(population: Population) -> tuple[str, ...]:
    """Sources as a tuple, however the spec writes them."""
    source = population.source
    return () if source is None else (source,) if isinstance(source, str) else tuple(source)


def audit_of_portraits(population: Population, *, ids: Sequence[str], target: Shares, people: pl.DataFrame) -> Audit:
    """The audit of named portraits: one table of shares."""
    weight = people["weight"].to_numpy()
    place = {name: index for index, name in enumerate(ids)}
    codes = np.array([place[name] for name in people["portrait"]], dtype=np.intp)
    realised = np.bincount(codes, weights=weight, minlength=len(ids)) / weight.sum()
    row = compared("portrait", target, realised, people.height)
    margin = Margin("portrait", tuple(ids), tuple(target.tolist()), tuple(realised.tolist()))
    return Audit(population.population, sources_of(population), people.height, effective_n(weight), (row,), (margin,))


def audit_of_people(
    population: Population,
    targets: Targets,
    *,
    cells: Cells | None,
    codes: Sequence[Codes],
    weight: Shares,
    fit: FitFacts,
    privacy: Privacy | None,
) -> Audit:
    """The audit of people drawn from tables.

    cells     the joint that people were wanted from (after filters, before oversampling); None for a network
    codes     level of every person, by axis of `targets`
    """
    joint = cells if population.keep is not None else None
    associations = _associations(targets, cells, codes, weight)
    differences = [abs(one.target - one.realised) for one in associations]
    return Audit(
        population.population,
        sources_of(population),
        len(weight),
        effective_n(weight),
        tuple(_tables(targets, joint, codes, weight)),
        tuple(_margins(targets, cells, codes, weight / weight.sum())),
        tuple(associations),
        float(np.mean(differences)) if differences else None,
        max(differences, default=None),
        _kept(associations),
        fit,
        privacy,
    )


def _tables(targets: Targets, joint: Cells | None, codes: Sequence[Codes], weight: Shares) -> Iterator[TableAudit]:
    """Every table: against `joint` where people were filtered, else against what it asks for itself."""
    for target in targets.tables:
        realised = tabulate(targets.axes, codes, target.names, weight) / weight.sum()
        aim = (
            _joint(target, realised)
            if joint is None
            else tabulate(targets.axes, joint.codes, target.names, joint.share)
        )
        yield compared(target.label, aim, realised, len(weight))


def _joint(target: Target, realised: Shares) -> Shares:
    """What a table asks for; a conditional asks for its shares among the people realised."""
    if not target.n_given:
        return target.share
    given = realised.sum(axis=tuple(range(target.n_given, realised.ndim)), keepdims=True)
    return np.asarray(target.share * given, dtype=np.float64)


def _margins(targets: Targets, cells: Cells | None, codes: Sequence[Codes], weight: Shares) -> Iterator[Margin]:
    for axis in targets.axes:
        aim = _aim(targets, cells, (axis.name,))
        if aim is not None:
            realised = tabulate(targets.axes, codes, (axis.name,), weight)
            yield Margin(axis.name, axis.levels, tuple(aim.tolist()), tuple(realised.tolist()))


def _associations(targets: Targets, cells: Cells | None, codes: Sequence[Codes], weight: Shares) -> list[Association]:
    found = []
    for first, second in combinations([axis.name for axis in targets.axes], 2):
        aim = _aim(targets, cells, (first, second))
        if aim is not None:
            realised = tabulate(targets.axes, codes, (first, second), weight)
            found.append(
                Association(first, second, cramers_v(aim), cramers_v(realised), association_kept(aim, realised))
            )
    return found


def association_kept(aim: Shares, realised: Shares) -> float | None:
    """How far `realised` departs from independence in the way that `aim` does, 1 as far; None where `aim` does not.

    >>> association_kept(np.eye(2), np.eye(2)), association_kept(np.eye(2), np.ones((2, 2)))
    (1.0, 0.0)
    """
    wanted, found = aim / aim.sum(), realised / realised.sum()
    independent = np.outer(wanted.sum(axis=1), wanted.sum(axis=0))
    mine = np.outer(found.sum(axis=1), found.sum(axis=0))
    scale = np.divide(wanted - independent, independent, out=np.zeros_like(wanted), where=independent > 0)
    whole = float((scale * (wanted - independent)).sum())
    return float((scale * (found - mine)).sum()) / whole if whole > 1e-9 else None


def _kept(associations: Sequence[Association]) -> float | None:
    known = [(one.kept, one.target**2) for one in associations if one.kept is not None]
    weight = sum(squared for _, squared in known)
    return sum(kept * squared for kept, squared in known) / weight if weight > 0 else None


def _aim(targets: Targets, cells: Cells | None, names: tuple[str, ...]) -> Shares | None:
    """The table wanted over `names`: of the joint where there is one, else of a table that has them, else None."""
    if cells is not None:
        return tabulate(targets.axes, cells.codes, names, cells.share)
    for table in targets.tables:
        if set(names) <= set(table.names) and not table.n_given:
            kept = table.share.sum(axis=tuple(i for i, name in enumerate(table.names) if name not in names))
            return np.asarray(
                kept if [name for name in table.names if name in names] == list(names) else kept.T, dtype=np.float64
            )
    return None


def combined_audit(population: Population, parts: Sequence[Audit], people: pl.DataFrame) -> Audit:
    """The audit of several populations drawn together; `people` may hold controls."""
    weight = people.filter(pl.col("control").is_null())["weight"].to_numpy()
    return Audit(
        population.population,
        sources_of(population),
        sum(part.n for part in parts),
        effective_n(weight),
        parts=tuple(parts),
    )
