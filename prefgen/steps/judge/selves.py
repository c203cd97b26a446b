"""Judges without personas: each model answers as itself, and is a persona of its own name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import compress
from typing import TYPE_CHECKING

import polars as pl

from prefgen.judging.design import Design
from prefgen.judging.questionnaire import Questionnaire
from prefgen.personas.cast import PLAYED_BY
from prefgen.steps.people import are_models

if TYPE_CHECKING:
    from prefgen.steps.judge import Judge
    from prefgen.steps.judge.rank import Rank


def check_selves(step: Judge | Rank) -> None:
    """ValueError, with a `fix:` on its second line, where nobody is there to judge, or a model twice."""
    if not step.models and not step.as_:
        raise ValueError("a utility is somebody's\nfix: name personas with `as:`")
    if len(set(step.models)) < len(step.models):
        raise ValueError("a model stands twice\nfix: name each once, and write `repeats:`")


def by_model(step: Judge | Rank, asked: Questionnaire) -> Mapping[str, Questionnaire]:
    """What each model is asked: everything as all personas, or where they are the models, or each played by one, its own part."""
    if PLAYED_BY in asked.personas.columns:
        return {name: _part(asked, asked.personas[PLAYED_BY] == name) for name in step.models}
    if not are_models(asked.personas):
        return dict.fromkeys(step.models, asked)
    return {name: _part(asked, asked.personas["persona_id"] == name) for name in step.models}


def _part(asked: Questionnaire, mine: pl.Series) -> Questionnaire:
    """The part of some personas."""
    design = asked.design
    if design is not None:
        design = Design(tuple(rows for rows, is_mine in zip(design.items, mine, strict=True) if is_mine))
    said = asked.said if asked.said is None else tuple(compress(asked.said, mine))
    return replace(asked, personas=asked.personas.filter(mine), design=design, said=said)
