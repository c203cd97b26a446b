"""What the commands do: each calls one room and prints what it returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from prefgen.cli.screen import data_console, people, plan_grid, plan_notes, print_json
from prefgen.errors import Complaint, SpecError, UsageError
from prefgen.plan import foresee, load


def check_files(files: Sequence[Path]) -> int:
    """Check pipelines and persona specs, and print every complaint on stdout. Returns the exit code."""
    from prefgen.spec.document import read_document
    from prefgen.spec.population import read_population

    code = 0
    for path in files:
        try:
            content = read_document(path).data
            if isinstance(content, dict) and "population" in content and "steps" not in content:
                read_population(path)
            else:
                foresee(load(path))
        except SpecError as error:
            code = error.exit_code
            for complaint in error.complaints:
                print(complaint)
        else:
            people.print(f"{path}: right", markup=False)
    return code


def print_plan(path: Path, overrides: Sequence[str], *, as_json: bool) -> None:
    """The plan of a pipeline: a table for people, or one JSON document."""
    plan = foresee(load(path, overrides))
    if as_json:
        print_json(
            {
                "steps": [asdict(step) for step in plan.steps],
                "requests": plan.requests,
                "token_method": plan.token_method,
            }
        )
    else:
        console = data_console()
        console.print(plan_grid(plan))
        for line in plan_notes(plan):
            console.print(line, markup=False, soft_wrap=True)


def run_pipeline(
    path: Path, out: Path | None, overrides: Sequence[str], *, limit: int | None, budget_usd: float | None,
    replay: Path | None, retry_failed: bool, on: str, as_json: bool,
) -> None:  # fmt: skip
    """Run a pipeline into its folder, with a progress bar on a terminal and plain lines elsewhere."""
    from prefgen.cli.watch import watcher_for
    from prefgen.run import run
    from prefgen.spec.pipeline import replaying

    if on != "local":
        raise UsageError(f"--on {on!r}: this version runs on 'local' only", fix="leave --on out")
    pipeline = load(path, overrides)
    if replay is not None:
        responses = replay / "responses.sqlite" if replay.is_dir() else replay
        if not responses.is_file():
            raise SpecError(
                Complaint(str(replay), 1, "", "there are no responses here", "give a run folder, or a responses.sqlite")
            )
        pipeline = replaying(pipeline, responses)
    folder = out or Path("outputs") / (pipeline.name if limit is None else f"{pipeline.name}-limit-{limit}")
    with watcher_for(people, as_json=as_json) as watcher:
        outcome = run(pipeline, folder, watcher, budget_usd=budget_usd, retry_failed=retry_failed)
        watcher.done(outcome)


def draw_personas(spec: Path, *, n: int | None, seed: int, out: Path, as_json: bool) -> None:
    """Draw people into a file and print how well they fit."""
    from prefgen.personas.write import write_personas

    audit = write_personas(spec, n=n, seed=seed, out=out)
    if as_json:
        print_json(audit.to_json())
    else:
        for line in audit.lines():
            people.print(line, markup=False)


def export_preset(run: Path, preset: str, out: Path, *, jsonl: bool) -> None:
    """Write one export of a finished run."""
    from prefgen.publish.exports import export_run

    config = export_run(run, preset, out, jsonl=jsonl)
    for split, rows in config["splits"].items():
        people.print(f"{out}: {preset}/{split}: {rows:,} rows", markup=False)


def make_report(run: Path) -> None:
    """Write report.html, report.json and the figures of a run."""
    from prefgen.analysis.findings import write_findings
    from prefgen.publish.report import write_report
    from prefgen.store.folder import RunFolder

    write_findings(RunFolder(run))
    files = write_report(RunFolder(run))
    people.print(f"{files.page}", markup=False)


def show_run_folder(run: Path, *, rows: int, as_json: bool) -> None:
    """The summary of a run."""
    from prefgen.publish.show import show_run, summary_of

    if as_json:
        summary: dict[str, Any] = summary_of(run)
        print_json(summary)
    else:
        show_run(run, Console(highlight=False), rows=rows)
