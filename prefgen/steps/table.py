"""`table`: rows from a file, an earlier step or the YAML itself; templates turn them into items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import polars as pl
from jinja2 import TemplateError, meta, nodes
from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator

from prefgen.ids import content_id
from prefgen.judging.presentations import LETTERS, MAX_OPTIONS
from prefgen.judging.prompts import Blank, sandbox
from prefgen.spec.fields import Name
from prefgen.spec.fields import Spec as SpecPart
from prefgen.spec.pipeline import StepSpec
from prefgen.steps.context import Context
from prefgen.store.rows import read_rows
from prefgen.store.table import PART_ROWS, Table


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


class FromHub(SpecPart):
    """A dataset on the Hub. A run folder stays with the commit that it began with; it stands in its pipeline.yaml."""

    hub: str = Field(pattern=r"^[\w.-]{1,96}/[\w.-]{1,96}$", description="Name of the dataset: user/name.")
    config: str | None = Field(None, description="One of its configs; by default the one that the card calls default.")
    split: str | None = Field(None, description="One of its splits; by default all of them.")
    revision: str = Field("main", min_length=1, description="Branch, tag or commit.")
    commit: str | None = Field(
        None, pattern="^[0-9a-f]{40}$", description="What `revision` named when the run began; the run writes it."
    )

    def is_of(self, said: object) -> bool:
        """Whether `said`, from an earlier resolved pipeline, names the same rows by the same words."""
        keys = ("hub", "config", "split", "revision")
        return isinstance(said, dict) and all(said.get(key) == getattr(self, key) for key in keys)


def _tag(value: object) -> str:
    return "a dataset" if isinstance(value, dict | FromHub) else "rows" if isinstance(value, list) else "a name"


Source = Annotated[
    Annotated[str, Tag("a name")] | Annotated[FromHub, Tag("a dataset")] | Annotated[list[dict[str, Any]], Tag("rows")],
    Discriminator(_tag),
]


class Spec(StepSpec):
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
    or the hash of its content. In a CSV, `options` is a JSON list or is separated by ` | `.
    """

    table: Source = Field(
        description="A file (jsonl, csv, parquet), the name of an earlier step, a dataset on the Hub, or rows written here."
    )
    forms: dict[Name, Form] | None = Field(
        None, description="Ask about every row in each of these forms; the form's name becomes the column `form`."
    )
    set: dict[Name, str] = Field(
        default_factory=dict, description="Further columns from templates over the row, made before the forms."
    )
    drop: list[Name] = Field(default_factory=list, description="Columns that only the templates needed.")
    limit: int | None = Field(None, ge=1, description="Only the first rows.")

    @field_validator("table")
    @classmethod
    def _beside_its_file(cls, value: Any, info: ValidationInfo) -> Any:
        folder = info.context if isinstance(info.context, Path) else Path()
        if isinstance(value, str) and _is_file(value) and not Path(value).is_absolute():
            return str(folder / value)
        return value

    @property
    def file(self) -> Path | None:
        """The file that is read, if it is one."""
        return Path(self.table) if isinstance(self.table, str) and _is_file(self.table) else None

    def reads(self) -> tuple[tuple[str, str], ...]:
        return (("table", self.table),) if isinstance(self.table, str) and self.file is None else ()

    def inputs(self) -> tuple[Path, ...]:
        return (self.file,) if self.file is not None else ()

    def pinned(self, before: Mapping[str, Any]) -> Spec:
        source = self.table
        if not isinstance(source, FromHub) or source.commit is not None:
            return self
        commit = before["table"].get("commit") if source.is_of(before.get("table")) else None
        pinned = source.model_copy(update={"commit": commit or _commit_of(source)})
        return self.model_copy(update={"table": pinned})


def make(spec: Spec, tables: Mapping[str, Table], context: Context) -> Iterator[pl.DataFrame]:
    """The rows; with `forms`, one item per row and form."""
    rows = _source(spec, tables, context)
    if spec.limit is not None:
        rows = rows.head(spec.limit)
    if rows.is_empty():
        raise context.error("table", "it has no rows", "bring at least one row")
    for name, template in spec.set.items():
        rows = rows.with_columns(rendered(rows, template, ("set", name), context).alias(name))
    if spec.forms is not None:
        rows = pl.concat([_in_form(rows, name, form, context) for name, form in spec.forms.items()])
        # All forms of a row side by side: what is cut off by --limit is then whole rows.
        per_form = rows.height // len(spec.forms)
        rows = rows.select(
            pl.all().gather([form * per_form + row for row in range(per_form) for form in range(len(spec.forms))])
        )
    for index, name in enumerate(spec.drop):
        if name not in rows.columns:
            raise context.error(("drop", index), f"no column {name!r}", f"name one of {', '.join(rows.columns)}")
    rows = rows.drop(spec.drop)
    if {"prompt", "options"} <= set(rows.columns):
        rows = _as_items(rows, context)
    yield from rows.iter_slices(PART_ROWS)


