"""RUN/placement.json: models that answered a run's items without a persona, beside its personas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from prefgen.analysis.findings import main_coordinates, read_matrix
from prefgen.analysis.place import MAJORITY, model_answers, place_models
from prefgen.errors import UsageError
from prefgen.judging.aggregate import preferences
from prefgen.seeds import rng_for
from prefgen.store.finished import finished
from prefgen.store.folder import RunFolder, write_of_run


@dataclass(frozen=True, slots=True, eq=False)
class PlacedModel:
    """A model and what it answered.

    region       where it comes from, for the map; None when nobody said
    judgments    parts of a judgments table of the run's items, asked as the control `none`
    """

    name: str
    region: str | None
    judgments: Iterable[pl.DataFrame]


def find_placement(folder: RunFolder, models: Sequence[PlacedModel], *, draws: int = 1000) -> dict[str, Any]:
    """Each model beside every persona and their majority, over all items and by dimension, theme and group type.

    Raises UsageError when the run has no answers of personas to compare with, or two models share a name.
    """
    manifest = folder.read_manifest()
    sources = finished(folder, manifest)
    matrix = read_matrix(sources, seed=int(manifest["seed"]))
    if matrix is None or not len(matrix.people):
        raise UsageError(
            f"{folder.path}: no persona of this run chose among options",
            fix="place models in a run that has a `judge: pick` step",
        )
    names = [model.name for model in models]
    taken = sorted({name for name in names if names.count(name) > 1 or name in (*matrix.personas, MAJORITY)})
    if taken:
        raise UsageError(
            f"the name {taken[0]!r} stands for two", fix="give every model a name of its own, which no persona has"
        )
    main = main_coordinates(matrix)
    by = [name for role in ("dimension", "category", "group_type") if (name := main[role])]
    answers = [model_answers(matrix, one.name, _answers_of(one.judgments), region=one.region) for one in models]
    placement = place_models(
        matrix, answers, by=tuple(dict.fromkeys(by)), rng=rng_for(int(manifest["seed"]), "placement"), draws=draws
    )
    return {
        "format": 1,
        "fingerprint": manifest["fingerprint"],
        "judgments": sources.step,
        "models": [{"name": one.name, "region": one.region} for one in models],
        "majority": MAJORITY,
        **asdict(placement),
    }


def write_placement(folder: RunFolder, models: Sequence[PlacedModel], *, draws: int = 1000) -> dict[str, Any]:
    """`find_placement`, also written to RUN/placement.json, where the report finds it."""
    found = find_placement(folder, models, draws=draws)
    write_of_run(folder.placement_path, found)
    return found


def _answers_of(judgments: Iterable[pl.DataFrame]) -> pl.DataFrame:
    parts = [
        preferences(part).select("item_id", "choice", pl.col("^p_([A-Z]|tie|na)$")) for part in judgments if part.height
    ]
    empty = pl.DataFrame(schema={"item_id": pl.String, "choice": pl.String})
    return pl.concat(parts, how="diagonal") if parts else empty
