"""Files of rows: what was written is what is read, or the line is named."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefgen.errors import SpecError
from prefgen.store.objects import frame_of
from prefgen.store.rows import numbers, read_parquet, read_rows, read_rows_with_notes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def _complain(number: int, problem: str, fix: str) -> Exception:
    return ValueError(f"{number}: {problem}; {fix}")


def _same(found: Any, said: Any) -> bool:
    """Whether a value came back: keys that only other rows have are null, a whole number may have become a float."""
    if isinstance(said, dict):
        return isinstance(found, dict) and all(_same(value, said.get(key)) for key, value in found.items())
    if isinstance(said, list):
        return isinstance(found, list) and len(found) == len(said) and all(map(_same, found, said))
    return found == said and (isinstance(found, bool) == isinstance(said, bool))


@given(st.lists(st.dictionaries(st.text(max_size=3), JSON, max_size=4), min_size=1, max_size=4))
def test_objects_come_back_as_they_were_or_are_refused(rows: list[dict[str, Any]]) -> None:
    try:
        frame = frame_of(rows, _complain)
    except ValueError as error:
        assert "; " in str(error)
        return
    if frame.width:
        assert all(_same(found, said) for found, said in zip(frame.to_dicts(), rows, strict=True))


@given(
    st.lists(st.one_of(st.integers(), st.floats(), st.text("0123456789.-+eE infa", max_size=8)).map(str), min_size=1)
)
def test_numbers_are_read_from_text_only_where_they_are_written_out_the_same(texts: list[str]) -> None:
    column = numbers(pl.DataFrame({"x": texts}))["x"]
    if column.dtype == pl.Int64:
        assert [str(value) for value in column] == texts
    elif column.dtype == pl.Float64:
        assert all(math.isfinite(value) for value in column)
        assert all(
            text in (str(pl.Series([value]).cast(pl.String)[0]), str(int(value)))
            for value, text in zip(column, texts, strict=True)
        )
        assert column.n_unique() == len(set(texts))
    else:
        assert column.to_list() == texts


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (["7", "-3", None], pl.Int64),
        (["0.25", "-1.5", "3"], pl.Float64),
        (["007", "7"], pl.String),
        (["1e3", "1000"], pl.String),
        (["1.50", "2.5"], pl.String),
        (["1", "1.0"], pl.String),
        (["TRUE", "true"], pl.String),
        (["true", "false"], pl.String),
        (["+1"], pl.String),
        (["-0"], pl.String),
        (["2,5"], pl.String),
        ([" 1"], pl.String),
        (["inf"], pl.String),
        (["nan", "1.5"], pl.String),
        (["9007199254740993", "0.5"], pl.String),
        (["99999999999999999999"], pl.String),
        (["0.1234567890123456789"], pl.String),
        ([None, None], pl.String),
    ],
)
def test_what_is_a_number(values: list[str | None], dtype: pl.DataType) -> None:
    column = numbers(pl.DataFrame({"x": pl.Series(values, dtype=pl.String)}))["x"]
    assert column.dtype == dtype
    assert numbers(pl.DataFrame({"item_id": ["7"]}))["item_id"].to_list() == ["7"]


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b'{"a": 1}\n\n{"a": 1, "a": 2}\n', 3, "key 'a' is written twice\n  fix: keep one"),
        (b'{"m": {"a": 1, "a": 1}}', 1, "key 'a' is written twice"),
        (b'{"a": NaN}', 1, "NaN is not JSON\n  fix: write null"),
        (b'{"a": -Infinity}', 1, "-Infinity is not JSON"),
        (b'{"a": 1e999}', 1, "too large"),
        (b'{"a": 1}\n{"a": "x"}', 2, "another type"),
        (b'{"a": {"b": 1}}\n{"a": {"b": "x"}}', 2, "'b' in key 'a' is 'x', of another type"),
        (b'{"a": [1, "x"]}', 1, "an element of key 'a' is 'x'"),
        (b'{"a": 123456789012345678901234}', 1, "64 bits"),
        (b'{"a": 0.5}\n{"a": 9007199254740993}', 2, "9007199254740993 in one row and a fraction in another"),
        (b'{"a": "\\ud800"}', 1, "half of a character"),
        (b'{"a": "\xff"}', 1, "not UTF-8"),
        (b'{"a": ' + b"[" * 100_000, 1, "not JSON: nested too deeply"),
        (b'{"a": ' + b"[" * 60 + b"]" * 60 + b"}", 1, "50 levels"),
        (b'{"a": ' + b"9" * 5_000 + b"}", 1, "not JSON: nested too deeply, or a number without end"),
        (b"[1]", 1, "a list, not an object"),
        (b'{"a": 1', 1, "not JSON"),
        (b'{"a": 1} {"b": 2}', 1, "not JSON: extra data"),
        (b"", 1, "the file is empty"),
        (b"\n\n \n", 1, "the file is empty"),
        (b"\xef\xbb\xbf", 1, "the file is empty"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, content: bytes, line: int, words: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=rf"rows\.jsonl:{line}: .*{words}"):
        read_rows(path)


def test_unusual_but_right_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1, "": "x"}\r\n\r\n{"a": 0.5, "b": [{"c": 1}, {"d": null}]}\r\n\n')
    assert read_rows(path).to_dicts() == [
        {"a": 1.0, "": "x", "b": None},
        {"a": 0.5, "": None, "b": [{"c": 1, "d": None}, {"c": None, "d": None}]},
    ]
    path.write_bytes(orjson.dumps({"a": 2**64 - 1, "b": "\\ud800"}))
    assert read_rows(path).to_dicts() == [{"a": 2**64 - 1, "b": "\\ud800"}]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_dialects_are_read_right_and_said(tmp_path: Path, separator: str, encoding: str, end: str) -> None:
    path = tmp_path / "rows.csv"
    lines = [["item_id", "prompt", "n", ""], ["007", "Thé?", "1", "0"], ["7", '"Tea,\nor; a|b\tc?"', "2", "1"], [""]]
    path.write_bytes(end.join(separator.join(line) for line in lines).encode(encoding))
    frame, notes = read_rows_with_notes(path)
    assert frame.rows() == [("007", "Thé?", 1, 0), ("7", "Tea,\nor; a|b\tc?", 2, 1)]
    assert frame.columns == ["item_id", "prompt", "n", ""]
    assert len(notes) == (separator != ",") + (encoding == "utf-16")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\xff" * 100 + b"PAR1", b"\x00" * 100])
def test_a_parquet_file_that_is_none_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=r"rows\.parquet:1: .*\n  fix: "):
        read_rows(path)
    with pytest.raises(ValueError, match=r"\S"):
        read_parquet(path)


def test_a_path_is_a_path_and_no_pattern(tmp_path: Path) -> None:
    path = tmp_path / "rows[1]*.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "rows1x.parquet")
    with pytest.raises(SpecError, match="no such file"):
        read_rows(path)
    pl.DataFrame({"a": [2]}).write_parquet(path)
    assert read_rows(path)["a"].to_list() == [2]


def test_numbers_wider_than_anything_here_reads_are_a_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(pa.table({"x": pa.array([1, 2], pa.decimal256(60, 2))}), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"column 'x' holds decimal256"):
        read_parquet(tmp_path / "a.parquet")
    assert capfd.readouterr().err == ""
