"""Conditions over a conversation while it goes on: SQL over the row and the last reply of every side, asked once a reply."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from prefgen.errors import one_of
from prefgen.spec.condition import Condition, ConditionError, condition_over, short

_MOST_KNOWN = 10_000  # answers that are remembered


@dataclass(frozen=True, slots=True)
class LiveCondition:
    """A condition whose answers are remembered: most ask for a score or a yes, which has few values.

    columns    that it looks at
    fields     of the sides that it looks at, those that it names; all of a side where it names none
    """

    condition: Condition
    columns: pl.Schema
    fields: Mapping[str, tuple[str, ...]]
    known: dict[tuple[Any, ...], bool] = field(default_factory=dict)

    @classmethod
    def over(cls, sql: str, columns: pl.Schema) -> LiveCondition:
        """Tried on columns, of which the sides are structs. Raises ConditionError."""
        sides = {name: kind for name, kind in columns.items() if isinstance(kind, pl.Struct)}
        fields = {name: _fields(sql, name, kind) for name, kind in sides.items()}
        condition = condition_over(sql, columns)
        looked_at = condition.expression.meta.root_names()
        return cls(
            condition,
            pl.Schema({name: columns[name] for name in columns if name in looked_at}),
            {name: fields[name] for name in sides if name in looked_at},
        )

    def holds(self, facts: Mapping[str, Any]) -> bool:
        """Whether it is true of a row and its sides; not where that cannot be told. Raises ConditionError."""
        key = tuple(self._of(facts, name) for name in self.columns)
        try:
            found = self.known.get(key)
        except TypeError:  # a list is no key
            return self._ask(facts)
        if found is None:
            if len(self.known) >= _MOST_KNOWN:
                self.known.clear()
            found = self.known[key] = self._ask(facts)
        return found

    def _of(self, facts: Mapping[str, Any], name: str) -> Any:
        value = facts[name]
        return tuple(value[one] for one in self.fields[name]) if name in self.fields and value is not None else value

    def _ask(self, facts: Mapping[str, Any]) -> bool:
        row = {name: [facts[name]] for name in self.columns}
        return self.condition.holds(pl.DataFrame(row or {"_": [None]}, schema=self.columns or None))[0] is True


def _fields(sql: str, side: str, kind: pl.Struct) -> tuple[str, ...]:
    """The fields of a side that a condition names; ConditionError for one that it has not."""
    known = [one.name for one in kind.fields]
    named = re.findall(rf'(?<![\w.]){re.escape(side)}"?\s*\.\s*"?(\w+)', sql)
    wrong = next((name for name in named if name not in known), None)
    if wrong is not None:
        raise ConditionError(f"{short(sql)}: {side!r} replies no {wrong!r}", f"use {side}.{one_of(wrong, known)}")
    mentioned = len(re.findall(rf"(?<![\w.]){re.escape(side)}\b", sql))
    return tuple(dict.fromkeys(named)) if mentioned == len(named) else tuple(known)
