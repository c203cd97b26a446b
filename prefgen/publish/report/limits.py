"""What the numbers of a run cannot say, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from prefgen.publish.report.words import Record, count, decimal, listed, short
from prefgen.store.finished import Answerer

_WHOSE = {
    "model": "Every persona is synthetic and every answer is a model's. Nothing here is evidence of what people of any kind think.",
    "people": "These are answers of people. How they were sampled and asked is not known here, and decides whom they speak for.",
    "writer": "What was written or rated here is a model's. Nothing here is evidence of what people of any kind think.",
    "nobody": "No model was asked: these rows are what their tables say, and what rules made of them.",
    "utility": "Every persona is synthetic and every answer is computed. Nothing here is evidence of what people of any kind think.",
}


def limits_of(findings: Record, answerer: Answerer = "model") -> list[str]:
    """What the numbers of this run cannot say."""
    said = [_WHOSE[answerer]]
    matrix = findings.get("matrix")
    if not matrix:
        return said
    said.append(
        "Figures speak of all order-debiased answers, before filters; the published rows are those that were kept."
    )
    return [*said, *_of_kept(findings), *_of_asked(findings, matrix), _spoken_of(matrix)]


def _of_kept(findings: Record) -> Iterator[str]:
    kept = findings.get("kept")
    if kept and kept["alpha"]["value"] is not None:
        yield (
            f"Among the {count(kept['preferences'])} kept of {count(kept['of'])} answers, alpha between personas is {decimal(kept['alpha']['value'])}."
        )


def _of_asked(findings: Record, matrix: Record) -> Iterator[str]:
    seen = [matrix["personas"] + matrix["twins"] + matrix["controls"], matrix["items"]]
    if seen[0] < matrix["drawn_from"][0] or seen[1] < matrix["drawn_from"][1]:
        yield (
            f"The figures rest on a seeded draw of {count(seen[0])} of {count(matrix['drawn_from'][0])} personas and {count(seen[1])} of {count(matrix['drawn_from'][1])} items."
        )
    if matrix["twins"]:
        yield (
            f"{count(matrix['twins'])} personas have the portrait of another: to the judge they are one respondent, and the figures count them as one."
        )
    bias = findings["position_bias"]
    if bias["position_bias"]["value"] is None and bias["first_slot"]["value"] is not None:
        yield (
            "Items were not shown in orders that balance: what is content and what is position cannot be told apart."
        )
    if not matrix["controls"]:
        yield (
            "No control persona was asked: how much of an answer is the persona and how much the judge is not known."
        )


def _spoken_of(matrix: Record) -> str:
    """What intervals generalise over."""
    sampled = [short(name) for name in matrix["sampled"]]
    fixed = [short(name) for name in matrix["coordinates"] if name not in matrix["sampled"]]
    over = (
        f" and over the levels of {listed(sampled)}, as a sample of those that might have been asked about"
        if sampled
        else ""
    )
    just = (
        f" Of {listed(fixed)} they speak of just the levels that were asked, as of every level that is compared."
        if fixed
        else ""
    )
    return f"Intervals are 95 % and generalise over questions{over}.{just} They do not cover other judges, other wordings of a persona, or other people."
