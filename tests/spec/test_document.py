"""YAML files: what is read, and that nothing a file can hold ends in a traceback."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefgen.errors import SpecError
from prefgen.spec.document import dotted, read_document


def write(tmp_path: Path, content: bytes | str) -> Path:
    path = tmp_path / "spec.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def complaint(tmp_path: Path, content: bytes | str) -> str:
    with pytest.raises(SpecError) as caught:
        read_document(write(tmp_path, content))
    return str(caught.value)


def test_words_that_look_like_other_types_stay_what_was_written(tmp_path: Path) -> None:
    document = read_document(
        write(tmp_path, "country: no\nat: 12:30\nday: 2020-01-01\n18-34: 1\n2020: 0.5\nyes: true\n")
    )
    assert document.data == {"country": "no", "at": "12:30", "day": "2020-01-01", "18-34": 1, "2020": 0.5, "yes": True}


def test_every_key_remembers_its_line(tmp_path: Path) -> None:
    document = read_document(write(tmp_path, "a:\n  b:\n    - x\n    - c: 1\n"))
    assert document.lines[("a", "b", 1, "c")] == 4
    assert dotted(("a", "b", 1, "c")) == "a.b[1].c"


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("a: 1\na: 2", 2, "written twice, first on line 1"),
        ("a: 1\nb: ]", 2, "not valid YAML"),
        ("a: 1\n\tb: 2", 2, "not valid YAML"),
        ("", 1, "the file is empty"),
        ("x: &x [*x]", 1, "unfold without end"),
        (b"a: 1\nb: \xff\xfe", 2, "not UTF-8"),
        ("a: !!python/object/apply:os.system [ls]", 1, "not valid YAML"),
        ("? [1, 2]\n: 3", 1, "a key must be a plain word"),
        ("[" * 900 + "]" * 900, 1, "unfold without end"),
        ("a: \x00", 1, "characters YAML forbids"),
        ('a: 1\nb: "\\ud83d"', 2, "not valid YAML"),
    ],
)
def test_a_broken_file_is_a_complaint_with_its_line(
    tmp_path: Path, content: bytes | str, line: int, words: str
) -> None:
    said = complaint(tmp_path, content)
    assert f"spec.yaml:{line}:" in said
    assert words in said
    assert "fix: " in said


def test_a_thousand_open_brackets_are_a_complaint(tmp_path: Path) -> None:
    assert "not valid YAML" in complaint(tmp_path, "[" * 5000)


def test_ten_megabytes_of_garbage_are_refused_by_size(tmp_path: Path) -> None:
    assert "10.0 MB" in complaint(tmp_path, b"\x80" * 10_000_000)


def test_a_few_lines_cannot_unfold_into_gigabytes(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "too many values" in complaint(tmp_path, "\n".join(lines))


def test_a_missing_file_and_a_folder_are_complaints(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "none.yaml", "no such file"), (tmp_path, "cannot be read")):
        with pytest.raises(SpecError, match=words):
            read_document(path)


@settings(max_examples=300, deadline=None)
@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_no_bytes_give_a_traceback(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(content)
    try:
        read_document(path)
    except SpecError as error:
        assert all(one.line >= 1 and one.fix for one in error.complaints)
