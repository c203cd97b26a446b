"""Reads the rows that users bring: JSON lines, CSV, TSV, Parquet. Every complaint names file and line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from prefgen.errors import Complaint, SpecError, first_words, one_of
from prefgen.store.delimited import SUFFIXES, read_delimited
from prefgen.store.objects import frame_of
from prefgen.store.table import FRAME_ROWS, PART_BYTES

_DELIMITED = tuple(suffix.lstrip(".") for suffix in SUFFIXES)
_READ = ("jsonl", "ndjson", "csv", "tsv", "parquet")

NAMES = frozenset({"item_id", "prompt", "options"})
"""Columns of a delimited file that stay text whatever they hold."""


def read_rows(path: Path) -> pl.DataFrame:
    """All rows of a file, in file order; the suffix says the format. Raises SpecError with path:line."""
    return read_rows_with_notes(path)[0]


def read_rows_with_notes(path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The same, and what is unusual about the file, in sentences."""
    parts, notes = parts_with_notes(path)
    return pl.concat(parts), notes


def parts_with_notes(path: Path) -> tuple[Iterator[pl.DataFrame], tuple[str, ...]]:
    """The rows of a file part by part, of one schema and one part at least, and what is unusual about it, in sentences.

    Of Parquet only some rows are held at once. A column of a text file is of numbers where all of its values are, and so
    one is read whole.
    """
    suffix = path.suffix.lower().lstrip(".")
    if suffix not in (*_READ, *_DELIMITED):
        raise _complaint(
            path, 1, f"rows cannot be read from a {path.suffix or 'nameless'} file", f"bring {one_of(suffix, _READ)}"
        )
    if not path.is_file():
        what = "this is a folder" if path.is_dir() else "no such file"
        raise _complaint(path, 1, what, "check the path; it is relative to the YAML file that names it")
    if suffix == "parquet":
        return _parquet_parts(path), ()
    with _readable(path):
        if suffix not in _DELIMITED:
            return iter((_json_rows(path),)), ()
        read = read_delimited(path)
        return iter((numbers(read.frame),)), read.notes


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """What goes wrong while a file is read, as a SpecError."""
    try:
        yield
    except SpecError:
        raise
    except (pl.exceptions.PolarsError, OSError, BaseException) as error:
        # pyo3's panics on corrupt Parquet derive from BaseException only
        if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit | MemoryError):
            raise
        what = path.suffix.lower().lstrip(".")
        raise _complaint(
            path, 1, f"not readable as {what}: {first_words(error)}", f"check that it is a {what} file"
        ) from None


def _parquet_parts(path: Path) -> Iterator[pl.DataFrame]:
    parts = parquet_parts(path)
    while True:
        with _readable(path):
            part = next(parts, None)
        if part is None:
            return
        yield part


def read_parquet(path: Path) -> pl.DataFrame:
    """A Parquet file that a user brings, whole; ValueError, in the words of who read it, where it cannot be read."""
    return pl.concat(parquet_parts(path))


