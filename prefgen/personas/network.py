"""A two-parent network, for populations whose joint distribution is too large to hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from prefgen.personas.cells import Axis, Codes, Shares, Target
from prefgen.personas.targets import Targets
from prefgen.spec.population import Population

_ROUNDS = 60


@dataclass(frozen=True, slots=True)
class Node:
    """One attribute given at most two others that come before it.

    table    shares of the attribute's levels for every combination of the parents' levels; last axis sums to 1
    """

    axis: Axis
    parents: tuple[str, ...]
    table: Shares


def network(population: Population, targets: Targets) -> tuple[Node, ...]:
    """Attributes in an order in which each depends on the two before it that tell most about it.

    Chosen greedily by mutual information over the pair tables; three-way tables are raked from their pairs.
    Associations beyond those two parents are lost: the audit shows by how much.
    """
    if any(table.n_given for table in targets.tables):
        index = next(table for table in targets.tables if table.n_given)
        raise population.error(
            index.key,
            "conditional tables need a joint of at most ten million cells",
            "give joint tables, or fewer attributes",
        )
    ones = {axis.name: _marginal(population, targets, axis) for axis in targets.axes}
    pairs = {(a.name, b.name): _pair(targets.tables, ones, a.name, b.name) for a, b in permutations(targets.axes, 2)}
    tells = {key: mutual_information(table) for key, table in pairs.items()}
    left = {axis.name: axis for axis in targets.axes}
    first = max(left, key=lambda name: (sum(tells[name, other] for other in left if other != name), name))
    nodes, placed = [Node(left.pop(first), (), ones[first])], [first]
    while left:
        best = {name: sorted(placed, key=lambda other: (-tells[name, other], other))[:2] for name in left}
        child = max(left, key=lambda name: (sum(tells[name, other] for other in best[name]), name))
        parents = tuple(best[child])
        nodes.append(Node(left.pop(child), parents, _conditional(pairs, parents, child)))
        placed.append(child)
    return tuple(nodes)


def mutual_information(joint: Shares) -> float:
    """Mutual information of the two axes of a table of shares, in nats."""
    independent = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    some = joint > 0
    return float((joint[some] * np.log(joint[some] / independent[some])).sum())


def network_people(
    population: Population, targets: Targets, nodes: tuple[Node, ...], n: int, rng: np.random.Generator
) -> tuple[Codes, ...]:
    """Levels of `n` people by axis of `targets`, drawn attribute by attribute; nobody is an impossible combination."""
    people = _walk(nodes, n, rng)
    for _ in range(200):
        bad = np.flatnonzero(_impossible(targets, people))
        if not len(bad):
            return tuple(people[axis.name] for axis in targets.axes)
        again = _walk(nodes, len(bad), rng)
        for name, codes in again.items():
            people[name][bad] = codes
    raise population.error(
        ("impossible",),
        "nearly everybody drawn is an impossible combination",
        "check the combinations, or merge levels so that the joint fits",
    )


def _walk(nodes: tuple[Node, ...], n: int, rng: np.random.Generator) -> dict[str, NDArray[np.intp]]:
    people: dict[str, NDArray[np.intp]] = {}
    for node in nodes:
        sizes = node.table.shape[:-1]
        group = np.zeros(n, dtype=np.intp)
        for name, size in zip(node.parents, sizes, strict=True):
            group = group * size + people[name]
        people[node.axis.name] = _systematic_levels(node.table.reshape(-1, node.table.shape[-1]), group, rng)
    return people


def _systematic_levels(table: Shares, group: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """A level for everyone, systematically within each group: counts within 1 of their share of the group."""
    order = rng.permutation(len(group))
    order = order[np.argsort(group[order], kind="stable")]
    sizes = np.bincount(group, minlength=len(table))
    rank = np.arange(len(group)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    unit = np.empty(len(group))
    unit[order] = (rank + np.repeat(rng.random(len(table)), sizes)) / np.repeat(sizes, sizes)
    level = np.zeros(len(group), dtype=np.intp)
    for edge in np.cumsum(table, axis=1)[:, :-1].T:
        level += unit >= edge[group]
    return level


def _impossible(targets: Targets, people: Mapping[str, Codes]) -> NDArray[np.bool_]:
    size = len(next(iter(people.values())))
    bad = np.zeros(size, dtype=bool)
    for masks in targets.impossible:
        met = np.ones(size, dtype=bool)
        for name, mask in masks.items():
            met &= mask[people[name]] > 0
        bad |= met
    return bad


def _marginal(population: Population, targets: Targets, axis: Axis) -> Shares:
    for table in targets.tables:
        if axis.name in table.names:
            others = tuple(i for i, name in enumerate(table.names) if name != axis.name)
            return np.asarray(table.share.sum(axis=others), dtype=np.float64)
    raise population.error((), f"no table gives {axis.name!r}", "write its shares")


def _pair(tables: tuple[Target, ...], ones: Mapping[str, Shares], a: str, b: str) -> Shares:
    for table in tables:
        if a in table.names and b in table.names:
            pair = table.share.sum(axis=tuple(i for i, name in enumerate(table.names) if name not in (a, b)))
            return np.asarray(pair if table.names.index(a) < table.names.index(b) else pair.T, dtype=np.float64)
    return np.outer(ones[a], ones[b])


def _conditional(pairs: Mapping[tuple[str, str], Shares], parents: tuple[str, ...], child: str) -> Shares:
    if len(parents) == 1:
        joint = pairs[parents[0], child]
    else:
        joint = _three_way(pairs[parents[0], parents[1]], pairs[parents[0], child], pairs[parents[1], child])
    given = joint.sum(axis=-1, keepdims=True)
    fallback = joint.sum(axis=tuple(range(joint.ndim - 1)))  # parents that nobody has together: the marginal
    return np.where(given > 0, joint / np.where(given > 0, given, 1), fallback / fallback.sum())


def _three_way(ab: Shares, ac: Shares, bc: Shares) -> Shares:
    """The joint of three attributes with these pair tables and no association beyond them."""
    joint = np.ones((*ab.shape, ac.shape[1]))
    for _ in range(_ROUNDS):
        for axis, wanted in ((2, ab), (1, ac), (0, bc)):
            found = joint.sum(axis=axis)
            factor = np.divide(wanted, found, out=np.zeros_like(wanted), where=found > 0)
            joint *= np.expand_dims(factor, axis)
    return joint
