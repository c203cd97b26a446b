"""Weights that make a judged sample look like the survey it is held against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from prefgen.personas.levels import texts_of


def raked_weights(
    people: pl.DataFrame, survey: pl.DataFrame, *, by: Mapping[str, str], weight: str | None = None, rounds: int = 200
) -> pl.DataFrame:
    """Post-stratification: the weights nearest to those drawn that give people the survey's marginals.

    people    persona_id, weight, and the attributes of `by` (attribute: survey column)

    Returns persona_id, weight, raked_weight (mean 1). Levels that nobody among the people has are left out of the
    marginals; people of a level that the survey does not have get 0.
    """
    raked = people["weight"].to_numpy().astype(np.float64).copy()
    margins = []
    for attribute, column in by.items():
        wanted = _shares(survey, column, weight)
        levels = people[attribute].cast(pl.String).fill_null("")
        names = sorted(set(levels))
        code = levels.replace_strict({name: i for i, name in enumerate(names)}, return_dtype=pl.Int64).to_numpy()
        share = np.array([wanted.get(name, 0.0) for name in names])
        if share.sum() > 0:
            margins.append((code, share / share.sum()))
    for _ in range(rounds):
        before = raked.copy()
        for code, share in margins:
            found = np.bincount(code, weights=raked, minlength=len(share))
            raked *= np.divide(share * raked.sum(), found, out=np.zeros_like(share), where=found > 0)[code]
        if np.abs(raked - before).max(initial=0.0) <= 1e-9 * max(1.0, raked.max(initial=0.0)):
            break
    mean = raked.mean() if len(raked) else 1.0
    return people.select("persona_id", "weight").with_columns(pl.Series("raked_weight", raked / (mean or 1.0)))


def unlike(
    people: pl.DataFrame, survey: pl.DataFrame, *, by: Mapping[str, str], weight: str | None = None
) -> Iterator[str]:
    """Levels that only one side has, which no weight can bring together, in sentences."""
    for attribute, column in by.items():
        wanted = _shares(survey, column, weight)
        have = set(people[attribute].cast(pl.String).drop_nulls())
        for level in sorted(set(wanted) - have):
            yield f"no persona has {attribute} {level!r}, as {wanted[level]:.1%} of the survey have: weights cannot make up for it"
        for level in sorted(have - {level for level, share in wanted.items() if share > 0}):
            yield f"nobody in the survey has {attribute} {level!r}: its personas get the weight 0"


def _shares(survey: pl.DataFrame, column: str, weight: str | None) -> dict[str, float]:
    """Weighted share of every level among the respondents who told one."""
    w = survey[weight].fill_null(0).cast(pl.Float64) if weight else pl.repeat(1.0, survey.height, eager=True)
    frame = pl.DataFrame({"level": texts_of(survey[column]), "w": w}).drop_nulls("level")
    summed = dict(frame.group_by("level", maintain_order=True).agg(pl.col("w").sum()).iter_rows())
    total = sum(summed.values())
    return {level: share / total for level, share in summed.items()} if total > 0 else {}