def parquet_parts(path: Path) -> Iterator[pl.DataFrame]:
    """The same, some rows at a time, and one part at least.

    Read by Arrow: over some damaged files polars' own reader ends the process (seen with 2.1.0).
    """
    try:
        with pq.ParquetFile(path) as file:
            wide = next((column for column in file.schema_arrow if "decimal256" in str(column.type)), None)
            if wide is not None:
                raise ValueError(f"column {wide.name!r} holds {wide.type}, which nothing here reads")
            empty = True
            for batch in file.iter_batches(batch_size=_rows_at_once(file.metadata)):
                batch.validate(full=True)  # texts that are no UTF-8, say
                yield _frame(pa.Table.from_batches([batch]))
                empty = False
            pa.default_memory_pool().release_unused()
            if empty:
                yield _frame(file.schema_arrow.empty_table())
    except (pa.ArrowException, pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise ValueError(first_words(error)) from None


def _rows_at_once(file: pq.FileMetaData) -> int:
    """Rows of one part: as many as a step holds, fewer where they are long."""
    size = sum(file.row_group(number).total_byte_size for number in range(file.num_row_groups))
    return int(max(1, min(FRAME_ROWS, PART_BYTES * file.num_rows // max(1, size))))


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def read_together(paths: Sequence[Path], *, separator: str | None = None) -> pl.DataFrame:
    """All rows of several files of one format and the same columns, in order; types are those of all files together.

    separator    of delimited files, where it is known
    """
    if paths[0].suffix.lower() in (".jsonl", ".ndjson"):
        return _json_rows(*paths)
    texts = paths[0].suffix.lower() != ".parquet"
    frames = [read_delimited(path, separator=separator).frame if texts else read_rows(path) for path in paths]
    columns = frames[0].columns
    for path, frame in zip(paths, frames, strict=True):
        if set(frame.columns) != set(columns):
            odd = sorted(set(frame.columns) ^ set(columns))
            raise _complaint(
                path, 1, f"its columns are not those of {paths[0].name}: {odd[0]!r:.60}", "name one `split`"
            )
    for name in columns:
        types = {str(frame.schema[name]) for frame in frames if frame.schema[name] != pl.Null}
        if len(types) > 1:
            said = f"column {name!r:.60} is not of one type in all files: {', '.join(sorted(types))}"
            raise _complaint(paths[0], 1, said, "name one `split`, or bring the rows as one file")
    rows = pl.concat([frame.select(columns) for frame in frames], how="vertical_relaxed")
    return numbers(rows) if texts else rows


def numbers(texts: pl.DataFrame) -> pl.DataFrame:
    """Text columns, numbers where that loses nothing: every value, written out again, is the text that it was.

    So `7`, `-3` and `0.25` are numbers; `007`, `1.50`, `1e3`, `+1`, `TRUE` and `2,5` keep their whole column as text,
    and so do a name (`NAMES`), a whole number that a float beside it would round, and a column without any value.
    """
    return texts.with_columns(_numbers(column) for column in texts if column.name not in NAMES)


def _numbers(column: pl.Series) -> pl.Series:
    known = column.drop_nulls()
    if known.is_empty():
        return column
    whole = known.cast(pl.Int64, strict=False)
    if whole.null_count() == 0 and (whole.cast(pl.String) == known).all():
        return column.cast(pl.Int64)
    fraction = known.cast(pl.Float64, strict=False)
    exact = whole.is_not_null() & (whole.cast(pl.String) == known) & (whole.abs() <= 2**53)
    same = (fraction.cast(pl.String) == known) & known.str.contains(r"^-?[0-9]+\.[0-9]+$")
    if fraction.null_count() or not (exact.fill_null(False) | same).all() or fraction.n_unique() < known.n_unique():
        return column
    return column.cast(pl.Float64)


def _json_rows(*paths: Path) -> pl.DataFrame:
    """JSON lines as a frame: nothing is dropped, rounded or turned into another type."""
    places: list[tuple[Path, int]] = []
    rows: list[dict[str, Any]] = []
    for path in paths:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip(b" \t\r\n\xef\xbb\xbf"):
                    places.append((path, number))
                    rows.append(_object(path, number, line))
    if not rows:
        raise _empty(paths[0])
    return frame_of(rows, lambda row, problem, fix: _complaint(*places[row], problem, fix))


def _object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    fix = 'write one JSON object on each line, e.g. {"prompt": "...", "options": ["...", "..."]}'
    try:
        text = line.decode("utf-8-sig")
        row = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
        if "\\ud" in text or "\\uD" in text:
            text.encode(), json.dumps(row, ensure_ascii=False).encode()
    except UnicodeError:
        problem = "not UTF-8 text" if not line.isascii() else "half of a character (a lone surrogate)"
        raise _complaint(path, number, problem, "save the file as UTF-8") from None
    except _RowError as error:
        raise _complaint(path, number, str(error), error.fix) from None
    except (ValueError, RecursionError) as error:
        said = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply, or a number without end"
        raise _complaint(path, number, f"not JSON: {said[:1].lower()}{said[1:]}", fix) from None
    if not isinstance(row, dict):
        raise _complaint(path, number, f"a {type(row).__name__}, not an object", fix)
    return row


class _RowError(Exception):
    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem)
        self.fix = fix


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _RowError(f"key {twice!r} is written twice", "keep one of the two")
    return row


def _no_number(word: str) -> Any:
    raise _RowError(f"{word} is not JSON", "write null where there is no value")


def _empty(path: Path) -> SpecError:
    return _complaint(path, 1, "the file is empty", "put at least one row into it")


def _complaint(path: Path, line: int, problem: str, fix: str) -> SpecError:
    return SpecError(Complaint(str(path), line, "", problem, fix))
