"""Checks that a model makes: what was written is read back, and must be understood as it was meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl
from jinja2 import TemplateError

from prefgen.dialogues import Call, Dialogue
from prefgen.errors import one_of
from prefgen.judging.items import not_items
from prefgen.judging.presentations import orders_of, shown
from prefgen.judging.prompts import MAX_TOKENS, Messages, Prompts
from prefgen.judging.readout import read
from prefgen.judging.requests import request_of
from prefgen.records import Request
from prefgen.schemas import LETTERS
from prefgen.spec.models import ModelSpec
from prefgen.spec.template import Blank, blank_of
from prefgen.steps.context import Context
from prefgen.steps.table.glue import kept
from prefgen.steps.write.different import Different
from prefgen.steps.write.reader import SAME, YES_NO, Reader
from prefgen.store.table import Table


@dataclass(frozen=True, slots=True)
class _Question:
    """One asking of a reader: what is sent, the symbols that may be answered, and the option that each stands for."""

    system: Messages
    page: str
    symbols: tuple[str, ...]
    options: tuple[str, ...]
    repeat: int


@dataclass(frozen=True, slots=True)
class _Asked:
    """All askings about one thing: the row, an element of its list, or an item.

    about    the question, without its options
    want     the answer that lets the row pass, or `same`
    """

    about: str
    want: str
    askings: tuple[_Question, ...]

    def passes(self, said: Sequence[str | None], least: float) -> bool:
        """Whether enough of all askings have the answer that is wanted."""
        counts = Counter(one for one in said if one is not None)
        most = max(counts.values(), default=0) if self.want == SAME else counts[self.want]
        return most >= least * len(said) - 1e-9


@dataclass(frozen=True, slots=True)
class Faults:
    """What readers found.

    reasons    the reader that a row did not pass, by the row's place
    about      what it was asked where it did not, a line each, by the reader
    """

    reasons: Mapping[int, str]
    about: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Readers:
    """The readers of a step by the reason that a row has which does not pass, with their templates compiled."""

    readers: Mapping[str, Reader]
    blanks: Mapping[str, Blank]
    items: Mapping[str, Sequence[dict[str, Any]]]
    portrait: Prompts
    context: Context

    @classmethod
    def of(
        cls, readers: Mapping[str, Reader], columns: pl.Schema, tables: Mapping[str, Table], context: Context
    ) -> Readers:
        """Compile the templates; SpecError for one that is none, or for a column that is not there.

        columns    of the rows as they are written and measured
        """
        blanks, items = {}, {}
        for reason, reader in readers.items():
            fail = partial(_fail, context, reason)
            if reader.as_ is not None and columns.get(reader.as_) != pl.String:
                raise fail("as", f"no column {reader.as_!r} of texts", f"name {one_of(reader.as_, list(columns))}")
            if reader.items is not None:
                items[reason] = _items_of(tables[reader.items], reader, columns, fail)
                continue
            try:
                blanks[reason] = blank_of(reader.ask or "")
            except TemplateError as error:
                raise fail("ask", f"not a template: {error}", "write {{ name }}") from None
            _check_columns(reader, columns, fail)
        return cls(readers, blanks, items, Prompts.load(readout="text", extra=()), context)

    def questions(self, reason: str, row: Mapping[str, Any]) -> list[_Asked]:
        """What a reader is asked about a row: about every item or element, or about the row itself."""
        reader = self.readers[reason]
        system = self.portrait.system(row[reader.as_] or "") if reader.as_ is not None else ()
        if reader.items is not None:
            return [
                _asked(reader, system, item["prompt"], tuple(item["options"]), _wanted(reader, {**row, **item}, ()))
                for item in self.items[reason]
            ]
        options = _options(reader, row)
        if len(options) < 2:
            return []
        elements = [{}] if reader.each is None else [{"element": one} for one in row[reader.each] or ()]
        want = _wanted(reader, row, options)
        return [
            _asked(reader, system, self._page(reason, {"written": row, **row, **element}), options, want)
            for element in elements
        ]

    def _page(self, reason: str, facts: Mapping[str, Any]) -> str:
        try:
            return self.blanks[reason].filled(facts).strip()
        except Exception as error:  # a stranger's template may raise anything
            fix = f"use the columns {', '.join([*facts][:20])}"
            raise _fail(self.context, reason, "ask", f"{type(error).__name__}: {error}", fix) from None


def _fail(context: Context, reason: str, key: str, problem: str, fix: str) -> Exception:
    return context.error(("reader", reason, key), problem, fix)


def _items_of(table: Table, reader: Reader, columns: pl.Schema, fail: Any) -> Sequence[dict[str, Any]]:
    """The kept items that a reader is asked."""
    wrong = not_items(list(table.schema))
    if wrong is not None:
        raise fail("items", f"{table.name!r} has no items: {wrong[0]}", wrong[1])
    if reader.want != SAME and reader.want not in {*columns, *table.schema}:
        fix = f"want {one_of(reader.want, [SAME, *table.schema])}, a column with the text of an option"
        raise fail("want", f"{reader.want!r} is no column of {table.name!r}", fix)
    wanted = [] if reader.want == SAME or reader.want not in table.schema else [reader.want]
    return kept(table).select("prompt", "options", *wanted).to_dicts()


def _check_columns(reader: Reader, columns: pl.Schema, fail: Any) -> None:
    for key, name in (("each", reader.each), ("options", reader.options)):
        if isinstance(name, str) and name != "yes/no" and not isinstance(columns.get(name), pl.List):
            lists = [one for one, kind in columns.items() if isinstance(kind, pl.List)]
            fix = f"name {one_of(name, lists)}" if lists else "no column here has lists"
            raise fail(key, f"{name!r} is no column with lists", fix)
    if isinstance(reader.options, list) and reader.want not in (*reader.options, SAME, *columns):
        fix = f"want {one_of(reader.want, [*reader.options, SAME])}, or a column with it"
        raise fail("want", f"{reader.want!r} is none of its options", fix)


def _asked(reader: Reader, system: Messages, about: str, options: tuple[str, ...], want: str) -> _Asked:
    return _Asked(about, want, tuple(_askings(reader, system, about, options)))


def _askings(reader: Reader, system: Messages, asked: str, options: tuple[str, ...]) -> Iterator[_Question]:
    for order in orders_of(reader.rules, len(options), None):
        placed = tuple(options[place] for place in shown(order, len(options), None))
        symbols = placed if options == YES_NO else tuple(LETTERS[: len(placed)])
        for repeat in range(reader.repeats):
            yield _Question(system, _page(asked, symbols, placed), symbols, placed, repeat)


def _wanted(reader: Reader, row: Mapping[str, Any], options: Sequence[str]) -> str:
    """The answer that lets a row pass."""
    want = reader.want or YES_NO[0]
    return str(row[want]) if want in row and want not in options else want


def read_back(
    readers: Readers, rows: Sequence[Mapping[str, Any]], writer: str, models: Mapping[str, ModelSpec]
) -> Dialogue[Faults]:
    """Rows that do not pass; those with a reason already are not read.

    writer    the model that reads where a reader names none
    """
    failed: dict[int, str] = {}
    about: dict[str, str] = {}
    for reason, reader in readers.readers.items():
        model = reader.model or writer
        left = [place for place, row in enumerate(rows) if row["reject_reason"] is None and place not in failed]
        asked = {place: readers.questions(reason, rows[place]) for place in left}
        calls = [Call(model, _request(one, reader, models[model])) for one in _flat(asked.values())]
        answers = iter((yield calls) if calls else ())
        wrong: list[str] = []
        for place, things in asked.items():
            told = [(one, [_answer(next(answers), asking) for asking in one.askings]) for one in things]
            missed = [one.about for one, said in told if not one.passes(said, reader.least)]
            # A row of which nothing could be asked, for want of options, does not pass; one without elements does.
            unasked = not things and reader.items is None and len(_options(reader, rows[place])) < 2
            if missed or unasked:
                failed[place] = reason
                wrong += missed
        about[reason] = "\n".join(dict.fromkeys(wrong))
    return Faults(failed, about)


def _flat(asked: Iterable[list[_Asked]]) -> Iterator[_Question]:
    return (one for things in asked for thing in things for one in thing.askings)


def _options(reader: Reader, row: Mapping[str, Any]) -> tuple[str, ...]:
    """What may be answered about a row: of columns what they say, of which two that say the same can be told by nobody."""
    if reader.options == "yes/no":
        return YES_NO
    said = row[reader.options] if isinstance(reader.options, str) else reader.options
    if isinstance(reader.options, list) and all(name in row for name in reader.options):
        said = [row[name] for name in reader.options]
        if None in said or len({*said}) < len(said):
            return ()
    return tuple(map(str, said or ()))[: len(LETTERS)]


def _page(asked: str, symbols: Sequence[str], options: Sequence[str]) -> str:
    if tuple(symbols) == tuple(options):
        return f"{asked}\nReply with {' or '.join(symbols)} and nothing else."
    listed = "\n".join(f"{symbol}) {option}" for symbol, option in zip(symbols, options, strict=True))
    return f"{asked}\n\n{listed}\n\nReply with one of {', '.join(symbols)} and nothing else."


def _request(one: _Question, reader: Reader, model: ModelSpec) -> Request:
    messages = (*one.system, ("user", one.page), ("assistant", "Answer:"))
    told = {"choices": one.symbols, "temperature": model.temperature if reader.repeats > 1 else 0.0}
    return request_of(model, messages, "text", most=MAX_TOKENS["text"], repeat=one.repeat, **told)


def _answer(response: Any, one: _Question) -> str | None:
    """The option that was answered; None for an answer that is none."""
    texts = () if one.symbols == one.options else one.options
    symbol = read(response, one.symbols, "text", texts).symbol
    return None if symbol is None else one.options[one.symbols.index(symbol)]


def asked_of(
    readers: Readers, rows: Iterable[Mapping[str, Any]], writers: Sequence[str]
) -> Iterator[tuple[str, Different]]:
    """What readers would ask each model about rows that all pass so far."""
    found: dict[str, Different] = {}
    for row in rows:
        for reason, reader in readers.readers.items():
            model = reader.model or str(row.get("writer") or writers[0])
            for one in _flat([readers.questions(reason, row)]):
                messages = (*one.system, ("user", one.page))
                found.setdefault(model, Different()).add(messages, one.symbols, one.repeat, tokens=2)
    yield from found.items()
