"""Tables that are needed for a while: in memory as long as they are small, and else in files that go when the table goes."""

from __future__ import annotations

import io
import shutil
import weakref
from collections.abc import Iterable
from pathlib import Path
from tempfile import gettempdir, mkdtemp

import polars as pl

from prefgen.store.behind import behind
from prefgen.store.files import file_errors
from prefgen.store.table import PartFiles, Table

_HELD_BYTES = 64 << 20


def spilled(name: str, frames: Iterable[pl.DataFrame]) -> Table:
    """A table of these rows, in flat memory whatever their number. FileError where the temporary folder takes no more."""
    held: list[pl.DataFrame] = []
    size, source = 0.0, iter(frames)
    for frame in source:
        held.append(frame)
        size += frame.estimated_size()
        if size > _HELD_BYTES:
            return _in_files(name, held, source)
    return Table.of(name, held)


def _in_files(name: str, held: list[pl.DataFrame], more: Iterable[pl.DataFrame]) -> Table:
    folder = _Folder()
    paths: list[Path] = []
    n_rows = 0

    def frames() -> Iterable[pl.DataFrame]:
        while held:
            yield held.pop(0)
        yield from more

    def write(frame: pl.DataFrame) -> None:
        nonlocal n_rows
        path = folder.path / f"part-{len(paths):05d}.parquet"
        buffer = io.BytesIO()  # polars tells of a full disk as of a fault of its own
        frame.write_parquet(buffer, compression="lz4", statistics=False)
        with file_errors(path):
            path.write_bytes(buffer.getbuffer())
        paths.append(path)
        n_rows += frame.height

    behind(frames(), write)
    return Table(name, PartFiles(paths, keep=folder), n_rows)


class _Folder:
    """A temporary folder that is deleted once nobody holds it any more, and at the end of the process."""

    def __init__(self) -> None:
        with file_errors(Path(gettempdir())):
            self.path = Path(mkdtemp(prefix="prefgen-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
