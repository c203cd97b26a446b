"""Row groups that a condition cannot hold in are not fetched, and no row is lost by it."""

from __future__ import annotations

import io
from datetime import date
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefgen.publish.hub.skipping import Range, may_hold, ranges_of

KNOWN = {
    "n": Range(5, 9),
    "who": Range("fay", "mia"),
    "p": Range(0.1, 0.5),
    "night": Range(date(2026, 1, 1), date(2026, 2, 1)),
}


@pytest.mark.parametrize(
    "where",
    [
        "n > 9",
        "n < 5",
        "n = 4",
        "9 < n",
        "n in (1, 2)",
        "n > 9.5",
        "n between 10 and 12",
        "who = 'zoe'",
        "who in ('ann', 'zoe')",
        "p > 0.9",
        "p > 1",
        "0.6 < p",
        "p between 0.6 and 0.8",
        "night >= DATE '2026-03-01'",
        "n > 9 and who = 'gus'",
        "n > 9 or p > 0.9",
        '"n" = 4',
    ],
)
def test_a_group_that_holds_no_such_row_is_left_out(where: str) -> None:
    assert not may_hold(pl.sql_expr(where), KNOWN)


@pytest.mark.parametrize(
    "where",
    [
        "n >= 9",
        "n <= 5",
        "n > -1",
        "9 <= n",
        "n in (1, 6)",
        "p >= 0.5",
        "who = 'it''s'",
        "n > 9 or who = 'gus'",
        "not n > 9",
        "n <> 5",
        "n is null",
        "n > p",
        "n + 100 < 5",
        "other = 3",
        "who > 3",
        "who like 'a%'",
        "true",
        "upper(who) = 'ANN'",
        "night > DATE '2026-01-15'",
    ],
)
def test_a_group_that_may_hold_such_a_row_is_read(where: str) -> None:
    assert may_hold(pl.sql_expr(where), KNOWN)


numbers = st.integers(-3, 3)
values: Any = st.one_of(st.none(), st.sampled_from([-2.5, -1.0, 0.0, 0.1, 0.5, 2.0, float("nan")]))
words = st.one_of(st.none(), st.sampled_from(["a", "b", "it's", "ß"]))
signs = st.sampled_from(["<", "<=", ">", ">=", "=", "<>"])
compared = st.one_of(
    st.builds("n {} {}".format, signs, numbers),
    st.builds("{} {} n".format, numbers, signs),
    st.builds("x {} {}".format, signs, st.sampled_from([-1.0, 0.1, 0.25, 2, 3.5])),
    st.builds("s {} '{}'".format, signs, st.sampled_from(["a", "b", "it''s", "z"])),
    st.builds("n in ({}, {})".format, numbers, numbers),
    st.builds("n between {} and {}".format, numbers, numbers),
    st.builds("x between {} and {}".format, st.sampled_from([-1.0, 0.1]), st.sampled_from([0.2, 1.5])),
)
conditions = st.recursive(
    compared,
    lambda inner: st.one_of(
        st.builds("({}) and ({})".format, inner, inner),
        st.builds("({}) or ({})".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=4,
)


@given(st.lists(st.tuples(st.one_of(st.none(), numbers), values, words), min_size=1, max_size=6), conditions)
def test_a_row_that_is_wanted_is_never_skipped(rows: list[tuple[Any, ...]], where: str) -> None:
    frame = pl.DataFrame(rows, schema={"n": pl.Int64, "x": pl.Float64, "s": pl.String}, orient="row")
    held = io.BytesIO()
    pq.write_table(frame.to_arrow(), held)
    condition = pl.sql_expr(where)
    wanted = frame.with_columns(pl.col("x").fill_nan(None)).filter(condition)
    if wanted.height:
        assert may_hold(condition, ranges_of(pq.ParquetFile(held).metadata, 0)), wanted
