"""Splits by time: what is late is held out, and nothing moves when rows are added."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from prefgen.errors import SpecError
from prefgen.steps import split
from prefgen.steps.context import Context
from prefgen.store.table import Table
from tests.steps.asking import context, summary_of

DAY = datetime(2026, 1, 1)


def parted(times: pl.Series, where: Context | None = None, **said: Any) -> list[str]:
    rows = pl.DataFrame({"when": times, "persona_id": [f"p{k % 7}" for k in range(len(times))]})
    spec = split.Split.model_validate({"split": "t", **said})
    frames = list(rows.iter_slices(3)) or [rows]
    made = pl.concat(spec.make({"t": Table.of("t", frames)}, where or context()))
    assert made.drop("split").equals(rows)
    return made["split"].to_list()


def cut(test: Any, **more: Any) -> dict[str, Any]:
    return {"column": "when", "test": test, **more}


@pytest.mark.parametrize(
    ("times", "at"),
    [
        (pl.Series([2016, 2017, 2018, 2019]), 2018),
        (pl.Series([1.0, 2.0, 2.5, 9.0]), 2.5),
        (pl.Series(["2026-01-01", "2026-08-31", "2026-09-01", "2026-09-01T10:00"]), "2026-09-01"),
        (pl.Series(["2026-01-01 10:00", "2026-08-31T23:59Z", "2026-09-01 00:00", "2027-01-01T00:00"]), "2026-09"),
        (pl.Series([date(2026, 1, 1), date(2026, 8, 31), date(2026, 9, 1), date(2027, 1, 1)]), "2026-09-01"),
        (pl.Series([DAY, DAY, DAY + timedelta(days=1), DAY + timedelta(days=2)]), "2026-01-01T12:00"),
        (pl.Series([DAY.replace(tzinfo=UTC)] * 2 + [datetime(2026, 9, 1, tzinfo=UTC)] * 2), "2026-09-01T02:00+02:00"),
        (pl.Series(["2016", "2017", "2018", "2019"]), 2018),
    ],
    ids=["years", "numbers", "dates as text", "times as text", "dates", "times", "zones", "years as text"],
)
def test_what_is_at_or_after_the_cut_is_held_out(times: pl.Series, at: Any) -> None:
    assert parted(times, time=cut(at)) == ["train", "train", "test", "test"]


def test_validation_lies_between_train_and_test() -> None:
    assert parted(pl.Series([1, 2, 3, 4]), time=cut(4, validation=2)) == [
        "train",
        "validation",
        "validation",
        "test",
    ]
    spec = split.Split.model_validate({"split": "t", "time": cut(4, validation=2)})
    table = Table.of("t", [pl.DataFrame({"when": [1, 2, 3, 4]})])
    assert summary_of(spec, {"t": table}, context())["cut_at"] == "4"


@given(st.lists(st.integers(0, 50), min_size=1), st.lists(st.integers(0, 50)), st.integers(0, 50))
def test_a_row_never_changes_side_when_rows_are_added(old: list[int], new: list[int], at: int) -> None:
    before = parted(pl.Series(old, dtype=pl.Int64), time=cut(at))
    assert parted(pl.Series(old + new, dtype=pl.Int64), time=cut(at))[: len(old)] == before


def test_a_share_holds_out_the_latest_and_keeps_moments_whole() -> None:
    assert parted(pl.Series([5, 1, 3, 2, 4]), time={"column": "when", "share": 0.4}).count("test") == 2
    assert parted(pl.Series([1, 1, 1, 1, 2]), time={"column": "when", "share": 0.9}) == ["train"] * 4 + ["test"]
    assert parted(pl.Series([], dtype=pl.Int64), time={"column": "when", "share": 0.5}) == []


def test_time_beside_people_makes_four_ways() -> None:
    times = pl.Series(list(range(70)))
    said = parted(times, by=["persona"], test=0.4, time=cut(35))
    assert set(said) == {"train", "test", "test_persona", "test_time"}
    alone = parted(times, by=["persona"], test=0.4)
    for place, (four, two) in enumerate(zip(said, alone, strict=True)):
        late, somebody = place >= 35, two == "test"
        assert four == {(0, 0): "train", (1, 1): "test", (0, 1): "test_persona", (1, 0): "test_time"}[late, somebody]


@pytest.mark.parametrize(
    ("times", "said", "words"),
    [
        (pl.Series([1, 2]), cut("2026-01-01"), r"steps.s.time.test: '2026-01-01' is not a number"),
        (pl.Series(["2026-01-01"]), cut("01.09.2026"), r"time.test: '01.09.2026' is no date or time"),
        (pl.Series(["2026-01-01"]), cut("2026-13-01"), r"time.test: '2026-13-01' is no date or time"),
        (pl.Series(["2026-01-01", "1/9/26"]), cut("2026-01-01"), r"time.column: 'when' holds '1/9/26'"),
        (pl.Series([1, None]), cut(1), r"time.column: 1 row\(s\) have no 'when'"),
        (pl.Series([True, False]), cut(1), r"time.column: 'when' is of type Boolean, which is no time"),
        (pl.Series([1]), {"column": "then", "test": 1}, r"time.column: no column 'then' in 't'"),
        (pl.Series([1, 2]), cut(1, validation=2), r"time.validation: 2 is not before `test`, 1"),
        (pl.Series([1, 1]), {"column": "when", "share": 0.5}, r"time.share: all rows are of one moment, 1"),
    ],
)
def test_times_that_cannot_be_cut_are_told(times: pl.Series, said: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        parted(times, time=said)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "nothing to part the rows by"),
        ({"by": ["persona"]}, "which share of `by` is held out"),
        ({"test": 0.1, "time": cut(1)}, "`test` is a share of the values of `by`"),
        ({"by": ["persona", "persona_id"], "test": 0.1}, "a column stands twice"),
        ({"time": {"column": "when"}}, "time is cut by `test`, by `share` or by `last`"),
        ({"time": cut(1, share=0.1)}, "time is cut by `test`, by `share` or by `last`"),
        ({"time": {"column": "when", "share": 0.1, "validation": 1}}, "`validation` ends where `test` begins"),
        ({"by": ["persona"], "test": 0.1, "time": cut(2, validation=1)}, "goes without `by`"),
        ({"time": cut(True)}, "test"),
    ],
)
def test_what_is_half_said_is_told(said: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        split.Split.model_validate({"split": "t", **said})


EVENTS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 6), st.booleans()), max_size=24)


@given(EVENTS, st.integers(1, 3), st.none() | st.integers(1, 2))
def test_the_last_of_everybody_are_held_out_and_nothing_of_train_is_as_late(
    events: list[tuple[str, int, bool]], last: int, validation: int | None
) -> None:
    rows = pl.DataFrame(
        [(who, when, "bad" if dropped else None) for who, when, dropped in events],
        schema={"persona_id": pl.String, "when": pl.Int64, "reject_reason": pl.String},
        orient="row",
    )
    time = {"column": "when", "last": last, "per": "persona", "validation": validation}
    spec = split.Split.model_validate({"split": "t", "time": time})
    made = pl.concat(spec.make({"t": Table.of("t", list(rows.iter_slices(5)) or [rows])}, context()))
    assert made.drop("split").equals(rows)
    for who in {who for who, *_ in events}:
        own = sorted((when for name, when, dropped in events if name == who and not dropped), reverse=True)
        of = {
            part: made.filter(pl.col("persona_id") == who, pl.col("split") == part, pl.col("reject_reason").is_null())[
                "when"
            ]
            for part in ("train", "validation", "test")
        }
        whole = last + (validation or 0)
        if len(own) < whole or own[whole - 1] == own[-1]:
            assert of["train"].len() == len(own)
            continue
        assert of["test"].sort(descending=True).to_list() == [when for when in own if when >= own[last - 1]]
        held = [when for when in own if when >= own[whole - 1]]
        assert of["validation"].len() + of["test"].len() == len(held)
        assert of["train"].max() < min(held)  # type: ignore[operator]


def test_the_last_of_everybody_beside_people_held_out() -> None:
    times = pl.Series(range(21))
    found = parted(times, by=["persona"], test=0.5, time={"column": "when", "last": 1, "per": "persona"})
    assert set(found) == {"train", "test", "test_persona", "test_time"}
    assert found.count("test") + found.count("test_time") == 7


@pytest.mark.parametrize(
    "time", [{"last": 1}, {"test": 2, "per": "persona"}, {"last": 1, "per": "p", "validation": "x"}, {}]
)
def test_what_is_the_last_of_nobody_is_told(time: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        split.Split.model_validate({"split": "t", "time": {"column": "when"} | time})