def _source(spec: Spec, tables: Mapping[str, Table], context: Context) -> pl.DataFrame:
    if spec.file is not None:
        return read_rows(spec.file)
    if isinstance(spec.table, str):
        return tables[spec.table].read()
    if isinstance(spec.table, FromHub):
        return _from_hub(spec.table, context)
    try:
        return pl.DataFrame(spec.table, infer_schema_length=None)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        raise context.error(
            "table", f"these rows do not fit together: {error}", "give a key the same type in every row"
        ) from None


def _commit_of(source: FromHub) -> str:
    from prefgen.store.hub_rows import commit_of  # the Hub's client takes half a second to import

    return source.commit or commit_of(source.hub, source.revision)


def _from_hub(source: FromHub, context: Context) -> pl.DataFrame:
    from prefgen.store.hub_rows import hub_rows

    commit = _commit_of(source)
    context.summary.update({"hub": source.hub, "commit": commit})
    return hub_rows(source.hub, commit=commit, config=source.config, split=source.split)


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


def _as_items(rows: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Items, checked: item_id, prompt, options, neither, then every other column."""
    if rows["prompt"].dtype != pl.String:
        raise context.error("table", f"`prompt` is of type {rows['prompt'].dtype}, not text", "quote it")
    options = _options(rows, context)
    others = [name for name in rows.columns if name not in ("item_id", "prompt", "options", "neither")]
    neither = _neither(rows, options, context)
    items = rows.select("prompt", options, neither, *others)
    _check_items(items, context)
    if "item_id" in rows.columns:
        ids = rows["item_id"].cast(pl.String)
        if ids.null_count():
            raise context.error(
                "table", f"row {ids.is_null().arg_true()[0] + 1} has no item_id", "give every row one, or none"
            )
    else:
        ids = pl.Series("item_id", [content_id("item", row) for row in items.iter_rows(named=True)], pl.String) if _plain(items) else pl.Series(
            "item_id", [content_id("item", orjson.loads(line)) for line in items.write_ndjson().encode().splitlines()], pl.String)  # fmt: skip
    if ids.is_duplicated().any():
        twice = ids.filter(ids.is_duplicated())[0]
        first, second = (ids == twice).arg_true()[:2]
        problem = f"rows {first + 1} and {second + 1} have the same item_id {twice!r}"
        raise context.error("table", problem, "remove one of them, or give them different item_ids")
    return items.select(ids.alias("item_id"), pl.all())


def _plain(items: pl.DataFrame) -> bool:
    """Whether every value is one that JSON knows, so that a row can be hashed as it is."""
    return all(
        kind.is_numeric() or kind in (pl.String, pl.Boolean, pl.Null, pl.List(pl.String)) for kind in items.dtypes
    )


def _options(rows: pl.DataFrame, context: Context) -> pl.Series:
    options = rows["options"]
    if options.dtype == pl.String:
        try:
            lists = [
                orjson.loads(text) if text.lstrip().startswith("[") else [part.strip() for part in text.split("|")]
                for text in options.fill_null("")
            ]
            return pl.Series("options", lists, pl.List(pl.String))
        except (orjson.JSONDecodeError, TypeError):
            raise context.error(
                "table", "`options` are neither JSON lists nor separated by ` | `", 'write ["...", "..."]'
            ) from None
    if options.dtype != pl.List(pl.String):
        raise context.error(
            "table",
            f"`options` is of type {options.dtype}, not a list of texts",
            'write ["...", "..."], numbers quoted',
        )
    return options


def _neither(rows: pl.DataFrame, options: pl.Series, context: Context) -> pl.Series:
    """0-based index from a column `neither`, which may hold letters or indexes."""
    if "neither" not in rows.columns:
        return pl.Series("neither", [None] * rows.height, pl.Int64)
    column = rows["neither"]
    if column.dtype == pl.String:
        column = column.replace_strict(
            {letter: index for index, letter in enumerate(LETTERS)}, default=-1, return_dtype=pl.Int64
        )
    try:
        column = column.cast(pl.Int64)
    except pl.exceptions.PolarsError:
        raise context.error(
            "table", f"`neither` is of type {column.dtype}", "write the letter of an option, e.g. C"
        ) from None
    bad = ((column < 0) | (column >= options.list.len().cast(pl.Int64))).fill_null(False).arg_true()
    if len(bad):
        raise context.error(
            "table", f"row {bad[0] + 1}: `neither` names no option", "write the letter of an option, e.g. C"
        )
    return column.alias("neither")


def _check_items(items: pl.DataFrame, context: Context) -> None:
    k = items["options"].list.len()
    for problem, fix, bad in (
        ("has an empty prompt", "write the question", (items["prompt"].is_null() | (items["prompt"].str.strip_chars() == "")).arg_true()),
        ("has fewer than two options", "give it at least two", (k.is_null() | (k < 2)).arg_true()),
        (f"has more than {MAX_OPTIONS} options", f"give it at most {MAX_OPTIONS}", (k > MAX_OPTIONS).arg_true()),
        ("has an empty option", "write what the option says", items["options"].list.eval(pl.element().is_null() | (pl.element().str.strip_chars() == "")).list.any().arg_true()),
        ("has two equal options", "make the options differ", (items["options"].list.n_unique() < k).arg_true()),
    ):  # fmt: skip
        if len(bad):
            raise context.error("table", f"row {bad[0] + 1} {problem}", fix)
