"""What a pipeline asked to be found, as the page shows it."""

from __future__ import annotations

from typing import Any

from prefgen.publish.report.words import Record, count, decimal

MOST_ROWS = 200


def analysed(findings: Record) -> list[dict[str, Any]]:
    """Name, sentences and tables of every analysis, with cells as text; whether a column is of numbers."""
    return [
        {
            "name": one["name"],
            "said": one["said"],
            "tables": [
                {
                    "title": table["title"],
                    "columns": table["columns"],
                    "rows": [
                        [(_cell(cell), not isinstance(cell, str)) for cell in row] for row in table["rows"][:MOST_ROWS]
                    ],
                    "more": max(0, len(table["rows"]) - MOST_ROWS),
                }
                for table in one["tables"]
            ],
        }
        for one in findings.get("analyses") or ()
    ]


def _cell(cell: Any) -> str:
    if isinstance(cell, dict):
        if cell["value"] is None:
            return ""
        ends = (
            "" if cell["low"] is None or cell["high"] is None else f" [{_number(cell['low'])}, {_number(cell['high'])}]"
        )
        return f"{_number(cell['value'])}{ends}"
    if isinstance(cell, int | float):
        return _number(cell)
    return "" if cell is None else str(cell)


def _number(value: float) -> str:
    return count(value) if isinstance(value, int) else decimal(value)
