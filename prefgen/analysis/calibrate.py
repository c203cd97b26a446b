"""Whether judges in a persona answer like the people they play: held against a survey that asked the same questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from prefgen.analysis.certainty import certainty_of
from prefgen.analysis.coherence import coherence_of
from prefgen.analysis.compared import OVERALL, UNIFORM, Draws, compared
from prefgen.analysis.figures import Found, figures_of, floor_over
from prefgen.analysis.nearness import Cells
from prefgen.analysis.panel import NOBODY, PERSONAS, Panel, judged_by_source
from prefgen.analysis.poststratify import raked_weights, unlike
from prefgen.analysis.survey import EVERYBODY, Group, Question, SurveyAnswers
from prefgen.errors import UsageError
from prefgen.seeds import rng_for

__all__ = ["NOBODY", "OVERALL", "PERSONAS", "UNIFORM", "Calibration", "calibrate"]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A judge held against a survey.

    Every distance is that of a sample in which each persona gives one answer, drawn from its probabilities, so that a
    judge who gives probabilities, one who votes, and real people are measured alike. The floor is the same
    distance for real respondents, one in every persona's place, with its 95 % band.

    cells      one row an item, subgroup and source: item_id, attribute, level (both '(everybody)' for all),
               source (`personas`, `no persona`, `uniform`, `survey overall`, and `wrong`, `shuffled` where judged),
               n_survey (respondents), n_personas (0 for a baseline without them), total_variation (0..1),
               jensen_shannon (bits, 0..1), rank_distance (difference of the mean ranks over the number of steps,
               0..1; null for unordered answers), floor_* (mean of each for real respondents), floor_low and
               floor_high (95 % band of its total variation), share_distance (total variation of the mean
               probabilities themselves, 0..1), squared_distance (of the shares, freed of what sampling adds, so it may fall
               below 0; null with one persona), spread and survey_spread (chance that two personas, two
               respondents of the subgroup give different answers; null with one), shares and survey_shares (lists, in
               the order of the question's levels), answered (share of the judge's probability on options the survey
               has; null for baselines)
    summary    means of the cells by source and attribute: source, attribute, cells, n_items, the distances, floor_*,
               and gain (1 - squared_distance over that of `survey overall`: 1 as near as real people, 0 as near as
               knowing the whole survey but not the person, below 0 worse)
    subgroups  the personas by attribute and level, means over questions: n_survey and n_personas (most over questions),
               total_variation, floor_total_variation, floor_low, floor_high, share_distance, spread, survey_spread
    certainty  one row an attribute and threshold: measure (`certainty`, or `p_choice` where none was stated),
               attribute, threshold (0..100: round steps, and those that leave the surest three quarters, half, quarter
               and tenth), coverage (share of answers at or above it, 0..1), n, agreement (chance
               that a respondent of the persona's subgroup gives the persona's answer), modal (share of answers that
               are their most frequent one); null without answers
    weights    one row a persona: persona_id, weight (as drawn), raked_weight (mean 1; attributes as in the survey)
    reweighted total variation of everybody's answers from the survey's, mean over items, personas by `raked_weight`
    found      the figures over all subgroups of all attributes, people only
    notes      what could not be compared, in sentences
    """

    cells: pl.DataFrame
    summary: pl.DataFrame
    subgroups: pl.DataFrame
    certainty: pl.DataFrame
    weights: pl.DataFrame
    reweighted: float | None
    found: Found
    notes: tuple[str, ...]

    def figures(self) -> dict[str, Any]:
        """What screen, card, report and gates speak of; the first six are {value, low, high, n}.

        total_variation, floor (real respondents: mean and 95 % band), excess (total_variation - floor), gain (over
        `survey overall`), gain_over_no_persona (over the control `none`), spread_floor (of real respondents: mean, and
        what 98 % lie between), spread (how often two personas of a subgroup differ over how often two of its people
        do; 1 like people, 0 all the same), coherence and coherence_floor (how far answers of one persona hang together
        across questions, over how far those of one person do; 1 like people, 0 as if each came from somebody else of the
        group; mean and 98 % of real respondents), verdict, said (the same in sentences)

        Values are null where nothing is known. Intervals of 95 % are bootstraps over personas, questions and respondents:
        what other personas of the kind, other such questions and another such survey would give. The bands of real
        respondents are for these questions. `n` is the number of personas, of spread_floor that of cells.
        """
        return self.found.to_json()

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        frames = {name: getattr(self, name).to_dicts() for name in ("cells", "summary", "subgroups", "certainty")}
        return {
            **frames,
            "figures": self.figures(),
            "poststratification": self.poststratification(),
            "notes": list(self.notes),
        }

    def poststratification(self) -> dict[str, float | None]:
        """What raking the personas to the survey's marginals takes and gives.

        personas; effective_n (Kish) and largest of `raked_weight`; share_distance of everybody as drawn, and reweighted
        """
        raked = self.weights["raked_weight"].to_numpy()
        everybody = self.summary.filter(source=PERSONAS, attribute=EVERYBODY)["share_distance"]
        return {
            "personas": len(raked),
            "effective_n": float(raked.sum() ** 2 / max(float((raked**2).sum()), 1e-300)),
            "largest": float(raked.max(initial=0.0)),
            "share_distance": everybody[0] if len(everybody) else None,
            "reweighted": self.reweighted,
        }


