from __future__ import annotations

import math
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefgen.engines.store import NEVER_ASKED, ResponseStore
from prefgen.errors import FileError
from prefgen.ids import content_id
from prefgen.records import Response

NUMBERS = st.integers(min_value=0, max_value=2**40)
RESPONSES = st.builds(
    Response,
    request_id=st.integers(0, 50).map(lambda n: content_id("req", n)),
    text=st.text(max_size=40),
    alternatives=st.none()
    | st.lists(st.tuples(st.text(max_size=5), st.floats(max_value=0.0, allow_nan=False)), max_size=4).map(tuple),
    method=st.sampled_from(["", "logprobs+grammar"]),
    finish=st.sampled_from(["", "stop", "length"]),
    prompt_tokens=NUMBERS,
    completion_tokens=NUMBERS,
    cached_tokens=NUMBERS,
    failure=st.none() | st.text(max_size=20),
    final=st.booleans(),
)


def _id(number: int) -> str:
    return content_id("req", number)


@settings(max_examples=50, deadline=None)
@given(st.lists(RESPONSES, unique_by=lambda response: response.request_id))
def test_what_was_put_is_read_back_as_it_was_and_in_the_order_asked(tmp_path_factory, responses):
    path = tmp_path_factory.mktemp("store") / "responses.sqlite"
    with ResponseStore(path) as store:
        for response in responses:
            store.put(response)
    with ResponseStore(path) as store:
        backwards = responses[::-1]
        assert store.read([response.request_id for response in backwards]) == backwards


@settings(max_examples=50, deadline=None)
@given(st.lists(RESPONSES, max_size=30))
def test_an_answer_or_a_final_failure_is_never_replaced(tmp_path_factory, responses):
    kept: dict[str, Response] = {}
    for response in responses:
        before = kept.get(response.request_id)
        if before is None or (before.failure is not None and not before.final):
            kept[response.request_id] = response
    with ResponseStore(tmp_path_factory.mktemp("store") / "responses.sqlite") as store:
        for response in responses:
            store.put(response)
        assert store.read(list(kept)) == list(kept.values())
        again = [one for one, response in kept.items() if response.failure is not None and not response.final]
        assert store.missing(list(kept)) == again


def test_only_what_can_still_be_answered_is_missing(tmp_path):
    with ResponseStore(tmp_path / "responses.sqlite") as store:
        store.put(Response(_id(0), text="A"))
        store.put(Response(_id(1), failure="HTTP 400: refused", final=True))
        store.put(Response(_id(2), failure="gave up after 6 tries", final=False))
        assert store.missing([_id(3), _id(2), _id(1), _id(0)]) == [_id(3), _id(2)]
        assert [response.failure for response in store.read([_id(2), _id(3)])] == ["gave up after 6 tries", NEVER_ASKED]


def test_a_token_that_cannot_come_keeps_its_infinity_and_half_a_character_is_mended(tmp_path):
    with ResponseStore(tmp_path / "responses.sqlite") as store:
        store.put(Response(_id(0), text="x\ud800", alternatives=(("A", -math.inf),)))
        (found,) = store.read([_id(0)])
    assert (found.text, found.alternatives) == ("x?", (("A", -math.inf),))


def test_facts_outlive_the_process_and_the_last_one_counts(tmp_path):
    with ResponseStore(tmp_path / "responses.sqlite") as store:
        assert store.facts.fact("features") is None
        store.facts.remember("features", "old")
        store.facts.remember("features", "new")
    with ResponseStore(tmp_path / "responses.sqlite") as store:
        assert store.facts.fact("features") == "new"


_PUTS_UNTIL_KILLED = """
import sys
from pathlib import Path
from prefgen.engines.store import ResponseStore
from prefgen.ids import content_id
from prefgen.records import Response
store = ResponseStore(Path(sys.argv[1]))
for number in range(10**9):
    store.put(Response(content_id("req", number), text=str(number)))
    if number % 64 == 63:
        store.commit()
        print(number + 1, flush=True)
"""


