"""Which rows of a run a published dataset does not have yet, and what its manifest says once they are in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from prefgen.errors import FileError, first_words
from prefgen.ids import file_sha256
from prefgen.publish.exports.hidden import leaks_of_both
from prefgen.publish.hub.pooled import added_up
from prefgen.publish.hub.pull import Published, pull_rows
from prefgen.publish.hub.renamed import renamed, renamings
from prefgen.publish.hub.sides import check_sides
from prefgen.store.folder import RunFolder
from prefgen.store.shards import write_shards

_KEYS = {
    "personas": ("persona_id",),
    "items": ("item_id",),
    "judgments": ("judgment_id",),
    "battle": ("judgment_id", "model_a", "model_b"),
    "preferences": ("persona_id", "item_id"),
    "kto": ("persona_id", "item_id", "option"),
    "sft": ("persona_id", "item_id", "option"),
    "table": ("persona_id", "item_id", "option"),
}
_PAIR = ("pair_id",)
_WHO = {"battle": ("judge", "question_id")}
_ITEM = ("item_id", "prompt", "options")
"""What the id of a question stands for: two runs that use it must mean the same."""

_SHARD_BYTES = 256_000_000


@dataclass(frozen=True, slots=True)
class Growth:
    """New shards by their path in the repository, and rows by config and split."""

    files: Mapping[str, Path]
    splits: Mapping[str, Mapping[str, int]]
    skipped: Mapping[str, int]

    @property
    def rows(self) -> dict[str, int]:
        """New rows by config."""
        return {name: sum(splits.values()) for name, splits in self.splits.items() if splits}


@dataclass(frozen=True, slots=True)
class _Known:
    """Who and what the dataset has, and the numbers that people and answers have in the grown one (for `table`)."""

    people: pl.Series
    items: pl.Series
    numbers: tuple[pl.DataFrame, pl.DataFrame] | None
    names: Mapping[str, str]  # new ids of people whose id stands for somebody else there


def new_shards(folder: RunFolder, manifest: Mapping[str, Any], published: Published, aside: Path) -> Growth:
    """Write the rows that `published` does not have into shards under `aside`."""
    ours = {config["name"]: config["splits"] for config in manifest["configs"]}
    presets = {config["name"]: config["preset"] for config in manifest["configs"]}
    _check_configs(ours, published)
    if "items" in ours:
        _check_same_questions(folder, published)
    check_sides(folder, manifest, published)
    names = renamings(folder, published)
    known = _Known(
        _column(published, "personas", "persona_id"),
        _column(published, "items", "item_id"),
        _grown_ids(folder, published, names) if "table" in presets.values() else None,
        names,
    )
    number = len(published.manifest.get("appended", [])) + 1
    files: dict[str, Path] = {}
    added: dict[str, dict[str, int]] = {}
    skipped: dict[str, int] = {}
    for name, splits in ours.items():
        schema = _schema(folder, name, published)
        for split in splits:
            frames = _New(folder, published, known, name, presets[name], schema)
            shards = write_shards(frames.of(split), aside / name, schema=schema, shard_bytes=_SHARD_BYTES, split=split)
            n_rows = sum(shard.rows for shard in shards)
            skipped[name] = skipped.get(name, 0) + splits[split] - n_rows
            if n_rows:
                added.setdefault(name, {})[split] = n_rows
                files |= {
                    f"data/{name}/{split}-n{number:04d}-{shard.path.name.removeprefix(split + '-')}": shard.path
                    for shard in shards
                }
    return Growth(files, added, skipped)


def grown(there: Mapping[str, Any], added: Mapping[str, Any], growth: Growth, version: str) -> dict[str, Any]:
    """The manifest of a dataset with one more run in it: totals are sums, measures are weighted by judgments."""
    entries = [
        {
            "path": name,
            "bytes": path.stat().st_size,
            "sha256": file_sha256(path),
            "rows": pq.read_metadata(path).num_rows,
        }
        for name, path in growth.files.items()
    ]
    configs, news = [], {config["name"]: config for config in added["configs"]}
    for config in there["configs"]:
        splits = dict(config["splits"])
        for split, rows in growth.splits.get(config["name"], {}).items():
            splits[split] = splits.get(split, 0) + rows
        configs.append({**config, "splits": splits, **leaks_of_both(config, news.get(config["name"], {}))})
    new = {step["name"]: step for step in added["steps"]}
    steps = [_both(step, new.pop(step["name"])) if step["name"] in new else step for step in there["steps"]]
    one = {
        "version": version,
        "fingerprint": added["fingerprint"],
        "finished": added.get("finished"),
        "rows": growth.rows,
    }
    return {
        **there,
        **{key: added[key] for key in ("finished", "versions", "prefgen") if key in added},
        "models": {**there["models"], **added["models"]},
        "configs": configs,
        "files": [*there["files"], *entries],
        "steps": [*steps, *new.values()],
        "gates": [*there["gates"], *added["gates"]],
        "appended": [*there.get("appended", []), one],
    }


def _both(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Two accounts of one step."""
    weights = (old["rows"], new["rows"])
    dropped = {
        reason: old["dropped"].get(reason, 0) + new["dropped"].get(reason, 0)
        for reason in {**old["dropped"], **new["dropped"]}
    }
    summed = {key: old[key] + new[key] for key in ("rows_in", "rows", "kept", "seconds")}
    summary = {
        key: added_up(old["summary"].get(key), new["summary"].get(key), weights, key)
        for key in {**old["summary"], **new["summary"]}
    }
    return {**old, **summed, "dropped": dict(sorted(dropped.items())), "summary": summary}


