"""Rows with a prompt and options, checked and brought into one shape: items."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson
import polars as pl

from prefgen.errors import Complaint, SpecError
from prefgen.ids import content_id
from prefgen.judging.items import CORE
from prefgen.judging.presentations import MAX_OPTIONS
from prefgen.schemas import LETTERS
from prefgen.steps.context import Context
from prefgen.steps.table.seen import Seen

_BETWEEN = re.compile(r"(?:^|(?<=\s))\|(?=\s|$)")
"""What separates options in a text: a bar with space around it, so that `P(A|B)` is one option."""

_NAMED = (pl.String, pl.Categorical, pl.Enum)


def as_items(rows: pl.DataFrame, seen: Seen, context: Context, *, drops: bool = False) -> pl.DataFrame:
    """item_id, prompt, options, neither (0-based or null), then every other column; SpecError with all that is wrong.

    seen     the parts of the table before
    drops    rows of a step, which a model may have written: one that can be no item is dropped, with `reject_reason`, and none that was
             dropped before is looked at
    """
    wrong: list[Complaint] = []
    columns: list[pl.Series] = []
    for read in (_prompts, _options, _ids):
        try:
            columns.append(read(rows, seen.rows, context))
        except SpecError as error:
            wrong += error.complaints
    if wrong:
        raise SpecError(*wrong)
    prompts, options, ids = columns
    if drops:
        rows = _without_faulty(rows, prompts, options)
    faults = () if drops else _faults(prompts, options)
    wrong = [
        context.error("table", _said(name, bad, seen.rows), fix).complaints[0] for name, fix, bad in faults if bad.any()
    ]
    try:
        neither = _neither(rows, options, seen.rows, context)
    except SpecError as error:
        raise SpecError(*wrong, *error.complaints) from None
    if wrong:
        raise SpecError(*wrong)
    others = [name for name in rows.columns if name not in CORE]
    items = rows.select(prompts, options, neither, *others)
    if ids.is_empty():
        ids = pl.Series("item_id", [content_id("item", row) for row in hashable(items)], pl.String)
    dropped = pl.lit(False) if not drops else rows["reject_reason"].is_not_null()
    seen.items(pl.select(pl.when(dropped).then(None).otherwise(ids).alias("item_id")).to_series())
    return items.select(ids.alias("item_id"), pl.all())


def _prompts(rows: pl.DataFrame, _: int, context: Context) -> pl.Series:
    prompts = rows["prompt"]
    if prompts.dtype == pl.Null:
        raise context.error("table", "`prompt` is empty in every row", "write the questions")
    if prompts.dtype not in _NAMED:
        raise context.error("table", f"`prompt` is of type {prompts.dtype}, not text", "quote it")
    return prompts.cast(pl.String)


def _options(rows: pl.DataFrame, before: int, context: Context) -> pl.Series:
    options = rows["options"]
    if options.dtype in _NAMED:
        lists = [_split(text) for text in options.cast(pl.String)]
        bad = [number for number, found in enumerate(lists) if found is None]
        if bad:
            said = f"row {before + bad[0] + 1}: `options` is {options[bad[0]]!r:.60}, neither a JSON list of texts nor separated by ` | `"
            raise context.error("table", said, 'write ["...", "..."], in double quotes')
        return pl.Series("options", lists, pl.List(pl.String))
    inner = options.dtype.inner if isinstance(options.dtype, pl.List | pl.Array) else None
    if inner is None or inner not in (*_NAMED, pl.Null):
        raise context.error(
            "table",
            f"`options` is of type {options.dtype}, not a list of texts",
            'write ["...", "..."], numbers quoted',
        )
    return options.cast(pl.List(pl.String))


def _split(text: str | None) -> list[str | None] | None:
    """The options that a text holds; None where they cannot be told."""
    if text is None or not text.strip():
        return []
    if not text.lstrip().startswith("["):
        return [part.strip() for part in _BETWEEN.split(text.strip())]
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if all(isinstance(one, str | None) for one in found) else None


def _ids(rows: pl.DataFrame, before: int, context: Context) -> pl.Series:
    """The rows' own ids as text; none where they have none."""
    if "item_id" not in rows.columns or rows["item_id"].dtype == pl.Null:
        return pl.Series("item_id", [], pl.String)
    ids = rows["item_id"]
    if ids.dtype not in _NAMED and not ids.dtype.is_integer():
        problem = f"`item_id` is of type {ids.dtype}; an id is a text or a whole number"
        raise context.error("table", problem, "quote it, or drop the column: ids are then made from the content")
    ids = ids.cast(pl.String)
    bad = (ids.is_null() | (ids.str.strip_chars() == "")).arg_true()
    if len(bad):
        raise context.error("table", f"row {before + bad[0] + 1} has no item_id", "give every row one, or none")
    return ids


