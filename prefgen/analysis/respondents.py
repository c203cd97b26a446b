"""What real people would score: respondents drawn in the place of personas, and the survey drawn anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.analysis.distance import Floats
from prefgen.analysis.survey import EVERYBODY, Group, Question, SurveyAnswers

Indices = NDArray[np.int64]

_ENOUGH = 10  # respondents with all attributes of a persona, so that drawing among them varies as people do
_AT_ONCE = 50  # surveys drawn anew at the same time


@dataclass(frozen=True, slots=True)
class StandIns:
    """One real respondent for every persona, drawn with the survey's weights, many times over.

    The respondent has the persona's levels of all attributes and answers for it in all of them and to every question, so
    that answers hang together as they do in people. Where the survey has fewer than ten such respondents, one is
    drawn for each attribute alone. Where one did not answer, another of the same kind does. For
    everybody, anybody stands in.

    seats    by attribute, each persona's column in `picked`
    pools    rows of the survey that may sit there, by kind of seat
    kinds    kind of every seat
    picked   (draws, seats): row of the survey; -1 where nobody is of that kind
    """

    answers: SurveyAnswers
    seats: Mapping[str, Indices]
    pools: tuple[Indices, ...]
    kinds: Indices
    picked: Indices

    @classmethod
    def drawn(
        cls,
        answers: SurveyAnswers,
        questions: Sequence[Question],
        levels: pl.DataFrame,
        *,
        rng: np.random.Generator,
        draws: int,
    ) -> StandIns:
        """Stand-ins for personas with these levels (a row a persona, a column an attribute of the survey's `by`)."""
        told = np.logical_or.reduce([answers.codes(question) >= 0 for question in questions])
        able = told & (answers.weight > 0)
        pools: list[Indices] = [np.flatnonzero(able)]
        kind_of: dict[tuple[tuple[str, str | None], ...], int] = {(): 0}

        def kind(*wanted: tuple[str, str | None]) -> int:
            if wanted not in kind_of:
                kind_of[wanted] = len(pools)
                pools.append(np.flatnonzero(able & _who_are(answers, wanted)))
            return kind_of[wanted]

        seats: dict[str, list[int]] = {EVERYBODY: [], **{attribute: [] for attribute in answers.by}}
        kinds: list[int] = []
        for row in levels.select(list(answers.by)).iter_rows(named=True):
            seats[EVERYBODY].append(len(kinds))
            kinds.append(0)
            whole = kind(*row.items())
            if len(pools[whole]) >= _ENOUGH:
                for attribute in row:
                    seats[attribute].append(len(kinds))
                kinds.append(whole)
                continue
            for one in row.items():
                seats[one[0]].append(len(kinds))
                kinds.append(kind(one))
        found = np.array(kinds, dtype=np.int64)
        picked = _picked(answers.weight, pools, found, rng, draws)
        at = {attribute: np.array(columns, dtype=np.int64) for attribute, columns in seats.items()}
        return cls(answers, at, tuple(pools), found, picked)

    def said(self, question: Question, rng: np.random.Generator) -> Indices:
        """(draws, seats): index of the level answered; -1 where nobody of the kind answered."""
        codes = self.answers.codes(question)
        said = np.where(self.picked >= 0, codes[self.picked], -1)
        for kind in np.unique(self.kinds[(said < 0).any(axis=0)]):
            able = self.pools[kind][codes[self.pools[kind]] >= 0]
            silent = (said < 0) & (self.kinds == kind)
            if len(able):
                said[silent] = codes[_among(able, self.answers.weight, rng.random(int(silent.sum())))]
        return said


def _who_are(answers: SurveyAnswers, wanted: Sequence[tuple[str, str | None]]) -> NDArray[np.bool_]:
    found = np.ones(len(answers.weight), dtype=np.bool_)
    for attribute, level in wanted:
        found &= answers.members(Group(attribute, level)) if level is not None else False
    return found


def _picked(weight: Floats, pools: Sequence[Indices], kinds: Indices, rng: np.random.Generator, draws: int) -> Indices:
    picked = np.full((draws, len(kinds)), -1, dtype=np.int64)
    for kind in np.unique(kinds):
        if len(pools[kind]):
            columns = np.flatnonzero(kinds == kind)
            picked[:, columns] = _among(pools[kind], weight, rng.random((draws, len(columns))))
    return picked


def _among(rows: Indices, weight: Floats, at: Floats) -> Indices:
    """The row at each place (0 to 1) when rows are laid side by side, as wide as they weigh."""
    edges = np.cumsum(weight[rows])
    return np.asarray(rows[np.searchsorted(edges, at * edges[-1], side="right").clip(max=len(rows) - 1)], np.int64)


def drawn_anew(
    answers: SurveyAnswers,
    questions: Sequence[Question],
    groups: Sequence[Group],
    *,
    rng: np.random.Generator,
    draws: int,
) -> dict[str, Floats]:
    """By item: (draws, groups, levels), shares in the survey had other people of the same kind been asked.

    Every respondent counts as often as a Poisson draw of mean one says, with the survey's weight, the same in all
    groups and questions.
    """
    answered = [np.eye(len(question.levels) + 1)[answers.codes(question)][:, :-1] for question in questions]
    columns = np.concatenate(answered, axis=1)
    members = [np.flatnonzero(answers.members(group)) for group in groups]
    counts = np.empty((draws, len(groups), columns.shape[1]))
    for part in _parts(draws):
        often = rng.poisson(1.0, (part.stop - part.start, len(answers.weight))) * answers.weight
        for place, rows in enumerate(members):
            counts[part, place] = often[:, rows] @ columns[rows]
    found, start = {}, 0
    for question in questions:
        mine = counts[:, :, start : start + len(question.levels)]
        start += len(question.levels)
        found[question.item_id] = mine / np.maximum(mine.sum(axis=2, keepdims=True), 1e-300)
    return found


def _parts(draws: int) -> Iterator[slice]:
    for start in range(0, draws, _AT_ONCE):
        yield slice(start, min(start + _AT_ONCE, draws))
