"""The audit of a draw as lines on the screen."""

from __future__ import annotations

from collections.abc import Iterator

from prefgen.personas.said import Record, told_rest, told_size, told_tables

_SHOWN = 12


def audit_lines(audit: Record) -> Iterator[str]:
    """What `Audit.to_json` gives, for people: every table, the worst first, then associations, fit and privacy."""
    yield told_size(audit)
    rows = told_tables(audit)
    width = max(23, *(len(row["table"]) for row in rows)) if rows else 0
    if rows:
        yield f"{'realised against target':{width}}  cells  total variation  largest count error"
    for row in rows[:_SHOWN]:
        yield f"{row['table']:{width}}  {row['cells']:5,d}  {row['total_variation']:15.5f}  {row['largest_count_error']:19.1f}"
    if len(rows) > _SHOWN:
        yield f"... and {len(rows) - _SHOWN} tables that match better"
    yield from told_rest(audit)
    for part in audit["parts"]:
        yield from audit_lines(part)
