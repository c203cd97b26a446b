"""Folders of batches that somebody damaged between two calls: told, or mended, and nothing is paid for twice."""

from __future__ import annotations

import copy
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from prefgen.cli import app
from prefgen.engines import retry
from prefgen.engines.batch_provider import Provider
from prefgen.flow.pipeline import load
from prefgen.flow.run import run
from tests.faults.pipelines import write_pipeline
from tests.fuzz.batches import change, copy_of
from tests.fuzz.ending import Late, ended, told, wrong_with
from tests.servers.running import Served, thread
from tests.test_run import Nobody

STAGES = ("submitted", "collected", "written", "uploaded")
KILLED_AT = {"written": "upload", "uploaded": "create"}
SCRIPT = {"batch": {"polls": 1, "stuck": [1]}}
CALLS = 6


class KilledError(BaseException):
    """Stands for a kill -9."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_FIRST_WAIT_S", 0.001)


@contextmanager
def killed_at(what: str | None) -> Iterator[None]:
    def killed(*_: object, **__: object) -> None:
        raise KilledError

    with pytest.MonkeyPatch.context() as patch:
        if what is not None:
            patch.setattr(Provider, what, killed)
        yield


@contextmanager
def at_stage(stage: str, folder: Path) -> Iterator[tuple[Path, Served, Any]]:
    """A run that stopped there: its pipeline, its server, and what the server then knows."""
    with thread(SCRIPT) as served:
        model = {"engine": "batch", "base_url": served.base_url, "batch_size": 8}
        path = write_pipeline(folder, personas=2, items=5, model=model)
        if stage in KILLED_AT:
            with killed_at(KILLED_AT[stage]), pytest.raises(KilledError):
                run(load(path), folder / "stage", Nobody())
        else:
            for _ in range(1 if stage == "submitted" else 2):
                assert wrong_with("run", path, "--out", folder / "stage", "--no-report", codes=(75,)) is None
        yield path, served, copy.deepcopy(served.endpoint.desk)


def outcome(path: Path, out: Path, served: Served, *, unseen: bool) -> str | None:
    """What a run over a changed folder does that it must not do, called until it is not told to wait."""
    code, said = 75, ""
    for _ in range(CALLS):
        served.endpoint.desk.advance()
        try:
            code, said = ended(lambda: app(["run", str(path), "--out", str(out), "--no-report"], standalone_mode=False))
        except Late:
            return "late"
        if code != 75:
            break
    if code == 1 or "Traceback" in said or "\x1b" in said:
        return f"exit {code}: {said[-300:]!r}"
    if code not in (0, 3, 4):
        return f"exit {code}: {said[-200:]!r}"
    if code == 4 and (str(out / "batches") not in said or "\n  fix: " not in said):
        return f"no place or no fix: {said[-300:]!r}"
    twice = served.endpoint.desk.summary()["twice"]
    return f"{twice} paid twice" if twice and not unseen else None


def found_in(stage: str, folder: Path, numbers: range) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {}
    with at_stage(stage, folder) as (path, served, desk):
        for number in numbers:
            rng = random.Random(f"{stage} {number}")
            copy_of(folder / "stage", folder / "out", rng)
            served.endpoint.desk = copy.deepcopy(desk)
            done, unseen = change(folder / "out" / "batches", rng)
            wrong = outcome(path, folder / "out", served, unseen=unseen)
            if wrong is not None:
                found.setdefault(f"{stage}: {wrong}", []).append((number, done))
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_nobody_changed_comes_to_its_end(folder: Path, stage: str) -> None:
    with at_stage(stage, folder) as (path, served, _):
        shutil.copytree(folder / "stage", folder / "out")
        assert outcome(path, folder / "out", served, unseen=False) is None
        assert (folder / "out" / "data").is_dir()


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    "numbers", [range(8), *(pytest.param(range(k, k + 100), marks=pytest.mark.slow) for k in range(0, 400, 100))]
)
def test_no_folder_of_batches_ends_in_a_traceback_or_is_paid_for_twice(
    folder: Path, stage: str, numbers: range
) -> None:
    found = found_in(stage, folder, numbers)
    assert not found, told(found)
