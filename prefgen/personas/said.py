"""What the audit of a draw says in sentences: on the screen and in the report alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]
"""What `Audit.to_json` gives, or a record inside it."""

_EXACT = 1e-9
"""Total variation below which a table is the target itself, as where every portrait is one persona."""

_NOTES = 6
_FEW = 100  # people, below whom the loss of association is always told
_MOST_KEPT = 0.9  # of the association; less is told however many people there are


def told_tables(audit: Record) -> list[Record]:
    """Its tables in which something could differ from the target, the worst first."""
    rows = [row for row in audit.get("audit", []) if row["total_variation"] > _EXACT]
    return sorted(rows, key=lambda row: -row["total_variation"])


def told_size(audit: Record) -> str:
    """How many people, and how many they are worth."""
    n, effective = audit["n"], audit["effective_n"]
    worth = "" if effective > 0.9995 * n else f" ({effective / n:.0%} of them, for their weights)"
    return f"{audit['population']}: {n:,} people, effective sample size {effective:,.0f}{worth}"


def told_rest(audit: Record) -> Iterator[str]:
    """Associations, fit and privacy, a sentence each."""
    yield from _of_associations(audit["associations"])
    yield from _of_loss(audit["n"], audit.get("association_kept"))
    yield from _of_fit(audit["fit"])
    yield from _of_privacy(audit["privacy"])


def told_found(summary: Record) -> tuple[str, ...]:
    """What to know about the people of a draw before they are asked: oddities and levels; nothing for other steps."""
    fit = summary.get("fit") or {}
    own = (*_shortened(fit.get("notes", ())), *fit.get("levels", ()))
    return own + tuple(note for part in summary.get("parts", ()) for note in told_found(part))


def _of_associations(pairs: Sequence[Record]) -> Iterator[str]:
    if not pairs:
        return
    apart = [abs(one["realised"] - one["target"]) for one in pairs]
    worst = pairs[apart.index(max(apart))]
    who = f"{worst['first']} and {worst['second']}: {worst['realised']:.3f} where {worst['target']:.3f} is wanted"
    if len(pairs) == 1:
        yield f"Cramer's V of {who}"
        return
    mean = sum(apart) / len(apart)
    yield f"Cramer's V over {len(pairs)} pairs differs by {mean:.4f} on average, at most by {max(apart):.4f} ({who})"


def _of_loss(n: int, kept: float | None) -> Iterator[str]:
    if kept is not None and (n < _FEW or kept < _MOST_KEPT):
        state = "mostly lost" if kept < 0.5 else "partly lost" if kept < _MOST_KEPT else "rough"
        yield f"with {n:,} people, associations between attributes are {state} ({kept:.0%} of what is wanted): draw more where combinations matter"


def _of_fit(fit: Record | None) -> Iterator[str]:
    if fit is None:
        return
    if not fit["converged"]:
        yield f"the tables do not fit exactly: the worst misses by {fit['residual']:.5f}"
    yield from fit["disagreements"][:5]
    yield from _shortened(fit["notes"])
    yield from fit.get("levels", ())
    if fit["repaired"] or fit["short"]:
        short = f", {fit['short']:,} could not be" if fit["short"] else ""
        yield f"exact margins: {fit['repaired']:,} changes{short}"


def _shortened(notes: Sequence[str]) -> Iterator[str]:
    yield from notes[:_NOTES]
    if len(notes) > _NOTES:
        yield f"... and {len(notes) - _NOTES} more such notes, in the audit's file"


def _of_privacy(privacy: Record | None) -> Iterator[str]:
    if privacy is None:
        return
    floor = (
        f" (floor {privacy['min_cell']}, {privacy['merged']} levels merged)" if privacy.get("min_cell", 1) > 1 else ""
    )
    least = privacy["smallest_cell"]
    yield f"privacy: {privacy['respondents']:,} respondents, smallest cell of the tables {least}{floor}"
    share = privacy["holdout_share"]
    if share is None:
        yield "privacy: closeness to single respondents not measured, the survey or its joint cannot be halved"
    else:
        n = privacy["holdout_n"]
        yield f"privacy: fitted to one half, {share:.3f} of {n:,} people are closer to it than to the other half (ideal 0.5)"
