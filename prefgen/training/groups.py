"""Real people as what a model is to be like: those of one group learn it, and people held out say whether it did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl

from prefgen.errors import UsageError, one_of
from prefgen.face import Run, open_run
from prefgen.training.data import Aligning, Floats, pairs_of, questions_of, usable_answers

_PORTRAITS = 8
"""People of the target's group whose portraits role-play is asked with."""


def read_group(run: str | Path, by: str, target: str, *, export: str = "dpo") -> Aligning:
    """From a run with an export of pairs without portraits, a split by persona, and `preferences`.

    by        column of the personas; everybody with one value of it is a group
    target    the value of the group to align with

    A group answers as its people do together, by their weights. Everything to learn is of the people of `train`, everything to measure by of
    those of `test`. Raises UsageError where something is missing, or there is no such group; FileError where there is no finished run.
    """
    found = open_run(run)
    people = _people(found, by, target)
    train, test = (pairs_of(found, export, split) for split in ("train", "test"))
    check_split_by_person(run, train, test)
    answers = usable_answers(found).join(people.select("persona_id", "group"), on="persona_id")
    mine = people.filter(group=target)
    sides = [side.filter(pl.col("persona_id").is_in(mine["persona_id"].implode())) for side in (train, test)]
    if not all(side.height for side in sides):
        raise UsageError(
            f"{run}: people of {target!r} have {sides[0].height} pairs of train and {sides[1].height} of test",
            fix="name a larger group, or hold out more people",
        )
    learned, held = (_together(answers, side["persona_id"]) for side in (train, test))
    groups = sorted(people["group"].unique())
    aligning = Aligning(
        target,
        portraits={name: _portraits(mine, sides[1]) if name == target else () for name in groups},
        train=sides[0],
        test=sides[1],
        questions=questions_of(found, held, sides[1]),
        choices=_majorities(answers, train["persona_id"]),
        learned={one.item_id: one.p[target] for one in questions_of(found, learned, sides[1]) if target in one.p},
    )
    return replace(aligning, train=aligning.weighed(1.0, 1.0))


def check_split_by_person(run: str | Path, train: pl.DataFrame, test: pl.DataFrame) -> None:
    """UsageError where somebody has pairs in both."""
    shared = set(train["persona_id"]) & set(test["persona_id"])
    if shared:
        raise UsageError(f"{run}: {len(shared)} people are in train and test", fix="`split` the pairs by persona")


def _people(run: Run, by: str, target: str) -> pl.DataFrame:
    """persona_id, text, group, of everybody with a group."""
    people = run.personas.filter(pl.col("control").is_null()).collect()
    if by not in people.columns:
        raise UsageError(f"{run.path}: personas have no column {by!r}", fix=f"name {one_of(by, people.columns)}")
    told = people.select("persona_id", "text", group=pl.col(by).cast(pl.String)).drop_nulls("group")
    groups = sorted(told["group"].unique())
    if target not in groups:
        raise UsageError(f"{run.path}: no {by} {target!r}", fix=f"name {one_of(target, groups)}")
    return told


def _portraits(people: pl.DataFrame, held: pl.DataFrame) -> tuple[str, ...]:
    """Of people held out, drawn at random; one text once."""
    texts = people.filter(pl.col("persona_id").is_in(held["persona_id"].implode())).drop_nulls("text")["text"]
    return tuple(texts.unique(maintain_order=True).sample(fraction=1.0, shuffle=True, seed=0).head(_PORTRAITS))


def _of(answers: pl.DataFrame, people: Iterable[str]) -> pl.DataFrame:
    return answers.filter(pl.col("persona_id").is_in(pl.Series(people).unique().implode()))


def _together(answers: pl.DataFrame, people: Iterable[str]) -> pl.DataFrame:
    """Of each group and question the mean of its people's probabilities, by their weights: persona_id (the group), item_id, p_A ..."""
    p, weight = pl.selectors.matches("^p_[A-Z]+$"), pl.col("weight").fill_null(1.0)
    mean = (p * weight).sum() / weight.sum()
    return _of(answers, people).group_by(persona_id="group", item_id="item_id").agg(mean).sort("persona_id", "item_id")


def _majorities(answers: pl.DataFrame, people: Iterable[str]) -> pl.DataFrame:
    """What most of a group's people choose, by their weights: persona_id (the group), item_id, choice; the first in the alphabet of several."""
    chosen = _of(answers, people).drop_nulls("choice").group_by("group", "item_id", "choice")
    counted = chosen.agg(votes=pl.col("weight").fill_null(1.0).sum()).sort(
        "group", "item_id", "votes", "choice", descending=[False, False, True, False]
    )
    return counted.unique(["group", "item_id"], keep="first", maintain_order=True).select(
        "item_id", "choice", persona_id="group"
    )


def learned_answers(aligning: Aligning) -> Mapping[str, Floats]:
    """What the target's people of `train` answer. UsageError where the target is no group."""
    if aligning.learned is None:
        raise UsageError("`people` needs real people: a group of them, and others held out", fix="add --by COLUMN")
    return aligning.learned
