"""What was handed to a provider's Batch API and what came of it: a small file that a kill -9 cannot tear."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson

from prefgen.errors import FileError

State = Literal["written", "uploaded", "submitted", "done", "rejected"]
"""written: rows lie here · uploaded: the provider has the file · submitted: a batch exists · done: results lie
here · rejected: the provider did not take it, its rows are free again"""

_FORMAT = 1


@dataclass(slots=True)
class Chunk:
    """One batch and the rows in it.

    key         stands in the batch's metadata, so that a batch made just before a crash is found again
    features    how its rows were asked, as `features.to_fact` writes it
    status      the provider's last word: validating, in_progress, finalizing, completed, expired, cancelled, ...
    completed   rows answered when last looked at
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
        """The ledger in a folder; a new one where there is none. FileError for one that cannot be read."""
        path = folder / "ledger.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                return cls(folder, secrets.token_hex(8), time.time())
            kept = orjson.loads(path.read_bytes())
            if kept["format"] != _FORMAT:
                raise FileError(
                    f"{path}: written by another version of prefgen (format {kept['format']!r})",
                    fix="use that version, or move the folder away to submit everything again",
                )
            chunks = [Chunk(**chunk) for chunk in kept["chunks"]]
            return cls(
                folder, kept["run"], kept["began"], chunks, kept["features"], kept["most_active"], kept["gave_up"]
            )
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise FileError(
                f"{path}: not a ledger of batches ({error})",
                fix="restore it from a copy; without it batches under way would be submitted again",
            ) from None
        except OSError as error:
            raise FileError(f"{path}: {error.strerror}", fix="check that the folder can be written") from None

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
            write_aside(path, orjson.dumps(kept, option=orjson.OPT_INDENT_2))
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

    def path(self, chunk: Chunk, what: Literal["rows", "ids", "output", "errors"]) -> Path:
        """The file of a chunk: `rows` as sent, `ids` one a line, `output` and `errors` as they came back."""
        return self.folder / (f"{chunk.number:05d}.ids" if what == "ids" else f"{chunk.number:05d}.{what}.jsonl")

    def ids(self, chunk: Chunk) -> Iterator[str]:
        """The request ids of a chunk."""
        with self.path(chunk, "ids").open() as file:
            for line in file:
                yield line.rstrip("\n")


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
