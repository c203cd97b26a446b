"""Columns that do not leave, and the search for what they say in all that does."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from prefgen.errors import SpecError, one_of
from prefgen.publish.exports.columns import schema_of
from prefgen.publish.exports.presets import PRESETS, Preset
from prefgen.spec.pipeline import Pipeline
from prefgen.store.table import Table

LEAST = 4
"""Characters of a value that is searched for: shorter ones stand in any text."""

_WORDS = """about above after again also always among anything because been before being below between both cannot could
does doing done down during each either else enough even ever every everything false few first from further give given good
great have having here himself into itself just know last least less like little long made make many maybe more most much must
neither never next none nobody nothing null often once only other others ourselves over people perhaps person rather same second
several shall should since small some somebody something sometimes such sure take than that their them themselves then there these
they thing things think this those three through today together true under unknown until upon usually very want well were what when
where whether which while whole will with within without would year years yourself"""
COMMON = frozenset(_WORDS.split())
"""Words that are not searched for alone: a text with one of them tells nothing."""

_BETWEEN = "\x1f"
"""Parts the texts of a row: no value stands across two of them."""

_SIDES = ("item_", "option_", "chosen_", "rejected_")
"""Begin the names that exports give to columns that are not theirs."""


@dataclass(slots=True)
class Leaks:
    """Rows of one export in which a hidden value stands.

    searched, unsearched    values looked for, and those that are too short, too common, or numbers
    by                      hidden column -> rows
    examples                (hidden column, value), a few of them
    """

    searched: int
    unsearched: int
    rows: int = 0
    by: dict[str, int] = field(default_factory=dict)
    examples: list[tuple[str, str]] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """For the manifest, which is published as well: not which values."""
        return {"rows": self.rows, "by": self.by, "searched": self.searched, "unsearched": self.unsearched}

    def in_words(self) -> str:
        """For the one who made the run, with values."""
        some = ", ".join(f"{value!r:.60} of {column!r}" for column, value in self.examples)
        return f"{self.rows:,} rows say what is hidden: {some}"


@dataclass(frozen=True, slots=True)
class Hidden:
    """What a run keeps to itself.

    columns       their names
    values        every value that is searched for, in small letters, with its column
    unsearched    how many different values are too short, too common, or numbers
    """

    columns: tuple[str, ...]
    values: Mapping[str, str]
    unsearched: int = 0

    @classmethod
    def of(cls, columns: Sequence[str], tables: Iterable[Table]) -> Hidden:
        """The values that stand under these names in any table of a run."""
        said: dict[str, str] = {}
        left: set[tuple[str, str]] = set()
        for table in tables if columns else ():
            for name in columns:
                for value in _values(table, name):
                    if len(value) < LEAST or value in COMMON or _is_number(value):
                        left.add((name, value))
                    else:
                        said.setdefault(value, name)
        return cls(tuple(columns), said, len(left))

    def leaks(self) -> Leaks | None:
        """Nothing found yet; None where nothing is hidden."""
        return Leaks(len(self.values), self.unsearched) if self.columns else None

    def leaving(self, frame: pl.DataFrame, preset: Preset, wanted: Collection[str]) -> pl.DataFrame:
        """The frame without hidden columns, but for those that its export names."""
        own = schema_of(preset).names
        gone = {name for name in self.columns if name not in wanted}
        gone |= {f"{side}{name}" for name in gone for side in _SIDES}
        left = frame.drop([name for name in frame.columns if name in gone and name not in own])
        return left.with_columns(
            _without(pl.col(name), kind, gone).alias(name)
            for name, kind in left.schema.items()
            if kind.is_nested() and _has(kind, gone)
        )

    def searched(
        self, frames: Iterator[pl.DataFrame], preset: Preset, wanted: Collection[str], leaks: Leaks | None
    ) -> Iterator[pl.DataFrame]:
        """The frames as they leave; what of the hidden is found in them is counted in `leaks`."""
        if leaks is None:
            yield from frames
            return
        for frame in frames:
            left = self.leaving(frame, preset, wanted)
            if self.values and left.height:
                self._count(left, preset, wanted, leaks)
            yield left

    def _count(self, frame: pl.DataFrame, preset: Preset, wanted: Collection[str], leaks: Leaks) -> None:
        """Rows in which a value stands as a word, or as words; those of columns that the export names are no secret there."""
        texts = _texts(frame, preset, wanted)
        if texts is None:
            return
        whole = frame.select(texts.str.to_lowercase().str.replace_all(r"\s+", " ").alias("text"))["text"]
        found = whole.str.extract_many(list(self.values), overlapping=True)
        for row in (found.list.len() > 0).arg_true():
            by = {self.values[value]: value for value in found[row] if _stands_in(value, whole[row])}
            by = {column: value for column, value in by.items() if column not in wanted}
            leaks.rows += bool(by)
            for column, value in by.items():
                leaks.by[column] = leaks.by.get(column, 0) + 1
                if len(leaks.examples) < 3:
                    leaks.examples.append((column, value))


def _has(kind: Any, gone: Collection[str]) -> bool:
    """Whether elements of a type have a field that does not leave."""
    if isinstance(kind, pl.List):
        return _has(kind.inner, gone)
    return isinstance(kind, pl.Struct) and any(one.name in gone or _has(one.dtype, gone) for one in kind.fields)


def _without(value: pl.Expr, kind: Any, gone: Collection[str]) -> pl.Expr:
    """Values of a type without the fields that do not leave; an element with no other is true."""
    if isinstance(kind, pl.List):
        return value.list.eval(_without(pl.element(), kind.inner, gone))
    if not isinstance(kind, pl.Struct) or not _has(kind, gone):
        return value
    left = [one for one in kind.fields if one.name not in gone]
    fields = [_without(value.struct.field(one.name), one.dtype, gone).alias(one.name) for one in left]
    return pl.when(value.is_not_null()).then(pl.struct(fields)) if fields else value.is_not_null()


def leaks_of_both(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """`leaks` of a config that has the rows of two runs: those of both that say what is hidden; those of a run that hid nothing were not searched."""
    both = [config["leaks"] for config in (old, new) if "leaks" in config]
    if not both:
        return {}
    by = {name: sum(one["by"].get(name, 0) for one in both) for one in both for name in one["by"]}
    return {"leaks": {**both[-1], "rows": sum(one["rows"] for one in both), "by": by}}


def check_hidden(pipeline: Pipeline, tables: Mapping[str, Table]) -> None:
    """SpecError for a hidden column that no table has, or that exports make themselves; and for a gate with nothing hidden."""
    own = frozenset[str]().union(*(schema_of(preset).names for preset in PRESETS.values()))
    known = sorted({name for table in tables.values() for name in _named_in(table.schema)} - own)
    wrong: list[SpecError] = []
    for place, name in enumerate(pipeline.publish.hidden):
        at = ("publish", "hidden", place)
        if name in own:
            wrong.append(pipeline.document.error(at, f"{name!r} is a column that exports make", "name one of your own"))
        elif name not in known:
            wrong.append(pipeline.document.error(at, f"no table has a column {name!r}", f"name {one_of(name, known)}"))
    if wrong:
        raise SpecError(*(one for error in wrong for one in error.complaints))


def _values(table: Table, name: str) -> Iterator[str]:
    """The different texts of a column, or of the fields of that name, in small letters and sorted; those of numbers too,
    which are not searched for."""
    found: set[str] = set()
    for column, kind in table.schema.items():
        for path in _paths(kind, name, is_it=column == name):
            rows = table.scan().select(_value=pl.col(column))
            for part in path:
                rows = (
                    rows.explode("_value")
                    if part is None
                    else rows.select(pl.col("_value").struct.field(part).alias("_value"))
                )
            texts = rows.unique().collect(engine="streaming")["_value"].cast(pl.String).drop_nulls()
            found |= {plain for value in texts if (plain := " ".join(value.lower().split()))}
    yield from sorted(found)


def _paths(kind: Any, name: str, *, is_it: bool) -> Iterator[tuple[str | None, ...]]:
    """Ways to the plain values of a name in a type: a field, or None into a list."""
    if isinstance(kind, pl.List):
        yield from ((None, *rest) for rest in _paths(kind.inner, name, is_it=is_it))
    elif isinstance(kind, pl.Struct):
        for one in kind.fields:
            yield from ((one.name, *rest) for rest in _paths(one.dtype, name, is_it=is_it or one.name == name))
    elif is_it:
        yield ()


def _named_in(schema: Mapping[str, Any]) -> Iterator[str]:
    """Names of columns, and of the fields in them."""
    for name, kind in schema.items():
        yield name
        while isinstance(kind, pl.List):
            kind = kind.inner
        if isinstance(kind, pl.Struct):
            yield from _named_in({one.name: one.dtype for one in kind.fields})


def _is_number(value: str) -> bool:
    return re.fullmatch(r"[-+]?[\d.,]+(e[-+]?\d+)?", value) is not None


def _stands_in(value: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None


def _texts(frame: pl.DataFrame, preset: Preset, wanted: Collection[str]) -> pl.Expr | None:
    """All that a row says, each apart; ids and how it came about are not read."""
    aside = {one.name for one in schema_of(preset).columns if one.role in ("key", "hidden")}
    said = [
        text
        for name, kind in frame.schema.items()
        if name not in aside and name not in wanted and not name.endswith("_id")
        if (text := _text_of(pl.col(name), kind)) is not None
    ]
    return pl.concat_str(said, separator=_BETWEEN, ignore_nulls=True) if said else None


def _text_of(value: pl.Expr, kind: Any) -> pl.Expr | None:
    if kind in (pl.String, pl.Categorical, pl.Enum):
        return value.cast(pl.String)
    if isinstance(kind, pl.List):
        inner = _text_of(pl.element(), kind.inner)
        return None if inner is None else value.list.eval(inner).list.join(_BETWEEN, ignore_nulls=True)
    if isinstance(kind, pl.Struct):
        parts = [_text_of(value.struct.field(one.name), one.dtype) for one in kind.fields]
        said = [part for part in parts if part is not None]
        return pl.concat_str(said, separator=_BETWEEN, ignore_nulls=True) if said else None
    return None
