"""One YAML file, read safely, remembering on which line every key stands."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from pydantic import BaseModel, ValidationError

from prefgen.errors import Complaint, SpecError, one_of

Key = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)

_MAX_BYTES = 4 << 20  # a spec is written by hand; rows belong into tables
_MAX_NODES = 200_000  # aliases included, so that a few lines cannot unfold into gigabytes
_MAX_DEPTH = 60


# The C parser is ten times as fast; where PyYAML was built without it, its own does the same.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Yaml12(_SafeLoader):  # type: ignore[misc]
    """Safe YAML with the 1.2 core types only: `no`, `on`, `12:30` and `2020-01-01` stay text."""


_Yaml12.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?[0-9]+$", list("-+0123456789")),
    ("float", r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)$", list("-+.0123456789")),
    ("merge", r"^<<$", ["<"]),
):
    _Yaml12.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


@dataclass(frozen=True, slots=True)
class Document:
    """The content of one YAML file, the 1-based line of every key in it, and the text of every value as written."""

    path: Path
    data: Any
    lines: Mapping[Key, int] = field(repr=False)
    written: Mapping[Key, str] = field(default_factory=dict, repr=False)

    def as_written(self, key: Key, value: Any) -> Any:
        """`value` (which stands at `key`) with numbers and truth values as the text written: `01`, `TRUE`, `1e3`."""
        if isinstance(value, Mapping):
            return {name: self.as_written((*key, name), inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.as_written((*key, place), inner) for place, inner in enumerate(value)]
        return self.written.get(key, value) if isinstance(value, bool | int | float) else value

    def complaint(self, key: Key, problem: str, fix: str) -> Complaint:
        """A complaint about `key`, at its line or at the line of the nearest key above it."""
        at = key
        while at and at not in self.lines:
            at = at[:-1]
        return Complaint(str(self.path), self.lines.get(at, 1), dotted(key), problem, fix)

    def error(self, key: Key, problem: str, fix: str) -> SpecError:
        """`complaint` as an exception."""
        return SpecError(self.complaint(key, problem, fix))


def dotted(key: Key) -> str:
    """A key as people write it.

    >>> dotted(("steps", "items", "options", 0))
    'steps.items.options[0]'
    """
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def read_document(path: Path) -> Document:
    """Read one YAML file; every way in which it can be broken is a SpecError naming the line."""
    text = _read_text(path)
    try:
        node = yaml.compose(text, Loader=_Yaml12)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = f"not valid YAML: {error.problem or error.context}"
        raise _whole(path, line, problem, "mend the YAML at this line; indent with spaces") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else "it holds characters YAML forbids"
        raise _whole(path, 1, f"not valid YAML: {why}", "write plain, readable YAML") from None
    if node is None:
        raise _whole(path, 1, "the file is empty", "write the spec; docs/reference.md lists every key")
    lines: dict[Key, int] = {}
    written: dict[Key, str] = {}
    _Walk(path, lines, written).visit(node, ())
    loader = _Yaml12("")
    try:
        data = loader.construct_document(node)
    except (yaml.MarkedYAMLError, ValueError, RecursionError) as error:
        problem = getattr(error, "problem", None) or "a value cannot be read"
        mark = getattr(error, "problem_mark", None)
        raise _whole(
            path,
            mark.line + 1 if mark else 1,
            f"not valid YAML: {problem}",
            "use plain scalars, lists and mappings",
        ) from None
    return Document(path, data, lines, written)


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            size = path.stat().st_size / 1e6
            raise _whole(
                path, 1, f"the file has {size:.1f} MB, a spec has at most {_MAX_BYTES / 1e6:.0f} MB",
                "is this the right file? Rows belong into a table (jsonl, csv, parquet), which the spec names",
            )  # fmt: skip
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise _whole(path, line, "not UTF-8 text", "save the file as UTF-8") from None
    except FileNotFoundError:
        raise _whole(path, 1, "no such file", f"check the path; the current folder is {Path.cwd()}") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise _whole(path, 1, f"cannot be read: {why}", "check the path and its permissions") from None


def _whole(path: Path, line: int, problem: str, fix: str) -> SpecError:
    return SpecError(Complaint(str(path), line, "", problem, fix))


@dataclass(slots=True)
class _Walk:
    """Collects the line of every key, and refuses what safe YAML still allows to hurt."""

    path: Path
    lines: dict[Key, int]
    written: dict[Key, str]
    nodes: int = 0

    def visit(self, node: yaml.Node, key: Key) -> None:
        line = node.start_mark.line + 1
        self.nodes += 1
        if self.nodes > _MAX_NODES or len(key) > _MAX_DEPTH:
            problem = "the aliases of this file unfold without end" if len(key) > _MAX_DEPTH else "too many values"
            raise _whole(self.path, line, problem, "write it flat; rows belong into a table")
        self.lines.setdefault(key, line)
        if isinstance(node, yaml.ScalarNode) and not _is_unicode(node.value):
            raise _whole(self.path, line, "half of a character (a lone surrogate)", "write the whole character")
        if isinstance(node, yaml.ScalarNode):
            self.written.setdefault(key, node.value)
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.visit(item, (*key, index))
        elif isinstance(node, yaml.MappingNode):
            self._visit_mapping(node, key)

    def _visit_mapping(self, node: yaml.MappingNode, key: Key) -> None:
        seen: dict[str, int] = {}
        for name_node, value in node.value:
            line = name_node.start_mark.line + 1
            if not isinstance(name_node, yaml.ScalarNode):
                raise _whole(self.path, line, "a key must be a plain word", "quote the key or write it plainly")
            name = name_node.value
            if name in seen:
                raise SpecError(Complaint(str(self.path), line, dotted((*key, name)),
                    f"written twice, first on line {seen[name]}", "keep one of the two"))  # fmt: skip
            seen[name] = line
            # Keys are names: `18-34`, `2020` or `true` as a level stays the text that was written.
            if name_node.tag != "tag:yaml.org,2002:merge":
                name_node.tag = "tag:yaml.org,2002:str"
            self.lines[(*key, name)] = line
            self.visit(value, (*key, name))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def validated(model: type[M], document: Document, data: Any, at: Key, context: object) -> M:
    """`data` (which stands at key `at` of `document`) as a `model`; every problem found is listed."""
    try:
        return model.model_validate(data, context=context)
    except ValidationError as error:
        raise SpecError(*(_from_pydantic(document, data, at, dict(one)) for one in error.errors())) from None


def _from_pydantic(document: Document, data: Any, at: Key, error: Mapping[str, Any]) -> Complaint:
    # pydantic mixes the names of union branches into `loc`; only parts that exist in the data are keys.
    inside: list[str | int] = []
    here: Any = data
    parts: Sequence[str | int] = error["loc"]
    for position, part in enumerate(parts):
        if (isinstance(here, Mapping) and part in here) or (
            isinstance(here, list) and isinstance(part, int) and part < len(here)
        ):
            here = cast(Any, here)[part]
        elif not (error["type"] == "missing" and position == len(parts) - 1):
            continue
        inside.append(part)
    problem, fix = _said(error)
    return document.complaint((*at, *inside), problem, fix)


def _holds(data: object, part: str | int) -> bool:
    if isinstance(data, list):
        return isinstance(part, int) and part < len(data)
    return isinstance(data, Mapping) and part in data


def _said(error: Mapping[str, Any]) -> tuple[str, str]:
    kind, ctx, value = error["type"], error.get("ctx") or {}, error.get("input")
    if kind == "extra_forbidden":
        return "unknown key", "check the spelling; docs/reference.md lists every key"
    if kind == "missing":
        return "missing", "add this key"
    if kind in ("literal_error", "enum"):
        allowed = re.findall(r"'([^']*)'", str(ctx.get("expected", "")))
        return f"{_short(value)} is not allowed", f"use {one_of(value, allowed)}"
    if kind in ("value_error", "assertion_error"):
        words = str(ctx.get("error", error["msg"]))
        problem, _, fix = words.partition("\nfix: ")
        return problem, fix or "change this value"
    message = str(error["msg"])
    return f"{_short(value)}: {message[:1].lower()}{message[1:]}", "change this value"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
