"""What a pipeline asks to be found: `analyse:`. Each analysis gives sentences and tables, which report.json has and the report shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import polars as pl
from pydantic import ValidationError

from prefgen.analysis.asked.accuracy import accuracy
from prefgen.analysis.asked.components import components
from prefgen.analysis.asked.found import Found, NotAnalysedError
from prefgen.analysis.asked.loops import loops
from prefgen.analysis.asked.ranks import ranks
from prefgen.analysis.asked.segments import segments
from prefgen.analysis.asked.slicing import slices
from prefgen.analysis.asked.sources import Sources
from prefgen.analysis.asked.spread import spread
from prefgen.spec.analyses import Analysis
from prefgen.spec.pipeline import Pipeline
from prefgen.store.finished import Lineage
from prefgen.store.folder import RunFolder
from prefgen.store.table import Table

_OF: Mapping[str, Callable[[Any, Sources], Found]] = {
    "rank": ranks,
    "calibrate": accuracy,
    "slices": slices,
    "spread": spread,
    "loops": loops,
    "segments": segments,
    "components": components,
}


def analyses_of(folder: RunFolder, manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The analyses that a finished run asks for, as plain data."""
    try:
        asked = [Analysis.model_validate(one) for one in manifest.get("analyse", ())]
    except ValidationError:
        return []  # of another version
    lineage = Lineage.of_manifest(manifest)
    tables = {name: folder.table(name) for name in lineage.steps if folder.tables.is_there(name)} if asked else {}
    return list(_found(asked, Sources(tables, lineage, int(manifest["seed"]))))


def _found(asked: Iterable[Analysis], sources: Sources) -> Iterator[dict[str, Any]]:
    for one in asked:
        step = sources.step(one.spec.from_)
        name = one.spec.name or f"{one.kind} of {step}"
        try:
            told = asdict(_OF[one.kind](one.spec, sources))
        except NotAnalysedError as error:
            told = asdict(Found((error.problem,)))
        yield {"kind": one.kind, "name": name, "step": step, **told}


def check_analyses(pipeline: Pipeline, tables: Mapping[str, Table], grains: Mapping[str, str]) -> None:
    """SpecError for an analysis that the tables of a pipeline cannot give."""
    sources = Sources(
        {name: Table.of(name, [_few(table)]) for name, table in tables.items()},
        Lineage.of_pipeline(pipeline, grains),
        pipeline.seed,
    )
    for place, one in enumerate(pipeline.analyse):
        mapped = isinstance(pipeline.document.data.get("analyse"), dict)
        at = ("analyse", one.kind) if mapped else ("analyse", place, one.kind)
        try:
            _OF[one.kind](one.spec, sources)
        except NotAnalysedError as error:
            if error.fix:
                raise pipeline.document.error(at, error.problem, error.fix) from None


def _few(table: Table) -> pl.DataFrame:
    """A few rows: whether columns are there and of the right kind shows with these."""
    return table.parts[0].head(50).collect() if table.parts else pl.DataFrame()
