"""The flow: read a pipeline, make one table after the other, export, describe. Nothing else decides anything here."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from prefgen.engines.open import Place
from prefgen.engines.store import ResponseStore
from prefgen.flow.making import Making, Reporter, check_answered, unanswered
from prefgen.flow.outcome import Outcome, past_gates
from prefgen.flow.planned import Plan, Standing
from prefgen.flow.standing import check_same_dataset, finished_before, standing
from prefgen.spec.pipeline import Pipeline
from prefgen.store.folder import RunFolder
from prefgen.store.log import RunLog
from prefgen.store.manifest import (
    RUN,
    file_entries,
    fingerprints,
    gate_results,
    leak_gate,
    new_manifest,
    pinned,
    write_audit,
    write_resolved,
)


def run(
    pipeline: Pipeline,
    out: Path,
    reporter: Reporter,
    *,
    budget_usd: float | None = None,
    retry_failed: bool = False,
    report: bool = True,
    on: Place = "local",
) -> Outcome:
    """Make the dataset in the folder `out`, going on wherever an earlier run of the same pipeline stopped.

    retry_failed    ask again what failed for a reason that may have passed (a server that was down, say)
    report          also make the report page and its figures: some seconds, whatever the size of the run

    Raises SpecError before anything is asked; EngineError, FileError and NotFinished with all answers so far stored; GateError
    when the finished data misses what `expect:` asks for.
    """
    folder = RunFolder(out)
    prints = fingerprints(pipeline := pinned(pipeline, folder))
    check_same_dataset(folder, pipeline)
    stands = None if retry_failed else finished_before(folder, prints[RUN], with_report=report)
    if stands is not None:
        return past_gates(Outcome(folder, stands, fresh=False))
    plan = _plan(pipeline, partial(standing, folder.tables, prints))
    folder.create()
    with folder.locked():
        log = RunLog(folder.log_path)
        log.event("run", name=pipeline.name, fingerprint=prints[RUN], planned_requests=plan.requests)
        reporter.planned(plan, folder.path)
        try:
            manifest = _make(pipeline, folder, prints, plan, reporter, log, budget_usd, retry_failed, on)
        except BaseException as error:
            log.event("stopped", why=type(error).__name__)
            raise
        check_answered(manifest["steps"])
        if report:
            _describe(folder, manifest)
        log.event("done", seconds=manifest["seconds"], gates=manifest["gates"])
    return past_gates(Outcome(folder, manifest, fresh=True))


def _make(
    pipeline: Pipeline,
    folder: RunFolder,
    prints: Mapping[str, str],
    plan: Plan,
    reporter: Reporter,
    log: RunLog,
    budget_usd: float | None,
    retry_failed: bool,
    on: Place,
) -> dict[str, Any]:
    """All tables, the data and its card, in the order in which they come to be; returns the manifest."""
    begun, started = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    write_resolved(pipeline, folder)
    folder.write_manifest(new_manifest(pipeline, prints[RUN], "unfinished", started))
    with (
        ResponseStore(folder.responses_path) as store,
        closing(Making(pipeline, folder, store, prints, plan, reporter, log, budget_usd, retry_failed, on)) as making,
    ):
        tables = {name: making.once(name) for name in pipeline.steps}
    from prefgen.flow import telling

    reporter.says("writing data and card")
    configs = telling.write_exports(pipeline, tables, making.grains, folder.data, reporter.says)
    came = "unanswered" if any(map(unanswered, making.accounts)) else "finished"
    manifest = new_manifest(pipeline, prints[RUN], came, started) | {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - begun, 3),
        "steps": making.accounts,
        "gates": [*gate_results(pipeline, making.accounts), *leak_gate(pipeline, configs)],
        "configs": configs,
        "files": file_entries(
            folder, [*folder.data.rglob("*.parquet"), folder.pipeline_path, *write_audit(folder, making.accounts)]
        ),
    }
    if pipeline.calibrate is not None and came == "finished":
        manifest["gates"] += telling.calibrated(pipeline.calibrate, folder, manifest, reporter.says)
    folder.write_manifest(manifest)  # first: data that were paid for are finished even where a card cannot be written
    telling.write_card(folder, manifest)
    return manifest


# What a run needs only to plan, or once its tables stand, is imported there: half of all modules, and no run that is
# finished already, or stopped half-way, waits for them.


def _plan(pipeline: Pipeline, stands: Standing) -> Plan:
    """What is to be made; tables that an earlier run left are not made again for it."""
    from prefgen.flow.plan import make_plan

    return make_plan(pipeline, stands)


def _describe(folder: RunFolder, manifest: Mapping[str, Any]) -> None:
    from prefgen.flow.telling import describe

    describe(folder, manifest)
