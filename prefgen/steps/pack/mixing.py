"""Distractors: rows about other things, among those of a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prefgen.steps.pack.rows import NUMBER, Events, Group, Numbers, within

_SOME = 64


@dataclass(frozen=True, slots=True)
class Distractors:
    """The rows that are mixed in.

    owners     whose each is, where they have the columns of `by`; a list gets none that agree with its row
    share      of the elements, where there is no budget
    budget     of tokens, or None
    """

    group: Group
    owners: list[tuple[Any, ...]]
    share: float
    lengths: np.ndarray[Any, np.dtype[np.float64]] | None
    budget: float | None

    @classmethod
    def of(
        cls, events: Events, by: Sequence[str], share: float, lengths: np.ndarray[Any, Any] | None, budget: float | None
    ) -> Distractors:
        """From the rows of the step that they come from."""
        has_owners = set(by) <= set(events.rows.columns)
        owners = list(events.rows.select(by).iter_rows()) if has_owners else []
        of_all = lengths[events.rows[NUMBER].to_numpy()] if lengths is not None and budget is not None else None
        return cls(Group.of(events.rows, events.order), owners, share, of_all, budget)

    def mixed(
        self, own: Numbers, key: tuple[Any, ...], moment: tuple[Any, ...] | None, rng: np.random.Generator
    ) -> Numbers:
        """A list with distractors in it; what was in it keeps its order. None of them is later than the row, where their time is known."""
        timed = moment is not None and self.group.moments
        n = self.group.before(moment) if timed and moment is not None else len(self.group.numbers)
        drawn = self._drawn(n, round(len(own) * self.share / (1 - self.share)), key, rng)
        places = np.sort(rng.choice(len(own) + len(drawn), size=len(drawn), replace=False))
        together = np.empty(len(own) + len(drawn), dtype=np.int64)
        is_drawn = np.zeros(len(together), dtype=bool)
        is_drawn[places] = True
        together[is_drawn], together[~is_drawn] = self.group.numbers[drawn], own
        return together

    def _drawn(self, n: int, most: int, key: tuple[Any, ...], rng: np.random.Generator) -> Numbers:
        """Places of so many of the first `n`, or of as many as fit the budget; fewer where there are no more."""
        if self.lengths is not None and self.budget is not None:
            typical = max(1.0, float(self.lengths[:n].mean())) if n else 1.0
            most = int(self.budget / typical) + _SOME
        found = self._others(rng.choice(n, size=min(n, 2 * most + _SOME), replace=False), key)
        if len(found) < most and 2 * most + _SOME < n:
            found = self._others(rng.permutation(n), key)  # most of them are the row's own
        found = found[:most]
        if self.lengths is None or self.budget is None:
            return found
        return found[: within(self.lengths[found], self.budget)]

    def _others(self, places: Numbers, key: tuple[Any, ...]) -> Numbers:
        if not self.owners:
            return places
        others: Numbers = places[np.array([self.owners[place] != key for place in places], dtype=bool)]
        return others