def test_a_kill_takes_nothing_that_was_committed(tmp_path):
    path = tmp_path / "responses.sqlite"
    child = subprocess.Popen([sys.executable, "-c", _PUTS_UNTIL_KILLED, path], stdout=subprocess.PIPE, text=True)
    with child:
        assert child.stdout is not None
        for _ in range(20):
            committed = int(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)
        committed = max([committed, *map(int, child.stdout.read().split())])
    with ResponseStore(path) as store:
        assert store.missing([_id(number) for number in range(committed)]) == []
        assert [response.text for response in store.read([_id(0), _id(committed - 1)])] == ["0", str(committed - 1)]


def test_nothing_put_waits_longer_than_the_next_put_half_a_second_later(tmp_path):
    with ResponseStore(tmp_path / "responses.sqlite") as store:
        store.put(Response(_id(0), text="A"))
        time.sleep(0.55)
        store.put(Response(_id(1), text="A"))
        assert store.pending == 0


def test_a_closed_store_is_one_file(tmp_path):
    with ResponseStore(tmp_path / "responses.sqlite") as store:
        store.put(Response(_id(0), text="A"))
    assert [path.name for path in tmp_path.iterdir()] == ["responses.sqlite"]


@pytest.mark.parametrize("content", [b"no database at all, " * 500, b"SQLite format 3\0" + os.urandom(4096)])
def test_a_broken_file_is_named_and_left_as_it_is(tmp_path, content):
    path = tmp_path / "responses.sqlite"
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"responses\.sqlite: not a responses file, or a broken one") as caught:
        ResponseStore(path)
    assert "fix: " in str(caught.value)
    assert path.read_bytes() == content


def test_a_file_broken_in_the_middle_is_an_error_and_no_traceback(tmp_path):
    path = tmp_path / "responses.sqlite"
    ids = [_id(number) for number in range(5000)]
    with ResponseStore(path) as store:
        for one in ids:
            store.put(Response(one, text="A"))
    content = bytearray(path.read_bytes())
    content[8192:-4096] = os.urandom(len(content) - 12288)
    path.write_bytes(content)
    with pytest.raises(FileError, match="broken"), ResponseStore(path) as store:
        store.read(ids)


def test_the_file_of_another_program_is_not_written_into(tmp_path):
    path = tmp_path / "history.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE visits (url TEXT)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(FileError, match="not a responses file of prefgen"):
        ResponseStore(path)
    assert path.read_bytes() == before


def test_a_file_of_a_newer_prefgen_asks_for_an_update(tmp_path):
    path = tmp_path / "responses.sqlite"
    ResponseStore(path).close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 9")
    newer.close()
    with pytest.raises(FileError, match=r"newer prefgen \(format 9"):
        ResponseStore(path)


def test_a_file_of_the_first_format_is_read_as_it_is_and_brought_up_to_date_when_it_is_written(tmp_path):
    path = tmp_path / "responses.sqlite"
    methods = ("logprobs+grammar", "logprobs", "logprobs+structured_outputs", "logprobs+json_schema")
    with ResponseStore(path) as store:
        for number, method in enumerate(methods):
            store.put(Response(_id(number), "A", (("A", -0.1), ("B", -2.5)), method, "stop", 9, 1, 0))
        store.facts.remember("features", "{}")
    old = sqlite3.connect(path)
    old.executescript(
        "ALTER TABLE responses DROP COLUMN chosen; ALTER TABLE responses DROP COLUMN raw; PRAGMA user_version = 1;"
    )
    old.close()
    before = path.read_bytes()
    ids = [_id(number) for number in range(4)]
    with ResponseStore(path, read_only=True) as store:
        read = store.read(ids)
    assert path.read_bytes() == before
    with ResponseStore(path) as store:
        assert store.read(ids) == read
        store.put(Response(_id(9), "A", (("A", -0.1), ("B", -2.5)), "logprobs", "stop", chosen="A", raw=False))
        assert store.read([_id(9)])[0].chosen == "A"
    with ResponseStore(path, read_only=True) as store:
        assert store.read(ids) == read
        assert not store.read([_id(9)])[0].raw
        assert store.facts.fact("features") == "{}"
    assert [response.raw for response in read] == [True, True, False, False]
    assert {response.chosen for response in read} == {""}


