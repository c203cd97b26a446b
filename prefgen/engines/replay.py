"""Answers only from a stored responses file: audits, tests, and the proof that a run can be repeated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from prefgen.engines.engine import Meter, Put
from prefgen.engines.store import NEVER_ASKED, ResponseStore
from prefgen.records import Request
from prefgen.spec.models import ReplayModel

NOT_IN_FILE = "not in the responses file"
_CHUNK = 1000


class ReplayEngine:
    """Puts for each request what another run was answered, failures included; it asks nobody.

    A request that the file does not have becomes a failure. It is not a final one: the file may also be the
    run's own, and a real engine that later works in this folder shall still ask.
    """

    def __init__(self, spec: ReplayModel) -> None:
        self.path = responses_file(spec.responses)

    def answer(self, requests: Iterator[Request], put: Put, meter: Meter) -> None:  # noqa: ARG002 - nothing to count
        with ResponseStore(self.path, read_only=True) as stored:
            while chunk := list(islice(requests, _CHUNK)):
                responses = stored.read([request.request_id for request in chunk])
                for request, response in zip(chunk, responses, strict=True):
                    lost = response.failure == NEVER_ASKED
                    put(request, replace(response, failure=NOT_IN_FILE) if lost else response)


def responses_file(path: Path) -> Path:
    """The responses file that a user means: the file itself, or the one in the run folder named."""
    return path / "responses.sqlite" if path.is_dir() else path
