"""Rows drawn by their weight, for trainers that read none: a row stands in the data as often as it weighs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from prefgen.seeds import rng_for


@dataclass(frozen=True, slots=True)
class Weighing:
    """What the weights of the rows that are trained on come to.

    n        rows
    total    of their weights
    squares  of their weights, summed
    """

    n: int
    total: float
    squares: float

    @property
    def effective(self) -> float:
        """Effective sample size: of so many rows of equal weight the mean would be as certain. Source: Kish 1965."""
        return self.total**2 / self.squares if self.squares > 0 else 0.0


def weighed(frames: Iterator[pl.DataFrame]) -> Weighing:
    """What the weights come to; of split rows those of `train`."""
    n, total, squares = 0, 0.0, 0.0
    for frame in frames:
        weight = _trained_on(frame)["weight"].fill_null(0.0)
        n += weight.len()
        total += float(weight.sum())
        squares += float((weight**2).sum())
    return Weighing(n, total, squares)


def resampled(frames: Callable[[], Iterator[pl.DataFrame]], seed: int, name: str) -> Iterator[pl.DataFrame]:
    """The rows of `train` drawn with a chance in proportion to their weight, as many as there are; all others as they are.

    frames    the rows, part by part, the same each time: the weights are summed first

    Drawn systematically: a row whose weight is w times the mean stands there floor(w) or ceil(w) times, beside each other, and
    its `weight` is then 1, so that no trainer counts it twice. The first frame may be empty.
    """
    found = weighed(frames())
    if found.total <= 0:
        yield from frames()
        return
    start, passed = rng_for(seed, "resample", name).random(), 0.0
    for frame in frames():
        trained_on = _is_trained_on(frame)
        weight = np.where(trained_on, frame["weight"].fill_null(0.0).to_numpy(), 0.0)
        upto = passed + np.cumsum(
            weight / found.total * found.n
        )  # in this order: n / total of tiny weights is infinite
        copies = np.floor(upto + start) - np.floor(np.r_[passed, upto[:-1]] + start)
        passed = float(upto[-1]) if len(upto) else passed
        times = np.where(trained_on, copies, 1).astype(np.int64)
        rows = np.repeat(np.arange(frame.height), times)
        drawn = pl.Series(trained_on[rows], dtype=pl.Boolean)
        yield frame[rows].with_columns(pl.when(drawn).then(1.0).otherwise("weight").alias("weight"))


def _is_trained_on(frame: pl.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    if "split" not in frame.columns:
        return np.ones(frame.height, dtype=bool)
    return (frame["split"].fill_null("train") == "train").to_numpy()


def _trained_on(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.Series(_is_trained_on(frame), dtype=pl.Boolean))
