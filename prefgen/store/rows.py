"""Reads the rows that users bring: JSON lines, CSV, Parquet. Every complaint names file and line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from prefgen.errors import Complaint, SpecError, one_of

_READ = ("jsonl", "ndjson", "csv", "parquet")


def read_rows(path: Path) -> pl.DataFrame:
    """All rows of a file, in file order; the suffix says the format. Raises SpecError with path:line."""
    suffix = path.suffix.lower().lstrip(".")
    if suffix not in _READ:
        raise _complaint(path, 1, f"rows cannot be read from a {path.suffix or 'nameless'} file",
            f"bring {one_of(suffix, _READ)}")  # fmt: skip
    if not path.is_file():
        what = "this is a folder" if path.is_dir() else "no such file"
        raise _complaint(path, 1, what, "check the path; it is relative to the YAML file that names it")
    try:
        if suffix in ("jsonl", "ndjson"):
            return _frame(path, list(_json_lines(path)))
        return pl.read_csv(path, infer_schema_length=10_000) if suffix == "csv" else pl.read_parquet(path)
    except SpecError:
        raise
    except pl.exceptions.NoDataError:
        raise _complaint(path, 1, "the file is empty", "put at least one row into it") from None
    except (pl.exceptions.PolarsError, UnicodeDecodeError, OSError, BaseException) as error:
        # pyo3's panics on corrupt Parquet derive from BaseException only
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        first = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise _complaint(path, 1, f"not readable as {suffix}: {first}", f"check that it is a {suffix} file") from None


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = orjson.loads(line.removeprefix(b"\xef\xbb\xbf"))
            except orjson.JSONDecodeError as error:
                raise _complaint(path, number, f"not JSON: {error.msg}", "write one JSON object on each line") from None
            if not isinstance(row, dict):
                raise _complaint(path, number, f"a {type(row).__name__}, not an object",
                    'write one JSON object on each line, e.g. {"prompt": "...", "options": ["...", "..."]}')  # fmt: skip
            yield row


def _frame(path: Path, rows: list[dict[str, Any]]) -> pl.DataFrame:
    if not rows:
        raise _complaint(path, 1, "the file is empty", "put at least one row into it")
    # polars would turn a number among texts into a text; what a user wrote is not changed silently
    _check_types(path, rows)
    try:
        return pl.DataFrame(rows, infer_schema_length=None)
    except (pl.exceptions.PolarsError, TypeError, OverflowError, ValueError) as error:
        raise _complaint(
            path, 1, f"the rows do not fit together: {error}", "give a key the same type in every row"
        ) from None


def _check_types(path: Path, rows: list[dict[str, Any]]) -> None:
    types: dict[str, type] = {}
    for number, row in enumerate(rows, 1):
        for key, value in row.items():
            if value is None:
                continue
            kind = float if isinstance(value, int) and not isinstance(value, bool) else type(value)
            if types.setdefault(key, kind) is not kind:
                raise _complaint(path, number, f"key {key!r} is {value!r:.60}, of another type than in the rows before",
                    "give a key the same type in every row")  # fmt: skip


def _complaint(path: Path, line: int, problem: str, fix: str) -> SpecError:
    return SpecError(Complaint(str(path), line, "", problem, fix))
