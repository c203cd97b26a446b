"""The audit of a draw as lines on the screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_SHOWN = 12
_EXACT = 1e-9
"""Total variation below which a table is the target itself, as where every portrait is one persona."""

Record = Mapping[str, Any]


def audit_lines(audit: Record) -> Iterator[str]:
    """What `Audit.to_json` gives, for people: every table, the worst first, then associations, fit and privacy."""
    n, effective = audit["n"], audit["effective_n"]
    yield f"{audit['population']}: {n:,} people, effective sample size {effective:,.0f}" + (
        "" if effective > 0.9995 * n else f" ({effective / n:.0%} of them, for their weights)"
    )
    yield from _table_lines([row for row in audit["audit"] if row["total_variation"] > _EXACT])
    yield from _association_lines(audit["associations"])
    yield from _fit_lines(audit["fit"])
    yield from _privacy_lines(audit["privacy"])
    for part in audit["parts"]:
        yield from audit_lines(part)


def _table_lines(rows: list[Record]) -> Iterator[str]:
    if not rows:
        return
    width = max(23, *(len(row["table"]) for row in rows))
    yield f"{'realised against target':{width}}  cells  total variation  largest count error"
    ranked = sorted(rows, key=lambda row: -row["total_variation"])
    for row in ranked[:_SHOWN]:
        yield f"{row['table']:{width}}  {row['cells']:5,d}  {row['total_variation']:15.5f}  {row['largest_count_error']:19.1f}"
    if len(rows) > _SHOWN:
        yield f"... and {len(rows) - _SHOWN} tables that match better"


def _association_lines(pairs: list[Record]) -> Iterator[str]:
    if not pairs:
        return
    apart = [abs(one["realised"] - one["target"]) for one in pairs]
    worst = pairs[apart.index(max(apart))]
    yield (
        f"Cramer's V over {len(pairs)} pairs differs by {sum(apart) / len(apart):.4f} on average, at most by {max(apart):.4f} "
        f"({worst['first']} and {worst['second']}: {worst['realised']:.3f} where {worst['target']:.3f} is wanted)"
    )


def _fit_lines(fit: Record | None) -> Iterator[str]:
    if fit is None:
        return
    if fit["method"] == "joint" and not fit["converged"]:
        yield f"the tables do not fit exactly: the worst misses by {fit['residual']:.5f}"
    yield from fit["disagreements"][:5]
    yield from fit["notes"]
    if fit["repaired"] or fit["short"]:
        short = f", {fit['short']:,} could not be" if fit["short"] else ""
        yield f"exact margins: {fit['repaired']:,} changes{short}"


def _privacy_lines(privacy: Record | None) -> Iterator[str]:
    if privacy is None:
        return
    floor = f" (floor {privacy['min_cell']}, {privacy['merged']} levels merged)" if privacy["min_cell"] > 1 else ""
    yield f"privacy: {privacy['respondents']:,} respondents, smallest cell of the tables {privacy['smallest_cell']}{floor}"
    share = privacy["holdout_share"]
    if share is None:
        yield "privacy: closeness to single respondents not measured, the survey or its joint cannot be halved"
    else:
        yield f"privacy: fitted to one half, {share:.3f} of {privacy['holdout_n']:,} people are closer to it than to the other half (ideal 0.5)"
