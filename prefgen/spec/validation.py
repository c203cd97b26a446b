"""Content as a checked object: what is wrong with it in words, at its key, with the nearest key or value there is."""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from prefgen.errors import SpecError, one_of, problem_and_fix
from prefgen.spec.document import Document, Key

M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], document: Document, data: Any, at: Key, context: object) -> M:
    """`data` (which stands at key `at` of `document`) as a `model`; every problem found is listed."""
    try:
        return model.model_validate(data, context=context)
    except ValidationError as error:
        found = problems_of(model, data, error)
        raise SpecError(*(document.complaint((*at, *key), problem, fix) for key, problem, fix in found)) from None


def problems_of(model: Any, data: Any, error: ValidationError) -> list[tuple[Key, str, str]]:
    """(key within `data`, problem, fix) of everything that does not fit, a line each; nothing is said twice.

    Where a value may be one of several things, only what is wrong with the nearest of them is said.
    """
    found: dict[Key, list[_Said]] = {}
    for one in error.errors():
        key = _key_of(data, one)
        said = _said(dict(one), partial(_keys_at, model, one["loc"]))
        if said not in found.setdefault(key, []):
            found[key].append(said)
    above = {key[:length] for key in found for length in range(len(key))}
    return [
        (key, *_in_one(said)) for key, said in found.items() if key not in above or not all(one.wanted for one in said)
    ]


class _Said(NamedTuple):
    """wanted    the type that the value should have had, where that is all"""

    problem: str
    fix: str
    wanted: str = ""


def _in_one(said: list[_Said]) -> tuple[str, str]:
    """What is said about one key; of several types that it might have had, all."""
    if len(said) > 1 and all(one.wanted for one in said):
        return said[0].problem + "".join(f", nor {one.wanted}" for one in said[1:]), said[0].fix
    return said[0].problem, said[0].fix


def _key_of(data: Any, error: Mapping[str, Any]) -> Key:
    """Where an error stands. pydantic mixes the names of union branches into `loc`; only parts of the data are keys."""
    inside: list[str | int] = []
    here = data
    parts = error["loc"]
    for position, part in enumerate(parts):
        if (isinstance(here, Mapping) and part in here) or (
            isinstance(here, list) and isinstance(part, int) and part < len(here)
        ):
            here = here[part]
        elif not (error["type"] == "missing" and position == len(parts) - 1):
            continue
        inside.append(part)
    tag = str(error.get("ctx", {}).get("discriminator", "")).strip("'")
    return (*inside, tag) if isinstance(here, Mapping) and tag in here else tuple(inside)


def _keys_at(model: Any, loc: Key) -> set[str]:
    """The keys that may stand beside the last part of `loc`."""
    here = list(_models_in(model))
    for part in loc[:-1]:
        fields = [field for one in here for name, field in one.model_fields.items() if part in (name, field.alias)]
        named = [one for one in here if part in (one.__name__, *_tags(one))]
        here = [one for field in fields for one in _models_in(field.annotation)] or named or here
    return {field.alias or name for one in here for name, field in one.model_fields.items() if not field.exclude}


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _models_in(part)


def _tags(model: type[BaseModel]) -> Iterator[str]:
    for field in model.model_fields.values():
        if typing.get_origin(field.annotation) is typing.Literal:
            yield from map(str, typing.get_args(field.annotation))


_TYPES = {
    "string_type": ("text", "quote it"),
    "int_type": ("a whole number", "write a number without quotes"),
    "int_parsing": ("a whole number", "write e.g. 3"),
    "int_from_float": ("a whole number", "write it without decimals"),
    "float_type": ("a number", "write a number without quotes"),
    "float_parsing": ("a number", "write e.g. 0.5"),
    "bool_type": ("true or false", "write true or false"),
    "bool_parsing": ("true or false", "write true or false"),
    "list_type": ("a list", "write [one, two]"),
    "tuple_type": ("a list", "write [one, two]"),
    "dict_type": ("a mapping", "write {key: value}"),
    "model_type": ("a mapping", "write {key: value}"),
    "model_attributes_type": ("a mapping", "write {key: value}"),
    "path_type": ("a path", "write the name of a file"),
    "none_required": ("empty", "leave it out"),
}
_LIMITS = {
    "greater_than": ("is too small: it must be above {gt}", "write a number above {gt}"),
    "greater_than_equal": ("is too small: it must be at least {ge}", "write at least {ge}"),
    "less_than": ("is too large: it must be below {lt}", "write a number below {lt}"),
    "less_than_equal": ("is too large: it must be at most {le}", "write at most {le}"),
    "too_short": ("has {actual_length} entries, at least {min_length}", "write at least {min_length}"),
    "too_long": ("has more than {max_length} entries", "write at most {max_length}"),
    "string_too_short": ("is too short: at least {min_length} characters", "write at least {min_length}"),
    "string_too_long": ("is too long: at most {max_length} characters", "write at most {max_length}"),
    "string_pattern_mismatch": ("is not of the form {pattern}", "write it in this form"),
    "finite_number": ("is no finite number", "write a number"),
    "string_unicode": ("holds half of a character", "write the whole character"),
    "int_parsing_size": ("is too large", "write a smaller number"),
}


def _said(error: Mapping[str, Any], keys: Callable[[], set[str]]) -> _Said:
    """What is wrong. keys gives the keys that may stand where this one stands."""
    kind, ctx, value = error["type"], error.get("ctx") or {}, error.get("input")
    if kind == "extra_forbidden":
        known = keys()
        return _Said("unknown key", f"use {one_of(error['loc'][-1], known)}" if known else "take it out")
    if kind == "missing":
        return _Said("missing", "add this key")
    if kind in ("literal_error", "enum", "union_tag_invalid"):
        allowed = re.findall(r"'([^']*)'", str(ctx.get("expected") or ctx.get("expected_tags") or ""))
        wrong = ctx.get("tag", value)
        return _Said(f"{short(wrong)} is not allowed", f"use {one_of(wrong, allowed)}")
    if kind == "union_tag_not_found":
        return _Said(
            f"the key {ctx.get('discriminator')} is missing", f"add {str(ctx.get('discriminator')).strip(chr(39))}"
        )
    if kind in ("value_error", "assertion_error"):
        problem, fix = problem_and_fix(ctx.get("error", error["msg"]))
        return _Said(problem, fix or "change this value")
    if kind in _TYPES:
        wanted, fix = _TYPES[kind]
        return _Said(f"{short(value)} is not {wanted}", fix, wanted)
    if kind in _LIMITS:
        problem, fix = (text.format(**ctx) for text in _LIMITS[kind])
        return _Said(f"{short(value)} {problem}", fix)
    message = str(error["msg"])
    return _Said(f"{short(value)}: {message[:1].lower()}{message[1:]}", "change this value")


def short(value: object) -> str:
    """A value in a sentence."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
