"""The run's own log, one JSON object a line: what happened when. No prompt, no persona's text, no key."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import orjson

from prefgen.store.files import file_errors

_PROGRESS_SECONDS = 10.0


class RunLog:
    """Appends events to a file. A run that is continued continues its log; a line is written whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._progress_at = 0.0

    def event(self, event: str, /, **facts: object) -> None:
        """One line: `at` (UTC), `event`, and the facts."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = orjson.dumps({"at": at, "event": event, **facts}, option=orjson.OPT_APPEND_NEWLINE)
        with file_errors(self._path), self._path.open("ab", buffering=0) as file:
            file.write(line)

    def progress(self, **facts: object) -> None:
        """An event that is written at most every ten seconds."""
        now = time.monotonic()
        if now - self._progress_at >= _PROGRESS_SECONDS:
            self._progress_at = now
            self.event("progress", **facts)