class NothingComparedError(UsageError):
    """Not one answer can be held against the survey; a run that was asked to do so is finished all the same."""


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
    """Hold the judge's answers against the survey's, by subgroup; UsageError when they have no item or subgroup in common.

    preferences    one row a persona x item: persona_id, item_id, choice, p_<option>, p_choice, weight, and certainty
                   where it was asked for; null p is an answer that was not read
    personas       persona_id, control, control_of, weight, and the attributes
    survey         one row a respondent: columns of answers and attributes; null = did not say
    questions      which column of the survey each item is, and which level each option means
    by             survey column by persona attribute; levels are compared as text
    weight         survey column of weights, null = 0
    least          respondents and more make a subgroup

    Raises NothingComparedError when the tables have no item or no subgroup in common.
    """
    answers = SurveyAnswers.of(survey, questions, by, weight=weight, least=least)
    judged, panels = _judged(preferences, personas, answers)
    draws = Draws.of(answers, panels, questions, seed)
    cells, frame = _compared(questions, draws)
    people = personas.filter(pl.col("control").is_null())
    weights, rng = raked_weights(people, survey, by=by, weight=weight), rng_for(seed, "calibrate", "questions")
    return Calibration(
        cells=frame,
        summary=_summary(frame, cells),
        subgroups=_subgroups(frame, cells),
        certainty=certainty_of(judged.filter(source=PERSONAS), answers, questions),
        weights=weights,
        reweighted=_reweighted(panels[PERSONAS], weights, answers, questions),
        found=figures_of(cells, coherence_of(questions, draws), personas=len(panels[PERSONAS].ids), rng=rng),
        notes=(*_notes(answers, judged, questions), *unlike(people, survey, by=by, weight=weight)),
    )


def _compared(questions: Sequence[Question], draws: Draws) -> tuple[list[Cells], pl.DataFrame]:
    """Every question that both answered, and the same as rows of `Calibration.cells`."""
    found = [one for one in (compared(question, draws) for question in questions) if one is not None]
    if not any(group.attribute != EVERYBODY for cells, _ in found for group in cells.groups):
        raise NothingComparedError(
            "no item was answered by personas of a subgroup that the survey has",
            fix="check item ids, attributes and levels",
        )
    numbers = pl.col("rank_distance", "floor_rank_distance", "squared_distance", "spread", "answered")
    rows = pl.DataFrame([row for _, rows in found for row in rows], infer_schema_length=None)
    return [one for one, _ in found], rows.with_columns(numbers.cast(pl.Float64))


