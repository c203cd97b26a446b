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
from prefgen.store.packed import unpacked
from prefgen.store.table import Table
from tests.steps.asking import context

EVENT = st.tuples(st.sampled_from(["ann", "bob", "eve"]), st.integers(0, 6) | st.none(), st.integers(0, 99))


def packed(events: list[tuple[str, int | None, int]], **more: object) -> pl.DataFrame:
    rows = pl.DataFrame(events, schema={"who": pl.String, "time": pl.Int64, "what": pl.Int64}, orient="row")
    step = Pack.model_validate(
        {"pack": "e", "onto": "e", "by": ["who"], "order": ["time"], "before": True, "into": "h", **more}
    )
    return lists_of(step, {"e": Table.of("e", list(rows.iter_slices(3)) or [rows])})


def lists_of(step: Pack, tables: dict[str, Table]) -> pl.DataFrame:
    """A packed table as later steps see it."""
    packed = step.packed(tables)
    made = Table.of("h", list(step.make(tables, context())))
    return unpacked(made, packed, [tables[name] for name in packed.steps]).read()


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


WORDS = st.lists(st.sampled_from(["a", "bb", "four", "eightful"]), min_size=1, max_size=6).map(" ".join)
CHAT = st.tuples(st.sampled_from(["ann", "bob"]), st.integers(0, 5), WORDS)
CHATTER = st.tuples(st.sampled_from(["ann", "bob", "eve"]), st.integers(0, 5), WORDS)
COLUMNS = {"who": pl.String, "time": pl.Int64, "text": pl.String}


def table_of(name: str, rows: list[tuple[str, int, str]]) -> Table:
    frame = pl.DataFrame(rows, schema=COLUMNS, orient="row")
    return Table.of(name, list(frame.iter_slices(2)) or [frame])


@given(st.lists(CHAT, min_size=1, max_size=15), st.integers(1, 20), st.sampled_from([{}, {"first": 3}, {"last": 2}]))
def test_a_list_has_as_many_as_fit_its_tokens(
    rows: list[tuple[str, int, str]], tokens: int, more: dict[str, int]
) -> None:
    step = {"pack": "e", "onto": "e", "by": ["who"], "order": ["time"], "tokens": tokens, "each": "text", "into": "h"}
    made = lists_of(Pack.model_validate(step | more), {"e": table_of("e", rows)})
    for (who, *_), found in zip(rows, made["h"], strict=True):
        texts = [text for _, _, text in sorted((r for r in rows if r[0] == who), key=lambda r: r[1])]
        texts = texts[: more["first"]] if "first" in more else texts[-more.get("last", 99) :][::-1]
        fit: list[str] = []
        for text in texts:
            if sum(len(one) / 4 for one in [*fit, text]) > tokens:
                break
            fit.append(text)
        assert found.to_list() == (fit if "first" in more else fit[::-1])


@given(st.lists(CHAT, min_size=1, max_size=12), st.lists(CHATTER, max_size=30), st.sampled_from([0.25, 0.5, 0.8]))
def test_distractors_are_others_and_no_later_and_as_many_as_said(
    rows: list[tuple[str, int, str]], chatter: list[tuple[str, int, str]], share: float
) -> None:
    other = [(who, time, f"other {number}") for number, (who, time, _) in enumerate(chatter)]
    tables = {"e": table_of("e", rows), "c": table_of("c", other)}
    step = {"pack": "e", "onto": "e", "by": ["who"], "order": ["time"], "before": True, "into": "h"}
    mixed = lists_of(Pack.model_validate(step | {"mix": {"from": "c", "share": share}}), tables)
    plain = lists_of(Pack.model_validate(step), tables)
    for (who, time, _), found, own in zip(rows, mixed["h"].to_list(), plain["h"].to_list(), strict=True):
        drawn = [one["text"] for one in found if one["text"].startswith("other")]
        assert [one for one in found if one["text"] not in drawn] == own
        free = {text for name, at, text in other if name != who and at < time}
        assert len(set(drawn)) == len(drawn) == min(round(len(own) * share / (1 - share)), len(free))
        assert set(drawn) <= free


