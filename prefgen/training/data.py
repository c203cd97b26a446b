"""What a run has to train on and to be measured by: the target's pairs, and everybody's answers to the questions held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.errors import UsageError, one_of
from prefgen.face import Run, open_run
from prefgen.schemas import LETTERS
from prefgen.steps.weigh import tier_weights, tiers

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Question:
    """A question to be measured by, and what each persona answers: `p[persona]`, one number an option, summing to 1."""

    item_id: str
    prompt: str
    options: tuple[str, ...]
    p: Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class Aligning:
    """Everything to align a model with one persona and to see whether it is.

    target       the persona, or a group of people
    portraits    text of every persona; of a group those of some of its people
    train        the target's pairs: item_id, prompt, chosen, rejected (conversations), weight
    test         those of its pairs that were held out
    questions    the questions of `test`, with everybody's answers
    choices      everybody's choices on the questions of `train`: persona_id, item_id, choice
    learned      of a group: what its people of `train` answer, by item_id, one number an option
    """

    target: str
    portraits: Mapping[str, tuple[str, ...]]
    train: pl.DataFrame
    test: pl.DataFrame
    questions: Sequence[Question]
    choices: pl.DataFrame
    learned: Mapping[str, Floats] | None = None

    @property
    def personas(self) -> tuple[str, ...]:
        """All personas, the target first."""
        return (self.target, *(name for name in self.portraits if name != self.target))

    def weighed(self, alpha: float, beta: float) -> pl.DataFrame:
        """`train` with the weights of `weigh: tier` for these exponents, over the questions of `train` alone."""
        n = len(self.portraits)
        weights = tier_weights(tiers(self.choices, n), n, alpha=alpha, beta=beta).filter(persona_id=self.target)
        return self.train.drop("weight").join(
            weights.select("item_id", "weight"), on="item_id", how="left", maintain_order="left"
        )

    def some(self, n: int | None, *, seed: int) -> Aligning:
        """With at most `n` pairs to train on, drawn at random."""
        if n is None or n >= self.train.height:
            return self
        return replace(self, train=self.train.sample(n, seed=seed))


def read_aligning(run: str | Path, target: str, *, export: str = "dpo") -> Aligning:
    """From a run with an export of pairs without portraits, a split by question, and `preferences`.

    Raises UsageError where one of them is missing, or there is no such persona; FileError where there is no finished run.
    """
    found = open_run(run)
    personas = found.personas.filter(pl.col("control").is_null()).select("persona_id", "text").collect()
    portraits = {name: (text,) for name, text in personas.iter_rows()}
    if target not in portraits:
        raise UsageError(f"{run}: no persona {target!r}", fix=f"name {one_of(target, list(portraits))}")
    train, test = (pairs_of(found, export, split).filter(persona_id=target) for split in ("train", "test"))
    if not (train.height and test.height):
        raise UsageError(
            f"{run}: {target!r} has {train.height} pairs of train and {test.height} of test in {export!r}",
            fix="`split` the pairs by question (`by: [item]`, or a column of the questions)",
        )
    both = set(train["item_id"]) & set(test["item_id"])
    if both:
        raise UsageError(f"{run}: {len(both)} questions are in train and test", fix="`split` the pairs by question")
    answers = usable_answers(found).filter(pl.col("persona_id").is_in(list(portraits)))
    return Aligning(
        target,
        portraits,
        train,
        test,
        questions_of(found, answers, test),
        answers.filter(pl.col("item_id").is_in(train["item_id"].unique().implode()), pl.col("choice").is_not_null()),
    )


def pairs_of(run: Run, export: str, split: str) -> pl.DataFrame:
    """Pairs of an export: persona_id, item_id, prompt, chosen, rejected, weight (1 where the export has none).

    Raises UsageError for a column that is missing, or a portrait in a prompt.
    """
    rows = run.data(export, split).collect()
    missing = [name for name in ("persona_id", "item_id", "prompt", "chosen", "rejected") if name not in rows.columns]
    if missing:
        raise UsageError(f"{run.path}: {export!r} has no column {missing[0]!r}", fix="name an export `dpo`")
    if any(turn["role"] == "system" for row in rows["prompt"] for turn in row):
        raise UsageError(
            f"{run.path}: the prompts of {export!r} have the portrait in them",
            fix="export `dpo: {context: none}`: the model is to become the persona, and not to be told of it",
        )
    weight = pl.col("weight").fill_null(0.0) if "weight" in rows.columns else pl.lit(1.0)
    return rows.select("persona_id", "item_id", "prompt", "chosen", "rejected", weight=weight.cast(pl.Float64))


def usable_answers(run: Run) -> pl.DataFrame:
    """Everybody's preferences that no rule rejected."""
    return run.preferences.filter(pl.col("reject_reason").is_null()).collect()


def questions_of(run: Run, answers: pl.DataFrame, test: pl.DataFrame) -> list[Question]:
    """The questions of the pairs `test`, with the `answers` (persona_id, item_id, p_A ...)."""
    names = [name for letter in LETTERS if (name := f"p_{letter}") in answers.columns]
    told: dict[str, dict[str, Floats]] = {}
    for row in answers.select("item_id", "persona_id", *names).iter_rows():
        told.setdefault(row[0], {})[row[1]] = np.array(row[2:], np.float64)
    held = (
        run.items.select("item_id", "prompt", "options")
        .collect()
        .filter(pl.col("item_id").is_in(test["item_id"].unique().implode()))
    )
    found = []
    for item, prompt, options in held.iter_rows():
        p = {
            name: shares
            for name, all_ in told.get(item, {}).items()
            if (shares := _shares(all_, len(options))) is not None
        }
        found.append(Question(item, prompt, tuple(options), p))
    return found


def _shares(p: Floats, n: int) -> Floats | None:
    """Among the options alone: neither a tie nor what does not apply is a text that a model could write."""
    total = np.nansum(p[:n])
    return np.nan_to_num(p[:n]) / total if total > 0 and not np.isnan(p[:n]).all() else None


def rows_of(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """As TRL's datasets are made of: conversations as lists of role and content."""
    return frame.drop("persona_id", "item_id").to_dicts()
