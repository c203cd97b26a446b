"""Tables that come part by part: however they are cut, they are the same tables with the same faults."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefgen.errors import FileError, SpecError
from prefgen.judging.item_rows import Items
from prefgen.seeds import one_of_each
from prefgen.steps import show, table
from prefgen.steps.show import Show
from prefgen.store import rows, spill
from prefgen.store.table import PART_BYTES, Table, in_parts, row_batches
from tests.steps.asking import context

MANY = pl.DataFrame(
    {
        "prompt": [f"What about {n // 3}?" for n in range(30)],
        "response": [f"Answer {n % 5}." for n in range(30)],
        "item_id": [f"q{n // 3}" for n in range(30)],
        "candidate_id": [f"c{n}" for n in range(30)],
        "writer": [("small", "large")[n % 2] for n in range(30)],
    }
)
ASKED = pl.DataFrame(
    {
        "item_id": [f"i{n}" for n in range(20)],
        "prompt": [f"Tea or walk {n}?" for n in range(20)],
        "options": [["tea", "walk"]] * 20,
    }
)


def made(facts: dict[str, Any], tables: dict[str, Table] | None = None) -> pl.DataFrame:
    return pl.concat(table.TableStep.model_validate(facts).make(tables or {}, context()))


@pytest.fixture(params=[1, 2, 7, 1000])
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    for module in (rows, show):
        monkeypatch.setattr(module, "FRAME_ROWS", request.param)
    return int(request.param)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("frame", "more"),
    [
        (MANY, {}),
        (MANY.drop("item_id", "candidate_id"), {"set": {"said": "{{ response }} by {{ writer }}"}}),
        (ASKED, {"limit": 11}),
        (ASKED.drop("item_id"), {"rename": {"prompt": "question"}, "set": {"prompt": "{{ question }}!"}}),
        (ASKED.rename({"prompt": "about"}), {"each": "options"}),
    ],
)
def test_a_file_read_in_any_parts_gives_the_same_table(
    tmp_path: Path, frame: pl.DataFrame, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "candidate_id" not in frame.columns and "response" in frame.columns:
        frame = frame.with_row_index("n")
    frame.write_parquet(tmp_path / "rows.parquet", row_group_size=9)
    facts = {"table": str(tmp_path / "rows.parquet"), **more}
    cut = made(facts)
    monkeypatch.setattr(rows, "FRAME_ROWS", 65_536)
    assert cut.equals(made(facts))


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pl.concat([ASKED, ASKED.head(1)]), "rows 1 and 21 have the same item_id"),
        (pl.concat([MANY, MANY[[4]]]), "rows 5 and 31 are the same candidate"),
        (
            pl.concat([MANY, MANY[[4]].with_columns(prompt=pl.lit("Another?"), candidate_id=pl.lit("new"))]),
            "have the same item_id.* and different prompts",
        ),
        (pl.concat([ASKED, ASKED.head(1).with_columns(prompt=pl.lit(" "))]), "row 21 has an empty prompt"),
        (pl.concat([MANY, MANY.head(1).with_columns(response=pl.lit(""))]), "row 31 has an empty response"),
    ],
)
def test_a_fault_is_found_in_whichever_parts_its_rows_are(tmp_path: Path, frame: pl.DataFrame, said: str) -> None:
    frame.write_parquet(tmp_path / "rows.parquet")
    with pytest.raises(SpecError, match=said):
        made({"table": str(tmp_path / "rows.parquet")})


def test_a_column_that_no_part_can_hold_is_named_once(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1]}).rename({"a": "^x$"}).write_parquet(tmp_path / "rows.parquet")
    with pytest.raises(SpecError, match="a pattern"):
        made({"table": str(tmp_path / "rows.parquet")})


@pytest.mark.usefixtures("at_once")
def test_sets_of_candidates_do_not_depend_on_the_parts() -> None:
    dropped = MANY.with_columns(reject_reason=pl.when(pl.col("candidate_id") == "c7").then(pl.lit("short")))
    for size in (2, "all"):
        spec = Show(show="x", size=size)
        once = pl.concat(spec.make({"x": Table.of("x", [dropped])}, context()))
        cut = pl.concat(spec.make({"x": Table.of("x", dropped.iter_slices(4))}, context()))
        assert cut.equals(once)
        assert not once["option_candidate_id"].explode().is_in(["c7"]).any()


@given(st.lists(st.integers(0, 6), min_size=1, max_size=5), st.data())
@settings(max_examples=50)
def test_items_by_number_are_the_kept_rows(heights: list[int], data: st.DataObject) -> None:
    n = sum(heights)
    reasons = data.draw(st.lists(st.sampled_from([None, "no"]), min_size=n, max_size=n))
    whole = pl.DataFrame(
        {
            "item_id": [f"i{row}" for row in range(n)],
            "prompt": [f"Is it {row}?" for row in range(n)],
            "options": pl.Series([["yes", "no"]] * n, dtype=pl.List(pl.String)),
            "neither": pl.Series([None] * n, dtype=pl.Int64),
            "topic": [row % 3 for row in range(n)],
            "reject_reason": pl.Series(reasons, dtype=pl.String),
        },
        schema_overrides={"item_id": pl.String, "prompt": pl.String, "topic": pl.Int64},
    )
    starts = [sum(heights[:place]) for place in range(len(heights))]
    items = Items.of(Table.of("x", [whole[start : start + of] for start, of in zip(starts, heights, strict=True)]))
    kept = whole.filter(pl.col("reject_reason").is_null()).drop("reject_reason")
    assert items.all().equals(kept)
    assert items.shape["item_id"].equals(kept["item_id"])
    assert pl.concat(items.frames()).equals(kept)
    if kept.height:
        some = data.draw(st.lists(st.integers(0, kept.height - 1), max_size=8))
        assert items.rows(pl.Series(some, dtype=pl.Int64).to_numpy()).equals(kept[some])
        less = items.some(pl.Series(sorted(set(some)), dtype=pl.Int64).to_numpy()).renamed({"topic": "of"})
        assert less.without("options").all().equals(kept[sorted(set(some))].drop("options").rename({"topic": "of"}))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(1, 9), st.integers(1, 100))
def test_spans_cover_all_items_once_and_are_small(lengths: list[int], most: int, most_bytes: int) -> None:
    frame = ASKED.head(1).select(pl.all().gather([0] * len(lengths)))
    frame = frame.with_columns(
        prompt=pl.Series(["x" * n for n in lengths]), neither=pl.lit(None, pl.Int64), options=pl.lit([""])
    )
    items = Items.of(Table.of("x", [frame]))
    spans = list(items.spans(most, most_bytes))
    assert [row for start, end in spans for row in range(start, end)] == [*range(len(lengths))]
    assert all(end - start <= most for start, end in spans)
    assert all(sum(lengths[start:end]) <= most_bytes or end - start == 1 for start, end in spans)


def test_what_is_large_lies_in_files_that_go_with_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(spill, "_HELD_BYTES", 1000)

    def frames() -> Iterator[pl.DataFrame]:
        return (MANY.with_columns(part=pl.lit(number)) for number in range(5))

    small, large = spill.spilled("x", [MANY.head(2)]), spill.spilled("x", frames())
    assert len(list(tmp_path.rglob("*.parquet"))) == 5
    assert (small.n_rows, large.n_rows) == (2, 150)
    assert large.read().equals(pl.concat(frames()))
    some = large.parts[1:3]
    del large
    gc.collect()
    assert pl.concat([part.collect() for part in some])["part"].unique().to_list() == [1, 2]  # still held
    del some
    gc.collect()
    assert not list(tmp_path.iterdir())


def test_parts_are_small_in_rows_and_bytes() -> None:
    long = pl.DataFrame({"x": ["y" * (PART_BYTES // 4)] * 10})
    parts = list(in_parts(long))
    assert pl.concat(parts).equals(long)
    assert max(part.height for part in parts) == 4
    assert [len(some) for some in row_batches(long["x"], len)] == [4, 4, 2]
    assert [part.height for part in in_parts(long.clear())] == [0]


def test_a_full_or_missing_temporary_folder_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(spill, "_HELD_BYTES", 10)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(FileError, match="nowhere"):
        spill.spilled("x", [MANY, MANY])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FileError, match="No space left"):
        spill.spilled("x", [MANY, MANY])


def full(*_: object) -> int:
    raise OSError(28, "No space left on device")


def test_rows_whose_types_have_none_in_common_are_refused() -> None:
    tables = {"a": Table.of("a", [pl.DataFrame({"c": [[1]]})]), "b": Table.of("b", [pl.DataFrame({"c": ["s"]})])}
    with pytest.raises(SpecError, match="rename one of the columns"):
        made({"table": ["a", "b"]}, tables)


@pytest.mark.parametrize("name", ["reject_reason", "candidate_id", "prompt_id", "options", "nobody"])
def test_sets_agree_in_columns_that_can_be_agreed_in(name: str) -> None:
    rows = MANY.with_columns(reject_reason=pl.lit(None, pl.String), prompt_id=pl.lit("p"), options=pl.lit("o"))
    with pytest.raises(SpecError, match=r"no column.*to agree in") as caught:
        list(Show(show="x", within=[name]).make({"x": Table.of("x", [rows])}, context()))
    assert "reject_reason" not in str(caught.value).partition("fix:")[2]


def test_candidates_of_a_question_that_lie_far_apart_are_read_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "PART_BYTES", 2_000)
    many = pl.concat([MANY.with_columns(response=f"Answer {n} of " + pl.col("candidate_id"), candidate_id=f"{n}-" + pl.col("candidate_id")) for n in range(10)])  # fmt: skip
    table, read = Table.of("x", many.iter_slices(30)), []
    real = type(table).frames

    class Parts:
        def __len__(self) -> int:
            return len(table.parts)

        def __getitem__(self, place: int) -> pl.LazyFrame:
            read.append(place)
            return table.parts[place]

    watched = Table("x", Parts(), table.n_rows)  # type: ignore[arg-type]
    monkeypatch.setattr(Table, "frames", lambda self, columns=None: real(table, columns))
    sets = list(Show(show="x", size=2).make({"x": watched}, context()))
    assert pl.concat(sets).height == 10 * 30 * 29 // 2
    assert len(read) < len(sets) * 10 / 2


def test_one_of_each_meets_what_comes_in_turns() -> None:
    found = one_of_each(24_000, 4)
    assert len(found) == 6_000
    assert (found // 4 == range(6_000)).all()
    counts = [int((found % 4 == turn).sum()) for turn in range(4)]
    assert min(counts) > 1_300
    assert one_of_each(5, 1).tolist() == [0, 1, 2, 3, 4]
