"""What the commands do: each calls one room and prints what it returns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from prefgen import face
from prefgen.engines.open import Place
from prefgen.errors import GateError, SpecError, UsageError, one_of
from prefgen.flow.pipeline import lighter, read
from prefgen.screen.console import PlanGrid, Screen, data_console, people, plan_notes, print_json
from prefgen.spec.reading import check_model

if TYPE_CHECKING:
    from prefgen.flow.place import Candidate


def check_files(files: Sequence[Path]) -> int:
    """Check pipelines and persona specs, and print every complaint on stdout. Returns the exit code."""
    from prefgen.personas.check import check_population
    from prefgen.spec.document import read_document

    code = 0
    for path in files:
        notes: tuple[str, ...] = ()
        try:
            content = read_document(path, []).data
            if isinstance(content, dict) and "population" in content and "steps" not in content:
                check_population(path)
            else:
                notes = _checked(path)
        except SpecError as error:
            code = error.exit_code
            for complaint in error.complaints:
                print(complaint)
        else:
            people.print(f"{path}: valid", markup=False)
            for note in notes:
                people.print(f"  note: {note}", markup=False, soft_wrap=True)
    return code


def _checked(path: Path) -> tuple[str, ...]:
    """What to know of a pipeline before it is paid for; SpecError with everything wrong in the file and in what it reads."""
    pipeline, complaints = read(path)
    notes: tuple[str, ...] = ()
    if pipeline is not None and pipeline.steps:
        try:
            notes = face.plan(lighter(pipeline)).notes
        except SpecError as error:
            complaints = (*complaints, *(one for one in error.complaints if one not in complaints))
    if complaints:
        raise SpecError(*sorted(complaints, key=lambda one: (one.path != str(path), one.path, one.line)))
    return notes


def print_plan(path: Path, overrides: Sequence[str], *, as_json: bool) -> None:
    """The plan of a pipeline: a table for people, or one JSON document."""
    plan = face.plan(face.load(path, overrides))
    if as_json:
        print_json(
            {
                "steps": [step.to_json() for step in plan.steps],
                "requests": plan.requests,
                "token_method": plan.token_method,
            }
        )
    else:
        console = data_console()
        console.print(PlanGrid(plan))
        for line in plan_notes(plan):
            console.print(line, markup=False, soft_wrap=True)


def run_pipeline(
    path: Path,
    out: Path | None,
    overrides: Sequence[str],
    *,
    budget_usd: float | None,
    replay: Path | None,
    retry_failed: bool,
    report: bool,
    on: str,
    as_json: bool,
) -> None:
    """Run a pipeline into its folder, with a progress bar on a terminal and plain lines elsewhere."""
    if on not in get_args(Place):
        raise UsageError(f"--on {on!r}: there is no such place", fix=f"write {one_of(on, get_args(Place))}")
    face.run(
        face.load(path, overrides),
        out,
        budget_usd=budget_usd,
        replay=replay,
        retry_failed=retry_failed,
        report=report,
        on=cast("Place", on),
        progress="json" if as_json else True,
    )


def draw_personas(spec: Path, *, n: int | None, seed: int, out: Path, as_json: bool) -> None:
    """Draw people into a file and print how well they fit."""
    from prefgen.screen.audit import audit_lines

    audit = face.draw_audited(spec, n, seed=seed, out=out).audit.to_json()
    if as_json:
        print_json(audit)
        return
    for line in (*audit_lines(audit), f"people: {out}; audit: {out.with_suffix('.audit.json')}"):
        people.print(line, markup=False, soft_wrap=True)


def export_preset(
    run: Path,
    preset: str,
    out: Path,
    *,
    jsonl: bool,
    template: str | None,
    from_step: str | None,
    overrides: Sequence[str],
) -> None:
    """Write one export of a finished run."""
    from prefgen.publish.exports.one import export_run
    from prefgen.spec.reading import options_of

    options = options_of(overrides)
    entry = export_run(run, preset, out, jsonl=jsonl, template=template, from_step=from_step, options=options)
    splits: dict[str, int] = entry["splits"]
    for split, rows in splits.items():
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
        show_run(run, Screen(highlight=False), rows=rows)


def place_in_run(run: Path, models: Sequence[str], *, as_json: bool) -> None:
    """Place models among a run's personas and say whom they are nearest to."""
    from prefgen.flow.place import place
    from prefgen.screen.watch import watcher_for

    candidates = [candidate_of(text) for text in models]
    with watcher_for(people, as_json=False) as reporter:
        placement = place(run, candidates, reporter.asks)
    if as_json:
        print_json(placement)
        return
    for one in candidates:
        whole = [near for near in placement["nearness"] if near["model"] == one.name and not near["coordinate"]]
        for near in sorted(whole, key=lambda near: near["divergence"]["value"] or 1.0):
            kappa, divergence = near["kappa"], near["divergence"]
            line = (
                f"{one.name} beside {near['target']}: kappa {_estimate(kappa)}, divergence {_estimate(divergence)} bits"
            )
            people.print(line, markup=False, soft_wrap=True)
    people.print(f"the map: {run / 'report.html'}", markup=False, soft_wrap=True)


def calibrate_against(run: Path, survey: Path, *, as_json: bool) -> None:
    """Write RUN/calibration.json and the report, and print what was found. Raises GateError for missed gates."""
    from prefgen.analysis.calibration import gate_rows, lines, write_calibration
    from prefgen.analysis.findings import write_findings
    from prefgen.publish.card import write_card
    from prefgen.publish.report import write_report
    from prefgen.spec.calibration import read_calibration
    from prefgen.store.folder import RunFolder
    from prefgen.store.manifest import check_files

    folder, spec = RunFolder(run), read_calibration(survey)
    manifest = folder.read_manifest()
    if has_card := folder.card_path.is_file():
        check_files(folder, manifest)  # the card shows rows of them
    calibration = write_calibration(folder, spec, manifest)
    write_findings(folder)
    write_report(folder)
    if has_card:
        write_card(folder, manifest)
    if as_json:
        print_json(calibration.to_json())
    else:
        for line in lines(calibration):
            print(line)
    missed = [gate for gate in gate_rows(calibration, spec) if not gate["passed"]]
    if missed:
        said = ", ".join(
            f"{gate['gate']} is {'unknown' if gate['found'] is None else gate['found']}, wanted {gate['wanted']}"
            for gate in missed
        )
        raise GateError(f"calibration: {said}", fix="use a judge that holds its persona better, or ask for less")


def candidate_of(text: str) -> Candidate:
    """A `--model` of the command line: `engine=openai,model=NAME,base_url=URL,name=SHOWN,region=WHERE`."""
    from prefgen.flow.place import Candidate

    pairs = [part.partition("=") for part in text.split(",")]
    if not all(equals and key.strip() for key, equals, _ in pairs):
        raise UsageError(
            f"--model {text!r} is not of the form key=value,key=value",
            fix="write e.g. --model engine=openai,model=qwen3-8b,base_url=http://127.0.0.1:8000/v1,region=East Asia",
        )
    facts: dict[str, Any] = {key.strip(): value.strip() for key, _, value in pairs}
    region, name = facts.pop("region", None), facts.pop("name", None)
    model = check_model(facts)
    return Candidate(name or model.name, region, model)


def _estimate(estimate: dict[str, float | None]) -> str:
    if estimate["value"] is None:
        return "unknown"
    if estimate["low"] is None or estimate["high"] is None:
        return f"{estimate['value']:.2f}"
    return f"{estimate['value']:.2f} ({estimate['low']:.2f} to {estimate['high']:.2f})"
