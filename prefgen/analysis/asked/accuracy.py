"""`analyse: calibrate`: choices against a gold standard, from the surest on."""

from __future__ import annotations

import polars as pl

from prefgen.analysis.asked.found import Cell, Found, NotAnalysedError, grid
from prefgen.analysis.asked.sources import Sources
from prefgen.estimates import Estimate, crossed_share
from prefgen.spec.analyses import Accuracy

_PARTS = (0.0, 0.25, 0.5, 0.75, 0.9)
_BINS = 5
_RIGHT = "_right"


def accuracy(spec: Accuracy, sources: Sources) -> Found:
    """Accuracy of all, by each measure of sureness from a threshold on, and how well the probabilities are calibrated."""
    step = sources.step(spec.from_)
    rows = compared(spec, step, sources)
    if rows.is_empty():
        raise NotAnalysedError(f"nothing that {step!r} chose has a gold standard in {spec.against!r}")
    measures = [name for name in ("p_choice", "margin", "certainty") if rows[name].null_count() < rows.height]
    lines = [line for name in measures for line in by_threshold(rows, name)]
    whole = share_right(rows)
    tables = [grid(f"right against {spec.against}", ("measure", "at least", "coverage", "right", "choices"), lines)]
    if "p_choice" in measures:
        bins = reliability(rows)
        tables.append(
            grid("probability and how often it was right", ("of", "mean probability", "right", "choices"), bins)
        )
    return Found((f"{whole.value:.0%} of {rows.height:,} choices are those of {spec.against}",), tuple(tables))


def compared(spec: Accuracy, step: str, sources: Sources) -> pl.DataFrame:
    """item_id, p_choice, margin, certainty, and `_right`: whether the choice is the gold one; only what both chose."""
    made, gold = sources.preferences(step), _gold(spec, sources)
    keys = [name for name in ("persona_id", "item_id") if name in gold.columns]
    if not keys:
        raise NotAnalysedError(
            f"{spec.against!r} shares no id with {step!r}", "name a step with `item_id`, or with it and `persona_id`"
        )
    if gold.select(keys).is_duplicated().any():
        raise NotAnalysedError(
            f"{spec.against!r} has several rows for one {' and '.join(keys)}", "name a step with one gold answer each"
        )
    letters = [name for name in made.columns if name.startswith("p_") and len(name) == 3]
    ranked = pl.concat_list(letters).list.drop_nulls().list.sort(descending=True) if letters else pl.lit([0.0])
    both = made.with_columns(margin=ranked.list.get(0, null_on_oob=True) - ranked.list.get(1, null_on_oob=True))
    joined = both.join(gold, on=keys, how="inner", maintain_order="left").drop_nulls(["choice", "_gold"])
    return joined.select(
        "item_id", "p_choice", "margin", "certainty", (pl.col("choice") == pl.col("_gold")).alias(_RIGHT)
    )


def _gold(spec: Accuracy, sources: Sources) -> pl.DataFrame:
    name = sources.step(spec.against)
    if sources.lineage.steps[name].grain == "judgments":
        return sources.preferences(name).select("persona_id", "item_id", pl.col("choice").alias("_gold"))
    ids = [one for one in ("persona_id", "item_id") if one in sources.tables[name].schema]
    rows = sources.rows(name, [*ids, spec.column])
    return rows.select(*ids, pl.col(spec.column).cast(pl.String).alias("_gold"))


def share_right(rows: pl.DataFrame) -> Estimate:
    """The share that is right, with its interval over questions."""
    units = rows.group_by("item_id").agg(pl.col(_RIGHT).sum(), pl.len()).sort("item_id")
    return crossed_share(units[_RIGHT].to_numpy(), units["len"].to_numpy())


def by_threshold(rows: pl.DataFrame, measure: str) -> list[tuple[Cell, ...]]:
    """(measure, threshold, coverage, right, choices) of those at or above thresholds that leave about all, 3/4, 1/2, 1/4 and 1/10."""
    known = rows.drop_nulls(measure)
    quantiles = [known[measure].cast(pl.Float64).quantile(part, "lower") for part in _PARTS]
    found: list[tuple[Cell, ...]] = []
    for threshold in dict.fromkeys(one for one in quantiles if isinstance(one, int | float)):
        sure = known.filter(pl.col(measure) >= threshold)
        found.append((measure, threshold, sure.height / rows.height, share_right(sure), sure.height))
    return found


def reliability(rows: pl.DataFrame) -> list[tuple[Cell, ...]]:
    """(fifth of the choices, mean probability, right, choices): of a calibrated judge the two are the same."""
    ordered = rows.drop_nulls("p_choice").sort("p_choice", "item_id", maintain_order=True)
    place = (pl.int_range(pl.len()) * _BINS // pl.len()).alias("_bin")
    parts = ordered.with_columns(place).partition_by("_bin", maintain_order=True)
    return [
        (f"fifth {k}", float(part["p_choice"].to_numpy().mean()), share_right(part), part.height)
        for k, part in enumerate(parts, 1)
    ]