@dataclass(frozen=True, slots=True)
class _New:
    """The rows of one config of a run that the dataset does not have."""

    folder: RunFolder
    published: Published
    known: _Known
    name: str
    preset: str
    schema: pl.Schema

    def of(self, split: str) -> Iterator[pl.DataFrame]:
        """New rows of one split, a row group at a time."""
        key = list(_KEYS.get(self.preset, _PAIR))
        have: pl.DataFrame | None = None
        for path in sorted((self.folder.data / self.name).glob(f"{split}-*.parquet")):
            file = pq.ParquetFile(path)
            for group in range(file.num_row_groups):
                rows = renamed(_frame(file.read_row_group(group)), self.known.names)
                unseen = self._surely_new(rows)
                if not unseen.all():
                    # Only now are the keys of published rows needed: people and questions that both are there.
                    have = pl.concat(pull_rows(self.published, self.name, columns=key)) if have is None else have
                    there = rows.select(key).with_row_index("_row").join(have, on=key, how="semi")["_row"]
                    rows = rows.filter(~pl.int_range(pl.len()).is_in(there.cast(pl.Int64).implode()))
                yield self._renumbered(rows).match_to_schema(
                    self.schema, missing_columns="insert", missing_struct_fields="insert"
                )

    def _surely_new(self, rows: pl.DataFrame) -> pl.Series:
        who, what = _WHO.get(self.preset, ("persona_id", "item_id"))
        unseen = pl.Series([False]).new_from_index(0, rows.height)
        for column, ids in ((who, self.known.people), (what, self.known.items)):
            if column in rows.columns:
                unseen = unseen | ~rows[column].is_in(ids.implode())
        return unseen

    def _renumbered(self, rows: pl.DataFrame) -> pl.DataFrame:
        """`table` counts people, answers and questions through the whole dataset."""
        if self.preset != "table" or self.known.numbers is None:
            return rows
        people, items = self.known.numbers
        letter = {chr(65 + place): place for place in range(26)}
        numbers = (
            rows.select("persona_id", "item_id", pl.col("option").replace_strict(letter, return_dtype=pl.Int64))
            .join(people, on="persona_id", how="left", maintain_order="left")
            .join(items, on="item_id", how="left", maintain_order="left")
        )
        return rows.with_columns(
            numbers["_user"].alias("user"),
            (numbers["_first"] + numbers["option"]).alias("item"),
            numbers["_time"].alias("time"),
        )


def _grown_ids(folder: RunFolder, published: Published, names: Mapping[str, str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Numbers of people, and of questions and their first answers, in the grown dataset."""
    frames = []
    for name, columns in (("personas", ["persona_id"]), ("items", ["item_id", "options"])):
        ours = pl.read_parquet(folder.data / name / "*.parquet", columns=columns)
        ours = renamed(ours, names)
        both = pl.concat([*pull_rows(published, name, columns=columns), ours])
        frames.append(both.unique(columns[0], keep="first", maintain_order=True))
    people = frames[0].with_columns(_user=pl.int_range(pl.len(), dtype=pl.Int64))
    length = pl.col("options").list.len().cast(pl.Int64)
    items = frames[1].with_columns(_time=pl.int_range(pl.len(), dtype=pl.Int64), _first=length.cum_sum() - length)
    return people, items.drop("options")


def _check_configs(ours: Mapping[str, Any], published: Published) -> None:
    for name in {**ours, **published.configs}:
        if name not in ours or name not in published.configs:
            who = "the dataset" if name in ours else "this run"
            raise FileError(
                f"{published.remote.repo_id}: {who} has no config {name!r}",
                fix="publish the same exports in every run, or push to another name",
            )


def _check_same_questions(folder: RunFolder, published: Published) -> None:
    ours = pl.read_parquet(folder.data / "items" / "*.parquet", columns=list(_ITEM))
    key, *meanings = _ITEM
    for there in pull_rows(published, "items", columns=_ITEM):
        both = ours.join(there, on=key, suffix="_there")
        other = both.filter(pl.any_horizontal(pl.col(one).ne_missing(pl.col(f"{one}_there")) for one in meanings))
        if other.height:
            raise FileError(
                f"{published.remote.repo_id}: {key} {other[key][0]!r} stands there for another question",
                fix="give new questions ids of their own; without `item_id` they have the hash of their content",
            )


def _column(published: Published, config: str, column: str) -> pl.Series:
    if config not in published.configs:
        return pl.Series(column, [], pl.String)
    return pl.concat(pull_rows(published, config, columns=[column]))[column]


def _schema(folder: RunFolder, name: str, published: Published) -> pl.Schema:
    """The published columns, which the run's rows must fit; a column or option that it lacks becomes null."""
    there = next(pull_rows(published, name)).schema
    ours = pl.read_parquet_schema(next(iter(sorted((folder.data / name).glob("*.parquet")))))
    try:
        pl.DataFrame(schema=ours).match_to_schema(there, missing_columns="insert", missing_struct_fields="insert")
    except pl.exceptions.PolarsError as error:
        raise FileError(
            f"{published.remote.repo_id}: the columns of {name!r} differ: {first_words(error)}",
            fix="push to another name; published columns do not change",
        ) from None
    return there


def _frame(table: Any) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
