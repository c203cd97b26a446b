"""What was handed to a provider's Batch API and what came of it: a small file that a kill -9 cannot tear."""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import orjson

from prefgen.errors import FileError, first_words
from prefgen.ids import file_sha256
from prefgen.store.fitting import ANY, Within, misfit
from prefgen.store.seal import SEAL, sealed

What = Literal["rows", "ids", "output", "errors"]
State = Literal["written", "uploaded", "submitted", "done", "rejected"]
"""written: rows lie here · uploaded: the provider has the file · submitted: a batch exists · done: results lie
here · rejected: the provider did not take it, its rows are free again"""

_FORMAT = 1
_CLOCKS_DIFFER_S = 86_400.0


@dataclass(slots=True)
class Chunk:
    """One batch and the rows in it.

    key         stands in the batch's metadata, so that a batch made just before a crash is found again
    features    how its rows were asked, as `features.to_fact` writes it
    status      the provider's last word: validating, in_progress, finalizing, completed, expired, cancelled, ...
    completed   rows answered when last looked at
    files       hashes of those of its files that lie here, as they were written
    """

    number: int
    key: str
    rows: int
    features: str
    state: State = "written"
    file_id: str = ""
    batch_id: str = ""
    status: str = ""
    completed: int = 0
    files: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Ledger:
    """All chunks of one model in one run folder.

    run          names this folder towards the provider
    began        seconds since 1970: no batch of ours is older
    most_active  batches the provider would take at once, found out by one too many; None: no limit met
    gave_up      request id -> batches it had been part of when it became a row with a reason
    """

    folder: Path
    run: str
    began: float
    chunks: list[Chunk] = field(default_factory=list)
    features: str = ""
    most_active: int | None = None
    gave_up: dict[str, int] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path) -> Ledger:
        """The ledger in a folder; a new one where there is none. FileError for one that cannot be read, or is gone."""
        path = folder / "ledger.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                return cls._begun(folder)
            kept = orjson.loads(path.read_bytes())
        except orjson.JSONDecodeError as error:
            raise _no_ledger(path, first_words(error)) from None
        except OSError as error:
            raise FileError(f"{path}: {error.strerror}", fix="check that the folder can be written") from None
        if isinstance(kept, dict) and kept.get("format") != _FORMAT and isinstance(kept.get("format"), int):
            raise FileError(
                f"{path}: written by another version of prefgen (format {kept['format']!r})",
                fix="use that version, or move the folder away to submit everything again",
            )
        problem = _wrong(kept)
        if problem is not None:
            raise _no_ledger(path, problem)
        chunks = [Chunk(**chunk) for chunk in kept["chunks"]]
        return cls(folder, kept["run"], kept["began"], chunks, kept["features"], kept["most_active"], kept["gave_up"])

    @classmethod
    def _begun(cls, folder: Path) -> Ledger:
        """A new one, on disk before anything else is: without it, files of batches tell that it was lost."""
        lost = next(iter(sorted(folder.glob("[0-9]*"))), None)
        if lost is not None:
            raise _no_ledger(folder / "ledger.json", f"it is gone, and {lost.name} beside it is of a batch")
        ledger = cls(folder, secrets.token_hex(8), time.time())
        ledger.save()
        return ledger

    def save(self) -> None:
        """Write all of it aside and put it in place."""
        kept: dict[str, Any] = {
            "format": _FORMAT,
            "run": self.run,
            "began": self.began,
            "features": self.features,
            "most_active": self.most_active,
            "gave_up": self.gave_up,
            "chunks": [asdict(chunk) for chunk in self.chunks],
        }
        path = self.folder / "ledger.json"
        try:
            write_aside(path, orjson.dumps(sealed(kept), option=orjson.OPT_INDENT_2))
        except OSError as error:
            raise FileError(
                f"{path}: {error.strerror}", fix="free some space, then run the same command again"
            ) from None

    def new_chunk(self) -> Chunk:
        """A chunk with the next number, not yet in the ledger."""
        number = len(self.chunks)
        return Chunk(number, f"prefgen-{self.run}-{number}", 0, self.features)

    def of(self, *states: State) -> list[Chunk]:
        """The chunks in one of the states, oldest first."""
        return [chunk for chunk in self.chunks if chunk.state in states]

    def path(self, chunk: Chunk, what: What) -> Path:
        """The file of a chunk: `rows` as sent, `ids` one a line, `output` and `errors` as they came back."""
        return self.folder / (f"{chunk.number:05d}.ids" if what == "ids" else f"{chunk.number:05d}.{what}.jsonl")

    def remember(self, chunk: Chunk, what: What) -> None:
        """Keep the hash of a file of a chunk, by which is seen whether it stays as it was written."""
        chunk.files[what] = file_sha256(self.path(chunk, what))

    def has_rows(self, chunk: Chunk) -> bool:
        """Whether the rows of a chunk lie here to be handed over."""
        return self.path(chunk, "rows").is_file() and self._is_whole(chunk, "rows")

    def reopen_damaged(self) -> None:
        """Results that are not as they came are brought home once more: what they lack would be paid for again."""
        for chunk in self.of("done"):
            if not (self._is_whole(chunk, "output") and self._is_whole(chunk, "errors")):
                chunk.state = "submitted"

    def _is_whole(self, chunk: Chunk, what: What) -> bool:
        """Whether a file of a chunk is as it was written, which earlier versions did not write down."""
        path = self.path(chunk, what)
        return what not in chunk.files or (path.is_file() and file_sha256(path) == chunk.files[what])

    def ids(self, chunk: Chunk) -> list[str]:
        """The request ids of a chunk. FileError where they are not those that were written."""
        path = self.path(chunk, "ids")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise _no_ids(path, error.strerror or str(error)) from None
        if not self._is_whole(chunk, "ids"):
            raise _no_ids(path, "damaged, or changed by hand")
        lines = content.decode("utf-8", "replace").splitlines()
        if len(lines) != chunk.rows:
            raise _no_ids(path, f"it has {len(lines):,} lines, and the batch {chunk.rows:,} rows")
        return lines


