"""How judgments become the arrays of a matrix, part by part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.records import Status

if TYPE_CHECKING:
    from prefgen.analysis.response_matrix import ResponseMatrix

STATUSES: tuple[str, ...] = get_args(Status)


def with_rest(matrix: ResponseMatrix, rows: pl.DataFrame) -> ResponseMatrix:
    """The matrix with a last column of `p` for what is on `tie` and `na`, once rows have such."""
    if matrix.p.shape[2] > len(matrix.options) or not {"p_tie", "p_na"} & set(rows.columns):
        return matrix
    return replace(matrix, p=np.concatenate([matrix.p, 0 * matrix.p[:, :, :1]], axis=2))


def fill_choices(matrix: ResponseMatrix, rows: pl.DataFrame) -> None:
    """One answer a persona and item: the measures stand on each of its judgments, so the first will do."""
    one = rows.unique(["k", "i"], keep="first", maintain_order=True)
    k, i = one["k"].to_numpy(), one["i"].to_numpy()
    chosen = _index_of(one["item_choice"], matrix.options)
    matrix.choice[k, i] = chosen
    if "reject_reason" in rows.columns:
        held = rows.filter(pl.col("reject_reason").is_null())
        matrix.kept[k, i] = False
        matrix.kept[held["k"].to_numpy(), held["i"].to_numpy()] = True
    matrix.bias[k, i] = one["position_bias"].cast(pl.Float32).fill_null(np.nan).to_numpy()
    matrix.p[k, i] = probabilities_of(one, matrix)
    counts = rows.group_by("k", "i", "status").len()
    found = counts.filter(pl.col("status").is_in(STATUSES))
    where = _index_of(found["status"], STATUSES)
    matrix.statuses[found["k"].to_numpy(), found["i"].to_numpy(), where] = found["len"].clip(0, 255).to_numpy()


def probabilities_of(rows: pl.DataFrame, matrix: ResponseMatrix) -> NDArray[np.float32]:
    """(rows, columns of `ResponseMatrix.p`) from p_<option>, p_tie and p_na, NaN without an answer.

    Where there are none but a choice (`item_choice`), all of the mass is on it.
    """
    width = matrix.p.shape[2]
    p = np.full((rows.height, width), np.nan, np.float32)
    names = [(place, f"p_{letter}") for place, letter in enumerate(matrix.options) if f"p_{letter}" in rows.columns]
    rest = [name for name in ("p_tie", "p_na") if name in rows.columns and width > len(matrix.options)]
    if names:
        found = rows.select(name for _, name in names).cast(pl.Float32).fill_null(np.nan).to_numpy()
        read = ~np.isnan(found).all(axis=1)
        p[read] = 0.0
        p[np.ix_(read, [place for place, _ in names])] = np.nan_to_num(found[read])
        if rest:
            p[read, -1] = rows.select(pl.sum_horizontal(rest)).to_series().to_numpy()[read]
    chosen = _index_of(rows["item_choice"], matrix.options)
    bare = np.isnan(p).any(axis=1) & (chosen >= 0)
    p[bare] = np.eye(width, dtype=np.float32)[chosen[bare]]
    return p


def fill_slots(matrix: ResponseMatrix, rows: pl.DataFrame) -> None:
    """Where verdicts stood: how many named the first slot, and how many are another option when the order changed."""
    heard = rows.filter(pl.col("choice").is_not_null() & pl.col("slot").is_not_null())
    chosen = pl.Series("chosen", _index_of(heard["choice"], matrix.options), pl.Int64)
    heard = heard.select("k", "i", "repeat", "order", "slot").with_columns(chosen)
    counted = heard.group_by("k", "i").agg(verdicts=pl.len(), first=(pl.col("slot") == "A").sum())
    _add(matrix.verdicts, counted, "verdicts")
    _add(matrix.first, counted, "first")
    foremost = pl.col("order") == pl.col("order").first().over("k", "i")
    base = heard.filter(foremost).select("k", "i", "repeat", "chosen")
    both = heard.filter(~foremost).join(base, on=["k", "i", "repeat"], how="inner", suffix="_base")
    changed = pl.col("chosen") != pl.col("chosen_base")
    compared = both.group_by("k", "i").agg(pairs=pl.len(), changed=changed.sum())
    _add(matrix.pairs, compared, "pairs")
    _add(matrix.changed, compared, "changed")


def _add(to: NDArray[np.uint8], counted: pl.DataFrame, name: str) -> None:
    to[counted["k"].to_numpy(), counted["i"].to_numpy()] = counted[name].clip(0, 255).to_numpy()


def _index_of(names: pl.Series, of: Sequence[str]) -> NDArray[np.int8]:
    """Place of each name in `of`, -1 for null or a stranger."""
    places = {name: place for place, name in enumerate(of)}
    return names.cast(pl.String).replace_strict(places, default=-1, return_dtype=pl.Int8).to_numpy()
