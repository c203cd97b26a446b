"""What can be known to be wrong with the exports of a pipeline before any model is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import polars as pl
import pyarrow as pa

from prefgen.errors import PrefgenError, first_words, one_of, problem_and_fix
from prefgen.publish.exports.beside import KEYS, MEANS, Beside, beside, empty_of
from prefgen.publish.exports.condition import texts_of
from prefgen.publish.exports.details import Details
from prefgen.publish.exports.dialogue import TURNS, check_sides, check_turns
from prefgen.publish.exports.hidden import check_hidden
from prefgen.publish.exports.source import parts_of
from prefgen.publish.exports.wanted import Wanted, wanted_exports
from prefgen.schemas import LABELS
from prefgen.spec.pipeline import Pipeline
from prefgen.store.finished import Lineage
from prefgen.store.shards import arrow_schema
from prefgen.store.table import Table

_SOME = 1000  # conversations that are looked at

Say = Callable[[str, str], PrefgenError]
"""Makes the error from a problem and its fix."""

_WORD = {"personas": "person", "items": "question"}


def check_exports(pipeline: Pipeline, tables: Mapping[str, Table], grains: Mapping[str, str]) -> None:
    """SpecError for an export that cannot be made of these tables, or whose ids would mean two things."""
    check_hidden(pipeline, tables)
    wanted = wanted_exports(pipeline, grains)
    together = beside(Lineage.of_pipeline(pipeline, grains), tables, wanted)
    for one in wanted:
        check_named(one, tables, partial(pipeline.document.error, ("publish", "exports")))
    for what in KEYS:
        sides: tuple[Table, ...] = getattr(together, what)
        for table in sides:
            _check_types(pipeline, table)
        if len(sides) > 1:
            _check_ids(pipeline, together, what)


def check_named(wanted: Wanted, tables: Mapping[str, Table], complain: Say) -> None:
    """The columns that an export names are there, and can be what they are named for; else what `complain` makes of it."""
    table = tables[wanted.step]
    computed = {*LABELS.names, wanted.condition.column if wanted.condition is not None else ""}
    for name in sorted(wanted.named - (computed if wanted.preset.unit == "pair" else set())):
        if name not in table.schema and name not in parts_of(table.schema):
            problem = f"export {wanted.name!r}: {table.name!r} has no column {name!r}"
            raise complain(problem, f"use {one_of(name, list(table.schema))}")
    if wanted.details is not None:
        try:
            if wanted.preset.unit == "dialogue":
                _check_dialogue(wanted.details, table)
            else:
                wanted.details.over(table.schema, needs_history=wanted.preset.unit == "history")
        except ValueError as error:
            problem, fix = problem_and_fix(error)
            raise complain(f"export {wanted.name!r} from {table.name!r}: {problem}", fix) from None
    if wanted.condition is not None:
        try:
            texts_of(wanted.condition, tables[wanted.condition.step], list(table.schema))
        except ValueError as error:
            problem, fix = problem_and_fix(error)
            raise complain(f"export {wanted.name!r}: condition: {problem}", fix) from None


def _check_dialogue(details: Details, table: Table) -> None:
    """ValueError where a table has no conversations, or nobody in them is the assistant; the first of them are looked at."""
    check_turns(table.schema, details)
    turns = table.scan().select(pl.col(details.turns or TURNS).alias("turns")).head(_SOME).collect()["turns"]
    sides = turns.explode().drop_nulls().struct.field("role").unique(maintain_order=True).drop_nulls().to_list()
    if sides:
        check_sides(sides, details)


def _check_types(pipeline: Pipeline, table: Table) -> None:
    for name, dtype in table.schema.items():
        if not _travels(dtype):
            raise pipeline.document.error(
                ("steps", table.name),
                f"its column {name!r} is of type {dtype}, which Parquet or `datasets` cannot hold",
                "write it as text or as numbers, or leave it out with `drop:`",
            )


def _travels(dtype: pl.DataType) -> bool:
    """Whether values of a type can be written and are read back by `datasets`."""
    try:
        (field,) = arrow_schema(pl.Schema({"x": dtype}))
    except (pa.ArrowException, pl.exceptions.PolarsError, BaseException) as error:
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        return False
    return all(map(_known, _leaves(field.type)))


def _leaves(dtype: pa.DataType) -> Iterator[pa.DataType]:
    if pa.types.is_list(dtype) or pa.types.is_fixed_size_list(dtype):
        yield from _leaves(dtype.value_type)
    elif pa.types.is_struct(dtype):
        for part in dtype:
            yield from _leaves(part.type)
        if dtype.num_fields == 0:
            yield dtype  # a struct of nothing has no Parquet form
    else:
        yield dtype


def _known(dtype: pa.DataType) -> bool:
    return bool(
        pa.types.is_primitive(dtype)
        or pa.types.is_string(dtype)
        or pa.types.is_binary(dtype)
        or pa.types.is_decimal(dtype)
    )


def _check_ids(pipeline: Pipeline, together: Beside, what: str) -> None:
    """Tables of people or questions that are shipped together agree on what an id stands for, and on types."""
    tables: tuple[Table, ...] = getattr(together, what)
    key, means, names = KEYS[what], MEANS[what], " and ".join(repr(table.name) for table in tables)
    try:
        empty_of(tables)
    except pl.exceptions.PolarsError as error:
        said = first_words(error)
        raise pipeline.document.error(
            ("publish", "exports"),
            f"the columns of {names} do not fit together: {said}",
            "rename one of them in its step",
        ) from None
    rows = pl.concat([pl.concat(table.frames([key, *means])).unique() for table in tables]).unique(maintain_order=True)
    twice = rows.filter(rows[key].is_duplicated())
    if twice.height:
        raise pipeline.document.error(
            ("publish", "exports"),
            f"{key} {twice[key][0]!r} stands for two {_WORD[what]}s, one in each of {names}",
            f"give each its own {key}, or publish exports of one of them",
        )
