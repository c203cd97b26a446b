"""Rows into batches: written, uploaded, created, each step noted before the next, so that none happens twice."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, BinaryIO, Self

import orjson
from openai.types import Batch

from prefgen.engines.batch_folder import FolderProvider
from prefgen.engines.batch_ledger import Chunk, Ledger, What, write_aside
from prefgen.engines.batch_provider import Provider
from prefgen.engines.engine import Meter
from prefgen.errors import EngineError
from prefgen.spec.models import BatchModel

_OVER = ("completed", "expired", "cancelled")
_TOO_MANY = ("token_limit_exceeded", "enqueued_token_limit_exceeded", "too_many_batches")


class Submitter:
    """Gathers rows on disk and hands them over whenever a batch is full.

    left    rows that found no room at the provider and wait for the next time
    """

    def __init__(self, spec: BatchModel, ledger: Ledger, provider: Provider | FolderProvider) -> None:
        self._spec = spec
        self._ledger = ledger
        self._provider = provider
        self._chunk: Chunk | None = None
        self._file: BinaryIO | None = None
        self._size = 0
        self._ids: list[str] = []
        self.left = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def finish_begun(self) -> None:
        """Bring to an end what a crash interrupted between writing, uploading and creating."""
        for part in self._ledger.folder.glob("*.part"):
            part.unlink()
        for chunk in self._ledger.of("written", "uploaded"):
            batch = self._provider.find(chunk.key, began=self._ledger.began)
            if batch is not None:
                self._submitted(chunk, batch)
            elif chunk.state == "written" and not self._ledger.has_rows(chunk):
                chunk.state = (
                    "rejected"  # nothing was handed over: its rows are free, and the pipeline writes them again
                )
                self._ledger.save()
            else:
                self._hand_over(chunk, sure=False)

    def add(self, request_id: str, payload: Mapping[str, Any]) -> None:
        """Take one row; a full batch is handed over at once."""
        row = {"custom_id": request_id, "method": "POST", "url": "/v1/chat/completions", "body": payload}
        line = orjson.dumps(row) + b"\n"
        if self._ids and (len(self._ids) >= self._spec.batch_size or self._size + len(line) > self._spec.batch_bytes):
            self.flush()
        if self._file is None and not self._has_room():
            self.left += 1
            return
        if self._file is None:
            self._chunk = self._ledger.new_chunk()
            rows = self._ledger.path(self._chunk, "rows")
            self._file = rows.with_name(rows.name + ".part").open("wb")
        self._file.write(line)
        self._size += len(line)
        self._ids.append(request_id)

    def flush(self) -> None:
        """Hand over what has been gathered."""
        if self._file is None or self._chunk is None:
            return
        ledger, chunk, file = self._ledger, self._chunk, self._file
        file.flush()
        os.fsync(file.fileno())
        file.close()
        rows = ledger.path(chunk, "rows")
        rows.with_name(rows.name + ".part").replace(rows)
        ids = ledger.path(chunk, "ids")
        write_aside(ids, "".join(f"{request_id}\n" for request_id in self._ids).encode())
        chunk.rows = len(self._ids)
        ledger.remember(chunk, "rows")
        ledger.remember(chunk, "ids")
        self._chunk, self._file, self._size, self._ids = None, None, 0, []
        ledger.chunks.append(chunk)
        ledger.save()
        self._hand_over(chunk, sure=True)

    def _has_room(self) -> bool:
        most = self._ledger.most_active
        return most is None or len(self._ledger.of("submitted")) < most

    def _hand_over(self, chunk: Chunk, *, sure: bool) -> None:
        ledger, provider = self._ledger, self._provider
        if chunk.state == "written":
            chunk.file_id = provider.upload(ledger.path(chunk, "rows"))
            chunk.state = "uploaded"
            ledger.save()
        self._submitted(chunk, provider.create(chunk.file_id, chunk.key, began=ledger.began, sure=sure))

    def _submitted(self, chunk: Chunk, batch: Batch) -> None:
        chunk.batch_id, chunk.status, chunk.state = batch.id, batch.status, "submitted"
        self._ledger.save()
        with suppress(FileNotFoundError):
            self._ledger.path(chunk, "rows").unlink()  # the provider has it, and the pipeline can write it again


def poll(ledger: Ledger, provider: Provider | FolderProvider, meter: Meter) -> None:
    """Look at every batch under way, and bring home the results of those that are over.

    EngineError, in the provider's words, for a batch that it would not validate; its rows are free again.
    """
    ledger.reopen_damaged()
    under_way = ledger.of("submitted")
    for chunk in under_way:
        batch = provider.look(chunk.batch_id)
        chunk.status = provider.discreet(batch.status.lower())[:40]
        counts = batch.request_counts
        chunk.completed = counts.completed if counts is not None else 0
        meter.notes.append(f"batch {batch.id}: {chunk.status}, {chunk.completed:,} of {chunk.rows:,} rows")
        if chunk.status == "failed":
            _rejected(ledger, chunk, batch, provider, alone=len(under_way) == 1)
        elif chunk.status in _OVER:
            _bring(ledger, chunk, "output", batch.output_file_id, provider)
            _bring(ledger, chunk, "errors", batch.error_file_id, provider)
            chunk.state = "done"
            if ledger.most_active is not None:
                ledger.most_active += 1  # there may be more room now; one too many costs only an upload
        ledger.save()


def _bring(ledger: Ledger, chunk: Chunk, what: What, file_id: str | None, provider: Provider | FolderProvider) -> None:
    if file_id:
        provider.download(file_id, ledger.path(chunk, what))
        ledger.remember(chunk, what)


def _rejected(ledger: Ledger, chunk: Chunk, batch: Batch, provider: Provider | FolderProvider, *, alone: bool) -> None:
    chunk.state = "rejected"
    errors = (batch.errors.data if batch.errors is not None else None) or []
    too_many = any(error.code in _TOO_MANY for error in errors)
    if too_many and not alone:
        ledger.most_active = max(1, len(ledger.of("submitted")))
        return
    ledger.save()
    said = provider.discreet(
        "; ".join(
            f"{error.message}" + (f" (line {error.line})" if error.line is not None else "") for error in errors[:3]
        )
    )
    fix = "correct what the provider names, then run the same command again: the rows are submitted anew"
    if too_many:
        fix = "make `batch_size` smaller, or wait until the provider's queue is empty; then run the same command again"
    raise EngineError(f"batch {batch.id} of {chunk.rows:,} rows was not taken: {said or 'no reason given'}", fix=fix)
