"""Whether judges in a persona answer like the people they play: held against a survey that asked the same questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from prefgen.analysis.distance import jensen_shannon
from prefgen.analysis.poststratify import raked_weights, unlike
from prefgen.analysis.survey import EVERYBODY, Floats, Group, Question, SurveyAnswers
from prefgen.errors import UsageError
from prefgen.seeds import rng_for

PERSONAS, NOBODY, UNIFORM, OVERALL = "personas", "no persona", "uniform", "survey overall"
"""Sources of answers: the judge in a persona, and the three baselines."""

_STEPS = (0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 95.0)
_PARTS = (0.25, 0.5, 0.75, 0.9)
_SPLITS = 200


@dataclass(frozen=True, slots=True)
class Calibration:
    """A judge held against a survey.

    cells      one row an item, subgroup and source: item_id, attribute, level (both '(everybody)' for all),
               source (`personas`, `no persona`, `uniform`, `survey overall`, and `wrong`, `shuffled` where judged),
               n_survey (respondents), n_personas (0 for a baseline without them), total_variation (0..1),
               jensen_shannon (bits, 0..1), rank_distance (difference of the mean ranks over the number of steps,
               0..1; null for unordered answers), noise_* (the same between random halves of those respondents:
               below it a difference means nothing), shares and survey_shares (lists, in the order of the question's
               levels), answered (share of the judge's probability on options the survey has; null for baselines)
    summary    means of the cells by source and attribute: source, attribute, cells, n_items, total_variation,
               jensen_shannon, rank_distance, noise_*, gain (1 - total_variation over that of `survey overall`:
               1 perfect, 0 as good as knowing the whole survey but not the person, below 0 worse)
    certainty  one row an attribute and threshold: measure (`certainty`, or `p_choice` where none was stated),
               attribute, threshold (0..100: round steps, and those that leave the surest three quarters, half, quarter
               and tenth), coverage (share of answers at or above it, 0..1), n, agreement (chance
               that a respondent of the persona's subgroup gives the persona's answer), modal (share of answers that
               are their most frequent one); null without answers
    weights    one row a persona: persona_id, weight (as drawn), raked_weight (mean 1; attributes as in the survey)
    reweighted total variation of everybody's answers from the survey's, mean over items, personas by `raked_weight`
    notes      what could not be compared, in sentences
    """

    cells: pl.DataFrame
    summary: pl.DataFrame
    certainty: pl.DataFrame
    weights: pl.DataFrame
    reweighted: float | None
    notes: tuple[str, ...]

    def figures(self) -> dict[str, float | None]:
        """The numbers that a gate may ask for: means over all subgroups of all attributes, people only.

        total_variation, noise (its floor), excess (total_variation - noise), gain (over `survey overall`),
        gain_over_no_persona (null without the control `none`)
        """
        means = (
            self.cells.filter(pl.col("attribute") != EVERYBODY)
            .group_by("source")
            .agg(pl.col("total_variation", "noise_total_variation").mean())
        )
        by = {row["source"]: row for row in means.iter_rows(named=True)}
        mine, floor = by[PERSONAS]["total_variation"], by[PERSONAS]["noise_total_variation"]
        nobody = by.get(NOBODY, {}).get("total_variation")
        return {
            "total_variation": mine, "noise": floor, "excess": mine - floor,
            "gain": _gain(mine, by[OVERALL]["total_variation"]),
            "gain_over_no_persona": None if nobody is None else _gain(mine, nobody),
        }  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        frames = {name: getattr(self, name).to_dicts() for name in ("cells", "summary", "certainty")}
        return {
            **frames,
            "figures": self.figures(),
            "poststratification": self.poststratification(),
            "notes": list(self.notes),
        }

    def poststratification(self) -> dict[str, float | None]:
        """What raking the personas to the survey's marginals takes and gives.

        personas; effective_n (Kish) and largest of `raked_weight`; total_variation of everybody as drawn, and reweighted
        """
        raked = self.weights["raked_weight"].to_numpy()
        everybody = self.summary.filter(source=PERSONAS, attribute=EVERYBODY)["total_variation"]
        return {
            "personas": len(raked), "effective_n": float(raked.sum() ** 2 / max(float((raked**2).sum()), 1e-300)),
            "largest": float(raked.max(initial=0.0)), "total_variation": everybody[0] if len(everybody) else None,
            "reweighted": self.reweighted,
        }  # fmt: skip


def calibrate(
    preferences: pl.DataFrame,
    personas: pl.DataFrame,
    survey: pl.DataFrame,
    *,
    questions: Sequence[Question],
    by: Mapping[str, str],
    weight: str | None = None,
    seed: int = 0,
    least: int = 30,
) -> Calibration:
    """Hold the judge's answers against the survey's, by subgroup.

    preferences    one row a persona x item: persona_id, item_id, choice, p_<option>, p_choice, weight, and certainty
                   where it was asked for; null p is an answer that was not read
    personas       persona_id, control, control_of, weight, and the attributes
    survey         one row a respondent: columns of answers and attributes; null = did not say
    questions      which column of the survey each item is, and which level each option means
    by             survey column by persona attribute; levels are compared as text
    weight         survey column of weights, null = 0
    least          respondents and more make a subgroup

    Raises UsageError when the tables have no item or no subgroup in common.
    """
    answers = SurveyAnswers.of(survey, questions, by, weight=weight, least=least)
    judged = _judged(preferences, personas, answers)
    rows = [
        row
        for question in questions
        for row in _cells(question, answers, judged, rng_for(seed, "calibrate", question.item_id))
    ]
    if not rows:
        raise UsageError(
            "no item was answered by personas of a subgroup that the survey has",
            fix="check item ids, attributes and levels",
        )
    cells = pl.DataFrame(rows, infer_schema_length=None).with_columns(
        pl.col("rank_distance", "noise_rank_distance", "answered").cast(pl.Float64)
    )
    people = personas.filter(pl.col("control").is_null())
    weights = raked_weights(people, survey, by=by, weight=weight)
    notes = (*_notes(answers, judged, questions), *unlike(people, survey, by=by, weight=weight))
    return Calibration(
        cells,
        _summary(cells),
        _certainty(judged, answers, questions),
        weights,
        _reweighted(judged, weights, answers, questions),
        notes,
    )


def _reweighted(
    judged: pl.DataFrame, weights: pl.DataFrame, answers: SurveyAnswers, questions: Sequence[Question]
) -> float | None:
    """Mean total variation of everybody's answers from the survey's when personas weigh `raked_weight`."""
    raked = weights.select("persona_id", pl.col("raked_weight").alias("weight"))
    mine = judged.filter(source=PERSONAS).drop("weight").join(raked, on="persona_id", how="inner")
    everybody, found = Group(EVERYBODY, EVERYBODY), []
    for question in questions:
        told = _answered(question, mine.filter(item_id=question.item_id), everybody).get(PERSONAS)
        if told is not None:
            found.append(float(np.abs(told[0] - answers.shares(question, everybody)).sum() / 2))
    return float(np.mean(found)) if found else None


def _judged(preferences: pl.DataFrame, personas: pl.DataFrame, answers: SurveyAnswers) -> pl.DataFrame:
    """Preferences with `source` and the attributes of the persona (a control's: of the one it stands beside)."""
    missing = [name for name in answers.by if name not in personas.columns]
    if missing:
        raise UsageError(
            f"the personas have no attribute {missing[0]!r}", fix=f"compare by one of {', '.join(personas.columns)}"
        )
    own = personas.select("persona_id", "control", pl.coalesce("control_of", "persona_id").alias("_person"))
    levels = personas.select(
        pl.col("persona_id").alias("_person"), *(pl.col(name).cast(pl.String) for name in answers.by)
    )
    source = (
        pl.when(pl.col("control").is_null())
        .then(pl.lit(PERSONAS))
        .when(pl.col("control") == "none")
        .then(pl.lit(NOBODY))
        .otherwise("control")
    )
    kept = [
        name
        for name in preferences.columns
        if name in {"persona_id", "item_id", "choice", "p_choice", "weight", "certainty"}
        or (name.startswith("p_") and len(name) == 3)
    ]
    return (
        preferences.select(kept)
        .join(own, on="persona_id", how="inner", maintain_order="left")
        .join(levels, on="_person", how="left", maintain_order="left")
        .with_columns(source.alias("source"))
    )


def _cells(
    question: Question, answers: SurveyAnswers, judged: pl.DataFrame, rng: np.random.Generator
) -> Iterator[dict[str, Any]]:
    mine = judged.filter(item_id=question.item_id)
    overall = answers.shares(question, Group(EVERYBODY, EVERYBODY))
    for group in answers.groups(question):
        truth = answers.shares(question, group)
        noise = answers.noise(question, group, rng, splits=_SPLITS)
        sources = {
            UNIFORM: (np.full(len(truth), 1 / len(truth)), 0, None),
            OVERALL: (overall, 0, None),
            **_answered(question, mine, group),
        }
        if PERSONAS not in sources:
            continue
        for source, (shares, n_personas, answered) in sources.items():
            found = differences(shares, truth, ordered=question.ordered)
            yield {
                "item_id": question.item_id, "attribute": group.attribute, "level": group.level, "source": source,
                "n_survey": answers.size(question, group), "n_personas": n_personas, **found,
                **{f"noise_{name}": value for name, value in noise.items()},
                "shares": shares.tolist(), "survey_shares": truth.tolist(), "answered": answered,
            }  # fmt: skip


def _answered(question: Question, rows: pl.DataFrame, group: Group) -> dict[str, tuple[Floats, int, float]]:
    """By source: weighted mean probability of each level, the personas behind it, and the probability on known options."""
    letters = [letter for letter, _ in question.options]
    columns = [f"p_{letter}" for letter in letters]
    if any(column not in rows.columns for column in columns):
        return {}
    in_group = (
        pl.lit(True)
        if group.attribute == EVERYBODY
        else (pl.col(group.attribute) == group.level) | (pl.col("source") == NOBODY)
    )
    found = {}
    for (source,), part in rows.filter(in_group, pl.any_horizontal(pl.col(columns).is_not_null())).group_by(
        "source", maintain_order=True
    ):
        p = part.select(pl.col(columns).fill_null(0.0)).to_numpy()
        weight = part["weight"].to_numpy()
        mass = weight @ p
        total = float(mass.sum())
        if total > 0:
            found[str(source)] = (
                question.by_level(np.asarray(mass / total, dtype=np.float64)),
                part.height,
                total / float(weight.sum()),
            )
    return found


def differences(shares: Floats, truth: Floats, *, ordered: bool) -> dict[str, float | None]:
    """How far two distributions over the same levels are apart, in the three measures of `Calibration.cells`.

    >>> differences(np.array([1.0, 0.0]), np.array([0.5, 0.5]), ordered=True)["rank_distance"]
    0.5
    """
    ranks = np.arange(len(truth))
    distance = float(abs((shares - truth) @ ranks) / max(1, len(truth) - 1)) if ordered else None
    return {
        "total_variation": float(np.abs(shares - truth).sum() / 2),
        "jensen_shannon": float(jensen_shannon(shares, truth)),
        "rank_distance": distance,
    }


def _gain(mine: float, baseline: float) -> float | None:
    return 1 - mine / baseline if baseline > 0 else None


def _summary(cells: pl.DataFrame) -> pl.DataFrame:
    measures = ["total_variation", "jensen_shannon", "rank_distance"]
    means = cells.group_by("source", "attribute", maintain_order=True).agg(
        pl.len().alias("cells"),
        pl.col("item_id").n_unique().alias("n_items"),
        pl.col(*measures, *(f"noise_{name}" for name in measures)).mean(),
    )
    overall = means.filter(source=OVERALL).select("attribute", pl.col("total_variation").alias("_overall"))
    gain = pl.when(pl.col("_overall") > 0).then(1 - pl.col("total_variation") / pl.col("_overall"))
    return (
        means.join(overall, on="attribute", how="left", maintain_order="left")
        .with_columns(gain.alias("gain"))
        .drop("_overall")
    )


def _certainty(judged: pl.DataFrame, answers: SurveyAnswers, questions: Sequence[Question]) -> pl.DataFrame:
    people = judged.filter(pl.col("source") == PERSONAS, pl.col("choice").is_not_null())
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


def _notes(answers: SurveyAnswers, judged: pl.DataFrame, questions: Sequence[Question]) -> Iterator[str]:
    asked = set(judged["item_id"])
    absent = [question.item_id for question in questions if question.item_id not in asked]
    if absent:
        yield f"{len(absent)} of {len(questions)} survey questions were not asked, e.g. {absent[0]}"
    yield from answers.notes
    if NOBODY not in set(judged["source"]):
        yield "no control `none` was judged: draw with controls: [none] to see what a persona is worth"
