"""The tables of a run, one a step: written part by part, there whole or not at all, and checked when they are read."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from prefgen.errors import FileError
from prefgen.ids import file_sha256
from prefgen.store.behind import behind
from prefgen.store.files import file_errors
from prefgen.store.seal import sealed
from prefgen.store.table import Packed, PartFiles, Table

Account = dict[str, Any]
"""What the manifest says of one step."""

_DONE = "done.json"


@dataclass(frozen=True, slots=True)
class Tables:
    """The folder with a folder for each step's table."""

    path: Path

    def write(
        self,
        step: str,
        frames: Iterable[pl.DataFrame],
        *,
        fingerprint: str,
        account: Callable[[Table], Account],
        packed: Packed | None = None,
    ) -> Account:
        """Write a step's table part by part, then give it its name: it is there whole or not at all.

        account    what is to be remembered of the step, asked for once all of its rows are written
        packed     how its column of row numbers is read, where it has one
        """
        final, aside = self.path / step, self.path / f".{step}.aside"
        with file_errors(aside):
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            parts: list[_Part] = []

            def write(frame: pl.DataFrame) -> None:
                parts.append(_write_part(aside / f"part-{len(parts):05d}.parquet", frame))

            behind(frames, write)
            n_rows = sum(part.rows for part in parts)
            told = account(_table(step, aside, n_rows))
            done = {
                "fingerprint": fingerprint,
                "rows": n_rows,
                "account": told,
                "parts": [asdict(part) for part in parts],
            }
            if packed is not None:
                done["packed"] = asdict(packed)
            (aside / _DONE).write_bytes(orjson.dumps(sealed(done)))
            _to_disk(*sorted(aside.iterdir()), aside)
            shutil.rmtree(final, ignore_errors=True)
            aside.rename(final)
            _to_disk(self.path)
        return told

    def read(self, step: str, *, check: bool = True) -> Table:
        """A step's table as it stands on disk; FileError when it is not there or not as it was written.

        check    False where the table was written or checked just now
        """
        done = self._done(step)
        if done is None or (check and not self._is_whole(step, done)):
            problem = "there is no finished table" if done is None else "the table is damaged"
            raise FileError(
                f"{self.path / step}: {problem}",
                fix="run the pipeline again; what was answered is kept, and the table is made anew",
            )
        table = _table(step, self.path / step, int(done["rows"]))
        if "packed" not in done:
            return table
        from prefgen.store.packed import unpacked  # few runs pack

        packed = _packed(done["packed"])
        return unpacked(table, packed, [self.read(name, check=check) for name in packed.steps])

    def raw(self, step: str) -> Table:
        """A step's table as it is written, with row numbers where it is packed; it was checked just now."""
        done = self._done(step)
        assert done is not None, "it was checked"
        return _table(step, self.path / step, int(done["rows"]))

    def is_there(self, step: str) -> bool:
        """Whether a step has a table, whole or not."""
        return (self.path / step).is_dir()

    def has(self, step: str) -> bool:
        """Whether a step's table was made, by whatever pipeline this folder held then."""
        return self._done(step) is not None

    def account(self, step: str, *, fingerprint: str) -> Account | None:
        """What was remembered of a step, if its table was made by just this step from just these inputs, and is whole."""
        done = self._done(step)
        if done is None or done["fingerprint"] != fingerprint or not self._is_whole(step, done):
            return None
        told: Account = done["account"]
        from prefgen.store.shape import is_account

        return told if is_account(told) else None

    def is_damaged(self, step: str) -> bool:
        """Whether a step's table is there and not as it was written."""
        done = self._done(step)
        return (self.path / step).exists() and (done is None or not self._is_whole(step, done))

    def _done(self, step: str) -> dict[str, Any] | None:
        try:
            content = (self.path / step / _DONE).read_bytes()
            done = orjson.loads(content)
        except (OSError, ValueError):
            return None
        from prefgen.store.shape import wrong_record

        return done if wrong_record(done) is None else None

    def _is_whole(self, step: str, done: Mapping[str, Any]) -> bool:
        """Whether the parts of a table are those that were written."""
        folder = self.path / step
        try:
            return all(
                (folder / part["name"]).stat().st_size == part["bytes"]
                and file_sha256(folder / part["name"]) == part["sha256"]
                for part in done["parts"]
            )
        except OSError:
            return False


@dataclass(frozen=True, slots=True)
class _Part:
    """One file of a table, as it was written."""

    name: str
    rows: int
    bytes: int
    sha256: str


def _write_part(path: Path, frame: pl.DataFrame) -> _Part:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", compression_level=1, statistics=False)
    content = buffer.getbuffer()
    path.write_bytes(content)
    return _Part(path.name, frame.height, len(content), hashlib.sha256(content).hexdigest())


def _to_disk(*paths: Path) -> None:
    """Wait until the files, or the names in a folder, would survive a power cut."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _packed(told: Mapping[str, Any]) -> Packed:
    return Packed(told["column"], tuple(told["steps"]), tuple(told["each"]), told["plain"])


def _table(step: str, folder: Path, n_rows: int) -> Table:
    return Table(step, PartFiles(sorted(folder.glob("part-*.parquet"))), n_rows)