_CHUNK = {
    "number": int,
    "key": str,
    "rows": int,
    "features": str,
    "state": frozenset(get_args(State)),
    "file_id": str,
    "batch_id": str,
    "status": str,
    "completed": int,
    "files?": {ANY: str},
}
_LEDGER = {
    "format": int,
    "run": str,
    "began": float,
    "features": str,
    "most_active": (Within(1, 2**62), type(None)),
    "gave_up": {ANY: int},
    "chunks": [_CHUNK],
}


def _wrong(kept: Any) -> str | None:
    """What is wrong with the content of a ledger; None where nothing is."""
    if not isinstance(kept, dict):
        return "no mapping"
    if SEAL in kept and kept != sealed(kept):
        return "damaged, or changed by hand"
    problem = misfit(kept, _LEDGER)
    if problem is not None:
        return problem
    if kept["began"] > time.time() + _CLOCKS_DIFFER_S:
        return f"began is {kept['began']!r}, which is still to come"
    batches: set[str] = set()
    for place, chunk in enumerate(kept["chunks"]):
        at, key = f"chunks[{place}]", f"prefgen-{kept['run']}-{place}"
        if unknown := set(chunk) - {key.removesuffix("?") for key in _CHUNK}:
            return f"{at}.{min(unknown)} is no key of a batch"
        if (chunk["number"], chunk["key"]) != (place, key):
            return f"{at} is of number {chunk['number']} and key {chunk['key']!r:.60}, not {place} and {key!r}"
        needed = _NEEDED.get(chunk["state"])
        if needed is not None and not chunk[needed]:
            return f"{at}.{needed} is empty, and its state is {chunk['state']!r}"
        if chunk["batch_id"] and chunk["batch_id"] in batches:
            return f"{at}.batch_id is {chunk['batch_id']!r:.60}, as that of another"
        batches.add(chunk["batch_id"])
    return None


_NEEDED = {"uploaded": "file_id", "submitted": "batch_id", "done": "batch_id"}
"""What a batch in a state has."""


def _no_ledger(path: Path, problem: str) -> FileError:
    return FileError(
        f"{path}: not a ledger of batches ({problem})",
        fix=f"restore it from a copy; without it batches under way would be submitted again (move {path.parent} away for that)",
    )


def _no_ids(path: Path, problem: str) -> FileError:
    return FileError(
        f"{path}: cannot tell which requests are in a batch: {problem}",
        fix=f"restore it from a copy; without it they would be paid for again (move {path.parent} away for that)",
    )


def write_aside(path: Path, content: bytes) -> None:
    """Replace a file so that a crash leaves the old one or the new one, whole."""
    aside = path.with_name(path.name + ".part")
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
