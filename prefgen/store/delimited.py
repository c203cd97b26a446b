"""Reads the CSV and TSV files that users bring: every field stays the text that was written, every row knows its line."""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.errors import Complaint, SpecError

SUFFIXES = (".csv", ".tsv", ".tab", ".txt")

_SEPARATORS = {",": "','", ";": "';'", "\t": "tabs", "|": "'|'"}  # the likelier first
_TRIED = 50  # records that show which separator a file has
_CHUNK = 20_000  # rows held as Python text at once
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_OTHER_FORMATS = {
    b"PK\x03\x04": "an Excel workbook or a zip archive",
    b"\x1f\x8b": "compressed (gzip)",
    b"PAR1": "Parquet",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
}


@dataclass(frozen=True, slots=True)
class Delimited:
    """The rows of a delimited file.

    frame    one text column for each name of the header; an empty field is null, any other field is as written
    lines    line of the file on which each row begins (a quoted field may run over several)
    notes    what is unusual about the file, in sentences: separator, encoding, what was left out
    """

    frame: pl.DataFrame
    lines: NDArray[np.int64]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How a file is written; `skip` lines stand before the header, `spaced` has a space after each separator."""

    encoding: str
    separator: str
    skip: int = 0
    spaced: bool = False


def read_delimited(path: Path, *, separator: str | None = None) -> Delimited:
    """All rows of a CSV or TSV file, in file order, without guessing types.

    Encoding (UTF-8, or UTF-16 and UTF-32 by their mark) and separator (comma, semicolon, tab, bar) are found out and
    said in `notes` where they are not those of a plain CSV. Names of the header lose the spaces around them. Lines
    without anything, and columns without name and values, are left out. One column may have the name ''.

    separator    where it is known, so that it need not be found out

    Raises SpecError with path:line for a file that cannot be read, a row with more or fewer fields than the header,
    and two columns of one name.
    """
    try:
        dialect = _dialect(path, separator)
        return _read(path, dialect)
    except OSError as error:
        what = "this is a folder" if path.is_dir() else "no such file" if not path.exists() else str(error.strerror)
        raise _complaint(path, 1, what, "check the path; it is relative to the YAML file that names it") from None
    except UnicodeDecodeError as error:
        line = _undecodable_line(path, error.encoding)
        raise _complaint(
            path,
            line,
            f"not {error.encoding.upper()} text",
            'save the file as UTF-8 (Excel: `CSV UTF-8`; R: `fileEncoding = "UTF-8"`; pandas: `encoding="utf-8"`)',
        ) from None


def _read(path: Path, dialect: _Dialect) -> Delimited:
    records = _records(path, dialect)
    first = next(records, None)
    if first is None:
        raise _complaint(path, 1, "the file is empty", "write a header and at least one row")
    at, header = first
    names = [name.strip() for name in header]
    lines: list[int] = []
    chunks: list[pl.DataFrame] = []
    places = [str(place) for place in range(len(names))]
    while chunk := list(islice(records, _CHUNK)):
        for line, fields in chunk:
            if len(fields) != len(names):
                raise _ragged(path, line, fields, names, dialect)
        lines += [line for line, _ in chunk]
        columns = zip(*(fields for _, fields in chunk), strict=True)
        chunks.append(
            pl.DataFrame(
                [pl.Series(place, column, dtype=pl.String) for place, column in zip(places, columns, strict=True)]
            ).with_columns(pl.all().replace("", None))
        )
    if not chunks:
        raise _complaint(path, at, "a header, but no row", "write at least one row")
    frame = pl.concat(chunks)
    kept = [
        place for place, name in zip(places, names, strict=True) if name or frame[place].null_count() < frame.height
    ]
    names = [names[int(place)] for place in kept]
    _check_names(path, at, names)
    frame = frame.select(kept).rename(dict(zip(kept, names, strict=True)))
    end = _without_empty_end(frame)
    notes = [*_notes(path, dialect, header)]
    if end < frame.height:
        notes.append(f"{path.name}: {frame.height - end:,} rows without any value at its end are left out")
    if end == 0:
        raise _complaint(path, at, "a header, but no row with a value", "write at least one row")
    return Delimited(frame.head(end), np.array(lines[:end], dtype=np.int64), tuple(notes))


def _without_empty_end(frame: pl.DataFrame) -> int:
    """How many rows there are up to the last one that has any value."""
    if all(column.null_count() == 0 for column in frame):
        return frame.height
    some = frame.select(pl.any_horizontal(pl.all().is_not_null())).to_series().arg_true()
    return int(some[-1]) + 1 if len(some) else 0


def _records(path: Path, dialect: _Dialect) -> Iterator[tuple[int, list[str]]]:
    """Line and fields of every record that is not an empty line, the header first."""
    csv.field_size_limit(1 << 30)  # its default of 128 kB is less than some prompts have
    with path.open(encoding=dialect.encoding, newline="") as file:
        for _ in range(dialect.skip):
            file.readline()
        reader = csv.reader(file, delimiter=dialect.separator, strict=True, skipinitialspace=dialect.spaced)
        while True:
            line = reader.line_num + dialect.skip + 1
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise _complaint(
                    path,
                    line,
                    f"a quotation mark is out of place: {error}",
                    'put the whole field in quotation marks and double those inside: "He said ""yes"""',
                ) from None
            if fields:
                yield line, fields


