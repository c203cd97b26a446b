"""One question, compared by subgroup: every source of answers against the survey, and real respondents beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prefgen.analysis.distance import Floats
from prefgen.analysis.figures import floor_over
from prefgen.analysis.nearness import Cells, Survey, cells_of, squared_distance, squared_of_overall
from prefgen.analysis.panel import NOBODY, PERSONAS, Panel
from prefgen.analysis.respondents import StandIns, drawn_anew
from prefgen.analysis.samples import Told, apart
from prefgen.analysis.survey import EVERYBODY, Group, Question, SurveyAnswers
from prefgen.seeds import rng_for

UNIFORM, OVERALL = "uniform", "survey overall"
"""Baselines that need no judge."""

_MOST_DRAWS, _FEWEST_DRAWS, _PEOPLE_DRAWN = 1_000, 200, 500_000


@dataclass(frozen=True, slots=True)
class Draws:
    """What is drawn once for all questions, so that answers of one person hang together.

    stand_ins    real respondents in the personas' place
    anew         by item, (draws, groups, levels): shares of the survey drawn anew, in the order of `groups`
    often        (draws, personas): how often each persona counts, mean 1
    """

    answers: SurveyAnswers
    panels: Mapping[str, Panel]
    groups: tuple[Group, ...]
    stand_ins: StandIns
    anew: Mapping[str, Floats]
    often: Floats
    seed: int

    @classmethod
    def of(cls, answers: SurveyAnswers, panels: Mapping[str, Panel], questions: Sequence[Question], seed: int) -> Draws:
        """Drawn for these personas; a thousand times, less often where there are many people."""
        personas = panels[PERSONAS]
        people = max(len(personas.ids), len(answers.weight) // 10, 1)
        draws = int(np.clip(_PEOPLE_DRAWN // people, _FEWEST_DRAWS, _MOST_DRAWS))
        groups = answers.all_groups()
        return cls(
            answers,
            panels,
            groups,
            StandIns.drawn(
                answers, questions, personas.levels, rng=rng_for(seed, "calibrate", "stand-ins"), draws=draws
            ),
            drawn_anew(answers, questions, groups, rng=rng_for(seed, "calibrate", "survey"), draws=draws),
            rng_for(seed, "calibrate", "personas").exponential(size=(draws, len(personas.ids))),
            seed,
        )


def compared(question: Question, draws: Draws) -> tuple[Cells, list[dict[str, Any]]] | None:
    """The subgroups of a question that personas and enough respondents answered, and their rows of `Calibration.cells`."""
    groups = tuple(draws.answers.groups(question))
    told = draws.panels[PERSONAS].told(question, groups)[0]
    groups = tuple(group for group, heard in zip(groups, told.weight.sum(axis=0) > 0, strict=True) if heard)
    if not groups:
        return None
    survey = _survey(question, groups, draws)
    rng = rng_for(draws.seed, "calibrate", question.item_id)
    sources = dict(_sources(question, groups, draws, survey))
    personas = sources[PERSONAS].told
    nobody = sources[NOBODY].told.p[0] if NOBODY in sources else None
    found = {name: _apart(source, survey, question, rng) for name, source in sources.items()}
    said = draws.stand_ins.said(question, rng)
    cells = cells_of(
        question,
        groups,
        survey,
        personas=personas,
        nobody=nobody,
        often=draws.often,
        said={attribute: said[:, seats] for attribute, seats in draws.stand_ins.seats.items()},
        distance=_known(found[PERSONAS]["total_variation"]),
    )
    rows = [
        row for name, source in sources.items() for row in _rows(name, source, found[name], cells=cells, survey=survey)
    ]
    return cells, sorted(rows, key=lambda row: groups.index(Group(row["attribute"], row["level"])))


@dataclass(frozen=True, slots=True)
class _Source:
    """Answers to a question: `n` people by group, `answered` the share of their probability on options of the survey."""

    told: Told
    squared: Floats
    n: Floats
    answered: Floats | None


def _sources(
    question: Question, groups: Sequence[Group], draws: Draws, survey: Survey
) -> Iterator[tuple[str, _Source]]:
    """By name, the personas first. What is no sample of people gives as many answers as the personas do."""
    personas, answered = draws.panels[PERSONAS].told(question, groups)
    yield PERSONAS, _of_people(personas, survey, answered)
    n, n_levels = len(personas.p), len(question.levels)
    none = np.zeros(len(groups))
    for name, shares, squared in (
        (UNIFORM, np.full(n_levels, 1 / n_levels), None),
        (OVERALL, survey.overall, squared_of_overall(survey)),
    ):
        told = Told(np.tile(shares, (n, 1)), personas.weight)
        yield name, _Source(told, squared_distance(shares, survey) if squared is None else squared, none, None)
    for name, panel in draws.panels.items():
        if name == PERSONAS:
            continue
        told, answered = panel.told(question, groups)
        if not told.weight.any():
            continue
        if name == NOBODY:
            shares = told.shares[0]
            same = Told(np.tile(shares, (n, 1)), personas.weight)
            yield name, _Source(same, squared_distance(shares, survey), (told.weight > 0).sum(axis=0), answered)
        else:
            yield name, _of_people(told, survey, answered)


def _of_people(told: Told, survey: Survey, answered: Floats) -> _Source:
    return _Source(told, squared_distance(told.shares, survey, told), (told.weight > 0).sum(axis=0), answered)


def _survey(question: Question, groups: Sequence[Group], draws: Draws) -> Survey:
    told = draws.answers.told(question, (Group(EVERYBODY, EVERYBODY), *groups))
    anew, places = draws.anew[question.item_id], [draws.groups.index(group) for group in groups]
    return Survey(
        shares=told.shares[1:],
        anew=anew[:, places],
        overall=told.shares[0],
        overall_anew=anew[:, draws.groups.index(Group(EVERYBODY, EVERYBODY))],
        sizes=(told.weight[:, 1:] > 0).sum(axis=0).astype(np.float64),
        spread=told.spread[1:],
    )


def _apart(source: _Source, survey: Survey, question: Question, rng: np.random.Generator) -> dict[str, Floats | None]:
    """By measure, the mean distance of a sample of single answers, by group; `share_distance` that of the shares."""
    drawn = apart(source.told.drawn(rng), survey.shares, ordered=question.ordered)
    means = {name: None if values is None else values.mean(axis=0) for name, values in drawn.items()}
    return means | {
        "share_distance": np.abs(source.told.shares - survey.shares).sum(axis=1) / 2,
        "squared_distance": source.squared,
    }


def _rows(
    name: str, source: _Source, found: Mapping[str, Floats | None], *, cells: Cells, survey: Survey
) -> Iterator[dict[str, Any]]:
    shares, spread = source.told.shares, source.told.spread
    told = source.told.weight.sum(axis=0) > 0
    for at, group in enumerate(cells.groups):
        if not told[at]:
            continue
        numbers = {
            **{key: None if values is None else _number(values[at]) for key, values in found.items()},
            **{f"floor_{key}": None if values is None else _number(values[at]) for key, values in cells.floors.items()},
        }
        band = floor_over([cells], [group], n=1)
        yield {
            "item_id": cells.item_id,
            "attribute": group.attribute,
            "level": group.level,
            "source": name,
            "n_survey": int(survey.sizes[at]),
            "n_personas": int(source.n[at]),
            **numbers,
            "floor_low": band.low,
            "floor_high": band.high,
            "spread": _number(spread[at]),
            "survey_spread": _number(survey.spread[at]),
            "shares": shares[at].tolist(),
            "survey_shares": survey.shares[at].tolist(),
            "answered": None if source.answered is None else float(source.answered[at]),
        }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _known(values: Floats | None) -> Floats:
    assert values is not None
    return values
