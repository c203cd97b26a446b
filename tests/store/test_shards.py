"""Shards: the rows alone decide the bytes, and every file is complete or not there."""

from __future__ import annotations

import itertools
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefgen.ids import file_sha256
from prefgen.store import shards
from prefgen.store.shards import shard_name, split_name, write_shards

ROWS = 500


def rows(n: int = ROWS) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "persona_id": [f"per-{k // 50}" for k in range(n)],
            "status": pl.Series(["ok", None] * (n // 2), dtype=pl.Categorical),
            "p": [{"A": k / n, "B": None} for k in range(n)],
            "prompt": [[{"role": "user", "content": f"question {k % 7}" * (k % 5)}] for k in range(n)],
            "never": pl.Series([None] * n, dtype=pl.Null),
            "n": range(n),
        }
    )


def write(
    frame: pl.DataFrame, folder: Path, cuts: list[int], *, shard_bytes: int = 20_000, **more: str
) -> dict[str, str]:
    edges = [0, *sorted(cuts), frame.height]
    frames = [frame.slice(a, b - a) for a, b in itertools.pairwise(edges)]
    written = write_shards(frames, folder, schema=frame.schema, shard_bytes=shard_bytes, **more)
    return {shard.path.name: shard.sha256 for shard in written}


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "ROW_GROUP_ROWS", 64)


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, ROWS), max_size=8))
def test_the_same_rows_give_the_same_bytes_however_they_arrive(
    cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = write(rows(), tmp_path_factory.mktemp("whole"), [])
    assert write(rows(), tmp_path_factory.mktemp("cut"), cuts) == whole
    assert len(whole) > 1


def test_rows_come_back_in_order_with_names_counts_and_hashes(tmp_path: Path) -> None:
    written = write_shards([rows()], tmp_path, schema=rows().schema, shard_bytes=20_000)
    assert [shard.path.name for shard in written] == [shard_name("train", k, len(written)) for k in range(len(written))]
    assert sorted(path.name for path in tmp_path.iterdir()) == [shard.path.name for shard in written]
    assert sum(shard.rows for shard in written) == ROWS
    assert all(shard.sha256 == file_sha256(shard.path) for shard in written)
    back = pl.concat([pl.read_parquet(shard.path) for shard in written])
    assert back.get_column("n").to_list() == list(range(ROWS))
    assert back.get_column("prompt").to_list() == rows().get_column("prompt").to_list()


def test_no_rows_still_make_a_file_with_the_columns(tmp_path: Path) -> None:
    (shard,) = write_shards([], tmp_path, schema=rows().schema, shard_bytes=20_000, split_column="split")
    assert (shard.path.name, shard.rows) == ("train-00000-of-00001.parquet", 0)
    assert pl.read_parquet(shard.path).columns == rows().columns


def test_every_row_lands_in_the_split_it_names_and_a_null_in_the_default(tmp_path: Path) -> None:
    names = ["train", "test", "new persona/old item", None]
    frame = rows().with_columns(split=pl.Series([names[k % 4] for k in range(ROWS)]))
    written = write_shards([frame], tmp_path, schema=frame.schema, shard_bytes=1 << 30, split_column="split")
    assert [shard.split for shard in written] == ["train", "test", "new_persona_old_item"]
    assert [shard.rows for shard in written] == [250, 125, 125]
    assert "split" not in pl.read_parquet(written[0].path).columns


def test_row_groups_are_exact_and_carry_statistics_and_plain_types(tmp_path: Path) -> None:
    (shard,) = write_shards([rows()], tmp_path, schema=rows().schema, shard_bytes=1 << 30)
    file = pq.ParquetFile(shard.path)
    assert [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)] == [64] * 7 + [52]
    persona = file.metadata.row_group(0).column(0)
    assert (persona.statistics.min, persona.statistics.max, persona.compression) == ("per-0", "per-1", "ZSTD")
    types = dict(zip(file.schema_arrow.names, map(str, file.schema_arrow.types), strict=True))
    assert (types["status"], types["never"], types["persona_id"]) == ("string", "string", "string")


@pytest.mark.parametrize("cut", [1, 7, 64])
def test_a_group_of_long_texts_has_the_rows_that_fit_however_they_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    monkeypatch.setattr(shards, "_GROUP_BYTES", 4_000)
    frame = pl.DataFrame({"text": ["x" * 300] * 20 + ["y" * 9_000, "z" * 3_990, "w"] + ["x" * 100] * 41})
    (shard,) = write_shards(frame.iter_slices(cut), tmp_path, schema=frame.schema, shard_bytes=1 << 30)
    metadata = pq.ParquetFile(shard.path).metadata
    # 4 bytes a text more; what is too long stands alone.
    assert [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)] == [13, 7, 1, 2, 38, 3]


@given(st.text(max_size=30))
def test_a_split_name_is_one_the_hub_takes(text: str) -> None:
    assert split_name(text).replace("_", "a").isalnum()
    assert split_name(split_name(text)) == split_name(text)
