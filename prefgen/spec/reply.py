"""What a model is to reply: a text, or fields of declared types, or a list of either; as YAML, JSON schema, and columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson
import polars as pl

from prefgen.spec.fields import is_name
from prefgen.spec.reply_types import RANGE, WORDS, Choice, Fields, Many, Plain, Range, ReplyError, Type, short

_MOST_DEPTH = 4
_VECTOR = Plain("vector")


@dataclass(frozen=True)  # no slots: its JSON schema, which every request has, is written once
class Reply:
    """What one row is asked to be written.

    fields    the columns
    many      whether it is a list of them, one row each
    """

    fields: Fields
    many: bool = False

    @property
    def is_prose(self) -> bool:
        """Whether the reply is one text, written as such and not as JSON."""
        return self._is_one(Plain("text"))

    @property
    def is_vector(self) -> bool:
        """Whether it is what an embedding model makes of a text: nothing is asked, and nothing said."""
        return self._is_one(_VECTOR)

    def _is_one(self, kind: Type) -> bool:
        return not self.many and [one for _, one in self.fields.types] == [kind]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns."""
        return tuple(name for name, _ in self.fields.types)

    @property
    def columns(self) -> dict[str, pl.DataType]:
        """The columns with their types."""
        return {name: kind.dtype for name, kind in self.fields.types}

    @cached_property
    def schema(self) -> str:
        """The JSON schema that a server can hold a reply to, as JSON; '' for prose and vectors."""
        if self.is_prose or self.is_vector:
            return ""
        one = self.fields.schema
        if self.many:
            one = Fields((("rows", Many(self.fields)),)).schema
        return orjson.dumps(one, option=orjson.OPT_SORT_KEYS).decode()

    def asked(self, count: int | None = None) -> str:
        """The sentence that asks for it; '' for prose and vectors."""
        if self.is_prose or self.is_vector:
            return ""
        shape = f'{{"rows": [{self.fields.shown()}, ...]}}' if self.many else self.fields.shown()
        number = f" with exactly {count} rows" if self.many and count else ""
        return f"Reply with JSON and nothing else{number}: {shape}"

    def read(self, text: str) -> list[dict[str, Any]]:
        """The rows that a reply has. Raises ReplyError for text that is not of this type; it is never repaired."""
        if self.is_prose:
            return [{self.names[0]: text}]
        said = _json_in(text)
        if self.is_vector:
            return [{self.names[0]: _VECTOR.read(said)}]
        if not self.many:
            return [self.fields.read(said)]
        rows = said.get("rows", next(iter(said.values()), None)) if isinstance(said, dict) and len(said) == 1 else said
        if not isinstance(rows, list) or not rows:
            raise ReplyError("it holds no list of rows")
        single = self.names[0] if len(self.names) == 1 else None
        wrapped = ({single: row} if single is not None and not isinstance(row, dict) else row for row in rows)
        return [self.fields.read(row) for row in wrapped]


def reply_of(said: Any) -> Reply:
    """The reply that `write:` declares: a name (one text), `{name: type}`, `[name]` or `[{name: type}]` (a list of rows).

    Types: `text`, `number`, `yes/no`, `json`, `1..5`, `[word, word]` (one of these), `[text]` (a list), `{name: type}`; and `vector`,
    which stands alone.
    Raises ValueError, with a `fix:` on its second line.

    >>> reply_of({"score": "1..5", "why": "text"}).asked()
    'Reply with JSON and nothing else: {"score": a whole number from 1 to 5, "why": "..."}'
    """
    if isinstance(said, list) and len(said) == 1 and isinstance(said[0], str | dict):
        reply = Reply(_fields(said[0] if isinstance(said[0], dict) else {said[0]: "text"}), many=True)
    elif isinstance(said, str | dict):
        reply = Reply(_fields(said if isinstance(said, dict) else {said: "text"}))
    else:
        raise ValueError(
            f"{short(said)} says nothing that can be written\nfix: write e.g. `response`, `{{score: 1..5}}` or `[prompt]`"
        )
    if _has_vector(reply.fields) and not reply.is_vector:
        raise ValueError("no model says a vector\nfix: write it in a step of its own, `{name: vector}`")
    return reply


def _has_vector(kind: Type) -> bool:
    if isinstance(kind, Fields):
        return any(_has_vector(one) for _, one in kind.types)
    return kind == _VECTOR or (isinstance(kind, Many) and _has_vector(kind.of))


def _fields(said: Mapping[Any, Any], depth: int = 0) -> Fields:
    if not said:
        raise ValueError("there is nothing to write\nfix: name a column, e.g. `{response: text}`")
    if depth > _MOST_DEPTH:
        raise ValueError(f"fields within fields, {depth} deep\nfix: write at most {_MOST_DEPTH}, or `json`")
    return Fields(tuple(_field(name, kind, depth) for name, kind in said.items()))


def _field(name: Any, said: Any, depth: int) -> tuple[str, Type]:
    if not isinstance(name, str) or not is_name(name):
        raise ValueError(f"{name!r} is no name of a column\nfix: use letters, digits and `_`")
    return name, _type(said, depth)


def _type(said: Any, depth: int = 0) -> Type:
    if isinstance(said, dict):
        return _fields(said, depth + 1)
    if isinstance(said, list):
        return _list(said, depth)
    if said in WORDS:
        return Plain(str(said))
    found = RANGE.fullmatch(str(said))
    if found is not None and int(found[1]) < int(found[2]):
        return Range(int(found[1]), int(found[2]))
    raise ValueError(
        f"{short(said)} is no type\nfix: use text, number, yes/no, json, vector, 1..5, [word, word], [text] or {{name: type}}"
    )


def _list(said: list[Any], depth: int) -> Type:
    if len(said) == 1 and (isinstance(said[0], dict) or said[0] in WORDS or RANGE.fullmatch(str(said[0]))):
        return Many(_type(said[0], depth))
    words = tuple(_word(one) for one in said)
    if len(words) < 2 or len({word.casefold() for word in words}) < len(words):
        raise ValueError("a choice needs two different words\nfix: write e.g. [low, high]")
    return Choice(words)


def _word(said: Any) -> str:
    if isinstance(said, bool):  # YAML 1.1 reads yes and no as true and false
        return "yes" if said else "no"
    if isinstance(said, str | int | float) and str(said).strip():
        return str(said)
    raise ValueError(f"{short(said)} is no word to choose\nfix: quote it")


def _json_in(text: str) -> Any:
    """The JSON that a reply is, a fence around it and words before and after it aside where there is one value only."""
    bare = text.strip()
    fenced = re.fullmatch(r"```(?:json)?\s*\n(.*?)\n?```", bare, re.S | re.I)
    bare = fenced[1] if fenced else bare
    for piece in (bare, *_braced(bare)):
        try:
            return orjson.loads(piece)
        except orjson.JSONDecodeError:
            continue
    raise ReplyError("it is not JSON")


def _braced(text: str) -> Iterator[str]:
    """What stands from the first bracket to the last: a model may say a sentence around it."""
    for opening, closing in ("{}", "[]"):
        begin, end = text.find(opening), text.rfind(closing)
        if 0 <= begin < end:
            yield text[begin : end + 1]
