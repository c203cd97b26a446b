"""The flow: read a pipeline, make one table after the other, export, describe. Nothing else decides anything here."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from prefgen.analysis.calibration import gate_rows, in_one_line, write_calibration
from prefgen.analysis.findings import write_findings
from prefgen.engines.store import ResponseStore
from prefgen.errors import FileError, GateError, UsageError
from prefgen.flow.making import Making, Watcher, check_answered, unanswered
from prefgen.flow.plan import Made, Plan, foresee
from prefgen.publish.card import write_card
from prefgen.publish.exports.write import write_exports
from prefgen.publish.report import write_report
from prefgen.spec.calibration import read_calibration
from prefgen.spec.pipeline import Pipeline
from prefgen.store.folder import RunFolder
from prefgen.store.log import RunLog
from prefgen.store.manifest import (
    RUN,
    file_entries,
    fingerprints,
    gate_results,
    is_as_listed,
    pinned,
    write_audit,
    write_resolved,
)
from prefgen.version import __version__


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run; `fresh` is False when it stood already and nothing was made."""

    folder: RunFolder
    manifest: Mapping[str, Any]
    fresh: bool


def run(
    pipeline: Pipeline,
    out: Path,
    watcher: Watcher,
    *,
    budget_usd: float | None = None,
    retry_failed: bool = False,
    report: bool = True,
) -> Outcome:
    """Make the dataset in the folder `out`, going on wherever an earlier run of the same pipeline stopped.

    retry_failed    ask again what failed for a reason that may have passed (a server that was down, say)
    report          also make the report page and its figures: some seconds, whatever the size of the run

    Raises SpecError before anything is asked; EngineError, FileError and NotFinished with everything answered so
    far stored; GateError when the finished data misses what `expect:` asks for.
    """
    folder = RunFolder(out)
    pipeline = pinned(pipeline, folder)
    prints = fingerprints(pipeline)
    _check_same_dataset(folder, pipeline)
    if folder.manifest_path.exists() and not retry_failed and (folder.report_path.exists() or not report):
        with folder.locked():  # asked before anything is planned: a plan draws people
            if _is_finished(folder, prints[RUN]):
                return _past_gates(Outcome(folder, folder.read_manifest(), fresh=False))
    plan = foresee(pipeline, partial(_standing, folder, prints))
    folder.create()
    with folder.locked():
        log = RunLog(folder.log_path)
        log.event("run", name=pipeline.name, fingerprint=prints[RUN], planned_requests=plan.requests)
        watcher.planned(plan, folder.path)
        try:
            manifest = _make(pipeline, folder, prints, plan, watcher, log, budget_usd, retry_failed)
        except BaseException as error:
            log.event("stopped", why=type(error).__name__)
            raise
        check_answered(manifest["steps"])
        if report:
            write_findings(folder)
            write_report(folder)
        log.event("done", seconds=manifest["seconds"], gates=manifest["gates"])
    return _past_gates(Outcome(folder, manifest, fresh=True))


def _make(
    pipeline: Pipeline,
    folder: RunFolder,
    prints: Mapping[str, str],
    plan: Plan,
    watcher: Watcher,
    log: RunLog,
    budget_usd: float | None,
    retry_failed: bool,
) -> dict[str, Any]:
    """All tables, the data and its card, in the order in which they come to be; returns the manifest."""
    begun, started = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    write_resolved(pipeline, folder)
    folder.write_manifest(_manifest(pipeline, prints[RUN], "unfinished", started))
    with ResponseStore(folder.responses_path) as store:
        making = Making(pipeline, folder, store, prints, plan, watcher, log, budget_usd, retry_failed)
        tables = {name: making.once(name) for name in pipeline.steps}
    watcher.says("writing data and card")
    configs = write_exports(pipeline, tables, making.grains, folder.data)
    came = "unanswered" if any(map(unanswered, making.accounts)) else "finished"
    manifest = _manifest(pipeline, prints[RUN], came, started) | {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - begun, 3),
        "steps": making.accounts,
        "gates": gate_results(pipeline, making.accounts),
        "configs": configs,
        "files": file_entries(
            folder, [*folder.data.rglob("*.parquet"), folder.pipeline_path, *write_audit(folder, making.accounts)]
        ),
    }
    if pipeline.calibrate is not None and came == "finished":
        spec = read_calibration(pipeline.calibrate)
        calibration = write_calibration(folder, spec, manifest)
        watcher.says(in_one_line(calibration))
        manifest["gates"] += gate_rows(calibration, spec)
    folder.write_manifest(manifest)  # first: data that were paid for are finished even where a card cannot be written
    write_card(folder, manifest)
    return manifest


def _manifest(pipeline: Pipeline, fingerprint: str, status: str, started: str) -> dict[str, Any]:
    return {
        "format": 1,
        "prefgen": __version__,
        "name": pipeline.name,
        "fingerprint": fingerprint,
        "seed": pipeline.seed,
        "status": status,
        "started": started,
        "publish": pipeline.publish.model_dump(mode="json"),
        "models": {name: model.model_dump(mode="json", exclude_none=True) for name, model in pipeline.models.items()},
        "seconds": 0.0,
        "steps": [],
        "gates": [],
        "configs": [],
        "files": [],
        "versions": {"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES},
    }


_LIBRARIES = ("polars", "pyarrow", "numpy", "pydantic", "jinja2", "openai", "huggingface-hub")


def _standing(folder: RunFolder, prints: Mapping[str, str], step: str) -> Made | None:
    """A step's table as an earlier run of just this step left it."""
    account = folder.account(step, fingerprint=prints[step])
    return None if account is None else Made(folder.table(step, check=False), account["summary"], account["seconds"])


def _check_same_dataset(folder: RunFolder, pipeline: Pipeline) -> None:
    """A folder belongs to one dataset: changed steps are made anew, another dataset is not mixed in."""
    try:
        name = orjson.loads(folder.manifest_path.read_bytes())["name"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if name != pipeline.name:
        raise UsageError(f"{folder.path} holds the dataset {name!r}, not {pipeline.name!r}", fix="choose another --out")


def _is_finished(folder: RunFolder, fingerprint: str) -> bool:
    """Whether just this run stands here finished, with its card, every file as the manifest says and no table damaged."""
    try:
        manifest = folder.read_manifest()
    except FileError:
        return False  # none yet, or a damaged one: it is written anew
    if manifest["status"] != "finished" or manifest["fingerprint"] != fingerprint:
        return False
    return (
        folder.card_path.is_file()
        and all(is_as_listed(folder, entry) for entry in manifest["files"])
        and not any(folder.is_damaged(step["name"]) for step in manifest["steps"])
    )


def _past_gates(outcome: Outcome) -> Outcome:
    missed = [gate for gate in outcome.manifest["gates"] if not gate["passed"]]
    if missed:
        said = "; ".join(
            f"{gate['step']}.{gate['gate']}: found {_figure(gate['found'])}, wanted {_figure(gate['wanted'])}"
            for gate in missed
        )
        raise GateError(
            f"{outcome.folder.path}: the data misses {len(missed)} gate(s): {said}",
            fix="look at `prefgen show`; the data is written, and `expect:` says what it must reach",
        )
    return outcome


def _figure(value: float | None) -> str:
    return "nothing that can be told" if value is None else f"{value:g}"
