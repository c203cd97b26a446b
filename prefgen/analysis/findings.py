"""All that the analyses say of one run, as one document: RUN/report.json, from which the report is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from prefgen.analysis.agreement import estimate_agreement, estimate_alpha
from prefgen.analysis.bias import estimate_position_bias
from prefgen.analysis.control import estimate_control_effects
from prefgen.analysis.gaps import estimate_counterfactuals
from prefgen.analysis.place import draw_map, majority_answers, persona_answers
from prefgen.analysis.prompt_sensitivity import estimate_form_consistency, estimate_wording_sensitivity
from prefgen.analysis.response_matrix import OF_JUDGMENTS, ResponseMatrix, matrix_of
from prefgen.analysis.slices import (
    MOST_LEVELS,
    count_nonresponse,
    estimate_length_sensitivity,
    estimate_profiles,
    estimate_shares,
    levels_of,
)
from prefgen.judging.item_facts import item_facts
from prefgen.judging.units import DIMENSIONS
from prefgen.seeds import rng_for
from prefgen.store.finished import Finished, finished
from prefgen.store.folder import RunFolder, write_of_run

FORMAT = 1

# Names under which people keep these coordinates, the likeliest first.
_GROUPS = ("group", "subject", "target_group")
_GROUP_TYPES = ("group_type", "group_kind", "type", "group")
_CATEGORIES = ("category", "theme", "domain", "topic", "subject", "dimension")


def find(folder: RunFolder, *, draws: int = 1000) -> dict[str, Any]:
    """The findings of a finished run, as plain data; the sections that its tables cannot answer are None.

    Every random draw hangs on the run's seed, so the same run gives the same findings.
    """
    manifest = folder.read_manifest()
    sources = finished(folder, manifest)
    document: dict[str, Any] = {"format": FORMAT, "run": manifest["name"], "fingerprint": manifest["fingerprint"]}
    if manifest.get("analyse"):
        from prefgen.analysis.asked import analyses_of

        document["analyses"] = analyses_of(folder, manifest)
    matrix = read_matrix(sources, seed=int(manifest["seed"]))
    if matrix is None:
        return {**document, "matrix": None}
    return document | describe(matrix, seed=int(manifest["seed"]), draws=draws)


def write_findings(folder: RunFolder, *, draws: int = 1000) -> Path:
    """`find`, written to RUN/report.json."""
    path = folder.findings_path
    write_of_run(path, find(folder, draws=draws))
    return path


def read_matrix(sources: Finished, *, seed: int) -> ResponseMatrix | None:
    """The matrix of a run; None where no judge picked among options of items."""
    if sources.judgments is None or sources.items is None or sources.personas is None or not sources.judgments.n_rows:
        return None
    wanted = [
        name
        for name in ("persona_id", "control", "control_of", "weight", "person", "wording")
        if name in sources.personas.schema
    ]
    # To a model those with one portrait are one respondent; people who answered themselves are not.
    asked = "text" in sources.personas.schema and sources.answered_by != "people"
    told = pl.when(pl.col("text") != "").then(pl.col("text").hash())  # models as themselves have none, and are several
    portrait = [told.alias("portrait")] if asked else []
    personas = sources.personas.scan().select(*wanted, *portrait).collect()
    parts = (part.select(_wanted(part.collect_schema())).collect() for part in sources.judgments.parts)
    return matrix_of(parts, item_facts(sources.items.scan()), personas, seed=seed)


_CORE = frozenset({*OF_JUDGMENTS, "reject_reason", "p_tie", "p_na"})


def _wanted(schema: pl.Schema) -> list[str]:
    return [name for name in schema if name in _CORE or (name.startswith("p_") and len(name) == 3)]


def describe(matrix: ResponseMatrix, *, seed: int, draws: int) -> dict[str, Any]:
    """Everything the matrix says, section by section, as plain data."""
    option, named = "A", main_coordinates(matrix)
    rng = {name: rng_for(seed, "findings", name) for name in ("agreement", "control", "position")}
    return {
        "matrix": {
            "personas": len(matrix.people),
            "controls": len(matrix.personas) - len(matrix.people),
            "items": matrix.items.height,
            "drawn_from": list(matrix.drawn_from),
            "options": list(matrix.options),
            "coordinates": {name: matrix.items[name].n_unique() for name in matrix.coordinates},
            "main": named,
            "sampled": list(matrix.sampled),
            "units": len(matrix.units),
            "twins": matrix.twins,
        },
        "agreement": plain(estimate_agreement(matrix, rng=rng["agreement"], draws=draws))
        if len(matrix.people) > 1
        else None,
        "kept": _kept(matrix, seed=seed, draws=draws),
        "position_bias": plain(estimate_position_bias(matrix, rng=rng["position"])),
        "shares": plain(_shares(matrix, option, named)),
        "profiles": [plain(one) for one in estimate_profiles(matrix, option=option, coordinate=named["dimension"])]
        if named["dimension"]
        else None,
        "counterfactuals": [plain(one) for one in estimate_counterfactuals(matrix, option=option)],
        "forms": [plain(one) for one in estimate_form_consistency(matrix)],
        "wordings": plain(estimate_wording_sensitivity(matrix)),
        "length": plain(estimate_length_sensitivity(matrix)),
        "nonresponse": [plain(one) for one in count_nonresponse(matrix, matrix.coordinates)],
        "controls": [plain(one) for one in estimate_control_effects(matrix, rng=rng["control"])],
        "map": plain(draw_map([*persona_answers(matrix), majority_answers(matrix)])),
    }


def main_coordinates(matrix: ResponseMatrix) -> dict[str, str | None]:
    """Which coordinates the figures speak of: by the names people use, else those with the fewest levels."""
    few = [name for name in matrix.coordinates if len(levels_of(matrix, name)[0]) <= MOST_LEVELS]
    by_size = sorted(few, key=lambda name: matrix.items[name].n_unique())
    category = _first(few, _CATEGORIES) or next((name for name in by_size if name not in ("form", "repeat")), None)
    group_type = next((name for name in _GROUP_TYPES if name in few and name != category), None)
    if group_type is None:
        group_type = next(
            (name for name in by_size if name not in (category, "form") and matrix.items[name].n_unique() <= 8), None
        )
    return {
        "dimension": _first(few, DIMENSIONS) or category,
        "group": _first(few, _GROUPS),
        "group_type": group_type,
        "category": category,
        "form": "form" if "form" in few else None,
    }


def _first(names: Sequence[str], wanted: Sequence[str]) -> str | None:
    return next((name for name in wanted if name in names), None)


def _shares(matrix: ResponseMatrix, option: str, named: dict[str, str | None]) -> Any:
    if named["category"] is None or not len(matrix.people):
        return None
    return estimate_shares(matrix, option=option, rows=named["category"], columns=named["group_type"])


def _kept(matrix: ResponseMatrix, *, seed: int, draws: int) -> dict[str, Any] | None:
    """Agreement among what the filters kept, where they dropped anything."""
    people = matrix.people
    answered, kept = matrix.options_chosen(people), matrix.options_chosen(people, kept_only=True)
    if kept.sum() == answered.sum() or len(people) < 2:
        return None
    alpha = estimate_alpha(kept, matrix.units, rng=rng_for(seed, "findings", "kept"), draws=draws)
    return {"preferences": int(kept.sum()), "of": int(answered.sum()), "alpha": asdict(alpha)}


def plain(record: Any) -> Any:
    """A record as dicts, lists, numbers and text; None stays None."""
    return None if record is None else asdict(record)
