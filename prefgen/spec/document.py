"""One YAML file, read safely, remembering on which line every key stands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from prefgen.errors import Complaint, SpecError

Key = tuple[str | int, ...]

_MAX_BYTES = 4 << 20  # a spec is written by hand; rows belong into tables
_MAX_NODES = 200_000  # aliases included, so that a few lines cannot unfold into gigabytes
_MAX_DEPTH = 60
_MAX_INT = 2**63  # beyond it tables and JSON know no whole number


# The C parser is ten times as fast; where PyYAML was built without it, its own does the same.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Yaml12(_SafeLoader):  # type: ignore[misc]
    """Safe YAML with the 1.2 core types only: `no`, `on`, `12:30` and `2020-01-01` stay text."""


_Yaml12.yaml_implicit_resolvers = {}
_CORE = "tag:yaml.org,2002:"
_PLAIN = {
    "null": (re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    "bool": (re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    "int": (re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789")),
    "float": (re.compile(r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)$"), list("-+.0123456789")),
    "merge": (re.compile(r"^<<$"), ["<"]),
}
for _tag, (_pattern, _first) in _PLAIN.items():
    _Yaml12.add_implicit_resolver(_CORE + _tag, _pattern, _first)


@dataclass(frozen=True, slots=True)
class Document:
    """The content of one YAML file, the 1-based line of every key in it, and the text of every value as written.

    flags    the `--set` behind every key that the command line put there
    """

    path: Path
    data: Any
    lines: Mapping[Key, int] = field(repr=False)
    written: Mapping[Key, str] = field(default_factory=dict, repr=False)
    flags: Mapping[Key, str] = field(default_factory=dict, repr=False)

    def as_written(self, key: Key, value: Any) -> Any:
        """`value` (which stands at `key`) with numbers and truth values as the text written: `01`, `TRUE`, `1e3`."""
        if isinstance(value, Mapping):
            return {name: self.as_written((*key, name), inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.as_written((*key, place), inner) for place, inner in enumerate(value)]
        if key in self.flags:
            return value
        return self.written.get(key, value) if isinstance(value, bool | int | float) else value

    def complaint(self, key: Key, problem: str, fix: str) -> Complaint:
        """A complaint about `key`, at its line or at the line of the nearest key above it; or about the flag that set it."""
        at = key
        while at and at not in self.flags and at not in self.lines:
            at = at[:-1]
        if at in self.flags:
            return Complaint(self.flags[at], 0, dotted(key), problem, fix)
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


def read_document(path: Path, doubled: list[Complaint] | None = None) -> Document:
    """Read one YAML file; every way in which it can be broken is a SpecError naming the line.

    doubled    takes the complaints about keys that stand twice, the last of which counts; without it they are raised
    """
    return document_of(path, _read_text(path), doubled)


def document_of(path: Path, text: str, doubled: list[Complaint] | None = None) -> Document:
    """The document that stands in `text`, as `read_document` has it."""
    if text.count(",") + text.count("\n") > 2 * _MAX_NODES:  # found out before a gigabyte of nodes is made of it
        raise _whole(path, 1, "too many values", "write it flat; rows belong into a table")
    try:
        node = yaml.compose(text, Loader=_Yaml12)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = f"not valid YAML: {error.problem or error.context}"
        raise _whole(path, line, problem, "correct the YAML at this line; indent with spaces") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else "it holds characters YAML forbids"
        raise _whole(path, 1, f"not valid YAML: {why}", "write plain, readable YAML") from None
    if node is None:
        raise _whole(path, 1, "the file is empty", "write the spec; docs/reference.md lists every key")
    lines: dict[Key, int] = {}
    written: dict[Key, str] = {}
    _Walk(path, lines, written, doubled).visit(node, ())
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
        with path.open("rb") as file:  # what has no size (a pipe, a device) is read no further either
            content = file.read(_MAX_BYTES + 1)
            if len(content) > _MAX_BYTES:
                size = max(path.stat().st_size, len(content)) / 1e6
                raise _whole(
                    path,
                    1,
                    f"the file has {size:.1f} MB, a spec has at most {_MAX_BYTES / 1e6:.0f} MB",
                    "is this the right file? Rows belong into a table (jsonl, csv, parquet), which the spec names",
                )
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
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
    doubled: list[Complaint] | None = None
    nodes: int = 0

    def visit(self, node: yaml.Node, key: Key) -> None:
        line = node.start_mark.line + 1
        self.nodes += 1
        if self.nodes > _MAX_NODES or len(key) > _MAX_DEPTH:
            problem = "the aliases of this file unfold without end" if len(key) > _MAX_DEPTH else "too many values"
            raise _whole(self.path, line, problem, "write it flat; rows belong into a table")
        self.lines.setdefault(key, line)
        wrong = _wrong_in(node)
        if wrong is not None:
            raise SpecError(Complaint(str(self.path), line, dotted(key), *wrong))
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
                problem = f"written twice, first on line {seen[name]}"
                twice = Complaint(str(self.path), line, dotted((*key, name)), problem, "keep one of the two")
                if self.doubled is None:
                    raise SpecError(twice)
                self.doubled.append(twice)
            seen[name] = line
            # Keys are names: `18-34`, `2020` or `true` as a level stays the text that was written.
            if name_node.tag != "tag:yaml.org,2002:merge":
                name_node.tag = "tag:yaml.org,2002:str"
            self.lines[(*key, name)] = line
            self.visit(value, (*key, name))


def _wrong_in(node: yaml.Node) -> tuple[str, str] | None:
    """Problem and fix of a value that YAML allows and nobody means."""
    tag = node.tag.removeprefix(_CORE)
    if not isinstance(node, yaml.ScalarNode):
        wanted = "seq" if isinstance(node, yaml.SequenceNode) else "map"
        return (
            None
            if tag == wanted
            else (f"not valid YAML: the tag {_written(node.tag)} is not offered", "leave the tag out")
        )
    if tag != "str" and (tag == "merge" or tag not in _PLAIN or not _PLAIN[tag][0].match(node.value)):
        return (
            f"not valid YAML: {node.value[:60]!r} with the tag {_written(node.tag)}",
            "leave the tag out; quote what is a text",
        )
    try:
        node.value.encode()
    except UnicodeEncodeError:
        return "half of a character (a lone surrogate)", "write the whole character"
    if tag == "int" and (len(node.value) > 25 or not -_MAX_INT <= int(node.value) < _MAX_INT):
        return f"{node.value[:40]} is larger than any whole number here (64 bits)", "quote it if it is a name"
    if tag == "float" and abs(float(node.value)) == float("inf"):
        return f"{node.value[:40]} is larger than any number", "write a smaller number, or quote it"
    return None


def _written(tag: str) -> str:
    return "!!" + tag.removeprefix(_CORE) if tag.startswith(_CORE) else tag
