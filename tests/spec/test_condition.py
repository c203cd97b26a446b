"""Conditions: over the columns of a table they hold as polars has it; nothing else is looked at, opened or asked."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefgen.spec.condition import ConditionError, condition_over, read_expression

ROWS = pl.DataFrame(
    {
        "a": [1, 2, None],
        "p": [0.2, 0.7, 0.9],
        "s": ["x", "12", None],
        "ok": [True, False, None],
        "größe": [1, 2, 3],
        "from": [1, 2, 3],
        "day": pl.Series(["2026-01-01", "2026-02-01", None]).str.to_date(),
    }
)

_EVENTS: list[str] | None = None


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if _EVENTS is not None and event.split(".")[0] in ("open", "socket", "os", "subprocess", "import"):
        _EVENTS.append(f"{event} {arguments}")


sys.addaudithook(_hear)


@contextmanager
def nothing_opened() -> Iterator[None]:
    """What Python opens meanwhile is heard; polars opens files by itself, so the tests also watch what they name."""
    global _EVENTS
    _EVENTS = []
    try:
        yield
        assert _EVENTS == []
    finally:
        _EVENTS = None


@pytest.mark.parametrize(
    ("where", "held"),
    [
        ("a > 1", [False, True, None]),
        ("p between 0.5 and 0.8 or ok", [True, True, None]),
        ("s = 'x' AND NOT (p > 0.5)", [True, False, False]),
        ("a IN (1, 3)", [True, False, None]),
        ("coalesce(a, 0) >= 0", [True, True, True]),
        ("größe >= 2", [False, True, True]),
        ('"from" = 2', [False, True, False]),
        ("s IS DISTINCT FROM 'x'", [False, True, True]),
        ("extract(year from day) = 2026", [True, True, None]),
        ("s LIKE '1%'", [False, True, None]),
        ("s = 'it''s (select 1) -- /* now() */'", [False, False, None]),
        ("TRY_CAST(s AS INT) = 12", [None, True, None]),
        ("day >= DATE '2026-01-15'", [False, True, None]),
        ("CASE WHEN ok THEN a = 1 ELSE p > 0.5 END", [True, True, True]),
        ("p > avg(p)", [False, True, True]),
        ("p >= max(p) over (partition by ok)", [True, True, True]),
        ("count(*) = 3", [True, True, True]),
    ],
)
def test_a_condition_over_columns_holds_as_polars_has_it(where: str, held: list[bool | None]) -> None:
    assert condition_over(where, ROWS.schema).holds(ROWS).to_list() == held


def hostile(path: str) -> list[str]:
    return [
        f"a IN (SELECT x FROM read_csv('{path}'))",
        f"a IN (select * from read_parquet('{path}'))",
        f"a in (FROM read_csv('{path}'))",
        f"a in ( \n from read_json('{path}') select *)",
        f"a in ((from read_ipc('{path}')))",
        f"exists (from read_csv('{path}'))",
        f"EXISTS (SELECT 1 FROM read_csv('{path}'))",
        f"a = ANY(FROM read_csv('{path}'))",
        f"a > (WITH t AS (SELECT 1 AS x) SELECT x FROM read_csv('{path}'))",
        f"a in (/**/select x from read_csv('{path}'))",
        f"a in (--\nselect x from read_csv('{path}'))",
        f"a in (ſelect x from read_csv('{path}'))",
        f"a in (select\u00a0x from read_csv('{path}'))",
        f"read_csv('{path}') = 1",
        f"\"read_csv\"('{path}') = 1",
        f"a in (values ((select x from read_csv('{path}'))))",
        "a in (values (1))",
        "a in (table t)",
    ]


@pytest.mark.parametrize("number", range(len(hostile(""))))
@pytest.mark.parametrize("far", [False, True])
def test_no_file_and_no_address_is_looked_at(tmp_path: Path, number: int, far: bool) -> None:
    (tmp_path / "secret.csv").write_text("canary-7f3a\n1\n")
    with _listener() as (port, asked):
        where = hostile(f"http://127.0.0.1:{port}/x.parquet" if far else str(tmp_path / "secret.csv"))[number]
        with nothing_opened(), pytest.raises(ConditionError) as caught:
            condition_over(where, ROWS.schema)
        assert "canary" not in caught.value.problem
        assert caught.value.fix
        assert asked == []


@contextmanager
def _listener() -> Iterator[tuple[int, list[object]]]:
    asked: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        over = threading.Event()

        def listen() -> None:
            while not over.is_set():
                try:
                    connection, address = server.accept()
                except TimeoutError:
                    continue
                asked.append(address)
                connection.close()

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield server.getsockname()[1], asked
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("day < now()", "calls now(), which is not offered"),
        ("day < current_date", "reads the clock"),
        ("day < LOCALTIMESTAMP", "reads the clock"),
        ("random() < 0.5", "calls random(), which is not offered"),
        ("rpad(s, 1000000000) = 'x'", "calls rpad(), which is not offered"),
        ("unnest(a) = 1", "not offered"),
        ("COLUMNS('^a') > 1", "not offered"),
        ("nosuch > 1", "there is no column 'nosuch'"),
        ("aa > 1", "there is no column 'aa'"),
        ("a", "is of type Int64, not true or false"),
        ("a >", "unable to parse"),
        ("a > 1; a > 2", "is not understood"),
        ("a > 1 -- yes", "is not understood"),
        ("a > $1", "is not understood"),
        ("E'x' = s", "is not understood"),
        ("`a` > 1", "is not understood"),
        ("s = 'open", "is not understood"),
        ("", "unable to parse"),
        (" or ".join(["a = 1"] * 2000), "more than 500 parts"),
        ("(" * 400 + "a" + ")" * 400 + " > 1", "more than 500 parts"),
        ("a in (" + ",".join(["1"] * 200_000) + ")", "characters, at most"),
        ("s + 1 > 2", "arithmetic on dtypes"),
    ],
)
def test_what_is_no_condition_is_told(where: str, words: str) -> None:
    begun = time.monotonic()
    with pytest.raises(ConditionError) as caught:
        condition_over(where, ROWS.schema)
    assert words in caught.value.problem
    assert caught.value.fix
    assert time.monotonic() - begun < 2


def test_what_the_values_do_not_allow_is_told_when_they_are_met() -> None:
    condition = condition_over("CAST(s AS INT) > 3", ROWS.schema)
    with pytest.raises(ConditionError, match="conversion from") as caught:
        condition.holds(ROWS)
    assert "TRY_CAST" in caught.value.fix


def test_a_condition_knows_whether_it_looks_at_other_rows() -> None:
    assert read_expression("a > 1 and lower(s) = 'avg(x)'").row_wise
    assert not read_expression("p > avg(p)").row_wise
    assert not read_expression("row_number() over (order by a) < 3").row_wise


PIECES = [
    "a",
    "p",
    "s",
    "ok",
    "nosuch",
    "1",
    "0.5",
    "'x'",
    "''",
    '"a"',
    "(",
    ")",
    "(",
    ")",
    ",",
    "=",
    ">",
    "-",
    "*",
    "::int",
    "and",
    "or",
    "not",
    "in",
    "is",
    "null",
    "select",
    "from",
    "with",
    "values",
    "table",
    "exists",
    "any",
    "case",
    "when",
    "then",
    "end",
    "over",
    "avg",
    "read_csv",
    "lower",
    "union",
    "all",
    "--",
    "/*",
    "*/",
    ";",
    "$$",
    "E'",
    "\\",
    "'",
    "|",
    "now",
    "\x00",
]


@settings(max_examples=400, deadline=None)
@given(pieces=st.lists(st.sampled_from(PIECES) | st.text(max_size=2), max_size=14), glue=st.sampled_from(["", " "]))
def test_whatever_is_accepted_holds_no_query(pieces: list[str], glue: str) -> None:
    try:
        with nothing_opened():
            condition = condition_over(glue.join(pieces), ROWS.schema)
    except ConditionError as error:
        assert error.fix
        return
    assert "subplan" not in str(condition.expression).lower()
