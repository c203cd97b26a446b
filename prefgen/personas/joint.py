"""Tables to drawn people: through the whole joint distribution where it can be held, else through a network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.personas.arrival import people_in_order, phases
from prefgen.personas.audit import FitFacts, Privacy
from prefgen.personas.balance import balanced_counts, exact_margins
from prefgen.personas.cells import Cells, Codes, Shares, level_column
from prefgen.personas.fit import MOST_CELLS, Fit, fitted, fitted_to_pool
from prefgen.personas.levels import is_missing_mark
from prefgen.personas.microdata import smallest_cell, survey_targets
from prefgen.personas.network import network, network_pool
from prefgen.personas.privacy import holdout_share
from prefgen.personas.sample import systematic_counts
from prefgen.personas.strata import sampling_frame
from prefgen.personas.targets import Targets
from prefgen.spec.population import Population

_LEAST_HALF = 50  # respondents; smaller halves say nothing
_POOL = 200_000  # draws through a network
_LARGEST_POOL = 2_000_000
_COMPARED = 10_000  # people compared with the two halves: a standard error of at most .005


@dataclass(frozen=True, slots=True)
class DrawnCodes:
    """Drawn people as codes.

    codes     level of every person, by axis of the targets
    weight    kept share over drawn share
    number    of every person, the same whatever `n`: from it come the numbers within bins and of distributions
    cells     the joint that was wanted (filtered, not oversampled); None for a network
    """

    codes: tuple[Codes, ...]
    weight: Shares
    number: NDArray[np.int64]
    cells: Cells | None
    facts: FitFacts


def drawn_codes(population: Population, targets: Targets, *, n: int, rng: np.random.Generator) -> DrawnCodes:
    """`n` people drawn from the tables of a population, in the order in which a larger draw has them too."""
    levels = targets.survey.levels if targets.survey is not None else ()
    notes = (*_oddly_named(population), *(targets.survey.notes if targets.survey is not None else ()))
    if not targets.axes:
        return _without_levels(population, n)
    large = math.prod(targets.shape) > MOST_CELLS
    fit, said = _through_network(population, targets, n=n, rng=rng) if large else (fitted(population, targets), ())
    cells = fit.cells
    frame = sampling_frame(
        population,
        cells.share,
        lambda: pl.DataFrame([level_column(a, c) for a, c in zip(cells.axes, cells.codes, strict=True)]),
    )
    phase = phases(len(cells.share), rng.random())
    counts = balanced_counts(cells, frame.drawn, n, [table.names for table in targets.tables], phase, rng)
    moved = short = 0
    if population.exact_margins:
        repair = exact_margins(cells, frame.drawn, np.repeat(np.arange(len(counts)), counts), rng)
        counts, moved, short = np.bincount(repair.cell, minlength=len(counts)), repair.moved, repair.short
    cell, number = people_in_order(frame.drawn, phase, counts)
    facts = FitFacts(
        "network" if large else "joint",
        fit.rounds,
        fit.residual,
        fit.converged,
        tuple(map(str, fit.disagreements)),
        moved,
        short,
        (*said, *notes),
        levels,
    )
    filtered = population.keep is not None or population.oversample is not None
    wanted = Cells(cells.axes, cells.codes, frame.kept) if filtered or not large else None
    return DrawnCodes(tuple(code[cell] for code in cells.codes), frame.weight[cell], number, wanted, facts)


def _oddly_named(population: Population) -> Iterator[str]:
    """Levels that a spec names itself and that look like missing values."""
    for name, attribute in population.attributes.items():
        for level in attribute.names:
            if is_missing_mark(level) and (attribute.shares or {level: 1.0})[level] > 0:
                yield f"{name}: its level {level!r} looks like a missing value; if it is none, call it by its full name"


def _without_levels(population: Population, n: int) -> DrawnCodes:
    """People who have nothing but numbers from distributions: there is no table to fit."""
    for key in ("keep", "oversample"):
        if getattr(population, key):
            raise population.error((key,), "no attribute has levels", "give an attribute `bins:` or levels")
    return DrawnCodes((), np.ones(n), np.arange(n), None, FitFacts("joint", 0, 0.0, True))


def _through_network(
    population: Population, targets: Targets, *, n: int, rng: np.random.Generator
) -> tuple[Fit, tuple[str, ...]]:
    """Possible cells met by a network and fitted to the tables, and what is said about that."""
    size = math.prod(targets.shape)
    if population.exact_margins:
        raise population.error(
            ("exact_margins",),
            f"needs the joint distribution, which has {size:.2g} cells (at most {MOST_CELLS:.0e})",
            "use fewer attributes or broader levels",
        )
    nodes = network(population, targets)
    # The pool does not depend on n where it need not, so that a larger draw keeps the people of a smaller one.
    pool = _POOL if 4 * n <= _POOL else min(4 * n, _LARGEST_POOL)
    codes, times = network_pool(population, targets, nodes, pool, rng)
    chain = ", ".join(f"{node.axis.name} from {' and '.join(node.parents)}" for node in nodes if node.parents)
    said = (
        f"{size:.2g} cells are too many for a joint distribution: {len(times):,} possible ones were drawn through a two-parent network "
        f"({chain}) and fitted to the tables; associations that no table gives are approximate"
    )
    return fitted_to_pool(population, targets, codes, times), (said,)


def privacy_of(population: Population, targets: Targets, rng: np.random.Generator) -> Privacy | None:
    """What the draw of a population with survey rows could give away; None for one without.

    The population is fitted once more to a random half of the rows, and people drawn from that fit are held
    against both halves.
    """
    survey, data = targets.survey, population.microdata
    if survey is None or data is None:
        return None
    rows, least = len(survey.weight), smallest_cell(data, survey)
    half = rows // 2
    order = rng.permutation(rows)
    train, holdout = survey.rows(order[:half]), survey.rows(order[half : 2 * half])
    if half < _LEAST_HALF or train.weight.sum() <= 0 or math.prod(targets.shape) > MOST_CELLS:
        return Privacy(rows, least, data.min_cell, survey.merged, None, 0)
    axes = {axis.name for axis in survey.axes}
    mine = Targets(tuple(axis for axis in targets.axes if axis.name in axes), survey_targets(data, train))
    fit = fitted(population, mine)
    counts = systematic_counts(fit.cells.share, _COMPARED, rng.random())
    cell = np.repeat(np.arange(len(counts)), counts)
    people = [code[cell] for code in fit.cells.codes]
    place = [next(i for i, axis in enumerate(survey.axes) if axis.name == wanted.name) for wanted in mine.axes]
    share = holdout_share(people, [train.codes[i] for i in place], [holdout.codes[i] for i in place])
    return Privacy(rows, least, data.min_cell, survey.merged, share, _COMPARED)