def _judged(
    preferences: pl.DataFrame, personas: pl.DataFrame, answers: SurveyAnswers
) -> tuple[pl.DataFrame, dict[str, Panel]]:
    """The answers by source, and the panel of each."""
    judged = judged_by_source(preferences, personas, answers)
    found = {name: Panel.of(judged, name, answers.by) for name in judged["source"].unique(maintain_order=True)}
    if PERSONAS not in found:
        raise NothingComparedError(
            "no persona answered", fix="name a step under `answers:` whose judges played personas"
        )
    return judged, found


def _summary(frame: pl.DataFrame, cells: Sequence[Cells]) -> pl.DataFrame:
    distances = ["total_variation", "jensen_shannon", "rank_distance"]
    means = frame.group_by("source", "attribute", maintain_order=True).agg(
        pl.len().alias("cells"),
        pl.col("item_id").n_unique().alias("n_items"),
        pl.col(*distances, *(f"floor_{name}" for name in distances), "share_distance", "squared_distance").mean(),
    )
    floors = _bands(means.select("attribute").unique(maintain_order=True), cells)
    overall = means.filter(source=OVERALL).select("attribute", pl.col("squared_distance").alias("_overall"))
    gain = pl.when(pl.col("_overall") > 0).then(
        (1 - pl.col("squared_distance") / pl.col("_overall")).clip(upper_bound=1)
    )
    return (
        means.join(floors, on="attribute", how="left", maintain_order="left")
        .join(overall, on="attribute", how="left", maintain_order="left")
        .with_columns(gain.alias("gain"))
        .drop("_overall")
    )


def _subgroups(frame: pl.DataFrame, cells: Sequence[Cells]) -> pl.DataFrame:
    means = (
        frame.filter(pl.col("attribute") != EVERYBODY, source=PERSONAS)
        .group_by("attribute", "level", maintain_order=True)
        .agg(
            pl.col("n_survey", "n_personas").max(),
            pl.col("total_variation", "floor_total_variation", "share_distance", "spread", "survey_spread").mean(),
        )
    )
    return means.join(
        _bands(means.select("attribute", "level"), cells), on=["attribute", "level"], maintain_order="left"
    )


def _bands(of: pl.DataFrame, cells: Sequence[Cells]) -> pl.DataFrame:
    """The attributes, or attributes and levels, with floor_low and floor_high of their subgroups."""
    groups = {group for one in cells for group in one.groups}
    found = [
        floor_over(cells, {group for group in groups if all(getattr(group, key) == row[key] for key in row)}, n=1)
        for row in of.iter_rows(named=True)
    ]
    ends = {name: pl.Series([getattr(one, name) for one in found], dtype=pl.Float64) for name in ("low", "high")}
    return of.with_columns(floor_low=ends["low"], floor_high=ends["high"])


def _reweighted(
    people: Panel, weights: pl.DataFrame, answers: SurveyAnswers, questions: Sequence[Question]
) -> float | None:
    """Mean distance of everybody's shares from the survey's when personas weigh `raked_weight`."""
    everybody, found = [Group(EVERYBODY, EVERYBODY)], []
    raked = people.weighing(weights)
    for question in questions:
        told, _ = raked.told(question, everybody)
        if told.weight.any():
            found.append(float(np.abs(told.shares - answers.shares(question, everybody[0])).sum() / 2))
    return float(np.mean(found)) if found else None


def _notes(answers: SurveyAnswers, judged: pl.DataFrame, questions: Sequence[Question]) -> Iterator[str]:
    asked = set(judged["item_id"])
    absent = [question.item_id for question in questions if question.item_id not in asked]
    if absent:
        yield f"{len(absent)} of {len(questions)} survey questions were not asked, e.g. {absent[0]}"
    yield from answers.notes
    if NOBODY not in set(judged["source"]):
        yield "no control `none` was judged: draw with controls: [none] to see what a persona is worth"
