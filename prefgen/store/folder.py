"""The run folder: where everything of a run lies, and how it gets there whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from prefgen.errors import FileError, NotFinished, PrefgenError
from prefgen.store.behind import behind
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
            heights: list[int] = []

            def write(frame: pl.DataFrame) -> None:
                path = aside / f"part-{len(heights):05d}.parquet"
                frame.write_parquet(path, compression="zstd", compression_level=1, statistics=False)
                heights.append(frame.height)

            behind(frames, write)
            n_rows = sum(heights)
            told = account(_table(step, aside, n_rows))
            (aside / _DONE).write_bytes(orjson.dumps({"fingerprint": fingerprint, "rows": n_rows, "account": told}))
            shutil.rmtree(final, ignore_errors=True)
            aside.rename(final)
        return told

    def table(self, step: str) -> Table:
        """A step's table as it stands on disk."""
        done = self._done(step)
        if done is None:
            raise FileError(f"{self.tables / step}: there is no finished table", fix="run the pipeline again")
        return _table(step, self.tables / step, int(done["rows"]))

    def account(self, step: str, *, fingerprint: str) -> Account | None:
        """What was remembered of a step, if its table was made by just this step from just these inputs."""
        done = self._done(step)
        return done["account"] if done is not None and done.get("fingerprint") == fingerprint else None

    def _done(self, step: str) -> dict[str, Any] | None:
        try:
            done = orjson.loads((self.tables / step / _DONE).read_bytes())
        except (OSError, ValueError):
            return None
        return done if isinstance(done, dict) else None

    def read_manifest(self) -> dict[str, Any]:
        """manifest.json; FileError when the folder is no run or its manifest is broken."""
        try:
            manifest = orjson.loads(self.manifest_path.read_bytes())
        except FileNotFoundError:
            raise FileError(f"{self.path} is not a run folder: it has no manifest.json",
                fix="give the folder that `prefgen run` wrote, e.g. outputs/quickstart") from None  # fmt: skip
        except (OSError, ValueError) as error:
            raise FileError(f"{self.manifest_path}: cannot be read ({type(error).__name__})",
                fix="run the pipeline again; the responses are kept") from None  # fmt: skip
        if not isinstance(manifest, dict) or manifest.get("format") != 1:
            raise FileError(f"{self.manifest_path}: not a manifest of this version", fix="run the pipeline again")
        return manifest


Account = dict[str, Any]
"""What the manifest says of one step."""

_DONE = "done.json"


def _table(step: str, folder: Path, n_rows: int) -> Table:
    return Table(step, PartFiles(sorted(folder.glob("part-*.parquet"))), n_rows)


def write_aside(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it, so that a reader sees the old one or the new one."""
    aside = path.with_name(f".{path.name}.aside")
    with file_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)


def write_json(path: Path, content: object) -> None:
    """Indented, sorted JSON with a newline at the end, written aside and renamed."""
    write_aside(path, orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def read_of_run(path: Path, manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """A JSON file beside a manifest, when it is there and has its `fingerprint`; FileError when it cannot be read."""
    try:
        content = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise FileError(
            f"{path}: cannot be read ({type(error).__name__})", fix="make it again with `prefgen report`"
        ) from None
    ours = isinstance(content, dict) and content.get("fingerprint") == manifest["fingerprint"]
    return content if ours else None


@contextlib.contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """What the operating system or polars says about a file, as a FileError."""
    try:
        yield
    except PrefgenError:
        raise
    except OSError as error:
        where = error.filename or path
        raise FileError(f"{where}: {error.strerror or error}",
            fix="free some space or choose another folder; what was answered so far is kept") from error  # fmt: skip
