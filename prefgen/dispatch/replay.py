"""Answers only from a stored responses file: audits, tests, and the proof that a run can be repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from prefgen.engines.store import ResponseStore
from prefgen.records import Response
from prefgen.spec.models import ModelSpec, ReplayModel

NOT_IN_FILE = "not in the responses file"


class Replays:
    """The responses files that a pipeline's `replay` models name, each opened once, when it is first needed.

    Nothing of them is copied: a replay of ten million rows writes no second copy, and what a file lacks
    is not remembered as a failure in the folder of a run that may later ask a real model.
    """

    def __init__(self, models: Mapping[str, ModelSpec]) -> None:
        specs = (spec for spec in models.values() if isinstance(spec, ReplayModel))
        self._paths = tuple(dict.fromkeys(responses_file(spec.responses) for spec in specs))
        self._stores: dict[Path, ResponseStore] = {}

    def __bool__(self) -> bool:
        return bool(self._paths)

    def missing(self, spec: ReplayModel, request_ids: Sequence[str]) -> list[str]:
        """The ids for which the file of `spec` has nothing, or a failure that was not final."""
        return self._store(responses_file(spec.responses)).missing(request_ids)

    def find(self, request_ids: Sequence[str]) -> dict[str, Response]:
        """What the files have, by id; the file named first goes first."""
        found: dict[str, Response] = {}
        for path in self._paths:
            found.update(self._store(path).find([name for name in request_ids if name not in found]))
        return found

    def _store(self, path: Path) -> ResponseStore:
        if path not in self._stores:
            self._stores[path] = ResponseStore(path, read_only=True)
        return self._stores[path]


def responses_file(path: Path) -> Path:
    """The responses file that a user means: the file itself, or the one in the run folder named."""
    return path / "responses.sqlite" if path.is_dir() else path
