"""Judgments that people brought: `judge: pick, given: COLUMN`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import polars as pl

from prefgen.errors import one_of
from prefgen.judging.aggregate import measured
from prefgen.judging.candidates import OF_OPTIONS
from prefgen.judging.given import Answers, Share, UnreadableError, named, preferred
from prefgen.judging.items import taken
from prefgen.judging.tally import Tally
from prefgen.spec.pipeline import StepSpec
from prefgen.steps.context import Context
from prefgen.steps.judge.asking import items_of, personas_of
from prefgen.steps.people import People
from prefgen.steps.show import Show
from prefgen.steps.step import Parts
from prefgen.steps.table import TableStep
from prefgen.steps.table.glue import kept
from prefgen.store.table import PART_ROWS, Table

if TYPE_CHECKING:
    from prefgen.steps.judge import Judge

_ASKING = ("model", "utility", "where", "per_persona", "orders", "repeats", "readout", "template")
_IDS = ("persona_id", "item_id")


def check_given(step: Judge) -> None:
    """ValueError, with a `fix:` on its second line, for keys that say how somebody is to be asked."""
    asking = [name for name in _ASKING if getattr(step, name) != type(step).model_fields[name].default]
    if asking:
        raise ValueError(f"people gave their answers, and nobody is asked\nfix: leave `{asking[0]}` or `given` out")
    if len(step.named) > 2:
        raise ValueError(
            "`items` names more than two steps\nfix: name the step with the answers, then that with the items"
        )


def unfolded_given(step: Judge, name: str) -> Mapping[str, StepSpec]:
    """With the items and the people of its rows, where they stand nowhere else: `items` then names the answers and the items."""
    rows, *of = step.named
    made: dict[str, StepSpec] = {}
    if step.within is not None or step.show is not None:
        rows = of_items = f"{name}_shown"
        within = dict.fromkeys([*(step.within or ["item_id"]), "persona_id"])
        made[rows] = Show(show=step.named[0], within=list(within), size=step.show or 2)
    elif of:
        of_items = of[0]
    else:
        of_items = f"{name}_items"
        made[of_items] = TableStep(table=rows, drop=[step.given or ""])
    people = step.as_
    if not people:
        people = f"{name}_people"
        made[people] = People(people=step.named[0])
    changed = {"items": [rows, of_items], "as_": people, "within": None, "show": None}
    return made | {name: step.model_copy(update=changed)}


def given_by_people(step: Judge, tables: Mapping[str, Table], context: Context) -> Parts:
    """The judgments, person by person, item by item, several answers of one person to one item as repeats."""
    held = items_of(step, tables, context).without("persona_id")
    personas, items = personas_of(step, tables, context), held.all()
    rows = _known(step, kept(tables[step.named[0]]), personas, items, context)
    column, extra = step.given or "", tuple(step.also)
    shares = pl.Series("_share", _shares(step, rows, items["options"].gather(rows["_item"]), context), dtype=pl.Object)
    answered = pl.Series([share is not None for share in shares], dtype=pl.Boolean)
    if not answered.all():
        context.note(
            f"{(~answered).sum():,} of {rows.height:,} rows have no answer in {column!r}, and are no judgments"
        )
    told = rows.with_row_index("_row").filter(answered).sort("_persona", "_item", maintain_order=True)
    repeat = told.select((pl.int_range(pl.len()).over("_persona", "_item")).alias("repeat")).to_series()
    answers = Answers(
        personas,
        items,
        told["_persona"],
        told["_item"],
        repeat,
        [shares[row] for row in told["_row"]],
        tuple(name.upper() for name in extra),
    )
    own = _own_columns(step, told, {*personas.columns, *items.columns}, context)
    tally = Tally(held)
    yield measured(answers.judgments(slice(0, 0)).with_columns(told.select(own).head(0)))
    for some in answers.slices(PART_ROWS):
        frame = answers.judgments(some).with_columns(told.select(own)[some])
        made = measured(frame)
        tally.add(made)
        yield made
    return tally.summary() | {"unanswered": int((~answered).sum())}


def _known(
    step: Judge, rows: pl.DataFrame, personas: pl.DataFrame, items: pl.DataFrame, context: Context
) -> pl.DataFrame:
    """The rows with `_persona` and `_item`, rows of the two tables; without those of people or about items that are not there."""
    for name in _IDS:
        if name not in rows.columns:
            has = ", ".join(rows.columns)
            raise context.error("items", f"{step.named[0]!r} has no column {name!r}", f"rename one of {has}")
        if rows.schema[name].is_nested():
            raise context.error(
                "items", f"{name!r} is of type {rows.schema[name]}; an id is a text or a whole number", "quote it"
            )
    rows = rows.drop("_row", "_persona", "_item", strict=False)  # names that are used here
    rows = rows.with_columns(pl.col(name).cast(pl.String) for name in _IDS)
    for name, place, others in (("persona_id", "_persona", personas), ("item_id", "_item", items)):
        known = others.select(name).with_row_index(place)
        found = rows.join(known, on=name, how="left", maintain_order="left")
        rows = found.filter(found[place].is_not_null())
        if rows.height < found.height:
            of = step.as_ if name == "persona_id" else step.named[-1]
            context.note(f"{found.height - rows.height:,} rows have a {name} that is not in {of!r}, and are left out")
    return rows


def _shares(step: Judge, rows: pl.DataFrame, options: pl.Series, context: Context) -> list[Share | None]:
    """What each row answers, as probabilities."""
    column, extra = step.given or "", tuple(step.also)
    each = f"{OF_OPTIONS}{column}"
    if each in rows.columns and column not in rows.columns:
        kind = rows.schema[each]
        inner = kind.inner if isinstance(kind, pl.List) else None
        if inner is None or not (inner.is_numeric() or inner in (pl.Boolean, pl.Null)):
            said = f"{column!r} is of type {inner}: of candidates it says which is preferred"
            raise context.error("given", said, "bring a number, or true and false, for every candidate")
        return preferred(rows[each], extra)
    if column not in rows.columns:
        raise context.error(
            "given", f"no column {column!r} in {step.named[0]!r}", f"name {one_of(column, rows.columns)}"
        )
    if rows.schema[column].is_nested():
        raise context.error(
            "given", f"{column!r} is of type {rows.schema[column]}", "name a column with one answer a row"
        )
    try:
        return named(rows[column], options, extra)
    except UnreadableError as error:
        where = " and ".join(f"{name} {rows[name][error.row]!r}" for name in _IDS)
        fix = f"write the text of an option, its letter, or its place from 0; here they are {', '.join(error.options):.200}"
        raise context.error("given", f"{error.said!r:.60} of {where} names no option", fix) from None


def _own_columns(step: Judge, rows: pl.DataFrame, known: Collection[str], context: Context) -> list[str]:
    """Columns of the answers themselves, neither of the people nor of the items: when it was said, for one."""
    own = [name for name in rows.columns if name not in {*_IDS, step.given, *known, "_row", "_persona", "_item"}]
    wrong = taken(own)
    if wrong is not None:
        raise context.error("items", f"{step.named[0]!r} has the {wrong[0]}", wrong[1])
    return own
