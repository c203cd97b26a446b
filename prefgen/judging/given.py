"""Judgments that people gave themselves: their answers, read as choices among the options of items."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from prefgen.ids import content_id
from prefgen.judging.judgments import assembled, p_fields, row_schema
from prefgen.schemas import LETTERS

GIVEN = "given"
"""The readout of such judgments: nobody was asked anew, and where the options stood is not known, so there are no slots."""

Share = list[float]
"""Probability of every option of an item, then of each answer offered besides; they sum to 1."""


class UnreadableError(Exception):
    """An answer that is none of those offered.

    row    0-based, among those handed in
    """

    def __init__(self, row: int, said: str, options: Sequence[str]) -> None:
        super().__init__(said)
        self.row, self.said, self.options = row, said, options


def named(said: pl.Series, options: pl.Series, extra: Sequence[str]) -> list[Share | None]:
    """What rows answer that name one option each; None where a row names none.

    said       texts or whole numbers; null where there is no answer
    options    the options of each row
    extra      `tie` and `na`, where they may be answered

    The whole column is read in one way: as texts of options where all of it can be, else as letters, else as places from 0.
    Raises UnreadableError for the first row that stands in the way of the reading that comes furthest.
    """
    if said.dtype.is_float() and (said.drop_nulls() == said.drop_nulls().round()).all():
        said = said.cast(pl.Int64)  # whole numbers that a file has as 1.0
    texts = [None if one is None or not one.strip() else one.strip() for one in said.cast(pl.String)]
    lists = options.to_list()
    failed: list[int] = []
    for read in (_as_text, _as_letter, _as_place):
        places = [
            None if text is None else _place(text, of, extra, read) for text, of in zip(texts, lists, strict=True)
        ]
        wrong = next((row for row, place in enumerate(places) if place is None and texts[row] is not None), None)
        if wrong is None:
            return [
                None if place is None else [float(k == place) for k in range(len(of) + len(extra))]
                for place, of in zip(places, lists, strict=True)
            ]
        failed.append(wrong)
    row = max(failed)
    raise UnreadableError(row, texts[row] or "", lists[row])


def _place(text: str, options: Sequence[str], extra: Sequence[str], read: Callable[..., int | None]) -> int | None:
    place = read(text, options)
    if place is None and text.casefold() in extra:
        return len(options) + extra.index(text.casefold())
    return place


def _as_text(text: str, options: Sequence[str]) -> int | None:
    return next((place for place, option in enumerate(options) if option.strip() == text), None)


def _as_letter(text: str, options: Sequence[str]) -> int | None:
    place = LETTERS.find(text) if len(text) == 1 else -1
    return place if 0 <= place < len(options) else None


def _as_place(text: str, options: Sequence[str]) -> int | None:
    return int(text) if text.isdecimal() and int(text) < len(options) else None


def preferred(rated: pl.Series, extra: Sequence[str]) -> list[Share | None]:
    """What rows answer that have a number, or true and false, for every option: the best, or all that are as good; None where one is missing.

    >>> preferred(pl.Series([[1, 4], [3, 3], [None, 2]]), ())
    [[0.0, 1.0], [0.5, 0.5], None]
    """
    return [_best(numbers, len(extra)) for numbers in rated.cast(pl.List(pl.Float64)).to_list()]


def _best(numbers: list[float | None] | None, n_extra: int) -> Share | None:
    known = [number for number in numbers or () if number is not None and number == number]
    if not numbers or len(known) < len(numbers):
        return None
    top = max(known)
    at_top = known.count(top)
    return [1 / at_top if number == top else 0.0 for number in known] + [0.0] * n_extra


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers of people to items, those of one person to one item side by side.

    personas, items    the tables
    persona, item      rows of them, of every answer
    repeat             how many answers of the person to the item stand before, from 0
    extra              answers offered besides the options, in capitals
    """

    personas: pl.DataFrame
    items: pl.DataFrame
    persona: pl.Series
    item: pl.Series
    repeat: pl.Series
    shares: Sequence[Share]
    extra: tuple[str, ...] = ()

    def slices(self, size: int) -> Iterator[slice]:
        """About `size` answers at a time, never cutting through those of one person to one item."""
        group = pl.DataFrame([self.persona.alias("p"), self.item.alias("i")]).select(pl.struct("p", "i").rle_id())
        ids, start = group.to_series(), 0
        while start < len(ids):
            end = min(start + size, len(ids))
            while end < len(ids) and ids[end] == ids[end - 1]:
                end += 1
            yield slice(start, end)
            start = end

    def judgments(self, some: slice) -> pl.DataFrame:
        """Judgments without measures, one an answer."""
        persona, item, repeat = (one[some].cast(pl.UInt32) for one in (self.persona, self.item, self.repeat))
        people, questions = self.personas["persona_id"].gather(persona), self.items["item_id"].gather(item)
        neither = self.items["neither"].gather(item)
        letters = LETTERS[: max(self.items["options"].list.len(), default=0)]
        names = p_fields(letters, self.extra)
        told = zip(self.shares[some], neither, strict=True)
        rows = [_row(share, place, names, self.extra) for share, place in told]
        ids = [content_id("jdg", (GIVEN, *one)) for one in zip(people, questions, repeat, strict=True)]
        schema = row_schema(names)
        frame = pl.DataFrame(rows, schema={name: schema[name] for name in _OF_ROW}, orient="row").with_columns(
            pl.Series("judgment_id", ids, pl.String),
            repeat.cast(pl.Int64).alias("repeat"),
            pl.lit("given").alias("order"),
            pl.lit(GIVEN).alias("readout"),
            pl.lit(GIVEN).alias("model"),
        )
        frame = frame.with_columns(
            pl.lit(None, dtype=kind).alias(name) for name, kind in schema.items() if name not in frame
        )
        return assembled(self.personas, self.items, persona, item, frame)


_OF_ROW = ("choice", "status", "p", "neither")


def _row(share: Share, neither: int | None, names: Sequence[str], extra: Sequence[str]) -> tuple[Any, ...]:
    k = len(share) - len(extra)
    absent = [None] * (len(names) - len(share))
    p = dict(zip(names, (*share[:k], *absent, *share[k:]), strict=True))
    best = max(share)
    alone = share.index(best) if share.count(best) == 1 else None
    if alone is None or alone >= k:
        word = "tie" if alone is None else extra[alone - k].lower()
        return None, word, p, _letter(neither)
    return LETTERS[alone], "na" if alone == neither else "ok", p, _letter(neither)


def _letter(place: int | None) -> str | None:
    return None if place is None else LETTERS[place]
