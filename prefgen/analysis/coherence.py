"""Whether a persona is one person across questions, or answers each as anybody of its group would."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefgen.analysis.compared import Draws
from prefgen.analysis.distance import Floats
from prefgen.analysis.panel import PERSONAS
from prefgen.analysis.survey import EVERYBODY, Group, Question
from prefgen.estimates import NOTHING, Estimate
from prefgen.seeds import rng_for

_ENDS = (0.01, 0.99)
_MOST_QUESTIONS, _MOST_DRAWS = 100, 400


def coherence_of(questions: Sequence[Question], draws: Draws) -> tuple[float | None, Estimate]:
    """How far answers of one persona hang together across questions, over how far those of one person do.

    1 like people; 0 where every answer might be somebody else's of the group, as of clones who all have its average. Taken
    along the one direction in which people of a group differ most: how much their places on it vary, less how much
    they would if questions had nothing to do with each other. The Estimate is of real respondents in the
    personas' place, with what 98 % of samples lie between. Nothing with fewer than two questions, or where
    people's answers do not hang together.
    """
    panel, answers = draws.panels[PERSONAS], draws.answers
    questions = [question for question in questions if question.item_id in panel.rows][:_MOST_QUESTIONS]
    members = {group: panel.members(group) for group in draws.groups if group.attribute != EVERYBODY}
    members = {
        group: mine
        for group, mine in members.items()
        if mine.sum() > 1 and answers.members(group).sum() >= answers.least
    }
    if len(questions) < 2 or not members:
        return None, NOTHING
    said = [_one_hot(answers.codes(question), len(question.levels)) for question in questions]
    values = _direction(said, list(members), draws)
    people = sum(
        _shared([p @ v for p, v in zip(said, values, strict=True)], answers.weight * answers.members(group))
        for group in members
    )
    if people <= 0:
        return None, NOTHING
    told = [_known(panel.told(question, [Group(EVERYBODY, EVERYBODY)])[0].p) for question in questions]
    mine = sum(
        _shared([p @ v for p, v in zip(told, values, strict=True)], who.astype(np.float64)) for who in members.values()
    )
    real = _of_stand_ins(questions, values, members, draws) / people
    low, high = np.quantile(real, _ENDS)
    return float(mine / people), Estimate(float(real.mean()), float(low), float(high), len(panel.ids))


def _of_stand_ins(
    questions: Sequence[Question], values: Sequence[Floats], members: dict[Group, NDArray[np.bool_]], draws: Draws
) -> Floats:
    """(draws,): what respondents in the personas' place share across questions, summed over groups."""
    rng = rng_for(draws.seed, "calibrate", "coherence")
    codes = [draws.stand_ins.said(question, rng)[:_MOST_DRAWS].astype(np.int8) for question in questions]
    known = [np.append(v, np.nan) for v in values]  # the place of -1, no answer, is the last
    found = np.zeros(len(codes[0]))
    for group, who in members.items():
        seats = draws.stand_ins.seats[group.attribute][who]
        found += _shared((v[told[:, seats]] for told, v in zip(codes, known, strict=True)), np.ones(len(seats)))
    return found


def _one_hot(codes: NDArray[np.int64], n_levels: int) -> Floats:
    """(people, levels); NaN for no answer."""
    return np.asarray(np.vstack([np.eye(n_levels), np.full(n_levels, np.nan)])[codes], dtype=np.float64)


def _known(p: Floats) -> Floats:
    """The same with NaN for people who said nothing."""
    return np.where(p.sum(axis=1, keepdims=True) > 0, p, np.nan)


def _direction(said: Sequence[Floats], groups: Sequence[Group], draws: Draws) -> list[Floats]:
    """By question, the value of each level along which the answers of one person go together most within groups."""
    sizes = [p.shape[1] for p in said]
    columns = np.concatenate(said, axis=1)
    found = np.zeros((columns.shape[1], columns.shape[1]))
    for group in groups:
        rows = draws.answers.members(group)
        weight, mine = draws.answers.weight[rows], columns[rows]
        there = ~np.isnan(mine) * weight[:, None]
        means = (there * np.nan_to_num(mine)).sum(axis=0) / np.maximum(there.sum(axis=0), 1e-300)
        centred = np.where(np.isnan(mine), 0.0, mine - means)
        found += (centred * weight[:, None]).T @ centred
    of = np.repeat(np.arange(len(sizes)), sizes)
    found[of[:, None] == of[None, :]] = 0.0  # levels of one question exclude each other, which says nothing of people
    return np.split(np.linalg.eigh(found)[1][:, -1], np.cumsum(sizes)[:-1])


def _shared(places: Iterable[Floats], weight: Floats) -> Floats:
    """(...): variance of the sum of what people say to each question, less the sum of the variances.

    places    by question, (..., people); NaN for no answer
    """
    parts = weight / weight.sum()
    total: Any = 0.0
    own: Any = 0.0
    for place in places:
        there = ~np.isnan(place) * parts
        value = np.nan_to_num(place)
        mean = (there * value).sum(axis=-1, keepdims=True) / np.maximum(there.sum(axis=-1, keepdims=True), 1e-300)
        off = np.where(np.isnan(place), 0.0, value - mean)
        total, own = total + off, own + (parts * off**2).sum(axis=-1)
    return np.asarray(((parts * total**2).sum(axis=-1) - own) / (1 - (parts**2).sum()))
