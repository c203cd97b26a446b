"""What can be wrong with the columns of a `pack` step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from prefgen.errors import one_of
from prefgen.steps.context import Context
from prefgen.store.table import Table

if TYPE_CHECKING:
    from prefgen.steps.pack import Pack

_TAKEN = ("reject_reason", "split")


def check_pack(step: Pack, tables: Mapping[str, Table], onto: pl.Schema | None, context: Context) -> None:
    """SpecError for a column that is not there, is compared with one of another type, or stands there already."""
    packed, which = tables[step.pack].schema, step.onto_all[0] if step.onto_all else step.pack
    for key, place, name, compared in _named(step):
        for source, schema in ((step.pack, packed), (which, onto if compared else None)):
            if schema is not None and name not in schema:
                at = (key,) if place is None else (key, place)
                raise context.error(at, f"no column {name!r} in {source!r}", f"name {one_of(name, list(schema))}")
    for key, names in (("by", step.by), ("differ", step.differ), ("order", step.order)):
        _check_types(
            packed, packed if onto is None or (key == "order" and not step.before) else onto, key, names, context
        )
    _check_names(step, packed if onto is None else onto, which, context)
    if step.mix is not None:
        _check_mixed(step, tables, context)


def _named(step: Pack) -> Iterator[tuple[str, int | None, str, bool]]:
    """(key, place, column, whether the rows that get a list have it too) for all columns named."""
    for key, names, compared in (
        ("by", step.by, True),
        ("differ", step.differ, True),
        ("order", step.order, step.before),
        ("each", step.each, False),
    ):
        if isinstance(names, str):
            yield key, None, names, compared
        else:
            yield from ((key, place, name, compared) for place, name in enumerate(names))


def _check_names(step: Pack, onto: pl.Schema, which: str, context: Context) -> None:
    new = [step.into, *(["copy"] if step.copies > 1 else [])]
    for name in new:
        there = name in (onto if step.onto is not None else step.by)
        if there or name in _TAKEN:
            said = f"{which!r} has a column {name!r} already" if there else f"{name!r} means something else"
            raise context.error("into" if name == step.into else "copies", said, "choose another name")


def _check_types(packed: pl.Schema, onto: pl.Schema, key: str, names: Sequence[str], context: Context) -> None:
    """Columns that are compared hold plain values of one type."""
    for name in names:
        one, other = packed[name], onto[name]
        alike = one == other or (one.is_numeric() and other.is_numeric()) or pl.Null() in (one, other)
        if one.is_nested() or not alike:
            said = f"column {name!r} is of type {one}" + (
                "" if one == other else f" in one table and {other} in the other"
            )
            raise context.error(key, said, "compare texts, numbers or times of one type")


def _check_mixed(step: Pack, tables: Mapping[str, Table], context: Context) -> None:
    """The distractors have something to show, of the types of what they stand among."""
    assert step.mix is not None
    schema, name = tables[step.mix.from_].schema, step.mix.from_
    wanted = tables[step.pack].schema
    each = step.packed(tables).each
    if not set(each) & set(schema):
        fix = f"name a step that has some of {', '.join(each)}, or name other columns with `each:`"
        raise context.error("mix", f"{name!r} has none of the columns of an element", fix)
    odd = [
        one
        for one in each
        if one in schema and schema[one] != wanted[one] and pl.Null() not in (schema[one], wanted[one])
    ]
    if odd:
        said = f"column {odd[0]!r} is of type {schema[odd[0]]} in {name!r} and {wanted[odd[0]]} in {step.pack!r}"
        raise context.error("mix", said, "write both as one type")
