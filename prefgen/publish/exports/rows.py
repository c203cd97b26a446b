"""From a preset and its source to frames: which builder makes which grain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import polars as pl

from prefgen.judging.aggregate import preferences
from prefgen.publish.exports import battle, candidate, pair
from prefgen.publish.exports.presets import Preset, Unit
from prefgen.publish.exports.source import Source

Build = Callable[[Preset, Source], Iterator[pl.DataFrame]]


def _as_it_is(_: Preset, source: Source) -> Iterator[pl.DataFrame]:
    return source.judgments()


def _preferences(_: Preset, source: Source) -> Iterator[pl.DataFrame]:
    return (preferences(frame) for frame in source.judgments())


BUILDERS: Mapping[Unit, Build] = {
    "judgment": _as_it_is,
    "persona": _as_it_is,
    "item": _as_it_is,
    "preference": _preferences,
    "pair": pair.rows,
    "candidate": candidate.rows,
    "battle": battle.rows,
}


def rows_of(preset: Preset, source: Source) -> Iterator[pl.DataFrame]:
    """The rows of an export, part by part; at least one frame, so that its schema is known even without a row."""
    return BUILDERS[preset.unit](preset, source)
