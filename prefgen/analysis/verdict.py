"""What a calibration says in words: as near as real people, farther, or too alike."""

from __future__ import annotations

from collections.abc import Iterator

from prefgen.estimates import Estimate

ON, ABOVE, ALIKE = "on the floor", "above the floor", "too alike"
"""Verdicts: as near as real people; farther; nearer, or less different from each other, than real people would be."""


def verdict_of(distance: Estimate, floor: Estimate, spread: float | None, spread_floor: Estimate) -> str | None:
    """The verdict on a distance and a spread, each held against the band of real respondents; None without a distance."""
    if distance.value is None or floor.low is None or floor.high is None:
        return None
    if distance.value > floor.high:
        return ABOVE
    same = spread is not None and spread_floor.low is not None and spread < spread_floor.low
    return ALIKE if same or distance.value < floor.low else ON


def sentences(
    *,
    distance: Estimate,
    floor: Estimate,
    gain: Estimate,
    spread: float | None,
    spread_floor: Estimate,
    coherence: float | None,
    coherence_floor: Estimate,
    verdict: str | None,
) -> Iterator[str]:
    """The findings in sentences: distance and floor, the verdict, likeness where there is some, and the gain."""
    if verdict is None:
        return
    yield (
        f"With one answer each, personas are {_told(distance)} from people of their kind (total variation); "
        f"as many real respondents in their place are {_told(floor)}"
    )
    yield {
        ON: "That is on the floor: as many real people would be as far by chance",
        ABOVE: "That is above the floor: farther from them than real people would be",
        ALIKE: "That is no better than real people, but too alike",
    }[verdict]
    if spread is not None and spread_floor.low is not None and spread < spread_floor.low:
        yield (
            f"Two personas of one kind differ {spread:.0%} as often as two such people; "
            f"samples of real people hardly ever fall below {spread_floor.low:.0%}"
        )
    elif verdict == ALIKE:
        yield "Samples of real people hardly ever come so near: the answers fit the survey more closely than its people do"
    if coherence is not None and coherence_floor.low is not None and coherence < coherence_floor.low:
        yield (
            f"But no persona is one person: across questions its answers hang together {max(0.0, coherence):.0%} as far as a "
            f"person's do, where samples of real people hardly ever fall below {coherence_floor.low:.0%}"
        )
    if gain.value is not None:
        yield (
            f"Gain over knowing only the survey as a whole: {_told(gain)}, "
            "where real people have 1, the survey as a whole 0, and what is farther than it less"
        )


def _told(estimate: Estimate) -> str:
    if estimate.value is None:
        return "unknown"
    ends = (
        ", 95 % interval unknown"
        if estimate.low is None or estimate.high is None
        else (f" ({_number(estimate.low)} to {_number(estimate.high)})")
    )
    return _number(estimate.value) + ends


def _number(value: float) -> str:
    """Three places below one; two above, where nobody counts thousandths."""
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"
