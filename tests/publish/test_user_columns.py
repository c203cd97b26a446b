"""Columns that users bring: each comes through every export with its values, whatever it is called and holds."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import datasets
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefgen.errors import SpecError
from prefgen.judging.coordinates import free_names, returned, set_apart
from prefgen.publish.card.columns import meaning
from prefgen.publish.exports.beside import Beside
from prefgen.publish.exports.check import check_exports
from prefgen.publish.exports.columns import taken_names
from prefgen.publish.exports.presets import ALWAYS, PRESETS
from prefgen.publish.exports.rows import rows_beside, rows_of
from prefgen.publish.exports.source import Source
from prefgen.store.table import Table
from tests.publish import made
from tests.publish.names import names


def tables_with(columns: dict[str, Any], **more: Any) -> dict[str, Table]:
    """The tables of a small run whose items have these columns too."""
    return made.tables(3, 4, least=0.0, columns=columns, **more)


def exported(tables: dict[str, Table], preset: str) -> pl.DataFrame:
    together = Beside((tables["people"],), (tables["questions"],))
    if preset in ALWAYS:
        return pl.concat(rows_beside(preset, together))
    source = Source(tables.get("pairs", tables["kept"]), together, seed=1)
    return pl.concat(rows_of(PRESETS[preset], source))


def column_of(rows: pl.DataFrame, name: str, preset: str) -> str:
    """Where a user's column stands in an export: under its name, or under `item_` and its name."""
    found = [
        one
        for one in (name, f"item_{name}", f"item_item_{name}", f"item_item_item_{name}")
        if one in rows.columns and one not in taken_names(PRESETS[preset]) and rows.schema[one] == pl.String
    ]
    assert found, f"{name!r} is lost"
    return found[0]


@pytest.mark.parametrize("pairs_step", [False, True], ids=["from judgments", "from pairs"])
def test_every_name_comes_through_every_export_with_its_values(pairs_step: bool) -> None:
    everything = names()
    assert len(everything) >= 300
    values = {name: [f"{number}|{place}" for place in range(4)] for number, name in enumerate(everything)}
    tables = tables_with(values, with_pairs=pairs_step)
    for preset in [name for name, one in PRESETS.items() if one.unit != "persona" and not one.of_rows]:
        if pairs_step and PRESETS[preset].unit not in ("pair", "candidate"):
            continue
        rows = exported(tables, preset)
        assert rows.height
        key = "question_id" if preset == "battle" else "item_id"
        places = [int(item.removeprefix("itm-")) for item in rows.get_column(key)]
        seen = {one: set(rows.get_column(one)) for one in rows.columns if rows.schema[one] == pl.String}
        for number, name in enumerate(everything):
            (where,) = [one for one, some in seen.items() if f"{number}|{places[0]}" in some]
            assert where == name or (
                name
                in taken_names(PRESETS[preset])
                | {"chosen", "rejected", "chosen_text", "rejected_text", "p_chosen", "p_margin", "pair_id"}
                and where.endswith(f"item_{name}")
            ), (preset, name, where)
            assert rows.get_column(where).to_list() == [f"{number}|{place}" for place in places]
            assert meaning(preset, where).startswith("carried over from the items"), (preset, where)


NAME = st.text(max_size=12) | st.sampled_from(["chosen", "item_chosen", "*", "^.*$", "p", "item:p"])


@given(mine=st.lists(NAME, unique=True, max_size=8), taken=st.sets(NAME, max_size=6))
def test_free_names_are_free_and_different(mine: list[str], taken: set[str]) -> None:
    found = free_names(mine, taken)
    assert list(found) == mine
    assert len({*found.values()}) == len(mine)
    assert not {*found.values()} & taken
    assert all(free == name or (name in taken and free.endswith(name)) for name, free in found.items())


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(mine=st.lists(NAME, unique=True, max_size=8), own=st.sets(st.sampled_from(["persona_id", "p", "weight"])))
def test_what_is_set_apart_comes_back_as_it_was(mine: list[str], own: set[str]) -> None:
    columns = dict.fromkeys([*own, *mine])
    frame = pl.DataFrame({name: [number] for number, name in enumerate(columns)})
    back = set_apart(frame, own).select(returned(set_apart(frame, own), own))
    assert back.to_dict(as_series=False) == {name: [k] for k, name in enumerate(columns) if name not in own}


TYPES: dict[str, pl.Series] = {
    "list": pl.Series([[1, 2], [], [3], None], dtype=pl.List(pl.Int64)),
    "lists": pl.Series([[["a"]], [], [["b", None]], None]),
    "fixed": pl.Series([[1, 2], [3, 4], None, [5, 6]], dtype=pl.Array(pl.Int32, 2)),
    "map": pl.Series([[{"key": "a", "value": 1}], [], None, []]),
    "struct": pl.Series([{"a": 1, "b": "x"}] * 4),
    "decimal": pl.Series([Decimal("1.50")] * 4, dtype=pl.Decimal(10, 2)),
    "binary": pl.Series([b"\x00\xff", b"", None, b"x"]),
    "date": pl.Series([dt.date(2026, 1, 2)] * 4),
    "moment": pl.Series([dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC)] * 4),
    "time": pl.Series([dt.time(3, 4)] * 4),
    "duration": pl.Series([dt.timedelta(seconds=3)] * 4),
    "category": pl.Series(["x", "y", None, "x"], dtype=pl.Categorical),
    "enum": pl.Series(["x", "y", None, "x"], dtype=pl.Enum(["x", "y"])),
    "small": pl.Series([1, 2, None, 4], dtype=pl.UInt8),
    "large": pl.Series([2**63 + 1] * 4, dtype=pl.UInt64),
    "real": pl.Series([0.5] * 4, dtype=pl.Float32),
    "truth": pl.Series([True, None, False, True]),
    "nothing": pl.Series([None] * 4),
}


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_travels_to_datasets(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    run = made.run_in(
        tmp_path,
        exports="judgments, preferences, dpo, kto, fewshot, battle",
        n_items=4,
        n_people=2,
        columns={"mine": TYPES[kind]},
    )
    for name in ("dpo", "items", "battle", "fewshot", "judgments"):
        loaded = datasets.load_dataset(str(run.path), name, split="train")
        assert "mine" in loaded.column_names
        assert loaded.num_rows


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("Int128", pl.Series([2**70] * 4, dtype=pl.Int128)),
        ("Object", pl.Series([object()] * 4, dtype=pl.Object)),
        ("Struct", pl.Series([{}] * 4)),
    ],
)
def test_a_type_that_cannot_travel_is_refused_before_anybody_is_asked(
    kind: str, values: pl.Series, tmp_path: Path
) -> None:
    pipeline = made.pipeline_in(tmp_path)
    items = made.questions(4).with_columns(values.alias("mine"))
    tables = made.tables() | {"questions": Table.of("questions", [items])}
    with pytest.raises(SpecError, match=rf"steps.questions: its column 'mine' is of type {kind}"):
        check_exports(pipeline, tables, made.GRAINS)
