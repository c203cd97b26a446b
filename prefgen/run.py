"""The flow: read a pipeline, make one table after the other, export, describe. Nothing else decides anything here."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import orjson

from prefgen import __version__
from prefgen.analysis.calibration import gate_rows, in_one_line, write_calibration
from prefgen.analysis.findings import write_findings
from prefgen.engines.ask import Asker
from prefgen.engines.engine import Meter
from prefgen.engines.prices import price_of
from prefgen.engines.store import ResponseStore
from prefgen.errors import FileError, GateError, UsageError
from prefgen.plan import Plan, context_of, foresee, grain_of
from prefgen.publish.card import write_card
from prefgen.publish.exports.write import write_exports
from prefgen.publish.report import write_report
from prefgen.spec.calibration import read_calibration
from prefgen.spec.pipeline import Pipeline
from prefgen.steps import kind, kind_of
from prefgen.store.folder import Account, RunFolder
from prefgen.store.log import RunLog
from prefgen.store.manifest import (
    RUN,
    file_entries,
    fingerprints,
    gate_results,
    is_as_listed,
    pinned,
    step_account,
    without_texts,
    write_audit,
    write_resolved,
)
from prefgen.store.table import Table


class Watcher(Protocol):
    """Whoever looks on while a run works: a progress bar, a stream of events, nobody."""

    def planned(self, plan: Plan, folder: Path) -> None:
        """What is going to be made; nothing was asked yet."""

    def begins(self, step: str, kind: str) -> None:
        """A step is begun."""

    def asks(self, step: str, meter: Meter) -> None:
        """A step's requests, about ten times a second."""

    def made(self, account: Account) -> None:
        """A step's table stands."""

    def says(self, sentence: str) -> None:
        """Anything else worth a line."""


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
    plan = foresee(pipeline)
    prints = fingerprints(pipeline)
    _check_same_dataset(folder, pipeline)
    folder.create()
    with folder.locked():
        if not retry_failed and _is_finished(folder, prints[RUN]) and (folder.report_path.exists() or not report):
            return _past_gates(Outcome(folder, folder.read_manifest(), fresh=False))
        log = RunLog(folder.log_path)
        log.event("run", name=pipeline.name, fingerprint=prints[RUN], planned_requests=plan.requests)
        watcher.planned(plan, folder.path)
        try:
            manifest = _make(pipeline, folder, prints, watcher, log, budget_usd, retry_failed)
        except BaseException as error:
            log.event("stopped", why=type(error).__name__)
            raise
        if report:
            write_findings(folder)
            write_report(folder)
        log.event("done", seconds=manifest["seconds"], gates=manifest["gates"])
    return _past_gates(Outcome(folder, manifest, fresh=True))


def _make(
    pipeline: Pipeline,
    folder: RunFolder,
    prints: Mapping[str, str],
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
        making = _Making(pipeline, folder, store, prints, watcher, log, budget_usd, retry_failed)
        tables = {name: making.once(name) for name in pipeline.steps}
    watcher.says("writing data and card")
    configs = write_exports(pipeline, tables, making.grains, folder.data)
    manifest = _manifest(pipeline, prints[RUN], "finished", started) | {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - begun, 3),
        "steps": making.accounts,
        "gates": gate_results(pipeline, making.accounts),
        "configs": configs,
        "files": file_entries(
            folder, [*folder.data.rglob("*.parquet"), folder.pipeline_path, *write_audit(folder, making.accounts)]
        ),
    }
    if pipeline.calibrate is not None:
        spec = read_calibration(pipeline.calibrate)
        calibration = write_calibration(folder, spec, manifest)
        watcher.says(in_one_line(calibration))
        manifest["gates"] += gate_rows(calibration, spec)
    write_card(folder, manifest)
    folder.write_manifest(manifest)
    return manifest


