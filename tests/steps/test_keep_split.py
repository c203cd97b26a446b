"""Filters mark and do not delete; splits belong to names."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefgen.errors import SpecError
from prefgen.steps import keep, split
from prefgen.store.table import Table
from tests.steps.asking import context


def kept(rows: pl.DataFrame, where: object, parts: int = 1) -> pl.DataFrame:
    frames = list(rows.iter_slices(max(1, -(-rows.height // parts))))
    spec = keep.Keep.model_validate({"keep": "t", "where": where})
    return pl.concat(spec.make({"t": Table.of("t", frames)}, context()))


NUMBERS = pl.DataFrame({"n": [1, 2, 3, None], "who": ["a", "b", "a", "b"]})


def test_every_row_stays_and_the_dropped_ones_say_why() -> None:
    made = kept(NUMBERS, {"small": "n >= 2", "b": "who = 'a'"})
    assert made["n"].to_list() == [1, 2, 3, None]
    assert made["reject_reason"].to_list() == ["small", "b", None, "small"]
    assert kept(NUMBERS, "n >= 2")["reject_reason"].to_list() == ["n >= 2", None, None, "n >= 2"]


def test_the_first_reason_stays() -> None:
    made = kept(kept(NUMBERS, {"small": "n >= 2"}), {"b": "who = 'a'"})
    assert made["reject_reason"].to_list() == ["small", "b", None, "small"]


@pytest.mark.parametrize("where", ["n > avg(n)", "count(*) over (partition by who) >= 2", "n = max(n)"])
def test_a_condition_about_other_rows_sees_all_parts(where: str) -> None:
    whole, cut = kept(NUMBERS, where), kept(NUMBERS, where, parts=4)
    assert whole.equals(cut)


@given(st.lists(st.integers(0, 9) | st.none(), min_size=1, max_size=30), st.integers(1, 5))
def test_filters_keep_order_and_never_invent_rows(numbers: list[int | None], parts: int) -> None:
    rows = pl.DataFrame({"n": numbers}, schema={"n": pl.Int64})
    made = kept(rows, {"big": "n < 5"}, parts)
    assert made["n"].to_list() == numbers
    assert made["reject_reason"].to_list() == [None if n is not None and n < 5 else "big" for n in numbers]


def parted(rows: pl.DataFrame, by: list[str], test: float = 0.3) -> pl.DataFrame:
    spec = split.Split.model_validate({"split": "t", "by": by, "test": test})
    return pl.concat(spec.make({"t": Table.of("t", [rows])}, context()))


GRID = pl.DataFrame([{"persona_id": f"p{p}", "item_id": f"i{i}"} for p in range(20) for i in range(20)])


def test_no_value_of_train_is_ever_seen_held_out() -> None:
    made = parted(GRID, ["persona", "item"])
    assert set(made["split"]) == {"train", "test", "test_persona", "test_item"}
    train = made.filter(split="train")
    for column, splits in (("persona_id", ("test", "test_persona")), ("item_id", ("test", "test_item"))):
        held_out = made.filter(pl.col("split").is_in(splits))[column]
        assert not set(train[column]) & set(held_out)


def test_a_person_is_on_one_side_with_all_that_speak_for_them() -> None:
    people = pl.DataFrame(
        [{"persona_id": f"p{p}@{model}", "person": f"p{p}"} for p in range(40) for model in ("one", "two")]
    )
    rows = people.select("persona_id").with_columns(item_id=pl.lit("i"))
    spec = split.Split.model_validate({"split": "t", "by": ["persona"], "test": 0.3})
    tables = {"t": Table.of("t", [rows]), "people": Table.of("people", [people])}
    made = pl.concat(spec.make(tables, context(lineage=("people", "t"))))
    sides = made.join(people, on="persona_id").group_by("person").agg(pl.col("split").n_unique())
    assert set(sides["split"]) == {1}
    assert set(made["split"]) == {"train", "test"}
    alone = parted(pl.DataFrame({"persona_id": [f"p{p}" for p in range(40)]}), ["persona"])
    held = {name for name, side in alone.iter_rows() if side == "test"}  # the same people as where each has one voice
    assert {name.partition("@")[0] for name in made.filter(split="test")["persona_id"]} == held


@given(st.sets(st.integers(0, 400), min_size=1))
def test_a_row_never_changes_side_when_rows_are_added(numbers: set[int]) -> None:
    some = pl.DataFrame({"item_id": [f"i{n}" for n in sorted(numbers)]})
    more = pl.DataFrame({"item_id": [f"i{n}" for n in range(401)]})
    before, after = parted(some, ["item"]), parted(more, ["item"])
    assert before.join(after, on="item_id", suffix="_after").filter(pl.col("split") != pl.col("split_after")).is_empty()


def test_the_share_held_out_is_near_what_was_asked() -> None:
    many = pl.DataFrame({"item_id": [f"i{n}" for n in range(4000)]})
    share = (parted(many, ["item"], 0.2)["split"] == "test").mean()
    assert share == pytest.approx(0.2, abs=4 * (0.2 * 0.8 / 4000) ** 0.5)  # four standard errors


def test_a_column_that_is_not_there_is_told() -> None:
    with pytest.raises(SpecError, match="no column 'colour'"):
        parted(GRID, ["colour"])


def test_an_average_alone_holds_for_every_row() -> None:
    assert kept(NUMBERS, {"poor": "avg(n) > 1"}, parts=2)["reject_reason"].to_list() == [None] * 4


@pytest.mark.parametrize("where", ["CAST(who AS INT) > 1", {"odd": "CAST(who AS INT) > 1"}])
def test_values_that_a_condition_cannot_take_are_a_complaint_about_it(where: object) -> None:
    with pytest.raises(SpecError, match="conversion from"):
        kept(NUMBERS, where)
    # Before there are rows nobody can know; what the types forbid is known then, too.
    planned = {"t": Table.of("t", [NUMBERS.clear()])}
    assert list(keep.Keep.model_validate({"keep": "t", "where": where}).make(planned, context()))
    with pytest.raises(SpecError, match="arithmetic"):
        list(keep.Keep.model_validate({"keep": "t", "where": "who + 1 > 2"}).make(planned, context()))
