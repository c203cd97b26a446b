"""Which rows stand in a list: in time, so many, within a budget, and distractors among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from prefgen.seeds import rng_for
from prefgen.steps.context import Context
from prefgen.steps.pack.mixing import Distractors
from prefgen.steps.pack.rows import Events, Group, Numbers, groups_of, within
from prefgen.steps.pack.sizes import Sizes

if TYPE_CHECKING:
    from prefgen.steps.pack import Pack


@dataclass(frozen=True, slots=True)
class Chooser:
    """Chooses the lists of rows, each by its own draw: no row's list hangs on the others."""

    step: Pack
    groups: Mapping[tuple[Any, ...], Group]
    distractors: Distractors | None
    sizes: Sizes
    context: Context

    @classmethod
    def of(cls, step: Pack, events: Events, mixed: Events | None, sizes: Sizes, context: Context) -> Chooser:
        """From the rows that may be packed."""
        distractors = None
        if step.mix is not None and mixed is not None:
            budget = None if step.tokens is None else step.tokens * step.mix.share
            distractors = Distractors.of(mixed, step.by, step.mix.share, sizes.length, budget)
        return cls(step, groups_of(events, step.by, step.differ), distractors, sizes, context)

    def lists(self, rows: pl.DataFrame) -> list[Numbers]:
        """Numbers of the rows packed for each row, `copies` lists for each."""
        step = self.step
        names = [*step.by, *(step.differ or ()), *(step.order if step.before else ())]
        wanted = rows.select(list(dict.fromkeys(names)))
        return [self._of(row, copy) for row in wanted.iter_rows(named=True) for copy in range(step.copies)]

    def _of(self, row: Mapping[str, Any], copy: int) -> Numbers:
        step = self.step
        key = tuple(row[name] for name in step.by)
        moment = tuple(row[name] for name in step.order) if step.before else None
        some = self._eligible(self.groups.get(key), row, moment)
        again = () if copy == 0 else (str(copy),)
        rng = rng_for(self.context.seed, "pack", self.context.step, *map(str, key), str(len(some)), *again)
        budget = None
        if step.tokens is not None:
            budget = step.tokens * (1 - (step.mix.share if step.mix is not None else 0))
        own = some[self._chosen(some, budget, rng)]
        return own if self.distractors is None else self.distractors.mixed(own, key, moment, rng)

    def _eligible(self, group: Group | None, row: Mapping[str, Any], moment: tuple[Any, ...] | None) -> Numbers:
        """The rows of a group that may stand in the list of a row."""
        if group is None:
            return np.empty(0, np.int64)
        n = len(group.numbers) if moment is None else group.before(moment)
        if not self.step.differ:
            return group.numbers[:n]
        own = [row[name] for name in self.step.differ]
        other = [all(a != b for a, b in zip(own, values, strict=True)) for values in group.values[:n]]
        others: Numbers = group.numbers[:n][np.array(other, dtype=bool)]
        return others

    def _chosen(self, some: Numbers, budget: float | None, rng: np.random.Generator) -> Numbers:
        """Places of those that stand in the list, in order."""
        step, n = self.step, len(some)
        most = next((one for one in (step.last, step.first, step.draw, step.longest) if one is not None), n)
        if step.draw is not None and (n > most or budget is not None):
            preferred = rng.choice(n, size=min(n, most), replace=False)
        elif step.longest is not None:
            preferred = np.argsort(-self._length(some), kind="stable")
        else:
            preferred = np.arange(n) if step.first is not None else np.arange(n)[::-1]
        preferred = preferred[:most]
        if budget is not None:
            preferred = preferred[: within(self._length(some[preferred]), budget)]
        return np.sort(preferred)

    def _length(self, numbers: Numbers) -> np.ndarray[Any, np.dtype[np.float64]]:
        assert self.sizes.length is not None, "lengths are known where they count"
        return self.sizes.length[numbers]
