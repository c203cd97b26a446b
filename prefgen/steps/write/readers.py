"""Checks that a model makes: what was written is read back, and must be understood as it was meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl
from jinja2 import TemplateError
from pydantic import Field, field_validator, model_validator

from prefgen.dialogues import Call, Dialogue
from prefgen.errors import one_of
from prefgen.judging.presentations import orders_of, shown
from prefgen.judging.prompts import MAX_TOKENS, as_sent
from prefgen.judging.readout import read
from prefgen.records import Request
from prefgen.schemas import LETTERS
from prefgen.spec.fields import Name
from prefgen.spec.fields import Spec as Part
from prefgen.spec.models import ModelSpec
from prefgen.spec.template import Blank, blank_of
from prefgen.steps.context import Context

YES_NO = ("yes", "no")
SAME = "same"


class Reader(Part):
    """One question about a row that was written, and what has to be answered."""

    ask: str = Field(
        min_length=1, description="Template of the question, over the row as it was written, and `element` of `each`."
    )
    options: str | list[str] = Field(
        "yes/no",
        description="`yes/no`, a list of answers, or a column with such lists; all but `yes/no` are shown with letters.",
    )
    want: str = Field(
        "",
        description="The answer that lets a row pass: its text, a column with it, or `same`: any, but every time the same; of `yes/no` by default yes.",
    )
    each: Name | None = Field(None, description="Column with a list: asked about every element, and each has to pass.")
    orders: Literal["given", "balanced"] = Field(
        "given", description="`balanced`: every answer stands in every place once."
    )
    repeats: int = Field(1, ge=1, le=100, description="Independent askings, at the temperature of the model.")
    least: float = Field(
        1.0, gt=0, le=1, description="Least share of orders and repeats with the answer that is wanted."
    )
    model: Name | None = Field(
        None, description="The model that reads, under `models:`; by default the one that wrote."
    )

    @field_validator("options", "want", mode="before")
    @classmethod
    def _words(cls, value: object) -> object:
        """YAML takes a bare `yes` for true."""
        if isinstance(value, list):
            return [YES_NO[not one] if isinstance(one, bool) else one for one in value]
        return YES_NO[not value] if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _fits(self) -> Reader:
        if self.options == "yes/no" and self.want not in ("", *YES_NO, SAME):
            raise ValueError(f"{self.want!r} is not answered to yes/no\nfix: want yes, no or same")
        if self.options != "yes/no" and not self.want:
            raise ValueError("`want` says which answer lets a row pass\nfix: write the text of one, a column, or same")
        if isinstance(self.options, list) and not 2 <= len(set(self.options)) == len(self.options) <= len(LETTERS):
            raise ValueError(f"a reader has 2 to {len(LETTERS)} different options\nfix: correct the list")
        if self.want == SAME and self.repeats == 1 and self.orders == "given":
            raise ValueError("one answer is always the same\nfix: write `repeats: 3` or `orders: balanced`")
        return self


@dataclass(frozen=True, slots=True)
class _Question:
    """One asking of a reader: the page, the symbols that may be answered, and the option that each stands for."""

    page: str
    symbols: tuple[str, ...]
    options: tuple[str, ...]
    repeat: int


@dataclass(frozen=True, slots=True)
class Readers:
    """The readers of a step by the reason that a row has which does not pass, with their templates compiled."""

    readers: Mapping[str, Reader]
    blanks: Mapping[str, Blank]
    context: Context

    @classmethod
    def of(cls, readers: Mapping[str, Reader], columns: pl.Schema, context: Context) -> Readers:
        """Compile the templates; SpecError for one that is none, or for a column that is not there.

        columns    of the rows as they are written and measured
        """
        blanks = {}
        for reason, reader in readers.items():
            try:
                blanks[reason] = blank_of(reader.ask)
            except TemplateError as error:
                raise context.error(("reader", reason, "ask"), f"not a template: {error}", "write {{ name }}") from None
            for key, name in (("each", reader.each), ("options", reader.options)):
                if isinstance(name, str) and name != "yes/no" and not isinstance(columns.get(name), pl.List):
                    lists = [one for one, kind in columns.items() if isinstance(kind, pl.List)]
                    fix = f"name {one_of(name, lists)}" if lists else "no column here has lists"
                    raise context.error(("reader", reason, key), f"{name!r} is no column with lists", fix)
            if isinstance(reader.options, list) and reader.want not in (*reader.options, SAME, *columns):
                fix = f"want {one_of(reader.want, [*reader.options, SAME])}, or a column with it"
                raise context.error(("reader", reason, "want"), f"{reader.want!r} is none of its options", fix)
        return cls(readers, blanks, context)

    def questions(self, reason: str, row: Mapping[str, Any]) -> list[list[_Question]]:
        """What a reader is asked about a row: all askings of every element, or of the row itself."""
        reader = self.readers[reason]
        elements = [{}] if reader.each is None else [{"element": one} for one in row[reader.each] or ()]
        options = _options(reader, row)
        return [list(self._askings(reason, {**row, **element}, options)) for element in elements if len(options) > 1]

    def _askings(self, reason: str, facts: Mapping[str, Any], options: tuple[str, ...]) -> Iterator[_Question]:
        reader = self.readers[reason]
        try:
            asked = self.blanks[reason].filled(facts).strip()
        except Exception as error:  # a stranger's template may raise anything
            at = ("reader", reason, "ask")
            fix = f"use the columns {', '.join([*facts][:20])}"
            raise self.context.error(at, f"{type(error).__name__}: {error}", fix) from None
        for order in orders_of(("balanced",), len(options), None) if reader.orders == "balanced" else ("given",):
            placed = tuple(options[place] for place in shown(order, len(options), None))
            symbols = placed if options == YES_NO else tuple(LETTERS[: len(placed)])
            for repeat in range(reader.repeats):
                yield _Question(_page(asked, symbols, placed), symbols, placed, repeat)

    def wanted(self, reason: str, row: Mapping[str, Any]) -> str:
        """The answer that lets a row pass."""
        want = self.readers[reason].want or YES_NO[0]
        return str(row[want]) if want in row and want not in _options(self.readers[reason], row) else want

    def passes(self, reason: str, row: Mapping[str, Any], said: Sequence[str | None]) -> bool:
        """Whether enough of all askings of one element have the answer that is wanted."""
        want = self.wanted(reason, row)
        counts = Counter(one for one in said if one is not None)
        most = max(counts.values(), default=0) if want == SAME else counts[want]
        return most >= self.readers[reason].least * len(said) - 1e-9


def read_back(
    readers: Readers, rows: Sequence[Mapping[str, Any]], writer: str, models: Mapping[str, ModelSpec]
) -> Dialogue[dict[int, str]]:
    """Rows that do not pass, by their place, with the reader's name; rows with a reason already are not read.

    writer    the model that reads where a reader names none
    """
    failed: dict[int, str] = {}
    for reason, reader in readers.readers.items():
        model = reader.model or writer
        left = [place for place, row in enumerate(rows) if row["reject_reason"] is None and place not in failed]
        asked = {place: readers.questions(reason, rows[place]) for place in left}
        calls = [Call(model, _request(one, reader, models[model])) for one in _flat(asked.values())]
        answers = iter((yield calls) if calls else ())
        for place, elements in asked.items():
            told = [[_answer(next(answers), one) for one in element] for element in elements]
            # A row of which nothing could be asked, for want of options, does not pass; one without elements does.
            unasked = not elements and len(_options(reader, rows[place])) < 2
            if unasked or not all(readers.passes(reason, rows[place], said) for said in told):
                failed[place] = reason
    return failed


def _flat(asked: Iterable[list[list[_Question]]]) -> Iterator[_Question]:
    return (one for elements in asked for element in elements for one in element)


def _options(reader: Reader, row: Mapping[str, Any]) -> tuple[str, ...]:
    if reader.options == "yes/no":
        return YES_NO
    said = row[reader.options] if isinstance(reader.options, str) else reader.options
    return tuple(map(str, said or ()))[: len(LETTERS)]


def _page(asked: str, symbols: Sequence[str], options: Sequence[str]) -> str:
    if tuple(symbols) == tuple(options):
        return f"{asked}\nReply with {' or '.join(symbols)} and nothing else."
    listed = "\n".join(f"{symbol}) {option}" for symbol, option in zip(symbols, options, strict=True))
    return f"{asked}\n\n{listed}\n\nReply with one of {', '.join(symbols)} and nothing else."


def _request(one: _Question, reader: Reader, model: ModelSpec) -> Request:
    return Request(
        model=model.model,
        revision=model.identity,
        messages=as_sent(
            (("user", one.page), ("assistant", "Answer:")), prefill=model.prefill, system_role=model.system_role
        ),
        readout="text",
        choices=one.symbols,
        temperature=model.temperature if reader.repeats > 1 else 0.0,
        top_p=model.top_p,
        max_tokens=model.max_tokens or MAX_TOKENS["text"],
        seed=model.seed,
        repeat=one.repeat,
    )


def _answer(response: Any, one: _Question) -> str | None:
    """The option that was answered; None for an answer that is none."""
    texts = () if one.symbols == one.options else one.options
    symbol = read(response, one.symbols, "text", texts).symbol
    return None if symbol is None else one.options[one.symbols.index(symbol)]


def asked_of(
    readers: Readers, rows: Iterable[Mapping[str, Any]], writers: Sequence[str]
) -> Iterator[tuple[str, int, int, str]]:
    """What readers would ask about rows: (model, different requests, their characters, one page), of rows that all pass so far."""
    seen: dict[str, dict[int, str]] = {}
    for row in rows:
        for reason, reader in readers.readers.items():
            model = reader.model or str(row.get("writer") or writers[0])
            for one in _flat([readers.questions(reason, row)]):
                seen.setdefault(model, {})[hash((one.page, one.symbols, one.repeat))] = one.page
    for model, pages in seen.items():
        yield model, len(pages), sum(map(len, pages.values())), next(iter(pages.values()))
