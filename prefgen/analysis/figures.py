"""Whether personas are as near to people as people are: distances and gains with intervals, and a verdict."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from prefgen.analysis.distance import Floats
from prefgen.analysis.nearness import Cells
from prefgen.analysis.survey import EVERYBODY, Group
from prefgen.analysis.verdict import sentences, verdict_of
from prefgen.estimates import NOTHING, Estimate, from_draws, quantile_of_t

_BAND = (0.025, 0.975)
_LEAST_SPREAD = 0.01  # a second look at the same answers may cry wolf less often than the first


@dataclass(frozen=True, slots=True)
class Found:
    """Figures over subgroups and questions; see `Calibration.figures`."""

    total_variation: Estimate
    floor: Estimate
    excess: Estimate
    gain: Estimate
    gain_over_no_persona: Estimate
    spread: float | None
    spread_floor: Estimate
    coherence: float | None
    coherence_floor: Estimate
    verdict: str | None

    def to_json(self) -> dict[str, Any]:
        """The figures as plain values, and `said`: the same in sentences."""
        told = sentences(
            distance=self.total_variation,
            floor=self.floor,
            gain=self.gain,
            spread=self.spread,
            spread_floor=self.spread_floor,
            coherence=self.coherence,
            coherence_floor=self.coherence_floor,
            verdict=self.verdict,
        )
        return asdict(self) | {"said": list(told)}


def figures_of(
    cells: Sequence[Cells], coherence: tuple[float | None, Estimate], *, personas: int, rng: np.random.Generator
) -> Found:
    """Means over the subgroups of all attributes and all questions.

    coherence    as `coherence_of` gives it
    personas     how many there are, for `Estimate.n`
    """
    kept = _subgroups(cells, {group for one in cells for group in one.groups if group.attribute != EVERYBODY})
    means = _Means(tuple(len(columns) for _, columns in kept), personas, rng)
    floor, distance, squared, overall = (
        _side_by_side(kept, name) for name in ("floor", "distance", "squared", "overall")
    )
    nobody = all(one.nobody is not None for one, _ in kept)
    spread, people = _spreads(kept)
    told, band = means.of(distance), _floor_of(kept, personas)
    return Found(
        total_variation=told,
        floor=band,
        excess=means.of(distance - floor.mean(axis=0)),
        gain=means.gain(squared, overall),
        gain_over_no_persona=means.gain(squared, _side_by_side(kept, "nobody")) if nobody else NOTHING,
        spread=spread,
        spread_floor=people,
        coherence=coherence[0],
        coherence_floor=coherence[1],
        verdict=verdict_of(told, band, spread, people),
    )


@dataclass(frozen=True, slots=True)
class _Means:
    """Means over cells whose intervals are of other people and other questions.

    counts      cells of each question, which stand side by side
    personas    what `Estimate.n` says
    """

    counts: tuple[int, ...]
    personas: int
    rng: np.random.Generator

    def of(self, values: Floats) -> Estimate:
        """Of (1 + draws, cells), drawn anew for other people."""
        often = self._often(len(values) - 1)
        drawn = (often * values).sum(axis=1) / often.sum(axis=1)
        return from_draws(self._once(drawn, values), self.personas)

    def gain(self, squared: Floats, baseline: Floats) -> Estimate:
        """1 - squared distance over the baseline's, at most 1; nothing where groups do not differ from the baseline."""
        unknown = np.isnan(squared[0]) | np.isnan(baseline[0])
        mine, of = (np.where(unknown, 0.0, values) for values in (squared, baseline))
        if mine[0].size == 0 or of[0].sum() <= 0:
            return NOTHING
        often = self._often(len(mine) - 1)
        above, below = ((often * values).sum(axis=1) for values in (mine, of))
        drawn = 1 - np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
        if np.mean(below[1:] <= 0) > _BAND[0]:  # then how much a subgroup differs from the whole is not known
            return Estimate(min(1.0, float(drawn[0])), None, None, self.personas)
        linear = -(mine - (1 - drawn[0]) * of) / of[0].mean()
        return from_draws(np.minimum(1.0, self._once(drawn, linear)), self.personas)

    def _often(self, draws: int) -> Floats:
        """(1 + draws, cells): how often each cell counts: as often as its question."""
        items = len(self.counts)
        parts = self.rng.dirichlet(np.ones(items), draws) * items
        parts = 1 + (parts - 1) * self._wider() * np.sqrt((items + 1) / max(1, items - 1))
        return np.repeat(np.concatenate([np.ones((1, items)), parts]), self.counts, axis=1)

    def _wider(self) -> float:
        """What few questions add to an interval, as Student's distribution has it."""
        return quantile_of_t(0.95, len(self.counts) - 1) / 1.96 if len(self.counts) > 1 else 1.0

    def _once(self, drawn: Floats, values: Floats) -> Floats:
        """Draws of a mean over questions and people, with the chance of single answers counted once.

        That chance makes questions differ from each other, and differ when people are drawn anew: draws of both
        have it twice.

        values    (1 + draws, cells) that the mean is of, drawn for people only
        """
        items = len(self.counts)
        if items < 2:
            return drawn
        starts = np.concatenate([[0], np.cumsum(self.counts)[:-1]])
        by_item = np.add.reduceat(values, starts, axis=1) * items / values.shape[1]
        people = float(by_item[1:].mean(axis=1).var())
        each = float(by_item[1:].var(axis=0).mean())
        shared = (items * people - each) / (items - 1)
        questions = max(0.0, float(by_item[0].var(ddof=1)) - (each - shared)) / items
        wanted = people + questions * self._wider() ** 2
        have = float(np.nanvar(drawn[1:]))
        return drawn[0] + (drawn - drawn[0]) * np.sqrt(min(1.0, wanted / have)) if have > 0 else drawn