def test_distractors_and_what_is_packed_share_the_budget() -> None:
    rows = [("ann", time, "four" * 5) for time in range(100)]  # 5 tokens each
    tables = {"e": table_of("e", rows), "c": table_of("c", [("", 0, f"{n:04}" * 5) for n in range(99)])}
    step = {"pack": "e", "onto": "e", "by": ["who"], "tokens": 200, "each": "text"}
    found = lists_of(Pack.model_validate(step | {"mix": {"from": "c", "share": 0.25}}), tables)["packed"][0]
    assert found.is_in([rows[0][2]]).sum() == 30
    assert len(found) == 40


def test_other_people_on_the_same_thing() -> None:
    rows = [
        (who, time, item) for time, (who, item) in enumerate([("ann", "x"), ("bob", "x"), ("ann", "x"), ("eve", "x")])
    ]
    step = {
        "pack": "e",
        "onto": "e",
        "by": ["text"],
        "differ": ["who"],
        "order": ["time"],
        "before": True,
        "each": "who",
    }
    made = lists_of(Pack.model_validate(step), {"e": table_of("e", rows)})
    assert made["packed"].to_list() == [[], ["ann"], ["bob"], ["ann", "bob", "ann"]]


def test_the_longest_stand_in_their_order() -> None:
    rows = [("ann", time, "x" * length) for time, length in enumerate([3, 9, 1, 7])]
    step = {"pack": "e", "onto": "e", "by": ["who"], "longest": 2, "each": "text"}
    made = lists_of(Pack.model_validate(step), {"e": table_of("e", rows)})
    assert [len(text) for text in made["packed"][0]] == [9, 7]


def test_copies_are_drawn_anew_and_a_group_without_rows_of_its_own_is_one_row() -> None:
    rows = [("ann", time, str(time)) for time in range(20)] + [("bob", 0, "b")]
    step = {"pack": "e", "by": ["who"], "draw": 5, "copies": 4, "each": "text"}
    made = lists_of(Pack.model_validate(step), {"e": table_of("e", rows)})
    assert made["who"].to_list() == ["ann"] * 4 + ["bob"] * 4
    assert made["copy"].to_list() == [0, 1, 2, 3] * 2
    assert len({tuple(one) for one in made["packed"][:4]}) > 1
    assert made["packed"][4:].to_list() == [["b"]] * 4


def test_nested_values_and_dropped_rows_and_rows_looked_up() -> None:
    chats = pl.DataFrame(
        {"persona_id": ["a", "a", "b"], "turns": [["x"], ["y", "z"], ["w"]], "reject_reason": [None, "bad", None]}
    )
    asks = pl.DataFrame({"ask_id": ["1", "2"], "persona_id": ["a", "b"]})
    more = pl.DataFrame({"ask_id": ["2", "1"], "hard": [True, False]})
    tables = {name: Table.of(name, [frame]) for name, frame in (("c", chats), ("q", asks), ("m", more))}
    step = {"pack": "c", "onto": ["q", "m"], "by": ["persona_id"], "each": "turns", "into": "h"}
    made = lists_of(Pack.model_validate(step), tables)
    assert made["h"].to_list() == [[["x"]], [["w"]]]
    assert made["hard"].to_list() == [False, True]


def test_parts_are_cut_where_lists_are_long_and_columns_are_read_without_them() -> None:
    rows = Table.of("e", [pl.DataFrame({"who": ["ann"] * 40, "time": range(40), "text": ["x" * 200_000] * 40})])
    step = Pack.model_validate(
        {"pack": "e", "onto": "e", "by": ["who"], "order": ["time"], "before": True, "each": "text"}
    )
    made = Table.of("h", list(step.make({"e": rows}, context())))
    whole = unpacked(made, step.packed({"e": rows}), [rows])
    assert len(whole.parts) > 4
    assert whole.scan().select(pl.len()).collect().item() == 40
    assert [len(one) for frame in whole.frames() for one in frame["packed"]] == list(range(40))
    assert whole.schema["packed"] == pl.List(pl.String)
    assert whole.scan().filter(pl.col("time") == 3).select("packed").collect()["packed"][0].len() == 3
