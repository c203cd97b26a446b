"""Types and gaps that users bring: each value reaches the judgments and the files as it is, or is refused with a fix."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prefgen.errors import SpecError
from prefgen.steps import judge, table
from prefgen.store.shards import write_shards
from prefgen.store.table import Table
from tests.steps.asking import PEOPLE, context

ARROW = {
    "list": pa.array([[1, 2], None]),
    "lists": pa.array([[[1], []], [None]]),
    "fixed": pa.array([[1.5, 2.5], None], pa.list_(pa.float32(), 2)),
    "fixed texts": pa.array([["a", "b"], ["c", None]], pa.list_(pa.string(), 2)),
    "map": pa.array([[("a", 1), ("b", None)], None], pa.map_(pa.string(), pa.int64())),
    "decimal": pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
    "binary": pa.array([b"\x00\xff", None]),
    "image": pa.array(
        [{"bytes": b"png", "path": None}, None], pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    ),
    "images": pa.array([[{"bytes": b"png"}], []]),
    "date": pa.array([dt.date(2020, 1, 1), None]),
    "moment": pa.array([dt.datetime(2020, 1, 1, 12), None], pa.timestamp("ns", "Europe/Berlin")),
    "time": pa.array([dt.time(1, 2, 3), None], pa.time64("us")),
    "span": pa.array([dt.timedelta(days=1), None], pa.duration("us")),
    "category": pa.array(["a", None]).dictionary_encode(),
    "nothing": pa.nulls(2),
    "nested nothing": pa.array([{"a": None}, {"a": None}]),
    "list of nothing": pa.array([[None], []]),
    "large": pa.array([2**64 - 1, None], pa.uint64()),
    "half": pa.array([1.5, None], pa.float16()),
    "large text": pa.array(["x", None], pa.large_string()),
    "view": pa.array(["x", None], pa.string_view()),
}


def made(facts: dict[str, Any]) -> pl.DataFrame:
    return pl.concat(table.TableStep.model_validate(facts).make({}, context()))


def parquet(path: Path, column: pa.Array) -> Path:
    columns = {"prompt": ["Tea?", "Walk?"], "options": [["yes", "no"]] * 2, "x": column}
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize("name", list(ARROW))
def test_a_column_of_any_type_reaches_judgments_and_shards(tmp_path: Path, name: str) -> None:
    items = made({"table": str(parquet(tmp_path / "i.parquet", ARROW[name]))})
    said = {"judge": "pick", "items": "items", "as": "people", "model": "m", "readout": "text"}
    tables = {"people": Table.of("people", [PEOPLE]), "items": Table.of("items", [items])}
    answers = pl.concat(judge.Judge.model_validate(said).make(tables, context()))
    for rows, n in ((items, 1), (answers, 6)):
        rows.write_parquet(tmp_path / "part.parquet")
        assert pl.read_parquet(tmp_path / "part.parquet").equals(rows)
        (shard,) = write_shards([rows], tmp_path / "shards", schema=rows.schema, shard_bytes=1 << 30)
        found = pq.read_table(shard.path, columns=["x"]).to_pylist()
        expected = ARROW[name].to_pylist()
        if name == "map":
            expected = [one and [{"key": key, "value": value} for key, value in one] for one in expected]
        by_item = {str(row["x"]) for row in found}
        assert by_item == {str(one) for one in expected}
        assert len(found) == 2 * n
        shard.path.unlink()
    again = made({"table": str(tmp_path / "i.parquet")})
    assert again["item_id"].to_list() == items["item_id"].to_list()


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pl.Series([{}, {}], dtype=pl.Struct({})), "an object without keys"),
        (pl.Series([2**100, 1], dtype=pl.Int128), "128 bits"),
        (pl.Series([[2**100], [1]], dtype=pl.List(pl.Int128)), "128 bits"),
        (pl.Series([object(), None], dtype=pl.Object), "Object"),
    ],
)
def test_what_no_file_can_hold_is_refused(column: pl.Series, words: str) -> None:
    rows = pl.DataFrame({"prompt": ["a", "b"], "x": column, "y": column})
    spec = table.TableStep.model_validate({"table": "above"})
    with pytest.raises(SpecError, match=rf"column 'x' holds .*{words}.*; column 'y' holds"):
        list(spec.make({"above": Table("above", (rows.lazy(),), 2)}, context()))


def test_an_object_without_keys_is_refused_where_it_is_written() -> None:
    with pytest.raises(SpecError, match=r"'meta' holds an object without keys.*\n  fix: drop it"):
        made({"table": [{"prompt": "Tea?", "options": ["a", "b"], "meta": {}}]})
    assert made({"table": [{"prompt": "Tea?", "options": ["a", "b"], "meta": {}}], "drop": ["meta"]}).height == 1


def test_texts_that_are_categories_are_texts(tmp_path: Path) -> None:
    path = tmp_path / "i.parquet"
    texts = pl.Series(["Tea?", "Walk?"], dtype=pl.Categorical)
    pl.DataFrame(
        {"item_id": texts, "prompt": texts, "options": pl.Series([["a", "b"]] * 2, dtype=pl.List(pl.Categorical))}
    ).write_parquet(path)
    assert made({"table": str(path)}).schema["options"] == pl.List(pl.String)


OK = {"prompt": "Tea?", "options": ["yes", "no"]}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([OK, OK | {"prompt": None}], "row 2 has an empty prompt"),
        ([OK | {"prompt": None}], "`prompt` is empty in every row"),
        ([OK, OK | {"prompt": " "}, OK | {"prompt": ""}], "row 2 has an empty prompt, and 1 more do"),
        ([OK, OK | {"options": None}], "row 2 has fewer than two options"),
        ([OK | {"options": ["a", None]}], "row 1 has an empty option"),
        ([OK | {"options": []}], "row 1 has fewer than two options"),
        ([OK | {"options": ["a", "a "]}], "row 1 has two equal options"),
        ([OK | {"options": [1, 2]}], "numbers quoted"),
        ([OK | {"options": "tea|coffee"}], "separated by ` | `, with spaces"),
        ([OK | {"options": "['tea', 'coffee']"}], r"row 1: `options` is .*\n  fix: .*in double quotes"),
        ([OK | {"options": "[1, 2]"}], "row 1: `options` is"),
        ([OK | {"options": "tea | | coffee"}], "has an empty option"),
        ([OK | {"neither": "C"}], "row 1: `neither` names no option: 'C'"),
        ([OK | {"neither": "no"}], "`neither` names no option: 'no'"),
        ([OK | {"neither": 0.5}], "`neither` names no option: 0.5"),
        ([OK | {"neither": -1}], "`neither` names no option: -1"),
        ([OK | {"neither": True}], "`neither` is of type Boolean"),
        ([OK | {"item_id": "x"}, OK], "row 2 has no item_id"),
        ([OK | {"item_id": "x"}, OK | {"item_id": " "}], "row 2 has no item_id"),
        ([OK | {"item_id": 1.5}], "an id is a text or a whole number"),
        ([OK | {"item_id": "x"}, OK | {"item_id": "x"}], "rows 1 and 2 have the same item_id 'x'"),
        ([OK | {"a": 1}, OK | {"a": "x"}], r"steps.s.table\[1\]: key 'a' is 'x', of another type"),
        ([OK | {"a": 2**64}], "64 bits"),
        ([OK | {"a": 2**53 + 1}, OK | {"a": 0.5}], "rounded"),
    ],
)
def test_what_is_missing_or_does_not_fit_is_told(rows: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        made({"table": rows})


def test_all_that_is_wrong_with_items_is_told_in_one_round() -> None:
    rows = [OK | {"prompt": ""}, OK | {"options": ["a"]}, OK | {"options": ["a", "a"]}, OK | {"neither": "Z"}]
    with pytest.raises(SpecError) as caught:
        made({"table": rows})
    assert len(caught.value.complaints) == 4


def test_items_with_and_without_neither_stand_together() -> None:
    rows = [OK, OK | {"options": ["a", "b", "none"], "neither": "C"}, OK | {"options": ["c", "d"], "neither": None}]
    assert made({"table": rows})["neither"].to_list() == [None, 2, None]
    rows = [OK | {"neither": ""}, OK | {"options": ["a", "b", "none"], "neither": "2"}]
    assert made({"table": rows})["neither"].to_list() == [None, 2]
