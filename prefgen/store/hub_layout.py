"""Which files of a dataset repository are which config and split: told from the card, or from the names of the files.

As the library `datasets` has it; what it reads and this does not is refused with the reason, never read otherwise.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from fsspec.utils import glob_translate

from prefgen.errors import FileError, one_of
from prefgen.store.shape import is_inside

READABLE = ("parquet", "jsonl", "ndjson", "csv", "tsv")
"""Suffixes of files that rows are read from."""

_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
"""What a folder or a file of each split may be called, beside other words and numbers."""

_SHARD = re.compile(r"data/([^/]*)-\d{5}-of-\d{5}[^/]*\.[^/]*")
_SPLIT = re.compile(r"\w+(\.\w+)*")
_APART = r"[-._ 0-9]"
_NO_DATA = {
    "README.md",
    "config.json",
    "dataset_info.json",
    "dataset_infos.json",
    "dummy_data.zip",
    "dataset_dict.json",
}
_PLAIN = {"config_name", "data_files", "data_dir", "default", "version", "description", "features", "sep", "delimiter"}
"""Keys of a config that say where its rows are, or change nothing about them."""

_MAX_NODES = 50_000
_MAX_CARD = 4 << 20  # characters


@dataclass(frozen=True, slots=True)
class Config:
    """One config: `data_files` as the card writes it, None where the names of the files tell; `separator` of its CSV."""

    name: str = "default"
    data_files: Any = None
    data_dir: str = ""
    is_default: bool = False
    separator: str | None = None
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """A dataset repository's files, and the configs that its card names (none where there is no card).

    repo_id    for complaints
    """

    repo_id: str
    files: Sequence[str]
    configs: Sequence[Config] = field(default=())

    def config(self, name: str | None) -> Config:
        """A config by name; by default the one that the card calls default, or the only one."""
        if not self.configs:
            if name not in (None, "default"):
                raise self._error(f"has no config {name!r}", "its card names no configs: leave `config` out")
            return Config()
        names = [one.name for one in self.configs]
        if name is None:
            ours = [one for one in self.configs if one.is_default or one.name == "default" or len(names) == 1]
            if len(ours) != 1:
                raise self._error("has several configs and no default one", f"name {one_of('', names)} as `config`")
            return ours[0]
        if name not in names:
            raise self._error(f"has no config {name!r}", f"use {one_of(name, names)}")
        return self.configs[names.index(name)]

    def splits(self, config: Config) -> dict[str, list[str]]:
        """Readable files by split, in the order in which they are read."""
        if config.unknown:
            said = ", ".join(f"`{key}`" for key in config.unknown)
            raise self._error(
                f"reads the config {config.name!r} with {said}, which is not done here",
                "load it with datasets.load_dataset and bring the rows as a file",
            )
        base = posixpath.normpath(config.data_dir) if config.data_dir else ""
        patterns = self._written(config) if config.data_files is not None else None
        found = (
            self._by_name(base)
            if patterns is None
            else {
                split: _unique(path for like in likes for path in self._matching(posixpath.join(base, like)))
                for split, likes in patterns.items()
            }
        )
        for split in found:
            if not _SPLIT.fullmatch(split):
                raise self._error(f"has a split called {split!r:.60}", "name a `config` whose splits are words")
        return self._readable({split: paths for split, paths in found.items() if paths}, config)

    def _written(self, config: Config) -> dict[str, list[str]]:
        """Patterns by split, as the card writes them."""
        said = config.data_files
        listed = [said] if isinstance(said, str) else said
        wrong = self._error(
            f"has a card whose `data_files` of {config.name!r} cannot be read",
            "name another `config`, or bring the rows as a file",
        )
        if not isinstance(listed, list) or not listed:
            raise wrong
        if all(isinstance(one, str) for one in listed):
            return {"train": listed}
        patterns: dict[str, list[str]] = {}
        for one in listed:
            path = one.get("path") if isinstance(one, dict) and set(one) == {"split", "path"} else None
            paths = [path] if isinstance(path, str) else path
            if (
                not isinstance(paths, list)
                or not all(isinstance(like, str) for like in paths)
                or one["split"] in patterns
            ):
                raise wrong
            patterns[str(one["split"])] = paths
        return patterns

    def _by_name(self, base: str) -> dict[str, list[str]]:
        """Splits told from the names of folders and files: shards in `data/`, folders, files, else everything is `train`."""
        start = f"{base}/" if base else ""
        inside = {path[len(start) :]: path for path in self._visible(start) if path.startswith(start)}
        shards: dict[str, list[str]] = {}
        for rest, path in inside.items():
            if match := _SHARD.fullmatch(rest):
                shards.setdefault(match[1], []).append(path)
        if shards:
            return shards
        for in_folder in (True, False):
            named: dict[str, list[str]] = {split: [] for split in _WORDS}
            for rest, path in inside.items():
                parts = rest.split("/")
                words = [
                    split
                    for split, names in _WORDS.items()
                    if any(
                        _is_called(part, names, folder=in_folder) for part in (parts[:-1] if in_folder else parts[-1:])
                    )
                ]
                for split in words:
                    named[split].append(path)
            if any(named.values()):
                return named
        return {"train": list(inside.values())}

    def _visible(self, pattern: str) -> list[str]:
        """Files that a pattern can mean: none that is hidden, or in a folder that begins with `__`, unless it says so."""
        name = posixpath.basename(pattern)
        return [
            path
            for path in sorted(self.files)
            if (posixpath.basename(path) not in _NO_DATA or posixpath.basename(path) == name)
            and _count(path, ".") == _count(pattern, ".")
            and _count(posixpath.dirname(path), "__") == _count(posixpath.dirname(pattern), "__")
        ]

    def _matching(self, pattern: str) -> list[str]:
        pattern = posixpath.normpath(pattern)
        if pattern.startswith(("/", "../")) or "://" in pattern or "::" in pattern:
            raise self._error(f"has a card that names files elsewhere: {pattern!r:.80}", "bring the rows as a file")
        if not re.search(r"[*?\[]", pattern):
            found = [path for path in self._visible(pattern) if path == pattern]
            if not found:
                raise self._error(
                    f"has a card that names {pattern!r:.80}, which is not there", "name another `config` or `revision`"
                )
            return found
        try:
            matches = re.compile(glob_translate(pattern)).match
        except (ValueError, re.error):
            raise self._error(
                f"has a card that names files by {pattern!r:.80}, which is no pattern",
                "name another `config`, or bring the rows as a file",
            ) from None
        return [path for path in self._visible(pattern) if matches(path)]

    def _readable(self, splits: dict[str, list[str]], config: Config) -> dict[str, list[str]]:
        """The files of the format that most of them have; those of others stand beside the data."""
        formats = {split: _format(paths) for split, paths in splits.items()}
        kinds = set(formats.values())
        if not kinds:
            raise self._error(
                f"has no file with rows of the config {config.name!r}", "name another `config` or `revision`"
            )
        odd = kinds - set(READABLE)
        if len(kinds) > 1 or odd:
            said = ", ".join(f"{split}: {kind or 'none'}" for split, kind in sorted(formats.items()))
            raise self._error(
                f"has files of formats that cannot be read together, or at all ({said})",
                f"name a `config` of {', '.join(READABLE)} files, or bring the rows as a file",
            )
        (kind,) = kinds
        kept = {split: [path for path in paths if path.lower().endswith(f".{kind}")] for split, paths in splits.items()}
        bad = next((path for paths in kept.values() for path in paths if not is_inside(path)), None)
        if bad is not None:
            raise self._error(f"has a file called {bad!r:.80}", "do not use this dataset: its files lie outside of it")
        return {split: paths for split, paths in kept.items() if paths}

    def _error(self, problem: str, fix: str) -> FileError:
        return FileError(f"{self.repo_id} {problem}", fix=fix)


def configs_of(repo_id: str, card: str) -> list[Config]:
    """The configs that a card names, in its order; FileError for a card that cannot be read."""
    block = re.match(
        r"\ufeff?\s*---\s*?(?:\r\n|\r|\n)(.*?)(?:\r\n|\r|\n)---[ \t]*(?:\r|\n|$)", card[:_MAX_CARD], re.DOTALL
    )
    if block is None:
        return []
    wrong = FileError(
        f"{repo_id}: its card cannot be read", fix="correct the YAML of its README.md, or bring the rows as a file"
    )
    try:
        node = yaml.compose(block[1], Loader=yaml.SafeLoader)
        if node is None or _size(node, 0) > _MAX_NODES:
            if node is None:
                return []
            raise FileError(f"{repo_id}: the aliases of its card unfold without end", fix="bring the rows as a file")
        said = yaml.safe_load(block[1])
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, AttributeError, LookupError):
        raise wrong from None
    listed = said.get("configs") if isinstance(said, dict) else None
    if not listed:
        return []
    if not isinstance(listed, list) or not all(isinstance(one, dict) and "config_name" in one for one in listed):
        raise wrong
    return [_config(one) for one in listed]


def _config(said: Mapping[str, Any]) -> Config:
    separator = said.get("delimiter") or said.get("sep")
    return Config(
        name=str(said["config_name"]),
        data_files=said.get("data_files"),
        data_dir=str(said.get("data_dir") or ""),
        is_default=bool(said.get("default")),
        separator=None if separator is None else str(separator),
        unknown=(
            *sorted(str(key) for key in set(said) - _PLAIN),
            *(["sep"] if separator is not None and len(str(separator)) != 1 else []),
        ),
    )


def _size(node: yaml.Node, counted: int, depth: int = 0) -> int:
    """Values that a YAML node unfolds to, counted no further than to the limit."""
    if counted > _MAX_NODES or depth > 60:
        return _MAX_NODES + 1
    counted += 1
    if isinstance(node, yaml.MappingNode | yaml.SequenceNode):
        for below in node.value:
            for one in below if isinstance(below, tuple) else (below,):
                counted = _size(one, counted, depth + 1)
    return counted


def _is_called(part: str, names: Iterable[str], *, folder: bool) -> bool:
    """Whether a part of a path has one of these words, between its ends or digits, spaces, `-`, `.` and `_`."""
    end = rf"(?:$|{_APART})" if folder else _APART
    return re.search(rf"(?:^|{_APART})(?:{'|'.join(names)}){end}", part) is not None


def _count(path: str, mark: str) -> int:
    return sum(part.startswith(mark) and set(part) != {"."} for part in path.split("/"))


def _format(paths: Sequence[str]) -> str:
    """The commonest suffix; of equally common ones Parquet, then JSON lines, then CSV."""
    suffixes = Counter(path.rpartition(".")[2].lower() for path in paths if "." in posixpath.basename(path))
    known = {kind: count for kind, count in suffixes.items() if kind in READABLE} or suffixes
    order = {kind: -place for place, kind in enumerate(READABLE)}
    return max(known, key=lambda kind: (known[kind], order.get(kind, -99)), default="")


def _unique(paths: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(paths))
