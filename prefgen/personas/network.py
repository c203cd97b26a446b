"""A two-parent network, for populations whose joint distribution is too large to hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.personas.cells import Axis, Codes, Shares, Target
from prefgen.personas.targets import Targets
from prefgen.spec.population import Population

_ROUNDS = 60
_TRIES = 200


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


def network_pool(
    population: Population, targets: Targets, nodes: tuple[Node, ...], size: int, rng: np.random.Generator
) -> tuple[tuple[Codes, ...], Shares]:
    """Possible cells that `size` draws through the network meet, by axis of `targets`, and how often each is met.

    A cell that a table says is empty, or that is an impossible combination, is never met: at every attribute only
    levels count that nothing drawn before rules out, and who has none left is drawn again.
    """
    ruled_out = _ruled_out(targets, [node.axis.name for node in nodes])
    met: list[dict[str, NDArray[np.intp]]] = []
    left = size
    for _ in range(_TRIES):
        people = _walk(nodes, ruled_out, left, rng)
        met.append(people)
        left -= len(people[nodes[0].axis.name])
        if left <= 0:
            break
    else:
        raise population.error(
            ("impossible",),
            "nearly everybody drawn is an impossible combination",
            "check the combinations, or merge levels so that the joint fits",
        )
    names = [axis.name for axis in targets.axes]
    every = pl.DataFrame({name: np.concatenate([people[name] for people in met]) for name in names})
    cells = every.group_by(names).len("_times").sort(names)
    return tuple(cells[name].to_numpy() for name in names), cells["_times"].to_numpy().astype(np.float64)


@dataclass(frozen=True, slots=True)
class _RuledOut:
    """Combinations of levels that nobody has: 1 by level of each of `names`, the last of which is drawn last."""

    names: tuple[str, ...]
    nobody: NDArray[np.bool_]


def _ruled_out(targets: Targets, order: Sequence[str]) -> list[_RuledOut]:
    """What tables and impossible combinations rule out, with attributes in the order in which they are drawn."""
    sizes = {axis.name: len(axis.levels) for axis in targets.axes}
    found = [(table.names, table.share == 0) for table in targets.tables if not table.share.all()]
    for masks in targets.impossible:
        met = np.ones(tuple(sizes[name] for name in masks), dtype=bool)
        for at, mask in enumerate(masks.values()):
            met &= (mask > 0).reshape([-1 if at == other else 1 for other in range(len(masks))])
        found.append((tuple(masks), met))
    placed = []
    for names, nobody in found:
        drawn = sorted(range(len(names)), key=lambda at: order.index(names[at]))
        placed.append(_RuledOut(tuple(names[at] for at in drawn), np.transpose(nobody, drawn)))
    return placed


def _walk(
    nodes: tuple[Node, ...], ruled_out: Sequence[_RuledOut], n: int, rng: np.random.Generator
) -> dict[str, NDArray[np.intp]]:
    """Levels of those of `n` people who meet nothing that is ruled out."""
    people: dict[str, NDArray[np.intp]] = {}
    for node in nodes:
        name = node.axis.name
        size = len(next(iter(people.values()))) if people else n
        likely = np.broadcast_to(
            node.table[tuple(people[parent] for parent in node.parents)], (size, len(node.axis.levels))
        )
        for rule in ruled_out:
            if rule.names[-1] == name:
                likely = np.where(rule.nobody[tuple(people[other] for other in rule.names[:-1])], 0.0, likely)
        below = np.cumsum(likely, axis=1)
        alive = below[:, -1] > 0
        below = below[alive]
        people = {other: level[alive] for other, level in people.items()}
        people[name] = (below <= rng.random((len(below), 1)) * below[:, -1:]).sum(axis=1)
    return people


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
