"""A folder in a provider's place: rows lie there as files, and somebody else has them answered, offline if need be."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from openai.types import Batch
from openai.types.batch_request_counts import BatchRequestCounts

from prefgen.errors import printable

_BLOCK = 1 << 20


class FolderProvider:
    """Takes `NAME.jsonl` into a folder and looks for the answers in `NAME.out.jsonl` beside it.

    Both have the form of OpenAI's batches, which `vllm run-batch` reads and writes. The answers are in when the file
    has as many lines as there are rows. OSError where the folder cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held open."""

    def upload(self, path: Path) -> str:
        """Put a file of rows into the folder, whole or not at all; its name is its key, which `create` gives it."""
        return str(path)

    def create(self, file_id: str, chunk_key: str, *, began: float, sure: bool) -> Batch:  # noqa: ARG002 - as Provider has it
        """The rows are in the folder."""
        rows, aside = self._rows(chunk_key), self._folder / f".{chunk_key}.part"
        if not rows.exists():
            shutil.copyfile(file_id, aside)
            with aside.open("rb") as file:
                os.fsync(file.fileno())
            aside.replace(rows)
        return self.look(chunk_key)

    def find(self, chunk_key: str, *, began: float) -> Batch | None:  # noqa: ARG002 - as Provider has it
        """The batch of these rows, if they are in the folder."""
        return self.look(chunk_key) if self._rows(chunk_key).exists() else None

    def look(self, batch_id: str) -> Batch:
        """How many rows have an answer."""
        answers = self._answers(batch_id)
        total, done = _lines(self._rows(batch_id)), _lines(answers)
        is_over = 0 < total <= done
        counts = BatchRequestCounts(total=total, completed=min(done, total), failed=0)
        return Batch(
            id=batch_id,
            object="batch",
            endpoint="/v1/chat/completions",
            completion_window="24h",
            created_at=0,
            input_file_id=batch_id,
            status="completed" if is_over else "in_progress",
            request_counts=counts,
            output_file_id=str(answers) if is_over else None,
        )

    def download(self, file_id: str, path: Path) -> None:
        """Copy the answers; `path` appears when it is whole."""
        aside = path.with_name(path.name + ".part")
        shutil.copyfile(file_id, aside)
        aside.replace(path)

    def discreet(self, words: str) -> str:
        """There is no key to be kept."""
        return printable(words)

    def _rows(self, batch_id: str) -> Path:
        return self._folder / f"{batch_id}.jsonl"

    def _answers(self, batch_id: str) -> Path:
        return self._folder / f"{batch_id}.out.jsonl"


def _lines(path: Path) -> int:
    """Lines of a file, a last one without its end included; 0 where there is none."""
    count, last = 0, b"\n"
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        while block := file.read(_BLOCK):
            count += block.count(b"\n")
            last = block[-1:]
    return count + (last != b"\n")
