"""Which table speaks for a run: one answer, from the lineage that the manifest records."""

from __future__ import annotations

from typing import Any

from prefgen.store.finished import Lineage, Step

TWO_JUDGES = {
    "adults": Step("personas"),
    "children": Step("personas"),
    "taxes": Step("items"),
    "games": Step("items"),
    "scenes": Step("items", (("items", "games"),)),
    "a": Step("judgments", (("items", "taxes"), ("as", "adults"))),
    "b": Step("judgments", (("items", "scenes"), ("as", "children"))),
    "kept_a": Step("judgments", (("keep", "a"),)),
    "weights": Step("rows", (("from", "b"),)),
    "pairs": Step("pairs", (("from", "b"), ("items", "scenes"), ("weight", "weights"))),
}


def manifest(steps: dict[str, Step], **publish: Any) -> dict[str, Any]:
    return {
        "steps": [
            {"name": name, "grain": one.grain, "reads": [list(read) for read in one.reads]}
            for name, one in steps.items()
        ],
        "publish": publish,
    }


def test_the_last_table_of_judgments_speaks_unless_another_is_named() -> None:
    assert Lineage.of_manifest(manifest(TWO_JUDGES)).judgments == "kept_a"
    assert Lineage.of_manifest(manifest(TWO_JUDGES, judgments="b")).judgments == "b"
    assert Lineage({"taxes": Step("items")}).judgments is None


def test_personas_and_items_are_those_that_the_judge_of_the_rows_asked() -> None:
    lineage = Lineage(TWO_JUDGES)
    for step, judge, personas, items in (
        ("kept_a", "a", "adults", "taxes"),
        ("b", "b", "children", "scenes"),
        ("pairs", "b", "children", "scenes"),
        ("weights", "b", "children", "scenes"),
    ):
        assert (lineage.judge_of(step), lineage.personas_of(step), lineage.items_of(step)) == (judge, personas, items)


def test_steps_that_rest_on_no_judge_have_the_nearest_of_the_grain() -> None:
    lineage = Lineage(TWO_JUDGES)
    assert (lineage.judge_of("scenes"), lineage.items_of("scenes"), lineage.personas_of("scenes")) == (
        None,
        "scenes",
        None,
    )


def test_a_filter_of_judgments_is_no_judge() -> None:
    assert Lineage(TWO_JUDGES).judges == ("a", "b")