def _dialect(path: Path, separator: str | None) -> _Dialect:
    with path.open("rb") as file:
        start = file.read(4096)
    for magic, what in _OTHER_FORMATS.items():
        if start.startswith(magic):
            raise _complaint(path, 1, f"not delimited text: {what}", "save it as CSV (UTF-8)")
    encoding = next((name for bom, name in _BOMS.items() if start.startswith(bom)), "utf-8")
    if encoding == "utf-8" and b"\0" in start:
        zeros = [start[parity::2].count(0) for parity in (0, 1)]
        if max(zeros) <= 4 * min(zeros):
            raise _complaint(path, 1, "not text: it holds zero bytes", "save it as CSV (UTF-8)")
        encoding = "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    with path.open(encoding=encoding, newline="") as file:
        head = file.readline(1 << 20).strip("\r\n")
    if head[:4].lower() == "sep=" and len(head) == 5:  # Excel's own way to say it
        return _spaced(path, _Dialect(encoding, head[4], skip=1))
    return _spaced(path, _Dialect(encoding, separator or _separator(path, encoding, head)))


def _separator(path: Path, encoding: str, head: str) -> str:
    """The separator under which the first records all have as many fields as the header, and the most."""
    if path.suffix.lower() in (".tsv", ".tab"):
        return "\t"
    fits: dict[str, int] = {}
    for separator in _SEPARATORS:
        if separator not in head:
            continue
        try:
            widths = [len(fields) for _, fields in islice(_records(path, _Dialect(encoding, separator)), _TRIED)]
        except SpecError:
            continue
        if len(set(widths)) == 1 and widths[0] > 1:
            fits[separator] = widths[0]
    return max(fits, key=lambda one: fits[one], default=max(_SEPARATORS, key=head.count))


def _spaced(path: Path, dialect: _Dialect) -> _Dialect:
    """The dialect, `spaced` where every name of the header after the first begins with a space."""
    _, header = next(_records(path, dialect), (1, []))
    spaced = len(header) > 1 and all(name[:1] == " " and name.strip() for name in header[1:])
    return _Dialect(dialect.encoding, dialect.separator, dialect.skip, spaced)


def _notes(path: Path, dialect: _Dialect, header: Sequence[str]) -> Iterator[str]:
    usual = "\t" if path.suffix.lower() in (".tsv", ".tab") else ","
    if dialect.separator != usual and len(header) > 1:
        yield f"{path.name}: its separator is {_SEPARATORS.get(dialect.separator, repr(dialect.separator))}"
    if not dialect.encoding.startswith("utf-8"):
        yield f"{path.name}: its encoding is {dialect.encoding[:6].upper()}"
    if dialect.spaced:
        name = header[1].strip()
        yield f"{path.name}: column {' ' + name!r} is read as {name!r}, values likewise: its separator has a space behind it"
    padded = [name for name in header if name.strip() != name]
    if padded:
        yield f"{path.name}: column {padded[0]!r} is read as {padded[0].strip()!r}"


def _check_names(path: Path, line: int, names: Sequence[str]) -> None:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is None:
        return
    places = ", ".join(str(place) for place, name in enumerate(names, 1) if name == twice)
    what = f"columns {places} have no name" if not twice else f"columns {places} are all called {twice!r}"
    raise _complaint(path, line, what, f"give every column a name of its own; the header is {_shown(names)}")


def _ragged(path: Path, line: int, fields: Sequence[str], names: Sequence[str], dialect: _Dialect) -> SpecError:
    separator = _SEPARATORS.get(dialect.separator, repr(dialect.separator))
    problem = f"{len(fields)} fields where the header has {len(names)} (separator {separator}; columns {_shown(names)})"
    if len(fields) == len(names) + 1 and fields[0].isdigit():
        fix = "if R wrote row names without a header for them, write the file with `row.names = FALSE`"
    elif len(fields) > len(names):
        fix = f"put a field that holds the separator in quotation marks; the row begins {fields[0]!r:.60}"
    else:
        fix = "give every row all fields, empty ones too; take titles and footnotes out of the file"
    return _complaint(path, line, problem, fix)


def _shown(names: Sequence[str]) -> str:
    return ", ".join(f"{name!r:.40}" for name in names[:12]) + (
        f" and {len(names) - 12} more" if len(names) > 12 else ""
    )


def _undecodable_line(path: Path, encoding: str) -> int:
    line = 0
    with path.open("rb") as file:
        for line, content in enumerate(file, 1):
            if encoding.startswith("utf-8") or encoding == "ascii":
                try:
                    content.decode("utf-8")
                except UnicodeDecodeError:
                    return line
    return max(1, line)


def _complaint(path: Path, line: int, problem: str, fix: str) -> SpecError:
    return SpecError(Complaint(str(path), line, "", problem, fix))