def hashable(items: pl.DataFrame) -> Iterator[Any]:
    """The rows as JSON has them."""
    if all(
        kind.is_integer() or kind.is_float() or kind in (pl.String, pl.Boolean, pl.Null, pl.List(pl.String))
        for kind in items.dtypes
    ):
        return items.iter_rows(named=True)
    if any("Binary" in str(kind) for kind in items.dtypes):  # which polars does not write as JSON
        return (orjson.loads(orjson.dumps(row, default=_text)) for row in items.iter_rows(named=True))
    return map(orjson.loads, items.write_ndjson().encode().splitlines())


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _neither(rows: pl.DataFrame, options: pl.Series, before: int, context: Context) -> pl.Series:
    """0-based index from a column `neither`, which may hold letters or indexes, and nulls."""
    if "neither" not in rows.columns:
        return pl.Series("neither", [None] * rows.height, pl.Int64)
    column, fix = rows["neither"], "write the letter of an option, e.g. C, or nothing"
    if column.dtype in _NAMED:
        letters = {letter: index for index, letter in enumerate(LETTERS)} | {str(k): k for k in range(MAX_OPTIONS)}
        named = column.cast(pl.String).str.strip_chars()
        index = named.replace_strict(letters, default=-1, return_dtype=pl.Int64)
        column = pl.select(pl.when(named.is_not_null() & (named != "")).then(index)).to_series()
    elif column.dtype.is_float():
        column = column.fill_nan(None)
    elif not (column.dtype.is_integer() or column.dtype == pl.Null):
        raise context.error("table", f"`neither` is of type {column.dtype}", fix)
    whole = column.cast(pl.Int64, strict=False)
    bad = ((whole < 0) | (whole >= options.list.len().cast(pl.Int64)) | (whole != column)).fill_null(False).arg_true()
    if len(bad):
        said = rows["neither"][bad[0]]
        raise context.error("table", f"row {before + bad[0] + 1}: `neither` names no option: {said!r:.40}", fix)
    return whole.alias("neither")


def _without_faulty(rows: pl.DataFrame, prompts: pl.Series, options: pl.Series) -> pl.DataFrame:
    """The rows, those that were kept and can be no item with what is wrong with them in `reject_reason`."""
    if "reject_reason" not in rows.columns:
        rows = rows.with_columns(reject_reason=pl.lit(None, pl.String))
    reason = pl.col("reject_reason").cast(pl.String)
    for name, _, bad in _faults(prompts, options):
        reason = pl.when(reason.is_null() & pl.lit(bad)).then(pl.lit(name)).otherwise(reason)
    return rows.with_columns(reject_reason=reason)


def _said(name: str, bad: pl.Series, before: int) -> str:
    """A fault with the first row that has it, and how many of the part have it."""
    rows = bad.arg_true()
    more = f", and {len(rows) - 1:,} more do" if len(rows) > 1 else ""
    return f"row {before + rows[0] + 1} has {name}{more}"


def _faults(prompts: pl.Series, options: pl.Series) -> Iterator[tuple[str, str, pl.Series]]:
    """(what is wrong, fix, which rows) for each thing that may be wrong with prompts and options."""
    k = options.list.len()
    plain = options.list.eval(pl.element().str.strip_chars())
    for problem, fix, bad in (
        ("an empty prompt", "write the question", prompts.is_null() | (prompts.str.strip_chars() == "")),
        (
            "fewer than two options",
            "give it at least two; in a text they are separated by ` | `, with spaces",
            k.is_null() | (k < 2),
        ),
        (f"more than {MAX_OPTIONS} options", f"give it at most {MAX_OPTIONS}", k > MAX_OPTIONS),
        (
            "an empty option",
            "write what the option says",
            plain.list.eval(pl.element().is_null() | (pl.element() == "")).list.any(),
        ),
        ("two equal options", "make the options differ", (k > 1) & (plain.list.n_unique() < k)),
    ):
        yield problem, fix, bad.fill_null(False)
