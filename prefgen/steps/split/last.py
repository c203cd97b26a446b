"""The last rows of everybody, held out: each has a cut of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from prefgen.errors import one_of
from prefgen.steps.context import Context
from prefgen.steps.split.moments import comparable
from prefgen.steps.split.names import split_name
from prefgen.steps.split.time import Time
from prefgen.steps.step import Summary
from prefgen.steps.table.glue import kept_of
from prefgen.store.table import Table

_TEST, _VALIDATION, _TIME = "_cut_test", "_cut_validation", "_time"


def last_of_each(
    table: Table,
    time: Time,
    per: str,
    held_out: Mapping[str, pl.Expr],
    context: Context,
    summary: Summary,
) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Gives parts of the table their `split`: the last kept rows of every value of `per` are held out, and what is of the same moment.

    Nothing of somebody's `train` is as late as what is held out of them. A dropped row goes by its moment. Those of whom nothing would
    be left in `train` are not cut.
    """
    if per not in table.schema:
        raise context.error(
            ("time", "per"), f"no column {per!r} in {table.name!r}", f"name {one_of(per, list(table.schema))}"
        )
    moment = comparable(table, time.column, context).alias(_TIME)
    cuts = _cuts(table, time, per, moment)
    uncut = cuts[_TEST].null_count()
    summary |= {"held_out_last": cuts.height - uncut, "too_few_rows": uncut}
    kind = pl.col(_TIME) >= pl.col(_TEST)
    named = split_name({**held_out, "time": kind.fill_null(value=False)})
    if time.validation is not None:
        middle = pl.col(_TIME) >= pl.col(_VALIDATION)
        named = pl.when(kind).then(pl.lit("test")).when(middle).then(pl.lit("validation")).otherwise(pl.lit("train"))

    def parted(frame: pl.DataFrame) -> pl.DataFrame:
        known = frame.with_columns(moment).join(cuts, on=per, how="left", maintain_order="left", nulls_equal=True)
        return frame.with_columns(known.select(named.alias("split"))["split"])

    return parted


def _cuts(table: Table, time: Time, per: str, moment: pl.Expr) -> pl.DataFrame:
    """For every value of `per` the moments from which rows are held out; null where nothing earlier would be left."""
    n = time.last or 0
    middle = time.validation if isinstance(time.validation, int) else 0
    rows = pl.concat(_kept(table, per, time.column, moment))
    late = pl.col(_TIME).sort(descending=True)
    first = pl.col(_TIME).min()
    begins = late.get(n - 1, null_on_oob=True).alias(_TEST)
    before = late.get(n + middle - 1, null_on_oob=True).alias(_VALIDATION)
    found = rows.group_by(per, maintain_order=True).agg(begins, before, first.alias("_first"))
    left = (pl.col(_VALIDATION) > pl.col("_first")).fill_null(value=False)
    return found.select(per, *(pl.when(left).then(pl.col(name)).alias(name) for name in (_TEST, _VALIDATION)))


def _kept(table: Table, per: str, column: str, moment: pl.Expr) -> list[pl.DataFrame]:
    dropped = ["reject_reason"] if "reject_reason" in table.schema else []
    frames = table.frames(list(dict.fromkeys([per, column, *dropped])))
    return [kept_of(frame).select(per, moment) for frame in frames]
