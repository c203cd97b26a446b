"""Numbers about what was written, by which it can be kept or dropped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl
from pydantic import Field, model_validator

from prefgen.judging.prose import count_sentences
from prefgen.spec.fields import ColumnName
from prefgen.spec.fields import Spec as Part
from prefgen.steps.context import Context

_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")


class Measure(Part):
    """One measure of a row."""

    words: ColumnName | None = Field(None, description="Words of a text.")
    sentences: ColumnName | None = Field(None, description="Sentences of a text.")
    overlap: ColumnName | None = Field(
        None, description="Share of the different words of two texts that stand in both, in [0, 1]."
    )
    edits: ColumnName | None = Field(
        None,
        description="Words to be inserted, deleted or replaced to make the other text of one (Levenshtein distance).",
    )
    with_: ColumnName | None = Field(None, alias="with", description="`overlap`, `edits`: the other text.")
    says: ColumnName | None = Field(
        None, description="How many of the values of `of` stand in a text, whatever their case."
    )
    of: list[ColumnName] = Field(
        default_factory=list, description="`says`: columns with what is looked for; a list counts each of its values."
    )

    @model_validator(mode="after")
    def _one(self) -> Measure:
        if sum(one is not None for one in (self.words, self.sentences, self.overlap, self.edits, self.says)) != 1:
            raise ValueError(
                "a measure is one of words, sentences, overlap, edits, says\nfix: write e.g. `{words: response}`"
            )
        two = self.overlap is not None or self.edits is not None
        if two != (self.with_ is not None) or (self.says is None) != (not self.of):
            raise ValueError(
                "`overlap` and `edits` go with `with`, and `says` with `of`\nfix: write e.g. `{overlap: a, with: b}`"
            )
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it looks at."""
        return tuple(filter(None, (self._text, self.with_, *self.of)))

    @property
    def _text(self) -> str:
        return self.words or self.sentences or self.overlap or self.edits or self.says or ""

    @property
    def dtype(self) -> pl.DataType:
        """Type of its column."""
        return pl.Float64() if self.overlap else pl.Int64()

    def of_rows(self, rows: pl.DataFrame) -> pl.Series:
        """The number of every row; null where a text is."""
        looked_at = dict.fromkeys(name.partition(".")[0] for name in self.columns)
        values = [self._of(row) for row in rows.select([*looked_at]).iter_rows(named=True)]
        return pl.Series(values, dtype=self.dtype)

    def _of(self, row: dict[str, Any]) -> float | None:
        text = _value(row, self._text)
        if text is None:
            return None
        if self.words:
            return len(_WORD.findall(text))
        if self.sentences:
            return count_sentences(text)
        if self.says:
            return sum(_stands_in(value, text) for name in self.of for value in _values(_value(row, name)))
        other = _value(row, self.with_ or "")
        if other is None:
            return None
        return edits(text, other) if self.edits else shared(words_of(text), words_of(other))


def check_measures(measures: Mapping[str, Measure], columns: pl.Schema, context: Context) -> None:
    """SpecError for a measure of a column that is not there, and for one named as a column."""
    known = dict(_parts(columns))
    for name, measure in measures.items():
        missing = [column for column in measure.columns if column not in known]
        if missing or name in columns:
            said = f"no column {missing[0]!r} to measure" if missing else f"there is a column {name!r} already"
            raise context.error(("measure", name), said, f"the columns are {', '.join(known)}")


def _parts(columns: pl.Schema) -> Iterator[tuple[str, pl.DataType]]:
    for name, kind in columns.items():
        yield name, kind
        if isinstance(kind, pl.Struct):
            yield from ((f"{name}.{one.name}", kind) for one in kind.fields)


def _value(row: Mapping[str, Any], name: str) -> Any:
    """A column of a row, or a part of one; of the turns of a conversation all that is said."""
    column, dot, part = name.partition(".")
    value = row[column][part] if dot and row[column] is not None else None if dot else row[column]
    if isinstance(value, list) and value and isinstance(value[0], dict) and "content" in value[0]:
        return "\n".join(turn["content"] for turn in value if turn["content"] is not None)
    return value


def edits(one: str, other: str) -> int:
    """Words to be inserted, deleted or replaced to make `other` of `one` (Levenshtein distance; bit-parallel, after Myers and Hyyrö).

    >>> edits("a cup of tea", "a large cup of green tea"), edits("one two", "two")
    (2, 1)
    """
    first, second = one.split(), other.split()
    if not first or not second:
        return len(first) + len(second)
    places: dict[str, int] = {}
    for place, word in enumerate(first):
        places[word] = places.get(word, 0) | (1 << place)
    whole, top = (1 << len(first)) - 1, 1 << (len(first) - 1)
    plus, minus, distance = whole, 0, len(first)
    for word in second:
        same = places.get(word, 0)
        diagonal = (((same & plus) + plus) ^ plus) | same | minus
        up, down = minus | ~(diagonal | plus), plus & diagonal
        distance += bool(up & top) - bool(down & top)
        up, down = (up << 1) | 1, down << 1
        plus, minus = (down | ~(diagonal | up)) & whole, up & diagonal & whole
    return distance


def words_of(text: str) -> frozenset[str]:
    """The different words of a text, whatever their case."""
    return frozenset(word.casefold() for word in _WORD.findall(text))


def shared(one: frozenset[str], other: frozenset[str]) -> float:
    """Share of the words of two texts that stand in both, in [0, 1] (the Jaccard index).

    >>> shared(words_of("Tea, please."), words_of("tea"))
    0.5
    """
    return len(one & other) / len(one | other) if one | other else 0.0


def _values(said: Any) -> list[str]:
    return [str(one) for one in (said if isinstance(said, list) else [said]) if one is not None and str(one).strip()]


def _stands_in(value: str, text: str) -> bool:
    """Whether a value stands in a text as a word, or as words.

    >>> _stands_in("left", "You vote LEFT."), _stands_in("left", "You went leftwards.")
    (True, False)
    """
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text, re.I) is not None
