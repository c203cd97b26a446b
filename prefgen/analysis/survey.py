"""What respondents of a survey answered, by subgroup."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.analysis.distance import Floats
from prefgen.analysis.samples import Told
from prefgen.errors import UsageError
from prefgen.personas.levels import holds_levels, texts_of

_MOST_WEIGHT = 1e100  # more cannot be squared and added up

EVERYBODY = "(everybody)"
"""Attribute and level of the group that holds all respondents."""


@dataclass(frozen=True, slots=True)
class Question:
    """One item as the survey asked it.

    options    (option letter, level of the survey's answer as text); two options may mean the same level
    ordered    whether the levels have an order: that in which they appear in `options`
    """

    item_id: str
    column: str
    options: tuple[tuple[str, str], ...]
    ordered: bool = True

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels in their order, each once."""
        return tuple(dict.fromkeys(level for _, level in self.options))

    def by_level(self, shares: Floats) -> Floats:
        """Shares of options (the last axis) as shares of levels."""
        summed = np.zeros((*shares.shape[:-1], len(self.levels)))
        for option, (_, level) in enumerate(self.options):
            summed[..., self.levels.index(level)] += shares[..., option]
        return summed


@dataclass(frozen=True, slots=True)
class Group:
    """Respondents who have one level of one attribute."""

    attribute: str
    level: str


@dataclass(frozen=True, slots=True)
class SurveyAnswers:
    """A survey ready to be asked.

    by         survey column by persona attribute
    weight     survey weight of every respondent
    answers    by column, the level of every respondent as text; null = did not say
    """

    by: Mapping[str, str]
    weight: Floats
    answers: Mapping[str, pl.Series]
    least: int
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls,
        survey: pl.DataFrame,
        questions: Sequence[Question],
        by: Mapping[str, str],
        *,
        weight: str | None,
        least: int,
    ) -> SurveyAnswers:
        """The survey, its columns checked; UsageError names one that is missing or says nothing."""
        wanted = dict.fromkeys([*by.values(), *(question.column for question in questions)])
        for column in [*wanted, *([weight] if weight else [])]:
            _check_column(survey, column)
        answers = {column: texts_of(survey[column]) for column in wanted}
        for question in questions:
            if not answers[question.column].is_in(question.levels).any():
                seen = ", ".join(map(repr, answers[question.column].drop_nulls().unique().sort().head(8)))
                raise UsageError(
                    f"nobody in the survey answered {question.column!r} with one of {', '.join(map(repr, question.levels))}",
                    fix=f"the survey has {seen}",
                )
        weights = _weights(survey, weight)
        small = [
            f"{attribute} {level!r} has {count} respondents, fewer than {least}: not compared"
            for attribute, column in by.items()
            for level, count in answers[column].drop_nulls().value_counts(sort=True).iter_rows()
            if count < least
        ]
        return cls(dict(by), weights, answers, least, tuple(small))

    def groups(self, question: Question) -> Iterator[Group]:
        """Everybody, then every subgroup in which enough people answered the question."""
        for group in self.all_groups():
            if group.attribute == EVERYBODY or self.size(question, group) >= self.least:
                yield group

    def all_groups(self) -> tuple[Group, ...]:
        """Everybody, then every subgroup, however small."""
        levels = (
            (attribute, self.answers[column].drop_nulls().unique().sort()) for attribute, column in self.by.items()
        )
        return (Group(EVERYBODY, EVERYBODY), *(Group(attribute, level) for attribute, some in levels for level in some))

    def told(self, question: Question, groups: Sequence[Group]) -> Told:
        """What the respondents say to a question, by group."""
        codes = self.codes(question)
        p = np.eye(len(question.levels) + 1)[codes][:, :-1]
        answered = self.weight * (codes >= 0)
        return Told(p, np.stack([answered * self.members(group) for group in groups], axis=1))

    def size(self, question: Question, group: Group) -> int:
        """Respondents of the group who answered the question."""
        return int(self._rows(question, group).sum())

    def shares(self, question: Question, group: Group) -> Floats:
        """Weighted share of every level."""
        rows = self._rows(question, group)
        codes = self.codes(question)[rows]
        counts = np.bincount(codes, weights=self.weight[rows], minlength=len(question.levels))
        return np.asarray(counts / max(counts.sum(), 1e-300), dtype=np.float64)

    def lookup(self, questions: Sequence[Question], attribute: str) -> pl.DataFrame:
        """By item, level of the attribute and option: agreement (share of that answer) and modal (1 if the most frequent)."""
        rows = []
        for question in questions:
            for group in self.groups(question):
                if group.attribute == attribute:
                    shares = self.shares(question, group)
                    for letter, level in question.options:
                        share = float(shares[question.levels.index(level)])
                        rows.append((question.item_id, group.level, letter, share, float(share == shares.max())))
        schema = {
            "item_id": pl.String,
            "level": pl.String,
            "choice": pl.String,
            "agreement": pl.Float64,
            "modal": pl.Float64,
        }
        return pl.DataFrame(rows, schema=schema, orient="row")

    def codes(self, question: Question) -> NDArray[np.int64]:
        """Index of everyone's level; -1 for no answer, or one that no option means."""
        place = {level: index for index, level in enumerate(question.levels)}
        return self.answers[question.column].replace_strict(place, default=-1, return_dtype=pl.Int64).to_numpy()

    def members(self, group: Group) -> NDArray[np.bool_]:
        """Whether a respondent is of the group, by respondent."""
        if group.attribute == EVERYBODY:
            return np.ones(len(self.weight), dtype=np.bool_)
        told = self.answers[self.by[group.attribute]] == group.level
        return np.asarray(told.fill_null(False).to_numpy(), dtype=np.bool_)

    def _rows(self, question: Question, group: Group) -> NDArray[np.bool_]:
        return np.asarray((self.codes(question) >= 0) & self.members(group), dtype=np.bool_)


def _check_column(survey: pl.DataFrame, column: str) -> None:
    if column not in survey.columns:
        raise UsageError(f"the survey has no column {column!r}", fix=f"use one of {', '.join(survey.columns[:30])}")
    if not holds_levels(survey.schema[column]):
        raise UsageError(
            f"column {column!r} of the survey holds {survey.schema[column]}, not answers",
            fix="use columns with one text, number or truth value in each row",
        )


def _weights(survey: pl.DataFrame, column: str | None) -> Floats:
    if column is None:
        return np.ones(survey.height)
    if not survey.schema[column].is_numeric():
        raise UsageError(
            f"column {column!r} of the survey holds {survey.schema[column]}, not weights",
            fix="name a column of numbers",
        )
    weights = survey[column].cast(pl.Float64).fill_null(0.0).to_numpy()
    if not ((weights >= 0) & (weights < _MOST_WEIGHT)).all() or not weights.any():
        raise UsageError(
            f"survey weights in {column!r} must be 0 or more, not all 0, and less than {_MOST_WEIGHT:g}",
            fix="name another column",
        )
    return np.asarray(weights, dtype=np.float64)
