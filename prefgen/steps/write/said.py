"""What was written, as templates see it: a text, and by name what it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefgen.steps.write.outcome import Written


class Said:
    """`{{ written }}` is the whole reply, `{{ written.column }}` a column of it."""

    __slots__ = ("_columns", "_text")

    def __init__(self, text: str, columns: Mapping[str, Any]) -> None:
        self._text, self._columns = text, columns

    def __str__(self) -> str:
        return self._text

    def __len__(self) -> int:
        return len(self._text)

    def __contains__(self, part: object) -> bool:
        return str(part) in self._text

    def __getitem__(self, name: str | int | slice) -> Any:
        return self._columns[name] if isinstance(name, str) else self._text[name]


def said_of(text: str, written: Written) -> Said:
    """A reply with its columns, where it has one row; without them where it was not read, or is a list."""
    return Said(text, written.rows[0] if len(written.rows) == 1 else {})
