"""Types of what a model replies: each as a JSON schema, as a column, and as words for the model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson
import polars as pl

RANGE = re.compile(r"(-?\d{1,9})\.\.(-?\d{1,9})")
WORDS: dict[str, pl.DataType] = {
    "text": pl.String(),
    "number": pl.Float64(),
    "yes/no": pl.Boolean(),
    "json": pl.String(),
    "vector": pl.List(pl.Float32()),
}


_SHOWN = {
    "text": '"..."',
    "number": "a number",
    "yes/no": "true or false",
    "json": "any JSON",
    "vector": "[a number, ...]",
}


_SCHEMAS: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "number": {"type": "number"},
    "yes/no": {"type": "boolean"},
    "json": {},
    "vector": {"type": "array", "items": {"type": "number"}},
}


class ReplyError(ValueError):
    """A reply that is not of its type; what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Plain:
    """`text`, `number`, `yes/no`, `json` (any JSON, kept as text) or `vector` (what an embedding model makes of a text)."""

    word: str

    @property
    def dtype(self) -> pl.DataType:
        return WORDS[self.word]

    @property
    def schema(self) -> dict[str, Any]:
        return dict(_SCHEMAS[self.word])

    def shown(self) -> str:
        """The type for people and models."""
        return _SHOWN[self.word]

    def read(self, said: Any) -> Any:
        """The value; ReplyError for one of another type."""
        if self.word == "json":
            return orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode()
        if self.word == "number" and _is_number(said):
            return float(said)
        if self.word == "yes/no" and isinstance(said, str) and said.strip().lower() in ("yes", "no"):
            return said.strip().lower() == "yes"
        if (self.word == "text" and isinstance(said, str) and said.strip()) or (
            self.word == "yes/no" and isinstance(said, bool)
        ):
            return said.strip() if isinstance(said, str) else said
        if self.word == "vector" and isinstance(said, list) and said and all(map(_is_number, said)):
            import numpy as np  # as small as they are in the column; few replies are vectors

            return np.asarray(said, dtype=np.float32)
        raise ReplyError(f"{short(said)} is not {self.word}")


@dataclass(frozen=True, slots=True)
class Range:
    """A whole number from `low` to `high`, both included."""

    low: int
    high: int

    @property
    def dtype(self) -> pl.DataType:
        return pl.Int64()

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}

    def shown(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    def read(self, said: Any) -> int:
        """The number; ReplyError for another one, and for what is none."""
        if isinstance(said, str) and re.fullmatch(r"\s*-?\d{1,9}\s*", said):
            said = int(said)
        if isinstance(said, float) and said.is_integer():
            said = int(said)
        if isinstance(said, int) and not isinstance(said, bool) and self.low <= said <= self.high:
            return said
        raise ReplyError(f"{short(said)} is not from {self.low} to {self.high}")


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words."""

    words: tuple[str, ...]

    @property
    def dtype(self) -> pl.DataType:
        return pl.String()

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.words)}

    def shown(self) -> str:
        return "one of " + ", ".join(f'"{word}"' for word in self.words)

    def read(self, said: Any) -> str:
        """The word as declared, whatever its case; ReplyError for another."""
        for word in self.words:
            if isinstance(said, str) and said.strip().casefold() == word.casefold():
                return word
        raise ReplyError(f"{short(said)} is not one of {', '.join(self.words)}")


@dataclass(frozen=True, slots=True)
class Many:
    """A list of values of one type."""

    of: Type

    @property
    def dtype(self) -> pl.DataType:
        return pl.List(self.of.dtype)

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": self.of.schema}

    def shown(self) -> str:
        return f"[{self.of.shown()}, ...]"

    def read(self, said: Any) -> list[Any]:
        """The values; ReplyError for what is no list, and for a value of another type."""
        if not isinstance(said, list):
            raise ReplyError(f"{short(said)} is no list")
        return [self.of.read(one) for one in said]


@dataclass(frozen=True, slots=True)
class Fields:
    """Values by name."""

    types: tuple[tuple[str, Type], ...]

    @property
    def dtype(self) -> pl.DataType:
        return pl.Struct({name: kind.dtype for name, kind in self.types})

    @property
    def schema(self) -> dict[str, Any]:
        properties = {name: kind.schema for name, kind in self.types}
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    def shown(self) -> str:
        return "{" + ", ".join(f'"{name}": {kind.shown()}' for name, kind in self.types) + "}"

    def read(self, said: Any) -> dict[str, Any]:
        """The values, further ones left out; ReplyError for a missing one, and for one of another type."""
        if not isinstance(said, dict):
            raise ReplyError(f"{short(said)} is no JSON object")
        values = {}
        for name, kind in self.types:
            if name not in said:
                raise ReplyError(f"{name!r} is missing")
            try:
                values[name] = kind.read(said[name])
            except ReplyError as error:
                raise ReplyError(f"{name}: {error}") from None
        return values


Type: TypeAlias = Plain | Range | Choice | Many | Fields


def _is_number(said: Any) -> bool:
    return isinstance(said, int | float) and not isinstance(said, bool)


def short(said: Any) -> str:
    shown = repr(said)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
