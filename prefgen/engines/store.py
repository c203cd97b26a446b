"""The responses of a run in one SQLite file: the only thing that cost money, so nothing put here is lost.

Two promises, kept at two prices. A *commit* hands rows to the operating system: they survive a kill -9 of
this process (about 25 us for a single row, 8 us a row in batches). A *sync* also waits for the disk: they
survive a power cut. In WAL mode SQLite only does that with `synchronous=FULL`, so every commit that comes
half a second after the last synced one is made with it, and the last commit of a step always; one fsync
covers everything committed before it. A power cut therefore costs the last half second, a kill -9 nothing
that was committed, and neither can tear the file.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from prefgen.engines.store_format import PUT, check_or_make, key_of, to_response, to_row
from prefgen.errors import FileError, first_words
from prefgen.records import Response

NEVER_ASKED = "never asked"
"""The failure of a response that `read` was asked for and does not have."""

_BATCH_ROWS = 2000
_SYNC_SECONDS = 0.5
_CHUNK = 1000  # ids looked up by one statement


class ResponseStore:
    """Every response by request id; `put` is buffered, `commit` makes it last.

    A response counts as stored when it is an answer or a `final` failure. Any other failure is kept too, so
    that its row has a reason, but its id stays among the `missing` ones and is asked again next time.

    path        the SQLite file; made when it is not there
    read_only   never write, not even a journal; FileError when the file is not there
    facts       what was found out beside the responses

    FileError for a file that is broken, of another program, or of a newer prefgen, and when the disk is full
    (what was committed before stays).
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._pending: list[tuple[Any, ...]] = []
        self._synced_at = time.monotonic()
        self._unsynced = False
        self._file = _File(path, read_only=read_only)
        self.facts = StoredFacts(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """Number of responses, failures included."""
        return int(self._file.one("SELECT count(*) FROM responses")[0]) + len(self._pending)

    @property
    def pending(self) -> int:
        """Number of responses put and not yet committed: what a kill -9 now would cost."""
        return len(self._pending)

    def missing(self, request_ids: Sequence[str]) -> list[str]:
        """The ids to be asked, in the order given: nothing stored, or a failure that may be asked again."""
        self.commit()
        there: set[bytes] = set()
        keys = [key_of(request_id) for request_id in request_ids]
        for row in self._file.look_up(keys, "id", "AND (failure IS NULL OR final)"):
            there.add(row[0])
        return [name for name, key in zip(request_ids, keys, strict=True) if key not in there]

    def read(self, request_ids: Sequence[str]) -> list[Response]:
        """The response of each id, in the order given, failures included.

        An id that was never put comes back as a failure `never asked` that is not final, so that every
        row made from it says why it is empty.
        """
        found = self.find(request_ids)
        return [found.get(name) or Response(name, failure=NEVER_ASKED, final=False) for name in request_ids]

    def find(self, request_ids: Sequence[str]) -> dict[str, Response]:
        """What is there, by id, failures included."""
        self.commit()
        if self._file.one("SELECT 1 FROM responses LIMIT 1") is None:
            return {}
        names = {key_of(name): name for name in request_ids}
        rows = self._file.look_up(list(names), f"id, {self._file.columns}", "")
        try:
            return {(name := names[row[0]]): to_response(name, row) for row in rows}
        except (TypeError, ValueError) as error:
            raise _broken(self.path, first_words(error)) from None

    def reopen(self, request_ids: Sequence[str]) -> None:
        """Let failures be asked again that were final: where nothing at all was answered, no failure is."""
        self.commit()
        with self._file.errors():
            self._file.db.executemany(
                "UPDATE responses SET final = 0 WHERE id = ? AND failure IS NOT NULL",
                [(key_of(request_id),) for request_id in request_ids],
            )

    def put(self, response: Response) -> None:
        """Take one response; it is committed with others, at the latest when 2,000 wait or half a second is over."""
        self._pending.append(to_row(response))
        if len(self._pending) >= _BATCH_ROWS or time.monotonic() - self._synced_at >= _SYNC_SECONDS:
            self.commit()

    def commit(self, *, sync: bool = False) -> None:
        """Make everything put so far survive a kill -9; with `sync`, or twice a second anyway, a power cut too."""
        if not self._pending and not (sync and self._unsynced):
            return
        now = time.monotonic()
        sync = sync or now - self._synced_at >= _SYNC_SECONDS
        with self._file.errors():
            if self._pending:
                self._file.write(self._pending, sync=sync)
            else:
                self._file.one("PRAGMA wal_checkpoint(PASSIVE)")  # begins with an fsync of the journal
        self._pending.clear()
        self._unsynced = not sync
        if sync:
            self._synced_at = time.monotonic()

    def close(self) -> None:
        """Commit, sync and let go of the file; the journal beside it disappears."""
        try:
            self.commit(sync=True)
        finally:
            self._file.db.close()


class StoredFacts:
    """What was found out and holds for the next run in this folder (what an endpoint can do, say), each under a key."""

    def __init__(self, file: _File) -> None:
        self._file = file

    def fact(self, key: str) -> str | None:
        """What was remembered under `key`, or None."""
        row = self._file.one("SELECT value FROM facts WHERE key = ?", key)
        return None if row is None else str(row[0])

    def remember(self, key: str, value: str) -> None:
        """Keep a fact; a later value replaces an earlier one."""
        with self._file.errors():
            self._file.db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (key, value))


