"""The run folder: where everything of a run lies, and how it gets there whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from prefgen.errors import FileError, NotFinished, PrefgenError
from prefgen.ids import file_sha256
from prefgen.store.behind import behind
from prefgen.store.shape import SEAL, is_account, sealed, wrong_manifest, wrong_record
from prefgen.store.table import PartFiles, Table


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's folder. Paths only; nothing is created before something is written."""

    path: Path

    @property
    def manifest_path(self) -> Path:
        return self.path / "manifest.json"

    @property
    def pipeline_path(self) -> Path:
        return self.path / "pipeline.yaml"

    @property
    def responses_path(self) -> Path:
        return self.path / "responses.sqlite"

    @property
    def tables(self) -> Path:
        return self.path / "tables"

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def report_path(self) -> Path:
        return self.path / "report.html"

    @property
    def card_path(self) -> Path:
        return self.path / "README.md"

    @property
    def audit_path(self) -> Path:
        return self.path / "audit.json"

    @property
    def log_path(self) -> Path:
        return self.path / "log.jsonl"

    @property
    def batches(self) -> Path:
        return self.path / "batches"

    def create(self) -> None:
        """Make the folder; FileError where that is not possible."""
        with file_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process alone; NotFinished when another run holds it."""
        with file_errors(self.path), (self.path / ".lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise NotFinished(
                    f"{self.path}: another run (process {lock.read().strip() or 'unknown'}) is working here",
                    fix="wait for it, or give this run a folder of its own with --out",
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield  # the lock goes with the file handle, also after a kill -9

    def write_table(
        self, step: str, frames: Iterable[pl.DataFrame], *, fingerprint: str, account: Callable[[Table], Account]
    ) -> Account:
        """Write a step's table part by part, then give it its name: it is there whole or not at all.

        account    what is to be remembered of the step, asked for once all of its rows are written
        """
        final, aside = self.tables / step, self.tables / f".{step}.aside"
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
            (aside / _DONE).write_bytes(orjson.dumps(sealed(done)))
            _to_disk(*sorted(aside.iterdir()), aside)
            shutil.rmtree(final, ignore_errors=True)
            aside.rename(final)
            _to_disk(self.tables)
        return told

    def table(self, step: str, *, check: bool = True) -> Table:
        """A step's table as it stands on disk; FileError when it is not there or not as it was written.

        check    False where the table was written or checked just now
        """
        done = self._done(step)
        if done is None or (check and not self._is_whole(step, done)):
            problem = "there is no finished table" if done is None else "the table is damaged"
            raise FileError(
                f"{self.tables / step}: {problem}",
                fix="run the pipeline again; what was answered is kept, and the table is made anew",
            )
        return _table(step, self.tables / step, int(done["rows"]))

    def has_table(self, step: str) -> bool:
        """Whether a step's table was made, by whatever pipeline this folder held then."""
        return self._done(step) is not None

    def account(self, step: str, *, fingerprint: str) -> Account | None:
        """What was remembered of a step, if its table was made by just this step from just these inputs, and is whole."""
        done = self._done(step)
        if done is None or done["fingerprint"] != fingerprint or not self._is_whole(step, done):
            return None
        told: Account = done["account"]
        return told if is_account(told) else None

    def is_damaged(self, step: str) -> bool:
        """Whether a step's table is there and not as it was written."""
        done = self._done(step)
        return (self.tables / step).exists() and (done is None or not self._is_whole(step, done))

    def _done(self, step: str) -> dict[str, Any] | None:
        try:
            content = (self.tables / step / _DONE).read_bytes()
            done = orjson.loads(content)
        except (OSError, ValueError):
            return None
        return done if wrong_record(done) is None else None

    def _is_whole(self, step: str, done: Mapping[str, Any]) -> bool:
        """Whether the parts of a table are those that were written."""
        folder = self.tables / step
        try:
            return all(
                (folder / part["name"]).stat().st_size == part["bytes"]
                and file_sha256(folder / part["name"]) == part["sha256"]
                for part in done["parts"]
            )
        except OSError:
            return False

    def read_manifest(self) -> dict[str, Any]:
        """manifest.json; FileError when the folder is no run or its manifest is broken."""
        again = "run the pipeline again: the manifest is written anew, and what was answered is kept"
        try:
            manifest = orjson.loads(self.manifest_path.read_bytes())
        except FileNotFoundError:
            raise FileError(
                f"{self.path} is not a run folder: it has no manifest.json",
                fix="give the folder that `prefgen run` wrote, e.g. outputs/quickstart",
            ) from None
        except (OSError, ValueError) as error:
            raise FileError(f"{self.manifest_path}: cannot be read ({type(error).__name__})", fix=again) from None
        problem = wrong_manifest(manifest)
        if problem is not None:
            raise FileError(f"{self.manifest_path}: {problem}", fix=again)
        return {key: value for key, value in manifest.items() if key != SEAL}

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """manifest.json, with the seal by which damage is seen."""
        write_json(self.manifest_path, sealed(manifest))


Account = dict[str, Any]
"""What the manifest says of one step."""

_DONE = "done.json"


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


def _table(step: str, folder: Path, n_rows: int) -> Table:
    return Table(step, PartFiles(sorted(folder.glob("part-*.parquet"))), n_rows)


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


_MAKERS = {
    "report.json": "report RUN",
    "placement.json": "place RUN --model ...",
    "calibration.json": "calibrate RUN SURVEY",
}
"""Command that makes each file beside a manifest."""


def write_of_run(path: Path, content: Mapping[str, Any]) -> None:
    """A JSON file beside a manifest, which names it by `fingerprint`, with the seal by which damage is seen."""
    write_json(path, sealed(content))


def read_of_run(path: Path, manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """A JSON file beside a manifest, when it is there and has its `fingerprint`; FileError when it cannot be read."""
    fix = f"make it again with `prefgen {_MAKERS.get(path.name, 'run PIPELINE')}`"
    try:
        content = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise FileError(f"{path}: cannot be read ({type(error).__name__})", fix=fix) from None
    if not isinstance(content, dict) or content.get("fingerprint") != manifest["fingerprint"]:
        return None
    if SEAL in content and content[SEAL] != sealed(content)[SEAL]:
        raise FileError(f"{path}: damaged, or changed by hand", fix=fix)
    return {key: value for key, value in content.items() if key != SEAL}


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
