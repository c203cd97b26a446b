"""Whether an answer survives another form of its question, or another wording of who gives it."""

from __future__ import annotations

import polars as pl
import pytest

from prefgen.analysis.findings import describe
from prefgen.analysis.prompt_sensitivity import estimate_form_consistency, estimate_wording_sensitivity
from prefgen.analysis.response_matrix import matrix_of
from prefgen.judging.item_facts import item_facts
from prefgen.publish.report.headlines import headlines
from prefgen.publish.report.steady import draw_forms, draw_length, draw_wordings, forms_title, wordings_title
from tests.analysis.test_response_matrix import ITEMS, matrix

FORMS = pl.DataFrame(
    {
        "item_id": ["f1", "f2", "g1", "g2"],
        "prompt": ["?"] * 4,
        "options": [["yes", "no", "neither"]] * 4,
        "neither": [2] * 4,
        "topic": ["food", "food", "tax", "tax"],
        "form": ["criterion", "explanation"] * 2,
    }
)
TOLD = {"ada-i": ("ada", "i"), "ada-you": ("ada", "you"), "bea-i": ("bea", "i"), "bea-you": ("bea", "you")}
SAID = {"ada-i": ("ABAB",) * 2, "ada-you": ("ABBA",) * 2, "bea-i": ("AAAA",) * 2, "bea-you": ("AAAR",) * 2}


def manifest() -> dict:
    return {"steps": [], "gates": []}


def test_the_same_answer_in_both_forms_by_hand():
    found = {
        one.persona_id: one
        for one in estimate_form_consistency(
            matrix({"ada": ("AABB", "AABB"), "bea": ("ABAA", "ABAA"), "none": ("ABRA", "ABRA")}, FORMS)
        )
    }
    assert [found[name].same.value for name in ("ada", "bea", "none")] == [1.0, 0.5, 0.0]
    assert found["none"].same.n == 1  # the other question has a form without an answer
    assert found["none"].control == "none"
    assert found["ada"].by_chance == pytest.approx(0.5)
    assert found["bea"].by_chance == pytest.approx(0.5)


def test_items_that_are_no_forms_of_each_other_say_nothing_about_forms():
    assert estimate_form_consistency(matrix()) == ()
    assert draw_forms({}, {"forms": []}) is None


def test_what_another_wording_changes_by_hand():
    found = estimate_wording_sensitivity(matrix(SAID, told=TOLD))
    assert found.wordings == ("i", "you")
    (pair,) = found.pairs
    # ada changes two of four, bea none of the three that she answered both times
    assert (pair.people, pair.differs.value) == (2, pytest.approx(2 / 7))
    assert pair.by_chance == pytest.approx((0.5 * 4 + 0 * 3) / 7)
    assert found.differs == pair.differs
    assert found.changes_mind.value == 0.0
    assert 0 < pair.divergence < 1


def test_people_told_in_one_way_have_no_wordings_to_compare():
    assert estimate_wording_sensitivity(matrix()) is None
    one = {name: (name, None) for name in SAID}
    assert estimate_wording_sensitivity(matrix(SAID, told=one)) is None
    assert draw_wordings({}, {"wordings": None}) is None


def test_a_draw_of_many_people_keeps_the_wordings_of_one_together():
    names = [f"p{n:02d}" for n in range(30)]
    people = pl.DataFrame(
        {
            "persona_id": [f"{name}-{wording}" for wording in ("i", "you") for name in names],
            "person": names * 2,
            "wording": ["i"] * 30 + ["you"] * 30,
            "weight": [1.0] * 60,
        }
    )
    seen = matrix_of([], item_facts(ITEMS.lazy()), people, seed=3, most_personas=10)
    assert sorted(seen.told_as) == sorted(
        (name, wording) for name in {p for p, _ in seen.told_as} for wording in ("i", "you")
    )
    assert len(seen.personas) == 10


def test_the_report_draws_both_and_says_whether_wording_outweighs_the_judges_own_inconsistency():
    findings = describe(matrix(SAID, FORMS, told=TOLD), seed=1, draws=10)
    findings["matrix"]["main"]["form"] = None
    assert draw_wordings({}, findings).table.rows[0][:2] == ("i", "you")
    assert wordings_title({}, findings).startswith("Told in other words, the same people change 29 % (")
    # four questions tell nobody apart from anybody
    assert forms_title({}, findings) == "Asked in another form, no persona is steadier than another beyond chance"
    assert len(draw_forms({}, findings).table.rows) == 4
    assert draw_length({}, findings) is None
    said = {one.key: one for one in headlines(manifest(), findings)}["wordings"]
    assert said.sentence.startswith("Portrayed in other words, the same people change 29 %")
    assert said.weight == "plain"
