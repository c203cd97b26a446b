"""Placing: models answer a finished run's questions without a persona, and stand beside its personas."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from prefgen.analysis.findings import write_findings
from prefgen.analysis.placement import PlacedModel, write_placement
from prefgen.dispatch.dispatcher import Dispatcher
from prefgen.dispatch.prices import price_of
from prefgen.engines.engine import Meter
from prefgen.engines.store import ResponseStore
from prefgen.errors import FileError, UsageError
from prefgen.flow.pipeline import context_of, load
from prefgen.publish.report import write_report
from prefgen.spec.models import ModelSpec
from prefgen.spec.pipeline import Pipeline
from prefgen.steps.judge import Judge
from prefgen.store.finished import Lineage, finished_manifest
from prefgen.store.folder import RunFolder
from prefgen.store.table import Table

NOBODY = pl.DataFrame(
    {"persona_id": ["none"], "control": ["none"], "weight": [1.0], "text": [""]},
)
"""The one who is asked: the model itself."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model to be placed. `region` is where it comes from, for the map; None when nobody said."""

    name: str
    region: str | None
    model: ModelSpec


def place(run: Path, candidates: Sequence[Candidate], watch: Callable[[str, Meter], None]) -> dict[str, Any]:
    """Ask every model what the judge step of the run's judgments asked, without a persona; RUN/placement.json and the report follow.

    Responses are kept in RUN/placements.sqlite, so a model is asked once and the command can be repeated.
    Raises UsageError for a run without a judge step, FileError for one that is not finished, EngineError.
    """
    folder = RunFolder(run)
    manifest = finished_manifest(folder)
    pipeline = load(folder.pipeline_path)
    step = _judge_step(manifest, pipeline, run)
    with folder.locked(), ResponseStore(folder.placements_path) as store:
        placed = [
            PlacedModel(one.name, one.region, _answers(folder, pipeline, step, one, store, watch)) for one in candidates
        ]
        placement = write_placement(folder, placed)
        write_findings(folder)
        write_report(folder)
    return placement


def _judge_step(manifest: Mapping[str, Any], pipeline: Pipeline, run: Path) -> str:
    """The step that asked for the run's judgments."""
    step = Lineage.of_manifest(manifest).judge
    if step is None:
        raise UsageError(f"{run}: its pipeline has no judge step", fix="place models in a run that has one")
    spec = pipeline.steps.get(step)
    if not isinstance(spec, Judge):
        raise FileError(
            f"{run}: its pipeline.yaml has no judge step {step!r}, and its manifest has",
            fix="run the pipeline again; what was answered is kept",
        )
    return step


def _answers(
    folder: RunFolder,
    pipeline: Pipeline,
    step: str,
    candidate: Candidate,
    store: ResponseStore,
    watch: Callable[[str, Meter], None],
) -> list[pl.DataFrame]:
    """The judgments of one model, as the control `none`."""
    spec = pipeline.steps[step]
    assert isinstance(spec, Judge)
    items, model = spec.named[-1], candidate.name
    # Where people answered, or a utility, a model is asked what they were.
    asking = {"model": model, "items": items, "given": None, "utility": None, "standardize": False, "noise": 0.0}
    tables = {items: folder.table(items), spec.as_: Table.of(spec.as_, [NOBODY])}
    ask = Dispatcher(
        store, {model: candidate.model}, price_of=price_of, watch=lambda meter: watch(candidate.name, meter)
    )
    with closing(ask):
        return list(spec.model_copy(update=asking).make(tables, context_of(pipeline, step, ask)))
