"""Writing a file whole or not at all, and what goes wrong with files as errors for people."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import orjson

from prefgen.errors import FileError, PrefgenError


def write_aside(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it, so that a reader sees the old one or the new one."""
    aside = path.with_name(f".{path.name}.aside")
    with file_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with aside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except BaseException:
            aside.unlink(missing_ok=True)  # half a file takes room on a disk that has none
            raise


def write_json(path: Path, content: object) -> None:
    """Indented, sorted JSON with a newline at the end, written aside and renamed."""
    write_aside(path, orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


@contextlib.contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """What the operating system or polars says about a file, as a FileError."""
    try:
        yield
    except PrefgenError:
        raise
    except OSError as error:
        where = error.filename or path
        raise FileError(
            f"{where}: {error.strerror or error}",
            fix="free some space or choose another folder; what was answered so far is kept",
        ) from error
