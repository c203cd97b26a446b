"""`table`: rows from a file, an earlier step or the YAML itself; templates turn them into items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
from pydantic import Field, ValidationInfo, field_validator, model_validator

from prefgen.errors import one_of
from prefgen.judging.items import notes_on_names
from prefgen.judging.presentations import MAX_OPTIONS
from prefgen.schemas import LETTERS
from prefgen.spec.fields import Name, beside_its_file
from prefgen.spec.fields import Spec as SpecPart
from prefgen.steps.context import Context
from prefgen.steps.step import Parts, Step
from prefgen.steps.table.candidates import as_candidates
from prefgen.steps.table.glue import each_element
from prefgen.steps.table.items import as_items
from prefgen.steps.table.rendering import rendered
from prefgen.steps.table.seen import Seen
from prefgen.steps.table.source import FromHub, Source, commit_of, parts_of
from prefgen.store.table import Table, in_parts


def _is_file(source: str) -> bool:
    return "." in source or "/" in source  # a step's name has neither


class Form(SpecPart):
    """One way of asking about a row: templates over its columns."""

    prompt: str = Field(description="Template of the question, e.g. `Who should get {{ topic }}?`.")
    options: list[str] = Field(
        min_length=2, max_length=MAX_OPTIONS, description="Templates of the options, in their given order."
    )
    neither: str | None = Field(
        None,
        pattern="^[A-Z]$",
        description="Letter of the option that means neither or not applicable; it keeps its slot when the order is swapped.",
    )


class TableStep(Step):
    """Rows, and items where they have (or are given) a prompt and options.

    ```yaml
    items: {table: items.jsonl}
    theirs: {table: {hub: user/name, config: items}}
    questions:
      table: cells
      forms:
        short: {prompt: "{{ topic }} for {{ group }}?", options: [yes, no]}
    ```

    A row with `prompt` and `options` is an item; its other keys are kept as columns. `item_id` is the row's own,
    or the hash of its content. In a CSV, `options` is a JSON list or is separated by ` | `, and a column holds numbers
    only where each of them, written out again, is the same text: `007` and `1.50` stay text. Every other column keeps
    its name and reaches the judgments; one whose name judgments or pairs need for themselves is refused, and `rename`
    gives it another.
    """

    kind: ClassVar[str] = "table"

    table: Source = Field(
        description="A file (jsonl, csv, tsv, parquet), the name of an earlier step or a list of them, one below the other, a dataset on the Hub, or rows written here."
    )
    each: str | None = Field(
        None, description="Column with lists: one row an element, with its place in `<step>_place`."
    )
    sql: str | None = Field(
        None, description="SELECT over the steps named, by their names; its rows are sorted by their ids."
    )
    forms: dict[Name, Form] | None = Field(
        None,
        min_length=1,
        description="Ask about every row in each of these forms; the form's name becomes the column `form`.",
    )
    rename: dict[str, Name] = Field(
        default_factory=dict, description="New names of columns, `{old: new}`, as everything below sees them."
    )
    set: dict[Name, str] = Field(
        default_factory=dict, description="Further columns from templates over the row, made before the forms."
    )
    drop: list[Name] = Field(default_factory=list, description="Columns that only the templates needed.")
    limit: int | None = Field(None, ge=1, description="Only the first rows.")

    @field_validator("table")
    @classmethod
    def _beside_its_file(cls, value: Any, info: ValidationInfo) -> Any:
        return str(beside_its_file(Path(value), info)) if isinstance(value, str) and _is_file(value) else value

    @model_validator(mode="after")
    def _of_tables(self) -> TableStep:
        if self.sql is not None and not self.steps:
            raise ValueError("`sql` asks steps\nfix: name them, e.g. `table: [drafts, people]`")
        return self

    @property
    def file(self) -> Path | None:
        """The file that is read, if it is one."""
        return Path(self.table) if isinstance(self.table, str) and _is_file(self.table) else None

    def reads(self) -> tuple[tuple[str, str], ...]:
        return tuple(("table", name) for name in self.steps)

    @property
    def steps(self) -> list[str]:
        """The steps that it reads."""
        if isinstance(self.table, str):
            return [] if self.file is not None else [self.table]
        return [one for one in self.table if isinstance(one, str)] if isinstance(self.table, list) else []

    def inputs(self) -> tuple[Path, ...]:
        return (self.file,) if self.file is not None else ()

    def pinned(self, before: Mapping[str, Any]) -> TableStep:
        source = self.table
        if not isinstance(source, FromHub) or source.commit is not None:
            return self
        commit = before["table"].get("commit") if source.is_of(before.get("table")) else None
        pinned = source.model_copy(update={"commit": commit or commit_of(source)})
        return self.model_copy(update={"table": pinned})

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """The rows; with `forms`, one item per row and form."""
        parts, summary = parts_of(self, [tables[name] for name in self.steps], context)
        seen = Seen(context)
        for rows in self._wanted(parts, context):
            made = self._checked(self._shaped(rows, context), seen, context)
            yield from in_parts(made)
        seen.check()
        return summary

    def _wanted(self, parts: Iterable[pl.DataFrame], context: Context) -> Iterator[pl.DataFrame]:
        """The rows up to the limit, with `each` one an element, under their new names; an empty part only where it is the only one."""
        n, rows = 0, pl.DataFrame()
        for part in parts:
            long = part if self.each is None else each_element(part, self.each, context.step, context)
            rows = _renamed(long, self.rename, context)
            rows = rows if self.limit is None else rows.head(self.limit - n)
            n += rows.height
            if rows.height:
                yield rows
            if n == self.limit:
                return
        if not n and not self.steps:  # of what a step made, nothing may be left
            raise context.error("table", "it has no rows", "bring at least one row")
        if not n:
            yield rows

    def _shaped(self, rows: pl.DataFrame, context: Context) -> pl.DataFrame:
        """Rows with what templates add, in their forms, without what is dropped."""
        for name, template in self.set.items():
            rows = rows.with_columns(rendered(rows, template, ("set", name), context).alias(name))
        if self.forms is not None:
            rows = _in_forms(rows, self.forms, context)
        for index, name in enumerate(self.drop):
            if name not in rows.columns:
                raise context.error(("drop", index), f"no column {name!r}", f"name {one_of(name, rows.columns)}")
        return rows.drop(self.drop)

    def _checked(self, rows: pl.DataFrame, seen: Seen, context: Context) -> pl.DataFrame:
        """Rows that can be written; items and candidates in their shapes."""
        context.check_columns(rows.schema, "table")
        if {"prompt", "options"} <= set(rows.columns):
            if not seen.rows:
                context.note(*notes_on_names(rows.columns))
            return as_items(rows, seen, context, drops=bool(self.steps))
        if {"prompt", "response"} <= set(rows.columns):
            return as_candidates(rows, seen, context)
        return rows


def _renamed(rows: pl.DataFrame, names: Mapping[str, str], context: Context) -> pl.DataFrame:
    for old, new in names.items():
        others = [names.get(name, name) for name in rows.columns if name != old]
        if old not in rows.columns:
            fix = f"name {one_of(old, rows.columns)}"
            raise context.error(("rename", old), f"no column {old!r}", fix)
        if new in others:
            raise context.error(("rename", old), f"there is another column {new!r}", "choose another name")
    return rows.rename(names)


def _in_forms(rows: pl.DataFrame, forms: Mapping[str, Form], context: Context) -> pl.DataFrame:
    if "form" in rows.columns:
        problem = "the rows have a column `form`, which is where the name of the form stands"
        raise context.error("forms", problem, "write `rename: {form: item_form}`")
    asked = pl.concat([_in_form(rows, name, form, context) for name, form in forms.items()])
    # All forms of a row side by side: what is cut off by --limit is then whole rows.
    order = [form * rows.height + row for row in range(rows.height) for form in range(len(forms))]
    return asked.select(pl.all().gather(order))


def _in_form(rows: pl.DataFrame, name: str, form: Form, context: Context) -> pl.DataFrame:
    at = ("forms", name)
    if form.neither is not None and LETTERS.index(form.neither) >= len(form.options):
        raise context.error(
            (*at, "neither"), f"there is no option {form.neither}", f"name one of {LETTERS[: len(form.options)]}"
        )
    prompts = rendered(rows, form.prompt, (*at, "prompt"), context)
    options = [rendered(rows, text, (*at, "options", index), context) for index, text in enumerate(form.options)]
    return rows.with_columns(
        pl.lit(name).alias("form"),
        prompts.alias("prompt"),
        pl.concat_list(options).alias("options"),
        pl.lit(LETTERS.index(form.neither) if form.neither else None, dtype=pl.Int64).alias("neither"),
    )
