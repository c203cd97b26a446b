"""What the endpoint was asked, in order: the witness of every test."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Entry:
    """One request as it came in. `answered` turns True when a whole, usable answer left for the client."""

    at: float
    path: str
    digest: bytes  # of the body
    attempt: int  # how often this very body came before
    fault: str | None
    answered: bool = False


@dataclass(slots=True)
class Journal:
    """All requests since the start (or the last reset), and what arrived at the other host."""

    entries: list[Entry] = field(default_factory=list)
    attempts: Counter[bytes] = field(default_factory=Counter)
    strays: list[dict[str, Any]] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    connections: int = 0

    def enter(self, path: str, body: bytes, digest: bytes) -> Entry:
        key = digest + path.encode()
        entry = Entry(time.time(), path, digest, self.attempts[key], None)
        self.attempts[key] += 1
        self.entries.append(entry)
        return entry

    def summary(self, path: str) -> dict[str, Any]:
        """Counts for one path. `twice`: bodies that were answered in full more than once."""
        entries = [entry for entry in self.entries if entry.path == path]
        answers = Counter(entry.digest for entry in entries if entry.answered)
        return {
            "requests": len(entries),
            "bodies": len({entry.digest for entry in entries}),
            "answered": sum(answers.values()),
            "answered_bodies": len(answers),
            "twice": sum(1 for n in answers.values() if n > 1),
            "faults": dict(Counter(entry.fault for entry in entries if entry.fault)),
            "most_attempts": max((entry.attempt + 1 for entry in entries), default=0),
            "most_in_flight": self.most_in_flight,
            "connections": self.connections,
            "strays": self.strays,
            "paths": dict(Counter(entry.path for entry in self.entries)),
        }

    def lines(self) -> list[dict[str, Any]]:
        return [
            {
                "at": entry.at,
                "path": entry.path,
                "body": entry.digest.hex(),
                "attempt": entry.attempt,
                "fault": entry.fault,
                "answered": entry.answered,
            }
            for entry in self.entries
        ]


def digest_of(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=8).digest()