@dataclass(slots=True)
class _Making:
    """The tables of one run while they are made."""

    pipeline: Pipeline
    folder: RunFolder
    store: ResponseStore
    prints: Mapping[str, str]
    watcher: Watcher
    log: RunLog
    budget_usd: float | None
    retry_failed: bool
    tables: dict[str, Table] = field(default_factory=dict)
    grains: dict[str, str] = field(default_factory=dict)
    accounts: list[Account] = field(default_factory=list)
    _ask: Asker = field(init=False)
    _step: str = ""
    _meters: list[Meter] = field(default_factory=list)  # of the step at work, one for each time it sends
    _redo: bool = False

    def __post_init__(self) -> None:
        models, budget = self.pipeline.models, self.budget_usd
        self._ask = Asker(self.store, models, budget_usd=budget, price_of=price_of, watch=self._look)

    def _look(self, meter: Meter) -> None:
        if not self._meters or meter is not self._meters[-1]:
            self._meters.append(meter)
        total = Meter.total(self._meters)
        self.watcher.asks(self._step, total)
        self.log.progress(step=self._step, **asdict(total))

    def once(self, name: str) -> Table:
        """A step's table, made now or found as an earlier run made it."""
        account = self.folder.account(name, fingerprint=self.prints[name])
        if account is not None and self.retry_failed and account["summary"].get("statuses", {}).get("failed"):
            self._redo = True  # from here on every table may change
        if account is None or self._redo:
            account = self._make(name)
            self.watcher.made(account)
            self.log.event("made", **without_texts(account))
        self.tables[name] = self.folder.table(name, check=False)
        self.grains[name] = account["grain"]
        self.accounts.append(account | {"reads": self.pipeline.steps[name].reads()})
        return self.tables[name]

    def _make(self, name: str) -> Account:
        step = self.pipeline.steps[name]
        self.watcher.begins(name, kind_of(step))
        self.log.event("begin", step=name, kind=kind_of(step))
        self._step, self._meters, begun = name, [], time.monotonic()
        context = context_of(self.pipeline, name, self._ask)
        above = [read for _, read in step.reads()]

        def account(table: Table) -> Account:
            return step_account(
                name=name,
                kind=kind_of(step),
                grain=grain_of(step, table, self.grains),
                fingerprint=self.prints[name],
                rows_in=self.tables[above[0]].n_rows if above else 0,
                table=table,
                summary=context.summary,
                model=step.asks(),
                asked=_asked(Meter.total(self._meters)),
                seconds=time.monotonic() - begun,
            )

        frames = kind(kind_of(step)).make(step, self.tables, context)
        return self.folder.write_table(name, frames, fingerprint=self.prints[name], account=account)


def _asked(meter: Meter) -> dict[str, Any]:
    return {
        "requests": {
            "planned": meter.planned,
            "stored": meter.stored,
            "sent": meter.sent,
            "answered": meter.answered,
            "failed": meter.failed,
            "retries": meter.retries,
            "throttled": meter.throttled,
        },
        "tokens": {
            "prompt": meter.prompt_tokens,
            "cached": meter.cached_tokens,
            "completion": meter.completion_tokens,
        },
        "cost_usd": meter.cost_usd,
        "notes": list(meter.notes),
    }


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


def _check_same_dataset(folder: RunFolder, pipeline: Pipeline) -> None:
    """A folder belongs to one dataset: changed steps are made anew, another dataset is not mixed in."""
    try:
        name = orjson.loads(folder.manifest_path.read_bytes())["name"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if name != pipeline.name:
        raise UsageError(f"{folder.path} holds the dataset {name!r}, not {pipeline.name!r}", fix="choose another --out")


def _is_finished(folder: RunFolder, fingerprint: str) -> bool:
    """Whether just this run stands here finished, every file as the manifest says and no table damaged."""
    try:
        manifest = folder.read_manifest()
    except FileError:
        return False  # none yet, or a damaged one: it is written anew
    if manifest["status"] != "finished" or manifest["fingerprint"] != fingerprint:
        return False
    return all(is_as_listed(folder, entry) for entry in manifest["files"]) and not any(
        folder.is_damaged(step["name"]) for step in manifest["steps"]
    )


def _past_gates(outcome: Outcome) -> Outcome:
    missed = [gate for gate in outcome.manifest["gates"] if not gate["passed"]]
    if missed:
        said = "; ".join(
            f"{gate['step']}.{gate['gate']}: found {gate['found']:g}, wanted {gate['wanted']:g}" for gate in missed
        )
        raise GateError(f"{outcome.folder.path}: the data misses {len(missed)} gate(s): {said}",
            fix="look at `prefgen show`; the data is written, and `expect:` says what it must reach")  # fmt: skip
    return outcome
