"""Delimited files of real tools are read as written, or refused with their line; no value changes."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefgen.errors import SpecError
from prefgen.store.delimited import read_delimited

TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=8)


def written(folder, content, encoding="utf-8", name="rows.csv"):
    path = folder / name
    path.write_bytes(content.encode(encoding) if isinstance(content, str) else content)
    return path


def rows(path):
    return read_delimited(path).frame.to_dicts()


@given(
    table=st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=6),
    separator=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_what_was_written_is_what_is_read(tmp_path_factory, table, separator, encoding, end):
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([("a", "b", "c"), *table])
    path = written(tmp_path_factory.mktemp("csv"), text.getvalue(), encoding)
    assert read_delimited(path).frame.rows() == table


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("code,flag\n007,TRUE\n7,1e3\n", ()),
        ("code;flag\n007;TRUE\n7;1e3\n", ("';'",)),
        ("code\tflag\n007\tTRUE\n7\t1e3\n", ("tabs",)),
        ("sep=;\ncode;flag\n007;TRUE\n7;1e3\n", ("';'",)),
        ("code, flag\n007, TRUE\n7, 1e3\n", ("a space behind", "' flag' is read as 'flag'")),
        ('code, flag\n"007", "TRUE"\n7, 1e3\n', ("a space behind",)),
        ("code,flag\r\n007,TRUE\r\n\r\n7,1e3\r\n\r\n", ()),
        ("code,flag,\n007,TRUE,\n7,1e3,\n,,\n,,\n", ("2 rows without any value",)),
    ],
)
def test_dialects_are_read_right_and_said(tmp_path, content, said):
    found = read_delimited(written(tmp_path, content))
    assert found.frame.rows() == [("007", "TRUE"), ("7", "1e3")]
    notes = " ".join(found.notes)
    assert all(words in notes for words in said)
    assert bool(found.notes) == bool(said)


def test_utf_16_is_found_by_its_mark_and_without(tmp_path):
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        found = read_delimited(written(tmp_path, "code\tflag\nä\tb\n", encoding))
        assert found.frame.rows() == [("ä", "b")]
        assert any("UTF-16" in note for note in found.notes)


def test_rows_know_their_lines(tmp_path):
    found = read_delimited(written(tmp_path, 'a,b\n1,"two\nlines"\n\n3,4\n'))
    assert np.array_equal(found.lines, [2, 5])


def test_empty_is_null_and_an_index_column_keeps_its_empty_name(tmp_path):
    assert rows(written(tmp_path, ',a\n0,\n1,""\n2,x\n')) == [
        {"": "0", "a": None},
        {"": "1", "a": None},
        {"": "2", "a": "x"},
    ]


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("a,b\n1,2\n1,2,3\n", 3, "3 fields where the header has 2"),
        ("a,b\n1,2\n\n1\n", 4, "columns 'a', 'b'"),
        ('a,b\n1,"x\ny"\n1\n', 4, "1 fields"),
        ('"a","b"\n"1",1,2\n', 2, "row.names"),
        ("a,b,a\n1,2,3\n", 1, "columns 1, 3 are all called 'a'"),
        ("a, a\n1, 2\n", 1, "all called 'a'"),
        (",,a\n1,2,3\n", 1, "no name"),
        ("", 1, "empty"),
        ("\n\n", 1, "empty"),
        ("a,b\n", 1, "no row"),
        ("a,b\n,\n", 1, "no row with a value"),
        ('a,b\n1,2\n1,"2\n', 3, "quotation mark"),
        ('a,b\n1,"2"x\n', 2, "quotation mark"),
        ("a,b\nx,y\nThé,x\n".encode("cp1252"), 3, "not UTF-8"),
        (b"PK\x03\x04...", 1, "Excel"),
        (b"\x1f\x8b...", 1, "gzip"),
        (b"a,b\0\0\0\n1,2\n", 1, "zero bytes"),
    ],
)
def test_what_cannot_be_read_names_line_and_fix(tmp_path, content, line, words):
    path = written(tmp_path, content)
    with pytest.raises(SpecError) as found:
        read_delimited(path)
    assert str(found.value).startswith(f"{path}:{line}: ")
    assert words in str(found.value)
    assert found.value.complaints[0].fix


def test_a_missing_file_and_a_folder_are_complaints(tmp_path):
    for path, words in ((tmp_path / "no.csv", "no such file"), (tmp_path, "folder")):
        with pytest.raises(SpecError, match=words):
            read_delimited(path)


def test_a_value_as_long_as_a_book_is_read(tmp_path):
    assert rows(written(tmp_path, f"a,b\n{'x' * 300_000},y\n"))[0]["a"] == "x" * 300_000
