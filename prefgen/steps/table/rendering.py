"""Templates filled with the rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from jinja2 import TemplateError, meta, nodes

from prefgen.judging.prompts import Blank, sandbox
from prefgen.steps.context import Context


def rendered(rows: pl.DataFrame, template: str, at: str | tuple[str | int, ...], context: Context) -> pl.Series:
    """A template filled with each row, stripped; a complaint about `at` where it cannot be read or filled.

    Rows that agree in all columns that it names are filled once: the options of a questionnaire are few.
    """
    if "{" not in template:
        return pl.Series([template.strip()], dtype=pl.String).new_from_index(0, rows.height)
    environment = sandbox()
    try:
        blank = Blank(environment.from_string(template))
        names = _columns_named(environment.parse(template), rows.columns)
    except TemplateError as error:
        raise context.error(at, f"not a template: {error}", "write columns as {{ name }}") from None

    def fill(row: Mapping[str, Any]) -> str:
        try:
            return blank.filled(row).strip()
        except Exception as error:  # a stranger's template may raise anything
            known = ", ".join(rows.columns)
            raise context.error(at, f"{type(error).__name__}: {error}", f"use the columns {known}") from None

    if not names:
        return pl.Series([fill({})], dtype=pl.String).new_from_index(0, rows.height)
    used = rows.select(names)
    # Equal numbers can be written differently (0.0 and -0.0), and lists are no keys.
    once = all(kind.is_integer() or kind in (pl.String, pl.Boolean) for kind in used.dtypes)
    said: dict[tuple[Any, ...], str] = {}
    texts = []
    for values in used.iter_rows():
        text = said.get(values) if once else None
        if text is None:
            text = fill(dict(zip(names, values, strict=True)))
            if once:
                said[values] = text
        texts.append(text)
    return pl.Series(texts, dtype=pl.String)


def _columns_named(template: nodes.Template, columns: Sequence[str]) -> list[str]:
    """The columns that a template looks at; all of them where it takes in another template."""
    if any(True for _ in meta.find_referenced_templates(template)):
        return list(columns)
    named = meta.find_undeclared_variables(template)
    return [name for name in columns if name in named]