def test_half_a_character_in_a_token_is_no_harm(tmp_path):
    with ResponseStore(tmp_path / "responses.sqlite") as store:
        store.put(Response(_id(0), "\ud83d", (("\ud83d", -0.1), ("B", -2.5)), "logprobs", chosen="\ud83d"))
        assert store.read([_id(0)])[0].alternatives == (("?", -0.1), ("B", -2.5))


def test_a_full_disk_is_an_error_that_keeps_what_was_committed(tmp_path):
    path = tmp_path / "responses.sqlite"
    with ResponseStore(path) as store:
        store.put(Response(_id(0), text="A"))
        store.commit()
        store._file.db.execute("PRAGMA max_page_count = 40")
        for number in range(1, 1000):
            store.put(Response(_id(number), text="A" * 500))
        with pytest.raises(FileError, match="the disk takes no more"):
            store.commit()
        store._file.db.execute("PRAGMA max_page_count = 1000000")
        assert store.pending == 999  # room again: nothing that was put is gone
    with ResponseStore(path) as store:
        assert len(store) == 1000


def test_a_file_to_read_is_not_made_and_not_changed(tmp_path):
    path = tmp_path / "responses.sqlite"
    with pytest.raises(FileError, match="no such file"):
        ResponseStore(path, read_only=True)
    assert not path.exists()
    with ResponseStore(path) as store:
        store.put(Response(_id(0), text="A"))
    before = path.read_bytes()
    with ResponseStore(path, read_only=True) as store:
        assert store.read([_id(0)])[0].text == "A"
        assert [one.name for one in tmp_path.iterdir()] == ["responses.sqlite"]
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_an_error_with_a_fix(tmp_path):
    with pytest.raises(FileError, match="cannot be opened"):
        ResponseStore(Path(tmp_path) / "no" / "responses.sqlite")


ODD_VALUES = {
    "a number for a text": ("text", 3),
    "bytes for a text": ("text", b"A"),
    "no text": ("text", None),
    "a fraction of a token": ("prompt_tokens", 1.5),
    "words for tokens": ("completion_tokens", "many"),
    "a number for a failure": ("failure", 0),
    "no way": ("method", None),
    "bytes": ("alternatives", b"[]"),
    "no JSON": ("alternatives", '[["A", -0.1'),
    "an object": ("alternatives", '{"A": 1}'),
    "a number": ("alternatives", "3"),
    "one-sided": ("alternatives", '[["A"]]'),
    "a word for a probability": ("alternatives", '[["A", "x"]]'),
    "a truth value": ("alternatives", '[["A", true]]'),
    "pairs of letters": ("alternatives", '["AB"]'),
    "too deep": ("alternatives", "[" * 5000),
    "three": ("alternatives", '[["A", -1, 2]]'),
    "a number for a token": ("alternatives", "[[1, -1]]"),
}


@pytest.mark.parametrize("case", ODD_VALUES)
def test_a_response_whose_values_are_of_other_types_is_a_sentence(tmp_path, case):
    path, (column, value) = tmp_path / "responses.sqlite", ODD_VALUES[case]
    with ResponseStore(path) as store:
        store.put(Response(_id(1), "A"))
    with sqlite3.connect(path, isolation_level=None) as db:
        columns = [name for _, name, *_ in db.execute("PRAGMA table_info(responses)")]
        db.executescript("DROP VIEW answers; DROP VIEW failures; ALTER TABLE responses RENAME TO old;")
        db.execute(f"CREATE TABLE responses ({', '.join(columns)})")
        db.execute("INSERT INTO responses SELECT * FROM old")
        db.execute(f"UPDATE responses SET {column} = ?", (value,))
    db.close()
    with (
        ResponseStore(path, read_only=True) as store,
        pytest.raises(FileError, match=r"a broken one .*\n  fix: restore it from a copy"),
    ):
        store.read([_id(1)])
