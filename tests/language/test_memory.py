"""Rows of a group one after the other, each of which sees what the earlier ones gave: `write` with a memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import prefgen
from prefgen.errors import SpecError
from prefgen.steps.write.free import Free
from prefgen.steps.write.memory import Memory
from prefgen.store.table import Table
from tests.language.conftest import Run
from tests.steps.asking import context

ROWS = [{"n": n, "topic": "abc"[n % 3], "time": 100 - n} for n in range(9)]
WRITE: dict[str, Any] = {
    "write": "lesson",
    "for": "rows",
    "model": "m",
    "prompt": "{{ n }} after {{ memory | join(' and ') }}.",
    "memory": {"by": ["topic"], "order": "time", "see": "lesson", "last": 1},
}


def told(step: dict[str, Any], rows: pl.DataFrame) -> pl.DataFrame:
    """The step's table, every prompt its own answer."""
    made = Free.model_validate(step)
    here = context(lambda request: request.messages[-1][1])
    return pl.concat(made.make({"rows": Table.of("rows", [rows])}, here))


def test_each_sees_the_latest_of_its_group(whole: Run) -> None:
    steps = {"rows": {"table": ROWS}, "texts": WRITE}
    done = whole({"models": {"m": {}}, "steps": steps, "publish": {"exports": ["rows"]}}, lambda _, page: f"L{page}")
    texts = dict(done.table("texts").select("n", "lesson").iter_rows())
    assert texts[8] == "L8 after ."
    assert texts[5] == "L5 after L8 after .."
    assert texts[2] == "L2 after L5 after L8 after ..."
    assert done.table("texts")["n"].to_list() == [6, 3, 0, 7, 4, 1, 8, 5, 2]  # group by group


@given(
    st.lists(st.tuples(st.sampled_from("abc") | st.none(), st.integers(0, 3) | st.none()), max_size=12),
    st.integers(1, 3) | st.none(),
    st.integers(1, 2),
)
@settings(max_examples=60, deadline=None)
def test_what_is_remembered_is_what_went_before(rows: list[Any], last: int | None, repeats: int) -> None:
    frame = pl.DataFrame(
        [{"n": n, "topic": topic, "time": time} for n, (topic, time) in enumerate(rows)],
        schema={"n": pl.Int64, "topic": pl.String, "time": pl.Int64},
    )
    step = WRITE | {"prompt": "<{{ n }}>{{ memory | join }}", "repeats": repeats}
    step |= {"memory": {"by": ["topic"], "order": "time", "see": "lesson", "last": last}}
    found = {(row["n"], row["repeat"]): row["lesson"] for row in told(step, frame).iter_rows(named=True)}
    for topic in "abc":
        group = [(time is None, time or 0, n) for n, (of, time) in enumerate(rows) if of == topic]
        for repeat in range(repeats):
            past: list[str] = []
            for *_, n in sorted(group):
                expected = f"<{n}>{''.join(past[-last:] if last else past)}"
                assert found[n, repeat] == expected
                past.append(expected)
    for n, (of, _) in enumerate(rows):
        if of is None:  # of which nobody knows whose past it has
            assert found[n, 0] == f"<{n}>"


def test_what_is_dropped_gives_nothing() -> None:
    step = WRITE | {"where": {"odd": "n <> 3"}, "prompt": "{{ n }}{{ memory | join }}"}
    made = told(step, pl.DataFrame([{"n": n, "topic": "a", "time": n} for n in range(5)]))
    assert made["lesson"].to_list() == ["0", "10", "210", "3210", "4210"]
    assert made["reject_reason"].to_list() == [None, None, None, "odd", None]


def test_lists_and_personas_have_memories_of_their_own() -> None:
    step = WRITE | {"model": ["m", "k"], "memory": WRITE["memory"] | {"last": None}, "repeats": 1}
    made = told(step | {"prompt": "{{ n }}{{ memory | join }}"}, pl.DataFrame(ROWS[:4]))
    by = {(row["writer"], row["n"]): row["lesson"] for row in made.iter_rows(named=True)}
    assert by["m", 0] == "03"
    assert by["k", 0] == "03"
    assert made["writer"].to_list() == ["m", "m", "k", "k", "m", "k", "m", "k"]


def _planned(folder: Path, change: dict[str, Any], model: dict[str, Any]) -> Any:
    path = folder / "p.yaml"
    steps = {"rows": {"table": ROWS}, "texts": WRITE | change}
    said = {"name": "t", "models": {"m": model}, "steps": steps, "publish": {"exports": ["rows"]}}
    path.write_text(yaml.safe_dump(said, sort_keys=False))
    return prefgen.plan(prefgen.load(path))


def test_the_plan_says_how_many_batches_follow_each_other(tmp_path: Path) -> None:
    plan = _planned(tmp_path, {"tries": 2}, {"engine": "batch", "model": "m"})
    assert "at most 6 submissions" in " ".join(plan.notes)
    plain = _planned(tmp_path, {}, {"engine": "openai", "model": "m"})
    (texts,) = (step for step in plain.steps if step.name == "texts")
    assert (texts.requests, texts.requests_are) == (9, "at most")
    assert "submissions" not in " ".join(plain.notes)


@pytest.mark.parametrize(
    ("memory", "said"),
    [
        ({"by": ["topik"], "see": "lesson"}, "no column 'topik'"),
        ({"by": ["topic"], "see": "lessen"}, "no column 'lessen' in what is written"),
        ({"by": ["topic"], "order": "tume", "see": "lesson"}, "no column 'tume'"),
        ({"by": [], "see": "lesson"}, "at least 1"),
        ({"by": ["topic"], "see": "lesson", "last": 0}, "at least 1"),
    ],
)
def test_what_cannot_be_remembered_is_told(tmp_path: Path, memory: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as caught:
        _planned(tmp_path, {"memory": memory}, {"engine": "openai", "model": "m"})
    assert said in str(caught.value)


def test_a_memory_without_an_order_is_in_that_of_the_table() -> None:
    assert Memory(by=["topic"], see="x").latest([1, 2]) == [1, 2]
    step = WRITE | {"memory": {"by": ["topic"], "see": "lesson"}, "prompt": "{{ n }}{{ memory | join }}"}
    assert told(step, pl.DataFrame([ROWS[4], ROWS[1], ROWS[7]]))["lesson"].to_list() == ["4", "14", "7414"]
