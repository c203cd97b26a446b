"""Histories: nothing of the future is seen, and each row gets its own."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefgen.errors import SpecError
from prefgen.steps.keep import Keep
from prefgen.steps.pack import Pack
from prefgen.steps.write.measures import shared, words_of
from prefgen.store.table import Table
from tests.steps.asking import context

EVENT = st.tuples(st.sampled_from(["ann", "bob", "eve"]), st.integers(0, 6) | st.none(), st.integers(0, 99))


def packed(events: list[tuple[str, int | None, int]], **more: object) -> pl.DataFrame:
    rows = pl.DataFrame(events, schema={"who": pl.String, "time": pl.Int64, "what": pl.Int64}, orient="row")
    step = Pack.model_validate(
        {"pack": "e", "onto": "e", "by": ["who"], "order": ["time"], "before": True, "into": "h", **more}
    )
    return pl.concat(step.make({"e": Table.of("e", list(rows.iter_slices(3)) or [rows])}, context()))


@given(st.lists(EVENT, min_size=1, max_size=25), st.integers(1, 4))
def test_a_history_holds_what_one_did_before_and_nothing_else(
    events: list[tuple[str, int | None, int]], n: int
) -> None:
    every, last, first = packed(events), packed(events, last=n), packed(events, first=n)
    assert every.drop("h").rows() == [tuple(event) for event in events]
    for number, (who, time, _) in enumerate(events):
        before = [e for e in events if e[0] == who and e[1] is not None and time is not None and e[1] < time]
        told = sorted(before, key=lambda e: e[1] or 0)  # a stable sort: of one moment in the order of the table
        assert [(e["time"], e["what"]) for e in every["h"][number]] == [e[1:] for e in told]
        assert [e["what"] for e in last["h"][number]] == [e[2] for e in told[-n:]]
        assert [e["what"] for e in first["h"][number]] == [e[2] for e in told[:n]]


def test_what_is_drawn_is_some_of_them_in_order_and_the_same_every_time() -> None:
    events = [("ann", time, time * 10) for time in range(30)]
    once, twice = packed(events, draw=5, each=["time"]), packed(events, draw=5, each=["time"])
    assert once.equals(twice)
    drawn = [one["time"] for one in once["h"][29]]
    assert drawn == sorted(drawn)
    assert len(drawn) == 5
    assert set(once["h"][29][0]) == {"time"}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"by": ["nobody"]}, "no column 'nobody'"),
        ({"each": ["x"]}, "no column 'x'"),
        ({"into": "what"}, "has a column 'what' already"),
        ({"where": "x > 1"}, "no column 'x'"),
    ],
)
def test_what_cannot_be_packed_is_told(more: dict[str, object], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        packed([("ann", 1, 1)], **more)


@given(
    st.lists(st.sampled_from(["a b c", "a b d", "x y", "x y z", "q", "Q!"]), max_size=12),
    st.floats(0.1, 1),
    st.integers(1, 3),
)
def test_kept_texts_are_apart_and_every_other_is_alike_to_one(texts: list[str], below: float, most: int) -> None:
    rows = pl.DataFrame(
        {"text": texts, "reject_reason": [None] * len(texts)}, schema={"text": pl.String, "reject_reason": pl.String}
    )
    step = Keep.model_validate({"keep": "t", "apart": {"column": "text", "below": below, "most": most}})
    made = pl.concat(step.make({"t": Table.of("t", [rows])}, context()))
    kept: list[str] = []
    for text, reason in made.select("text", "reject_reason").iter_rows():
        alike = any(shared(words_of(text), words_of(other)) >= below for other in kept)
        assert reason == ("too alike" if alike else f"more than {most}" if len(kept) >= most else None)
        if reason is None:
            kept.append(text)
