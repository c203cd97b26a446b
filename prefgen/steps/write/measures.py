"""Numbers about what was written, by which it can be kept or dropped."""

from __future__ import annotations

import re
from typing import Any

import polars as pl
from pydantic import Field, model_validator

from prefgen.judging.prose import count_sentences
from prefgen.spec.fields import Name
from prefgen.spec.fields import Spec as Part

_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")


class Measure(Part):
    """One measure of a row."""

    words: Name | None = Field(None, description="Words of a text.")
    sentences: Name | None = Field(None, description="Sentences of a text.")
    overlap: Name | None = Field(
        None, description="Share of the different words of two texts that stand in both, in [0, 1]."
    )
    with_: Name | None = Field(None, alias="with", description="`overlap`: the other text.")
    says: Name | None = Field(None, description="How many of the values of `of` stand in a text, whatever their case.")
    of: list[Name] = Field(
        default_factory=list, description="`says`: columns with what is looked for; a list counts each of its values."
    )

    @model_validator(mode="after")
    def _one(self) -> Measure:
        if sum(one is not None for one in (self.words, self.sentences, self.overlap, self.says)) != 1:
            raise ValueError("a measure is one of words, sentences, overlap, says\nfix: write e.g. `{words: response}`")
        if (self.overlap is None) != (self.with_ is None) or (self.says is None) != (not self.of):
            raise ValueError(
                "`overlap` goes with `with`, and `says` with `of`\nfix: write e.g. `{overlap: a, with: b}`"
            )
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it looks at."""
        return tuple(filter(None, (self.words, self.sentences, self.overlap, self.with_, self.says, *self.of)))

    def of_rows(self, rows: pl.DataFrame) -> pl.Series:
        """The number of every row; null where a text is."""
        values = [self._of(row) for row in rows.select(list(dict.fromkeys(self.columns))).iter_rows(named=True)]
        return pl.Series(values, dtype=pl.Float64 if self.overlap else pl.Int64)

    def _of(self, row: dict[str, Any]) -> float | None:
        text = row[self.words or self.sentences or self.overlap or self.says or ""]
        if text is None:
            return None
        if self.words:
            return len(_WORD.findall(text))
        if self.sentences:
            return count_sentences(text)
        if self.says:
            return sum(_stands_in(value, text) for name in self.of for value in _values(row[name]))
        other = row[self.with_ or ""]
        if other is None:
            return None
        return shared(words_of(text), words_of(other))


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
