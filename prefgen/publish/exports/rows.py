"""From a preset and its source to frames: which builder makes which grain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import polars as pl

from prefgen.judging.aggregate import preferences
from prefgen.publish.exports import battle, candidate, dialogue, history, pair
from prefgen.publish.exports.beside import Beside
from prefgen.publish.exports.critique import critiques
from prefgen.publish.exports.interactions import interactions
from prefgen.publish.exports.presets import Preset, Unit
from prefgen.publish.exports.source import Source
from prefgen.publish.public import public_rows
from prefgen.schemas import LETTERS

Build = Callable[[Preset, Source], Iterator[pl.DataFrame]]

_LETTER = dict(enumerate(LETTERS))


def _as_it_is(_: Preset, source: Source) -> Iterator[pl.DataFrame]:
    return map(public_rows, source.judgments())


def _preferences(_: Preset, source: Source) -> Iterator[pl.DataFrame]:
    return (preferences(frame) for frame in source.judgments())


def _rows(_: Preset, source: Source) -> Iterator[pl.DataFrame]:
    return map(public_rows, source.rows())


BUILDERS: Mapping[Unit, Build] = {
    "judgment": _as_it_is,
    "preference": _preferences,
    "pair": pair.rows,
    "candidate": candidate.rows,
    "battle": battle.rows,
    "row": _rows,
    "history": history.histories,
    "question": history.questions,
    "critique": critiques,
    "dialogue": dialogue.dialogues,
}


def rows_of(preset: Preset, source: Source) -> Iterator[pl.DataFrame]:
    """The rows of an export, part by part; at least one frame, so that its schema is known even without a row."""
    if preset.unit == "candidate" and source.details is not None and source.details.of_rows:
        return interactions(source, source.details)
    return BUILDERS[preset.unit](preset, source)


def rows_beside(what: str, beside: Beside) -> Iterator[pl.DataFrame]:
    """The config `personas` or `items`; `neither` is the letter of an option, as in the judgments."""
    named = pl.col("neither").replace_strict(_LETTER, default=None, return_dtype=pl.String)
    return (frame.with_columns(named) if "neither" in frame.columns else frame for frame in beside.rows(what))
