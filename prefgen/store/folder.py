"""The run folder: where everything of a run lies, who works in it, and its manifest."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from prefgen.errors import FileError, NotFinished
from prefgen.store.files import file_errors, write_json
from prefgen.store.seal import SEAL, sealed
from prefgen.store.table import Table
from prefgen.store.tables import Tables


class _Inside:
    """A path of a run folder, by its name in it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, folder: RunFolder, _: object = None) -> Path:
        return folder.path / self._name


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's folder. Paths only; nothing is created before something is written."""

    path: Path

    manifest_path = _Inside("manifest.json")
    pipeline_path = _Inside("pipeline.yaml")
    responses_path = _Inside("responses.sqlite")
    placements_path = _Inside("placements.sqlite")
    data = _Inside("data")
    figures = _Inside("figures")
    report_path = _Inside("report.html")
    findings_path = _Inside("report.json")
    placement_path = _Inside("placement.json")
    calibration_path = _Inside("calibration.json")
    card_path = _Inside("README.md")
    audit_path = _Inside("audit.json")
    log_path = _Inside("log.jsonl")

    @property
    def tables(self) -> Tables:
        """The tables of its steps."""
        return Tables(self.path / "tables")

    def table(self, step: str) -> Table:
        """A step's table as it stands on disk; FileError when it is not there or not as it was written."""
        return self.tables.read(step)

    def create(self) -> None:
        """Make the folder; FileError where that is not possible."""
        with file_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process alone; NotFinished when another run holds it."""
        with file_errors(self.path), (self.path / ".lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise NotFinished(
                    f"{self.path}: another run (process {lock.read().strip() or 'unknown'}) is working here",
                    fix="wait for it, or give this run a folder of its own with --out",
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield  # the lock goes with the file handle, also after a kill -9

    def read_manifest(self) -> dict[str, Any]:
        """manifest.json; FileError when the folder is no run or its manifest is broken."""
        again = "run the pipeline again: the manifest is written anew, and what was answered is kept"
        try:
            manifest = orjson.loads(self.manifest_path.read_bytes())
        except FileNotFoundError:
            raise FileError(
                f"{self.path} is not a run folder: it has no manifest.json",
                fix="give the folder that `prefgen run` wrote, e.g. outputs/quickstart",
            ) from None
        except (OSError, ValueError) as error:
            raise FileError(f"{self.manifest_path}: cannot be read ({type(error).__name__})", fix=again) from None
        from prefgen.store.shape import wrong_manifest  # a run that begins reads none

        problem = wrong_manifest(manifest)
        if problem is not None:
            raise FileError(f"{self.manifest_path}: {problem}", fix=again)
        return {key: value for key, value in manifest.items() if key != SEAL}

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """manifest.json, with the seal by which damage is seen."""
        write_json(self.manifest_path, sealed(manifest))


_MAKERS = {
    "report.json": "report RUN",
    "placement.json": "place RUN --model ...",
    "calibration.json": "calibrate RUN SURVEY",
}
"""Command that makes each file beside a manifest."""


def write_of_run(path: Path, content: Mapping[str, Any]) -> None:
    """A JSON file beside a manifest, which names it by `fingerprint`, with the seal by which damage is seen."""
    write_json(path, sealed(content))


def read_of_run(path: Path, manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """A JSON file beside a manifest, when it is there and has its `fingerprint`; FileError when it cannot be read."""
    fix = f"make it again with `prefgen {_MAKERS.get(path.name, 'run PIPELINE')}`"
    try:
        content = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise FileError(f"{path}: cannot be read ({type(error).__name__})", fix=fix) from None
    if not isinstance(content, dict) or content.get("fingerprint") != manifest["fingerprint"]:
        return None
    if SEAL in content and content[SEAL] != sealed(content)[SEAL]:
        raise FileError(f"{path}: damaged, or changed by hand", fix=fix)
    from prefgen.store.findings import odd_findings  # a run that begins reads none

    odd = odd_findings(path.name, content)
    if odd is not None and SEAL not in content:
        return None  # an earlier version, which sealed nothing, measured otherwise
    if odd is not None:
        raise FileError(f"{path}: {odd}", fix=fix)
    return {key: value for key, value in content.items() if key != SEAL}
