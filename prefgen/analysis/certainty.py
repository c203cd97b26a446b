"""Whether the surest answers are those that people of the persona's kind give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from prefgen.analysis.survey import Question, SurveyAnswers

_STEPS = (0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 95.0)
_PARTS = (0.25, 0.5, 0.75, 0.9)


def certainty_of(people: pl.DataFrame, answers: SurveyAnswers, questions: Sequence[Question]) -> pl.DataFrame:
    """`Calibration.certainty` of the personas' answers: item_id, choice, p_choice, weight, the attributes, and certainty."""
    people = people.drop_nulls("choice")
    stated = "certainty" in people.columns and people["certainty"].null_count() < people.height
    measure = "certainty" if stated else "p_choice"
    sure = pl.col(measure).cast(pl.Float64) * (1 if stated else 100)
    rows = []
    for attribute in answers.by:
        held = answers.lookup(questions, attribute)
        scored = (
            people.select("item_id", "choice", "weight", pl.col(attribute).alias("level"), sure.alias("sure"))
            .join(held, on=["item_id", "level", "choice"], how="inner")
            .drop_nulls("sure")
        )
        ranks = [float(scored["sure"].quantile(part, "lower") or 0.0) for part in _PARTS] if scored.height else []
        rows += [_above(scored, measure, attribute, threshold) for threshold in sorted({*_STEPS, *ranks})]
    return pl.DataFrame(rows, infer_schema_length=None).with_columns(
        pl.col("coverage", "agreement", "modal").cast(pl.Float64)
    )


def _above(scored: pl.DataFrame, measure: str, attribute: str, threshold: float) -> dict[str, Any]:
    """The row of `Calibration.certainty` for answers at or above one threshold."""
    at = scored.filter(pl.col("sure") >= threshold)
    total, held = float(scored["weight"].sum()), float(at["weight"].sum())
    means = {
        name: float((at[name] * at["weight"]).sum()) / held if held > 0 else None for name in ("agreement", "modal")
    }
    coverage = held / total if total > 0 else None
    return {
        "measure": measure,
        "attribute": attribute,
        "threshold": threshold,
        "n": at.height,
        "coverage": coverage,
        **means,
    }
