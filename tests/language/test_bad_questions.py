"""Questions that a step made: one that cannot be asked is a row with a reason, and what was dropped before is not looked at."""

from __future__ import annotations

from typing import Any

import pytest

from prefgen.errors import SpecError
from tests.language.conftest import Run

GOOD = {"ask": "Tea or coffee?", "offers": ["tea", "coffee"], "part": "use"}
BAD: list[tuple[str, dict[str, Any]]] = [
    ("two equal options", {"offers": ["tea", " tea"]}),
    ("fewer than two options", {"offers": ["tea"]}),
    ("an empty option", {"offers": ["tea", " "]}),
    ("an empty prompt", {"ask": ""}),
]
STEPS: dict[str, Any] = {
    "made": {"table": [GOOD, *(GOOD | bad for _, bad in BAD), GOOD | {"offers": ["jam", "jam"], "part": "leave"}]},
    "used": {"keep": "made", "where": {"not wanted": "part = 'use'"}},
    "asked": {"table": "used", "rename": {"ask": "prompt", "offers": "options"}},
    "crowd": {"table": [{"persona_id": "ann", "text": "You are Ann."}]},
    "people": {"people": "crowd", "text": "{{ text }}"},
}
EXPORTS = {"exports": [{"rows": {"from": "asked"}}]}


def test_a_question_that_cannot_be_asked_is_a_row_with_a_reason(whole: Run) -> None:
    done = whole({"name": "q", "steps": STEPS, "publish": EXPORTS})
    table = done.table("asked")
    assert table["reject_reason"].to_list() == [None, *(name for name, _ in BAD), "not wanted"]
    assert done.data("rows")["prompt"].to_list() == ["Tea or coffee?"]


def test_only_those_that_are_left_are_asked(whole: Run) -> None:
    picks = {"judge": "pick", "items": "asked", "as": "people", "model": "m", "readout": "text", "orders": ["given"]}
    pipeline = {"name": "q", "models": {"m": {}}, "steps": STEPS | {"picks": picks}, "publish": EXPORTS}
    done = whole(pipeline, lambda _system, _page: "A")
    assert done.table("picks")["item_choice"].to_list() == ["A"]


def test_in_a_file_it_is_still_an_error(whole: Run) -> None:
    steps = {"asked": {"table": [{"prompt": "a", "options": ["x", "x"]}]}}
    with pytest.raises((SpecError, AssertionError), match="two equal options"):
        whole({"name": "q", "steps": steps, "publish": EXPORTS})


def test_two_that_are_left_may_not_have_one_name(whole: Run) -> None:
    rows = [GOOD | {"item_id": "same"}, GOOD | {"item_id": "same", "part": "leave"}]
    done = whole({"name": "q", "steps": STEPS | {"made": {"table": rows}}, "publish": EXPORTS})
    assert done.table("asked").height == 2
    rows[1]["part"] = "use"
    with pytest.raises((SpecError, AssertionError), match="the same item_id"):
        whole({"name": "q", "steps": STEPS | {"made": {"table": rows}}, "publish": EXPORTS})
