"""What exports know of a pipeline: its steps, what they read, and where a complaint points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from prefgen.spec.document import Document, read_document
from prefgen.store.folder import RunFolder


class Written(Protocol):
    """A step: what it reads."""

    def reads(self) -> tuple[tuple[str, str], ...]: ...


class Line(Protocol):
    """A pipeline, or what a run folder remembers of one."""

    @property
    def document(self) -> Document: ...

    @property
    def seed(self) -> int: ...

    @property
    def steps(self) -> Mapping[str, Written]: ...


@dataclass(frozen=True, slots=True)
class _Step:
    above: tuple[str, ...]

    def reads(self) -> tuple[tuple[str, str], ...]:
        return tuple(("", name) for name in self.above)


@dataclass(frozen=True, slots=True)
class _Remembered:
    document: Document
    seed: int
    steps: Mapping[str, _Step]


def line_of(folder: RunFolder, *, seed: int) -> Line:
    """The line of a run folder, wherever it was moved to: the files that its pipeline read need not be there any more."""
    document = read_document(folder.pipeline_path)
    said = document.data.get("steps") if isinstance(document.data, dict) else None
    steps: dict[str, _Step] = {}
    for name, step in (said if isinstance(said, dict) else {}).items():
        values = step.values() if isinstance(step, dict) else ()
        steps[name] = _Step(tuple(value for value in values if isinstance(value, str) and value in steps))
    return _Remembered(document, seed, steps)
