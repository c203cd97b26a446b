"""What one run holds out, no other run of the same dataset may train on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from prefgen.errors import FileError
from prefgen.publish.hub.pull import Published, pull_rows
from prefgen.store.folder import RunFolder

_WORD = {"persona_id": "persona", "item_id": "item"}


def check_sides(folder: RunFolder, manifest: Mapping[str, Any], published: Published) -> None:
    """FileError where a value held out on one side (a person, a question, a topic) is trained on on the other."""
    held_out = [
        key.removeprefix("held_out_")
        for step in manifest["steps"]
        if step["kind"] == "split"
        for key in step["summary"]
        if key.startswith("held_out_")
    ]
    for config in manifest["configs"]:
        ours, theirs = set(config["splits"]), set(published.configs[config["name"]])
        if config["preset"] == "battle" or "train" not in ours & theirs:
            continue
        columns = list(pl.read_parquet_schema(next((folder.data / config["name"]).glob("*.parquet"))))
        for column in set(held_out) & set(columns):
            names = {"test", f"test_{_WORD.get(column, column)}"}
            here, there = _Here(folder, config["name"], column), _There(published, config["name"], column)
            for one, other in ((here, there), (there, here)):
                both = one.values(names).intersection(other.values({"train"}))
                if both:
                    said = f"{len(both):,} value(s) of {column!r}, e.g. {min(both)!r}"
                    raise FileError(
                        f"{published.remote.repo_id}: {said}, are held out {one.place} and trained on {other.place}",
                        fix="give every run the same `seed` (the pipeline's own; a draw may have another), so that each holds out the same",
                    )
        return  # the splits of one run agree


class _Here:
    place = "in this run"

    def __init__(self, folder: RunFolder, config: str, column: str) -> None:
        self._data, self._column = folder.data / config, column

    def values(self, splits: set[str]) -> set[Any]:
        """Values of the column in some splits."""
        paths = [path for path in self._data.glob("*.parquet") if path.name.split("-")[0] in splits]
        return set(pl.scan_parquet(paths).select(self._column).unique().collect()[self._column]) if paths else set()


class _There:
    place = "in the dataset"

    def __init__(self, published: Published, config: str, column: str) -> None:
        self._published, self._config, self._column = published, config, column

    def values(self, splits: set[str]) -> set[Any]:
        """Values of the column in some splits."""
        found: set[Any] = set()
        for split in sorted(splits & set(self._published.configs[self._config])):
            for rows in pull_rows(self._published, self._config, split=split, columns=[self._column]):
                found |= set(rows[self._column].unique())
        return found
