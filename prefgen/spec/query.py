"""Queries in SQL over named tables, fenced as conditions are: no files, no addresses, no clock, no unknown function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from prefgen.spec.condition import ConditionError, by_polars, check_calls, short


@dataclass(frozen=True, slots=True)
class Query:
    """A query that calls nothing but functions over columns."""

    text: str

    def over(self, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """Its rows; ConditionError where it names another table or column, or polars cannot answer it."""

        def answer() -> pl.DataFrame:
            with pl.SQLContext(tables, eager=True) as context:
                return context.execute(self.text)

        columns = dict.fromkeys(name for table in tables.values() for name in table.columns)
        try:
            return by_polars(self.text, columns, answer)
        except ConditionError as error:
            if "relation" not in error.problem:
                raise
            raise ConditionError(error.problem, f"ask the tables {', '.join(tables)}") from None


def read_query(text: str) -> Query:
    """A query, read: one SELECT. Raises ConditionError."""
    if not text.lstrip().lower().startswith(("select", "with")):
        raise ConditionError(f"{short(text)} is no query", "begin with SELECT")
    check_calls(text)
    return Query(text)
