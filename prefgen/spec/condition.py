"""Conditions in SQL: one expression over the columns of one table, which looks at nothing else and holds tomorrow as today.

polars opens files and addresses while it *reads* an expression (`a IN (SELECT x FROM read_csv('...'))`), so what it is
given is looked through first, piece by piece, and only what is on a list of known functions goes on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import polars as pl

from prefgen.errors import first_words, one_of

_T = TypeVar("_T")

_PIECE = re.compile(
    r"""\s+
    | (?P<text>'(?:[^']|'')*')(?!')
    | (?P<name>"(?:[^"]|"")+")(?!")
    | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)(?!\w)
    | (?P<word>[^\W\d]\w*)(?!['"])
    | (?P<sign>[-+*/%=<>!~|(),.\[\]:^&])
    """,
    re.VERBOSE,
)

_MOST_PARTS = 500  # words and signs; polars needs seconds for a chain of 400 ORs, and minutes for one of 2,000
_MOST_CHARS = 200_000

_ROW_WISE = frozenset(
    """
    abs acos acosd asin asind atan atand atan2 atan2d cos cosd cot cotd degrees radians sin sind tan tand exp ln log
    log10 log1p log2 pow power sqrt cbrt pi sign mod div round floor ceil ceiling trunc truncate bit_and bit_or
    bit_xor bit_not bit_count bit_length char_length character_length length octet_length concat concat_ws lower
    upper initcap left right ltrim rtrim trim replace reverse substr substring split_part string_to_array strpos
    position starts_with ends_with regexp_like regexp_replace normalize date date_part extract strftime strptime
    timestamp year month day hour minute second quarter week dayofweek dayofyear coalesce ifnull nullif greatest
    least if cast try_cast array_contains array_get array_length array_lower array_upper array_mean array_sum
    array_reverse array_unique array_to_string
    """.split()  # noqa: SIM905 - a list has a line for every name
)
"""Functions that look at one row. Left out: what makes texts of any length (lpad, rpad) or rows (unnest)."""

_OF_ROWS = frozenset(
    [
        "avg",
        "count",
        "sum",
        "min",
        "max",
        "median",
        "stddev",
        "stdev",
        "stddev_samp",
        "stdev_samp",
        "variance",
        "var",
        "var_samp",
        "first",
        "last",
        "first_value",
        "last_value",
        "quantile_cont",
        "quantile_disc",
        "corr",
        "covar",
        "covar_pop",
        "covar_samp",
        "row_number",
        "rank",
        "dense_rank",
        "percent_rank",
        "cume_dist",
        "ntile",
        "lag",
        "lead",
        "nth_value",
        "array_agg",
        "string_agg",
        "listagg",
        "group_concat",
    ]
)
"""Functions that look at other rows of the table too."""

_BEFORE_BRACKETS = frozenset(
    [
        "and",
        "or",
        "not",
        "in",
        "is",
        "between",
        "like",
        "ilike",
        "rlike",
        "regexp",
        "similar",
        "to",
        "when",
        "then",
        "else",
        "case",
        "end",
        "over",
        "filter",
        "where",
        "by",
        "any",
        "all",
        "distinct",
        "from",
        "as",
        "on",
        "varchar",
        "char",
        "decimal",
        "numeric",
        "float",
        "double",
        "time",
        "timestamp",
        "interval",
    ]
)
"""Words of the language that may stand before a bracket and call nothing."""

_CLOCK = frozenset(["current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"])
_QUERIES = frozenset(["select", "with", "from", "values", "table", "insert", "update", "delete", "merge", "execute"])


class ConditionError(ValueError):
    """A condition that cannot be obeyed."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(f"{problem}\nfix: {fix}")
        self.problem = problem
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition as polars has it.

    row_wise    whether it surely looks at one row at a time
    """

    text: str
    expression: pl.Expr
    row_wise: bool

    def holds(self, rows: pl.DataFrame) -> pl.Series:
        """For every row whether the condition is true; null where that cannot be told.

        Raises ConditionError where the values of these rows do not allow it (a text that is no number, say).
        """
        return self.value(rows)

    def value(self, rows: pl.DataFrame) -> pl.Series:
        """What the expression is in every row; raises as `holds`."""
        return by_polars(self.text, rows.columns, lambda: rows.with_columns(self.expression.alias("_"))["_"])


def read_expression(text: str) -> Condition:
    """An expression, read; ConditionError for whatever is none over columns alone."""
    called = set(_called(text))
    return Condition(text, by_polars(text, (), lambda: pl.sql_expr(text)), not called & _OF_ROWS)


def condition_over(text: str, schema: pl.Schema) -> Condition:
    """A condition that was tried on rows of these columns: it is true or false there, and no type stands against it."""
    condition = read_expression(text)
    kind = condition.holds(_placeholders(schema)).dtype
    if kind != pl.Boolean:
        raise ConditionError(
            f"{short(text)} is of type {kind}, not true or false", "compare it with something, e.g. `p_choice >= 0.6`"
        )
    return condition


def _placeholders(schema: pl.Schema) -> pl.DataFrame:
    """Three rows as a table of these columns might have them: nothing, 0 and 1; of a text nobody knows what it says."""
    columns = []
    for name, kind in schema.items():
        plain = kind.is_numeric() or kind.is_temporal() or kind == pl.Boolean
        columns.append(
            pl.Series(name, [None, 0, 1] if plain else [None] * 3, pl.Int8).cast(pl.Int64).cast(kind)
            if plain
            else pl.Series(name, [None] * 3, kind)
        )
    return pl.DataFrame(columns)


def check_calls(text: str) -> None:
    """ConditionError where a query calls what is not offered; other tables it may name, files and the clock not."""
    for _ in _called(text, query=True):
        pass


def _called(text: str, *, query: bool = False) -> Iterator[str]:
    """The functions that a condition calls; ConditionError for what is not an expression over columns alone.

    query    whether it may ask tables
    """
    before, parts = "", 0
    for kind, piece in _pieces(text):
        parts += kind in ("name", "word") or (kind == "sign" and piece != ",")
        if parts > _MOST_PARTS:
            raise ConditionError(
                f"{short(text)} has more than {_MOST_PARTS} parts",
                "write `column IN (...)` instead of many ORs, or bring a column that says it",
            )
        word = piece.lower() if kind == "word" else ""
        if query:
            if word in _QUERIES - {"select", "with", "from", "values"}:
                raise ConditionError(f"{short(text)} does more than ask ({piece})", "begin with SELECT")
        elif word in ("select", "with") or (before == "(" and word in _QUERIES):
            raise ConditionError(
                f"{short(text)} asks another table ({piece})",
                f'write an expression over the columns alone; a column of this name is written "{piece}"',
            )
        if piece == "(" and before[:1] not in ("", "(") and (before[0] == '"' or before[0].isalpha()):
            yield from _known(text, before, _OF_QUERIES if query else frozenset())
        elif word in _CLOCK:
            raise ConditionError(
                f"{short(text)} reads the clock ({piece})",
                f"write the date itself, e.g. DATE '2026-01-31'; a column of this name is written \"{piece}\"",
            )
        before = piece


_OF_QUERIES = frozenset(
    ["as", "select", "join", "using", "distinct", "union", "exists", "having", "with", "limit", "except", "intersect"]
)
"""Words of a query that may stand before a bracket and call nothing."""


def _known(text: str, name: str, also: frozenset[str]) -> Iterator[str]:
    """The function of this name, if it is one; nothing for a word of the language."""
    function = name.strip('"').lower()
    if name[0] != '"' and function in also:
        return
    if function in _ROW_WISE or function in _OF_ROWS:
        yield function
    elif name[0] == '"' or function not in _BEFORE_BRACKETS:
        raise ConditionError(
            f"{short(text)} calls {function}(), which is not offered", f"use {one_of(function, _ROW_WISE | _OF_ROWS)}"
        )


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """(kind, piece) of every part of a condition that is not white space."""
    if len(text) > _MOST_CHARS:
        raise ConditionError(f"{short(text)} has {len(text):,} characters, at most {_MOST_CHARS:,}", "write less")
    place = 0
    while place < len(text):
        found = _PIECE.match(text, place)
        if found is None or text.startswith(("--", "/*"), place):
            raise ConditionError(
                f"{short(text)}: {text[place : place + 12]!r} is not understood",
                "use '...' around texts and \"...\" around unusual names of columns; comments go above, behind a #",
            )
        if found.lastgroup is not None:
            yield found.lastgroup, found.group()
        place = found.end()


def by_polars(text: str, columns: Iterable[str], work: Callable[[], _T]) -> _T:
    """What polars makes of it; whatever it raises (a panic of its own derives from BaseException) is a complaint."""
    try:
        return work()
    except ConditionError:
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        first = first_words(error)
        missing = re.search(r'unable to find column "([^"]*)"', first)
        known = tuple(columns)
        if missing is not None and known:
            raise ConditionError(
                f"{short(text)}: there is no column {missing[1]!r}", f"use {one_of(missing[1], known)}"
            ) from None
        if first.startswith("conversion"):
            raise ConditionError(f"{short(text)}: {first}", "write TRY_CAST, which gives null there") from None
        fix = f"use SQL over the columns {', '.join(known[:30])}" if known else 'write e.g. "p_choice >= 0.6"'
        raise ConditionError(f"{short(text)}: {first}", fix) from None


def short(text: str) -> str:
    said = repr(text)
    return said if len(said) <= 120 else f"{said[:117]}..."
