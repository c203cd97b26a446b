"""Rounding to whole people keeps cells within one person, and tables much closer than chance would."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefgen.personas.balance import balanced_counts, exact_margins
from prefgen.personas.cells import Axis, Cells, tabulate
from prefgen.personas.parts import Parts
from prefgen.personas.sample import systematic_counts

shares = (
    st.lists(st.floats(0, 1) | st.just(0.0), min_size=1, max_size=60)
    .filter(lambda cells: sum(cells) > 1e-6)
    .map(np.array)
)


@given(share=shares, n=st.integers(1, 10_000), start=st.floats(0, 1, exclude_max=True))
def test_systematic_counts_are_within_one_of_their_share(share, n, start):
    counts = systematic_counts(share, n, start)
    expected = share * n / share.sum()
    assert counts.sum() == n
    assert counts.min() >= 0
    assert np.abs(counts - expected).max() < 1 + 1e-6
    runs = np.cumsum(counts) - np.cumsum(expected)
    assert np.abs(runs).max() < 1 + 1e-6


def test_over_all_starts_every_count_has_the_right_mean():
    share = np.array([0.001, 0.2, 0.333, 0.466])
    counts = np.mean([systematic_counts(share, 7, (k + 0.5) / 4000) for k in range(4000)], axis=0)
    np.testing.assert_allclose(counts, share * 7, atol=2e-3)


def cube(rng, sizes=(4, 5, 6, 7)):
    share = rng.dirichlet(np.full(int(np.prod(sizes)), 0.3))
    codes = np.unravel_index(np.arange(share.size), sizes)
    axes = tuple(Axis(name, tuple(f"{name}{i}" for i in range(size))) for name, size in zip("abcd", sizes, strict=True))
    return Cells(axes, codes, share)


PAIRS = [("a", "b"), ("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"), ("c", "d")]


def balanced(cells, n, rng):
    return balanced_counts(cells, cells.share, n, PAIRS, 1 - rng.random(cells.share.size), rng)


def worst(cells, counts, n):
    return max(
        np.abs(
            tabulate(cells.axes, cells.codes, pair, counts.astype(float))
            - n * tabulate(cells.axes, cells.codes, pair, cells.share)
        ).max()
        for pair in PAIRS
    )


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 3000), seed=st.integers(0, 2**32))
def test_balancing_keeps_every_cell_within_one_and_never_makes_tables_worse_overall(n, seed):
    rng = np.random.default_rng(seed)
    cells = cube(rng)
    counts = balanced(cells, n, rng)
    assert counts.sum() == n
    assert counts.min() >= 0
    assert np.abs(counts - cells.share * n).max() < 1 + 1e-9


def test_balanced_tables_are_several_times_closer_than_systematic_ones():
    ratio = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        cells = cube(rng)
        plain = systematic_counts(cells.share, 500, rng.random())
        ratio.append(worst(cells, balanced(cells, 500, rng), 500) / worst(cells, plain, 500))
    assert np.mean(ratio) < 0.5


def test_balancing_leaves_cells_nearly_the_probability_they_have():
    """Mean count of 400 draws against expectation: slope 1, and small shares are not inflated."""
    cells = cube(np.random.default_rng(5))
    draws = [balanced(cells, 60, np.random.default_rng(seed)) for seed in range(400)]
    mean, expected = np.mean(draws, axis=0), cells.share * 60
    rare = expected < np.quantile(expected[expected > 1e-9], 0.5)
    assert mean[rare].sum() == pytest.approx(expected[rare].sum(), rel=0.5, abs=0.2)
    assert np.polyfit(expected, mean, 1)[0] == pytest.approx(1, abs=0.1)


def test_exact_margins_move_few_people_and_only_to_possible_cells():
    rng = np.random.default_rng(3)
    cells = cube(rng)
    keep = rng.random(cells.share.size) < 0.6
    cells = Cells(cells.axes, tuple(code[keep] for code in cells.codes), cells.share[keep] / cells.share[keep].sum())
    counts = balanced(cells, 400, rng)
    repair = exact_margins(cells, cells.share, np.repeat(np.arange(len(counts)), counts), rng)
    assert repair.short == 0
    assert repair.moved < 40
    for at, axis in enumerate(cells.axes):
        found = np.bincount(cells.codes[at][repair.cell], minlength=len(axis.levels))
        wanted = 400 * np.bincount(cells.codes[at], weights=cells.share)
        assert np.abs(found - wanted).max() < 1


def test_tables_by_block_are_the_tables_one_by_one():
    rng = np.random.default_rng(4)
    sizes = (7, 5, 6, 9, 8)  # 15,120 cells: several blocks
    some = rng.permutation(int(np.prod(sizes)))[:4000]
    axes = tuple(Axis(f"a{i}", tuple(map(str, range(size)))) for i, size in enumerate(sizes))
    weights = rng.normal(size=4000)
    cells = Cells(axes, np.unravel_index(some, sizes), np.full(4000, 1 / 4000))
    tables = [("a0", "a1"), ("a3", "a2"), ("a4",), ("a0", "a4"), ("a1", "a2", "a3"), ("a2", "a4")]
    parts = Parts(cells, tables)
    assert len(parts.blocks) > 1
    wanted = [tabulate(axes, cells.codes, names, weights) for names in tables]
    summed = sorted(parts.sums(weights), key=lambda table: (len(table), table.sum()))
    for found, table in zip(summed, sorted(wanted, key=lambda table: (table.size, table.sum())), strict=True):
        np.testing.assert_allclose(found, table.ravel(), atol=1e-9)
    pool = rng.permutation(4000)[:50]
    codes = dict(zip([axis.name for axis in axes], cells.codes, strict=True))
    by_cell = sum(
        table[tuple(codes[name][pool] for name in names)] for names, table in zip(tables, wanted, strict=True)
    )
    np.testing.assert_allclose(parts.among(pool).spread(parts.sums(weights)), by_cell)
    at = parts.among(pool).places(np.arange(50))
    np.testing.assert_allclose(sum(table[place] for table, place in zip(parts.sums(weights), at, strict=True)), by_cell)
