"""Subgroups of one question, resampled: how far personas are from the survey, and real respondents in their place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prefgen.analysis.distance import Floats
from prefgen.analysis.samples import Told, apart, expected_apart, shares_of, spread_of
from prefgen.analysis.survey import Group, Question


@dataclass(frozen=True, slots=True)
class Cells:
    """Subgroups of one question, each resampled. The first axis is draws; line 0 of `1 + draws` is what was found.

    groups      the subgroups, along the second axis
    floor       (draws, groups): total variation of real respondents in the personas' place from the survey drawn anew:
                that of people whom the survey did not ask
    within      (draws, groups): the same from the survey that they are part of, so it is smaller; 0 where all are drawn
    floors      by measure, its mean over the draws, by group; None for rank_distance of unordered levels
    people_spread     (draws, groups): chance that two of those respondents differ
    distance    (1 + draws, groups): total variation of one answer a persona
    spread      (groups,): chance that two personas differ; NaN with one persona
    survey_spread     (groups,): chance that two respondents of the survey differ
    squared, overall, nobody    (1 + draws, groups): squared distance of shares, freed of what sampling adds, of the
                personas, of the whole survey, and of the judge without a persona (None where that was not asked)
    """

    item_id: str
    groups: tuple[Group, ...]
    floor: Floats
    within: Floats
    floors: dict[str, Floats | None]
    people_spread: Floats
    distance: Floats
    spread: Floats
    survey_spread: Floats
    squared: Floats
    overall: Floats
    nobody: Floats | None


@dataclass(frozen=True, slots=True)
class Survey:
    """What the survey says to one question.

    shares, anew            (groups, levels), and (draws, groups, levels) had others been asked
    overall, overall_anew   (levels,), (draws, levels): of all respondents
    sizes                   (groups,): respondents who answered
    spread                  (groups,): chance that two respondents differ
    """

    shares: Floats
    anew: Floats
    overall: Floats
    overall_anew: Floats
    sizes: Floats
    spread: Floats


def cells_of(
    question: Question,
    groups: Sequence[Group],
    survey: Survey,
    *,
    personas: Told,
    nobody: Floats | None,
    said: dict[str, Any],
    often: Floats,
    distance: Floats,
) -> Cells:
    """The subgroups of one question with their draws.

    nobody      (levels,): the judge without a persona
    said        by attribute, (draws, personas): the levels that stand-ins named
    often       (draws, personas): how often each persona counts
    distance    (groups,): total variation found
    """
    real, real_spread = _of_stand_ins(question, groups, personas.weight, said)
    found = apart(real, survey.anew, ordered=question.ordered)
    floor = found["total_variation"]
    assert floor is not None
    error = np.sqrt(np.maximum(_variance_of_answers(personas), 0))
    again = _reweighted(personas, often)
    anew = survey.anew
    return Cells(
        item_id=question.item_id,
        groups=tuple(groups),
        floor=floor,
        within=_within(real, survey, personas),
        floors={name: None if values is None else values.mean(axis=0) for name, values in found.items()},
        people_spread=real_spread,
        distance=_centred(expected_apart(again, anew, error), distance),
        spread=personas.spread,
        survey_spread=survey.spread,
        squared=_centred(_squared(again - anew), squared_distance(personas.shares, survey, personas)),
        overall=_centred(_squared(survey.overall_anew[:, None] - anew), squared_of_overall(survey)),
        nobody=None if nobody is None else _centred(_squared(nobody - anew), squared_distance(nobody, survey)),
    )


def squared_distance(shares: Floats, survey: Survey, told: Told | None = None) -> Floats:
    """By group, squared distance from the survey's shares less what sampling adds: on average that of the truths.

    told    the people behind `shares`, whose sampling counts too; None for shares that are known
    """
    noise = survey.anew.var(axis=0).sum(axis=1) + (0.0 if told is None else told.variance_of_shares)
    return np.asarray(_squared(shares - survey.shares) - noise)


def squared_of_overall(survey: Survey) -> Floats:
    """`squared_distance` of the whole survey, which the group is part of."""
    noise = (survey.overall_anew[:, None] - survey.anew).var(axis=0).sum(axis=1)
    return np.asarray(_squared(survey.overall - survey.shares) - noise)


def _squared(gaps: Floats) -> Floats:
    return np.asarray((gaps**2).sum(axis=-1))


def _centred(drawn: Floats, found: Floats) -> Floats:
    """What was found, then draws around it: resampling adds noise to a distance, which is not the distance's own."""
    return np.concatenate([found[None], drawn - drawn.mean(axis=0) + found])


def _within(real: Floats, survey: Survey, personas: Told) -> Floats:
    """`Cells.within`: respondents are drawn with replacement, and those of the survey would be drawn without."""
    drawn = (personas.weight > 0).sum(axis=0) / survey.sizes
    return np.asarray(np.abs(real - survey.shares).sum(axis=2) / 2 * np.sqrt(np.maximum(0.0, 1 - drawn)))


def _of_stand_ins(
    question: Question, groups: Sequence[Group], weight: Floats, said: dict[str, Any]
) -> tuple[Floats, Floats]:
    """(draws, groups, levels) shares, and (draws, groups) spread, of the respondents in the personas' place."""
    shares, spreads, n_levels = [], [], len(question.levels)
    for place, group in enumerate(groups):
        of = weight[:, [place]]
        here = np.flatnonzero(of[:, 0] > 0)
        codes = said[group.attribute][:, here]
        shares.append(shares_of(codes, of[here], n_levels))
        spreads.append(spread_of(codes, of[here], n_levels))
    return np.concatenate(shares, axis=1), np.concatenate(spreads, axis=1)


def _variance_of_answers(told: Told) -> Floats:
    """(groups, levels): variance of the shares when everybody gives one answer, drawn from their probabilities."""
    return np.asarray((told.parts**2).T @ (told.p * (1 - told.p)))


def _reweighted(told: Told, often: Floats) -> Floats:
    """(draws, groups, levels): mean probabilities when people count so often."""
    found = np.stack([(often * told.weight[:, place]) @ told.p for place in range(told.weight.shape[1])], axis=1)
    return np.asarray(found / np.maximum(found.sum(axis=2, keepdims=True), 1e-300))