class _File:
    """The open SQLite file; what goes wrong with it is a FileError."""

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path = path
        with self.errors():
            self.db = _connect_read_only(path) if read_only else _connect(path)
            try:
                self.columns = check_or_make(self.db, path, read_only=read_only)
                if not read_only:  # only now: somebody else's file stays as it is
                    self.db.execute("PRAGMA journal_mode = WAL").fetchone()
            except BaseException:
                self.db.close()
                raise

    def one(self, statement: str, *values: object) -> Any:
        """The first row of what a statement finds, or None."""
        with self.errors():
            return self.db.execute(statement, values).fetchone()

    def look_up(self, keys: Sequence[bytes], columns: str, where: str) -> Iterator[tuple[Any, ...]]:
        """These columns of the responses with these keys."""
        for start in range(0, len(keys), _CHUNK):
            chunk = keys[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            with self.errors():
                yield from self.db.execute(f"SELECT {columns} FROM responses WHERE id IN ({marks}) {where}", chunk)

    def write(self, rows: Sequence[tuple[Any, ...]], *, sync: bool) -> None:
        """All of the rows or none; with `sync` they survive a power cut, as does all that was written before them."""
        self.db.execute(f"PRAGMA synchronous = {'FULL' if sync else 'NORMAL'}")
        self.db.execute("BEGIN IMMEDIATE")
        try:
            self.db.executemany(PUT, rows)
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """What SQLite says, as a FileError."""
        try:
            yield
        except sqlite3.Error as error:
            raise _file_error(self.path, error) from error


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=20, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA cache_size = -65536")  # KiB: holds the inner pages of the index at 10 million rows
    db.execute("PRAGMA journal_size_limit = 67108864")
    return db


def _connect_read_only(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise FileError(f"{path}: no such file", fix="name a responses.sqlite, or the run folder that holds one")
    # A file without a journal beside it is whole and can be read even from a folder that cannot be written.
    mode = "mode=ro" if path.with_name(path.name + "-wal").exists() else "mode=ro&immutable=1"
    db = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA cache_size = -65536")
    return db


def _file_error(path: Path, error: sqlite3.Error) -> FileError:
    words = str(error)
    if "locked" in words or "busy" in words:
        return FileError(f"{path}: another process is writing to it", fix="wait until it is done, then run again")
    if "full" in words or "disk I/O" in words:
        return FileError(
            f"{path}: the disk takes no more ({words})",
            fix="free some space and run the same command again; what was committed is kept",
        )
    if "unable to open" in words or "readonly" in words:
        return FileError(
            f"{path}: cannot be opened for writing ({words})", fix="check that the folder exists and can be written"
        )
    return _broken(path, words)


def _broken(path: Path, words: str) -> FileError:
    return FileError(
        f"{path}: not a responses file, or a broken one ({words})",
        fix="restore it from a copy, or move it away to ask everything again",
    )
