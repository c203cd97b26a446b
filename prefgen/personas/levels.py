"""What a written value says: a level, a number, a missing value, or something that is no respondent's answer."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

import polars as pl

from prefgen.spec.attribute import level_name

MISSING_MARKS = frozenset(
    {"", "na", "n/a", "n.a.", "#n/a", "<na>", "nan", "null", "#null!", ".", "..", "-", "--", "?", "#value!", "#div/0!"}
)
"""How R, SAS, SPSS, Stata, pandas, SQL and Excel write a missing value, in small letters."""

_NUMBER = re.compile(r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$")
_WHOLE = re.compile(r"^-?\d{1,15}$")
_CODE = re.compile(r"^-?9*[789]$")
_NO_ANSWER = frozenset(
    {"don't know", "dont know", "dk", "refused", "no answer", "not applicable", "iap", "inap", "unknown", "missing"}
)
_TOTALS = frozenset({"total", "totals", "grand total", "subtotal", "sum", "overall"})
_UNIT = re.compile(r"^(\(.*\)|\[.*\]|%|years?|(eur|usd|gbp|euros?|dollars?)(/\w+)?|numeric|string|integer|text)$")
_LONG = 60  # characters; longer levels are rather the text of a question
_SHOWN = 8


def is_missing_mark(text: str) -> bool:
    """Whether tools write missing values like this."""
    return text.strip().lower() in MISSING_MARKS


def number_of(text: str) -> float | None:
    """The number that a text is, exactly as written; None for `0,8`, `1,204.5`, `inf`, ` 1` and whatever is none."""
    return float(text) if _NUMBER.match(text) else None


def number_fix(text: str) -> str:
    """What to do about a text that should be a number."""
    bare = text.strip()
    if is_missing_mark(bare):
        return "give every row a number"
    if number_of(bare) is not None:
        return "take the spaces around it out"
    if re.match(r"^[+-]?\d*,\d+$", bare):
        return f"write a decimal point: {bare.replace(',', '.')}"
    if re.match(r"^[+-]?\d{1,3}([,. ']\d{3})+([.,]\d+)?$", bare):
        return "write numbers without separators of thousands"
    return "write a plain number such as 0.8 or 1200"


def holds_levels(dtype: pl.DataType) -> bool:
    """Whether a column of this type has one text, number, truth value or time in each row."""
    return not dtype.is_nested() and dtype not in (pl.Binary, pl.Object, pl.Unknown)


def texts_of(column: pl.Series) -> pl.Series:
    """The values of a column that `holds_levels` as levels are called: text without the spaces around it, `2020`, `true`."""
    if column.dtype == pl.String:
        return column.str.strip_chars()
    if column.dtype.is_float():
        column = column.fill_nan(None)
    values = column.unique().drop_nulls()
    names = [level_name(value) for value in values.to_list()]
    return column.replace_strict(values, pl.Series(names, dtype=pl.String), default=None, return_dtype=pl.String)


def without_missing(column: pl.Series, named: Collection[str] = (), codes: Collection[str] = ()) -> pl.Series:
    """A text column with null for every missing value: marks that are no level `named`, and declared `codes`."""
    missing = [text for text in column.unique().drop_nulls() if is_missing_mark(text) and text not in named]
    missing += codes
    return column.replace(missing, [None] * len(missing)) if missing else column


def are_numbers(levels: Sequence[str]) -> bool:
    """Whether levels are numbers as nobody writes codes: `3`, `-1`, `0.5`, not `03` or `1e3`."""
    return bool(levels) and all(re.match(r"^-?(0|[1-9]\d*)(\.\d+)?$", level) for level in levels)


def in_order(levels: Sequence[str]) -> list[str]:
    """Levels sorted: numbers by size, others by their text."""
    return sorted(
        levels, key=(lambda level: (float(level), level)) if are_numbers(levels) else (lambda level: (0.0, level))
    )


def missing_codes(levels: Sequence[str]) -> list[str]:
    """Levels that can only be codes of a missing value among numbers: `-99` among ages, `99999` among incomes.

    >>> missing_codes(["34", "51", "-99"]), missing_codes(["-1", "0", "1"]), missing_codes(["1200", "900", "99999"])
    (['-99'], [], ['99999'])
    """
    rest, codes = _codes_among(levels)
    if not rest:
        return []
    low, high = min(rest), max(rest)
    negative = [code for code in codes if code.startswith("-") and low >= 0]
    return negative + [code for code in codes if len(code) >= 3 and code[0] == "9" and float(code) >= 2 * max(high, 50)]


def _codes_among(levels: Sequence[str]) -> tuple[list[float], list[str]]:
    """Whole numbers that are no possible codes, and those that are; empty where other levels are no numbers."""
    numbers = [level for level in levels if _WHOLE.match(level)]
    codes = [level for level in numbers if _CODE.match(level)]
    return [float(level) for level in numbers if level not in codes], codes


def oddities(respondents: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """(level, what it looks like) for levels that look unlike the others of one attribute."""
    levels = list(respondents)
    rest, codes = _codes_among(levels)
    numeric = sum(count for level, count in respondents.items() if number_of(level) is not None)
    for level, count in respondents.items():
        word = level.lower()
        if is_missing_mark(level) or word in _NO_ANSWER:
            yield level, "a missing value"
        elif word in _TOTALS:
            yield level, "a row of totals"
        elif _UNIT.match(word) and count == 1:
            yield level, "a row of units"
        elif len(level) > _LONG or (level.endswith("?") and count == 1):
            yield level, "the text of a question"
        elif level in codes and rest and float(level) > max(rest) + 1 and _far(level, max(rest)):
            yield level, "a code of a missing value"
        elif count == 1 and number_of(level) is None and numeric >= max(2, 0.9 * (sum(respondents.values()) - 1)):
            yield level, "no number, as the others are"


def _far(level: str, highest: float) -> bool:
    return len(level) > len(f"{highest:.0f}") or highest <= 5


def told_levels(name: str, respondents: Mapping[str, int]) -> str:
    """The levels found, the rarest first, with how many respondents have each."""
    rare = sorted(respondents.items(), key=lambda pair: (pair[1], pair[0]))
    shown = ", ".join(f"{level!r:.42} {count:,}" for level, count in rare[:_SHOWN])
    more = f" and {len(rare) - _SHOWN:,} commoner ones" if len(rare) > _SHOWN else ""
    return f"levels of {name} (respondents): {shown}{more}"
