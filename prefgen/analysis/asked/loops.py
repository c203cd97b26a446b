"""`analyse: loops`: triples that no order fits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from prefgen.analysis.asked.found import Cell, Found, NotAnalysedError, grid
from prefgen.analysis.asked.sources import Sources
from prefgen.estimates import crossed_share
from prefgen.judging.strengths import Floats
from prefgen.spec.analyses import Loops
from prefgen.steps.weigh.contest import Contest

_MOST = 400  # values of one group: triples are counted by products of matrices
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Triples:
    """Of one group: triples of which all three pairs have a winner, and those that go round; one of these, or None."""

    complete: int
    cyclic: int
    example: str | None


def loops(spec: Loops, sources: Sources) -> Found:
    """How many triples go round, and in which groups."""
    step = sources.step(spec.from_)
    pairs = sources.pairs(step, spec.of, spec.by)
    groups = list(_groups(pairs, spec))
    complete, cyclic = (
        np.array([getattr(one, key) for _, one in groups], dtype=float) for key in ("complete", "cyclic")
    )
    if not complete.sum():
        raise NotAnalysedError(f"no three values of {spec.of!r} were all compared with each other")
    share = crossed_share(cyclic, complete)
    worst = sorted(groups, key=lambda one: (-one[1].cyclic, one[0]))[:_SHOWN]
    lines: list[tuple[Cell, ...]] = [(name, one.complete, one.cyclic, one.example) for name, one in worst if one.cyclic]
    whole: list[tuple[Cell, ...]] = [
        ("triples compared", int(complete.sum())),
        ("of them loops", int(cyclic.sum())),
        ("share of loops (a quarter by chance)", share),
        ("groups", len(groups)),
        ("groups with a loop", int((cyclic > 0).sum())),
    ]
    said = f"{int(cyclic.sum()):,} of {int(complete.sum()):,} triples go round: no order fits them"
    tables = [grid(f"triples of {spec.of}", ("measure", "value"), whole)]
    if lines:
        tables.append(
            grid("groups with loops", (", ".join(spec.by) or "all", "triples", "loops", "one of them"), lines)
        )
    return Found((said,), tuple(tables))


def _groups(pairs: pl.DataFrame, spec: Loops) -> Iterator[tuple[str, Triples]]:
    if not spec.by:
        yield "all", triples(pairs, spec.of)
        return
    for key, some in pairs.group_by(spec.by, maintain_order=True):
        yield ", ".join(map(str, key)), triples(some, spec.of)


def triples(pairs: pl.DataFrame, of: str) -> Triples:
    """The triples of the majority relation: A beats B where it was preferred more than half of the time."""
    contest = Contest.of(pairs, *(pairs[f"{side}_{of}"].cast(pl.String) for side in ("chosen", "rejected")))
    values = contest.values.to_list()
    if len(values) > _MOST:
        raise NotAnalysedError(
            f"{len(values):,} values of {of!r} in one group, at most {_MOST}", "part the pairs with `by:`"
        )
    wins = contest.wins()
    beats: Floats = (wins - wins.T > 1e-9).astype(np.float64)
    cyclic = round(float(np.trace(beats @ beats @ beats))) // 3
    either = beats + beats.T
    complete = round(float(np.trace(either @ either @ either))) // 6
    return Triples(complete, cyclic, _example(beats, values) if cyclic else None)


def _example(beats: Floats, values: list[str]) -> str:
    back = (beats @ beats) * beats.T  # [a, c]: ways from a over b to c, where c beats a
    a, c = (int(at) for at in np.argwhere(back > 0)[0])
    b = int(np.flatnonzero((beats[a] > 0) & (beats[:, c] > 0))[0])
    return " > ".join((values[a], values[b], values[c], values[a]))