def floor_over(cells: Sequence[Cells], groups: Collection[Group], *, n: int) -> Estimate:
    """Mean total variation of real respondents over some subgroups and all questions, with the band of 95 % of samples.

    The band reaches from people who are in the survey to people who are not.
    """
    return _floor_of(_subgroups(cells, groups), n)


_Kept = Sequence[tuple[Cells, list[int]]]
"""Questions with the columns of some of their subgroups."""


def _subgroups(cells: Sequence[Cells], groups: Collection[Group]) -> _Kept:
    kept = [(one, [at for at, group in enumerate(one.groups) if group in groups]) for one in cells]
    return [(one, columns) for one, columns in kept if columns]


def _side_by_side(kept: _Kept, name: str) -> Floats:
    return np.concatenate([getattr(one, name)[:, columns] for one, columns in kept], axis=1)


def _floor_of(kept: _Kept, n: int) -> Estimate:
    outside, inside = (_side_by_side(kept, name).mean(axis=1) for name in ("floor", "within"))
    return Estimate(
        float(outside.mean()), float(np.quantile(inside, _BAND[0])), float(np.quantile(outside, _BAND[1])), n
    )


def _spreads(kept: _Kept) -> tuple[float | None, Estimate]:
    """How often two personas of a subgroup differ, over how often two people do; the same of real respondents."""
    mine = np.concatenate([one.spread[columns] for one, columns in kept])
    survey = np.concatenate([one.survey_spread[columns] for one, columns in kept])
    real = _side_by_side(kept, "people_spread")
    known = ~np.isnan(mine)
    total = float(survey[known].sum())
    if total <= 0:
        return None, NOTHING
    ratio = real[:, known].sum(axis=1) / total
    low, high = np.quantile(ratio, [_LEAST_SPREAD, 1 - _LEAST_SPREAD])
    people = Estimate(float(ratio.mean()), float(low), float(high), int(known.sum()))
    return float(mine[known].sum() / total), people
