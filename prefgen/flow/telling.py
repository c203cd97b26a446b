"""What is told of a run once its tables stand: the data, how they compare with a survey, the card, the findings and the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prefgen.publish.card import write_card as write_card
from prefgen.publish.exports.write import write_exports as write_exports
from prefgen.store.folder import RunFolder


def calibrated(
    path: Path, folder: RunFolder, manifest: Mapping[str, Any], say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """RUN/calibration.json, and the gates that it passes or not."""
    from prefgen.analysis.calibrate import NothingComparedError  # few runs are held against a survey
    from prefgen.analysis.calibration import gate_rows, in_one_line, untold_gates, write_calibration
    from prefgen.spec.calibration import read_calibration

    spec = read_calibration(path)
    try:
        calibration = write_calibration(folder, spec, manifest)
    except NothingComparedError as error:  # all was made and paid for: its filters may have left nobody
        say(f"calibration: {error.problem}; {error.fix}")
        return untold_gates(spec)
    say(in_one_line(calibration))
    return gate_rows(calibration, spec)


def describe(folder: RunFolder, manifest: Mapping[str, Any]) -> None:
    """The findings, the report page and its figures, and the card with what the pipeline asked to be found."""
    from prefgen.analysis.findings import write_findings  # not every run wants a report
    from prefgen.publish.report import write_report

    write_findings(folder)
    write_report(folder)
    if manifest.get("analyse"):
        write_card(folder, manifest)
