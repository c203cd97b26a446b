"""report.html: one page about a run, with everything inside, made from its manifest, tables and findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefgen.publish.public import shown_manifest
from prefgen.store.files import file_errors, write_aside
from prefgen.store.folder import RunFolder, read_of_run

if TYPE_CHECKING:
    from prefgen.publish.report.canvas import Print

_ALONE = ("flow",)
"""Figures that need no findings of the analyses."""
NO_FINDINGS: dict[str, Any] = {"matrix": None}


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """What was written."""

    page: Path
    figures: tuple[Path, ...]


def write_report(folder: RunFolder) -> ReportFiles:
    """RUN/report.html and RUN/figures/*.png, from RUN/manifest.json, RUN/report.json and the tables.

    The same run gives the same bytes. Without findings of just this run (analysis.findings writes them) the page has
    what the manifest and the tables say. Raises FileError when the folder is no run.
    """
    from prefgen.publish.report.page import render_page
    from prefgen.publish.report.readings import read_judgments

    manifest = folder.read_manifest()
    findings = read_findings(folder, manifest)
    prints = draw_figures(manifest, findings)
    page = render_page(folder, shown_manifest(manifest), findings, prints, read_judgments(folder, manifest))
    with file_errors(folder.figures):
        for old in folder.figures.glob("*.png"):
            old.unlink()
    paths = tuple(folder.figures / f"{one.key}.png" for one in prints)
    for path, one in zip(paths, prints, strict=True):
        write_aside(path, one.png)
    write_aside(folder.report_path, page.encode())
    return ReportFiles(folder.report_path, paths)


def read_findings(folder: RunFolder, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """RUN/report.json when it speaks of just this run, else NO_FINDINGS.

    RUN/placement.json is added as `placement` and RUN/calibration.json (what `Calibration.to_json` gives, with the
    run's `fingerprint`) as `calibration`, where they are there and speak of just this run.
    """
    findings = read_of_run(folder.findings_path, manifest) or NO_FINDINGS
    beside = {
        "placement": read_of_run(folder.placement_path, manifest),
        "calibration": read_of_run(folder.calibration_path, manifest),
    }
    return findings | beside


def draw_figures(manifest: Mapping[str, Any], findings: Mapping[str, Any]) -> list[Print]:
    """Every figure that the run has something for, in the order of the page."""
    from prefgen.publish.report import calibrating, drawn
    from prefgen.publish.report.canvas import ink, printed
    from prefgen.publish.report.figures import FIGURES

    prints = []
    with ink():
        for key, (draw, title_of) in FIGURES.items():
            drawing = draw(manifest, findings) if findings.get("matrix") or key in _ALONE else None
            if drawing is not None:
                prints.append(printed(key, title_of(manifest, findings), drawing))
        more = (*calibrating.draw_calibrations(findings), *drawn.draw_draws(manifest))
        prints += [printed(key, title, drawing) for key, title, drawing in more]
    return prints
