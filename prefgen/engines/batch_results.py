"""What a provider said of every request that was ever part of a batch, in whatever dialect it writes its lines."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefgen.engines.batch_ledger import Chunk, Ledger
from prefgen.engines.words import loads

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ResultLine:
    """One line of results.

    status    HTTP status of the reply, or None where there was none
    body      its body as JSON, or None
    error     what stands in the place of a reply, or None
    """

    status: int | None
    body: Any
    error: Any


@dataclass(frozen=True, slots=True)
class _Row:
    """Where the line about one request lies."""

    file: int  # an open file descriptor
    start: int
    size: int
    is_answer: bool


class Results:
    """What is known of every request that was ever part of a batch.

    chunk_of    the newest chunk that holds a request
    tried       batches that a request was part of
    refused     batches that refused a request together with all others in them
    strange     numbers of the chunks whose results speak of none of their requests: answered and paid for in a form that
                is not understood, so that buying them again would not help
    """

    def __init__(self, ledger: Ledger) -> None:
        self.chunk_of: dict[str, Chunk] = {}
        self.tried: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.strange: set[int] = set()
        self._rows: dict[str, _Row] = {}
        self._files: list[int] = []
        try:
            for chunk in ledger.of("submitted", "done"):
                self._take(ledger, chunk)
            for chunk in ledger.of("rejected"):
                if ledger.path(chunk, "errors").exists() or ledger.path(chunk, "output").exists():
                    self.refused.update(ledger.ids(chunk))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Results:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files."""
        while self._files:
            os.close(self._files.pop())

    def line(self, request_id: str) -> ResultLine | None:
        """What was said about a request, or None where there was no word of it."""
        row = self._rows.get(request_id)
        return None if row is None else read_line(loads(os.pread(row.file, row.size, row.start)))

    def _take(self, ledger: Ledger, chunk: Chunk) -> None:
        for request_id in ledger.ids(chunk):
            self.chunk_of[request_id] = chunk
            self.tried[request_id] += 1
            self._rows.pop(request_id, None)
        if chunk.state == "done":
            paths = [ledger.path(chunk, "errors"), ledger.path(chunk, "output")]
            strange, known = (sum(counts) for counts in zip(*map(self._index, paths), strict=True))
            if strange and not known:
                self.strange.add(chunk.number)

    def _index(self, path: Path) -> tuple[int, int]:
        """(lines that speak of no request of ours, lines that do) of one file."""
        if not path.exists():
            return 0, 0
        file = os.open(path, os.O_RDONLY)
        self._files.append(file)
        start = strange = known = 0
        with path.open("rb") as lines:
            for line in lines:
                told = _told(line)
                if told is not None:
                    request_id, is_answer = told
                    if request_id in self.chunk_of:
                        known += 1
                        row = self._rows.get(request_id)
                        if row is None or is_answer or not row.is_answer:  # no error takes an answer's place
                            self._rows[request_id] = _Row(file, start, len(line), is_answer)
                    else:
                        strange += 1
                start += len(line)
        return strange, known


def _told(line: bytes) -> tuple[str, bool] | None:
    """(request id, whether it was answered) of a line; None for a blank one, or a comment."""
    bare = line.removeprefix(_BOM).strip()
    if not bare or bare.startswith((b"#", b"//", b":")):
        return None
    try:
        said = loads(bare)
    except ValueError:
        return "", False
    if not isinstance(said, dict):
        return "", False
    found = read_line(said)
    is_answer = found.status == 200 and isinstance(found.body, dict) and bool(found.body.get("choices"))
    return str(said.get("custom_id") or said.get("key") or ""), is_answer


def read_line(said: dict[str, Any]) -> ResultLine:
    """A line of results: `{"response": {"status_code": 200, "body": {...}}, "error": null}`, its parts as text too."""
    reply = _as_json(said.get("response"))
    if not isinstance(reply, dict):
        return ResultLine(None, None, said.get("error"))
    body = _as_json(reply.get("body"))
    if body is None and "choices" in reply:
        body = reply  # the completion itself
    number = re.match(r"\s*([1-5][0-9]{2})(?![0-9])", str(reply.get("status_code") or reply.get("status") or ""))
    answered = isinstance(body, dict) and bool(body.get("choices"))
    return ResultLine(int(number[1]) if number else 200 if answered else None, body, said.get("error"))


def _as_json(said: Any) -> Any:
    """JSON that was written as text, as it was meant."""
    if not isinstance(said, str):
        return said
    try:
        return loads(said)
    except ValueError:
        return said
