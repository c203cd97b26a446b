"""Judges without personas: models answer as themselves, each a judge of its own."""

from __future__ import annotations

import math
from typing import Any

import pytest

from prefgen.errors import SpecError
from tests.language.conftest import Done, Run
from tests.servers.ruled import ruled

QUESTIONS = [{"prompt": f"Question {n}?", "options": ["brief", "long"], "persona_id": f"p{n}"} for n in range(6)]
LEAN = {"one": 2.0, "two": -1.0}


def rule(model: str) -> Any:
    """Prefers `brief` by LEAN in log-odds, and the first slot by 1."""

    def answer(system: str, page: str) -> dict[str, float]:
        assert system == ""
        odds = LEAN[model] * (1 if "A) brief" in page else -1) + 1.0
        p = 1 / (1 + math.exp(-odds))
        return {"A": p, "B": 1 - p}

    return answer


def judged(whole: Run, **more: Any) -> Done:
    with ruled(rule("one")) as one, ruled(rule("two")) as two:
        models = {
            name: {"engine": "openai", "model": name, "base_url": served.base_url}
            for name, served in (("one", one), ("two", two))
        }
        step = {"judge": "pick", "items": "questions", "model": "one", **more}
        steps = {
            "questions": {"table": QUESTIONS},
            "crowd": {"people": "questions", "text": "You are you."},
            "quorum": step,
            "pairs": {"pair": "chosen_vs_other", "from": "quorum"},
        }
        return whole(
            {"models": models, "steps": steps, "publish": {"exports": ["judgments", {"dpo": {"context": "none"}}]}}
        )


def test_a_model_answers_as_itself_and_its_slots_cancel_out(whole: Run) -> None:
    table = judged(whole).table("quorum")
    assert set(table["persona_id"]) == {"one"}
    assert table.height == 6 * 2
    truth = 1 / (1 + math.exp(-2.0))
    assert table["p_A"].to_list() == pytest.approx([truth] * 12, abs=1e-6)
    assert table["debiased"].all()


@pytest.mark.parametrize("orders", ["balanced", {"prior": 0.5}])
def test_of_several_models_each_is_a_judge(whole: Run, orders: Any) -> None:
    done = judged(whole, model=["one", "two"], orders=orders)
    table = done.table("quorum")
    for name, lean in LEAN.items():
        mine = table.filter(persona_id=name)
        assert set(mine["model"]) == {name}
        assert mine["p_A"].to_list() == pytest.approx([1 / (1 + math.exp(-lean))] * mine.height, abs=1e-3)
    pairs = done.table("pairs")
    assert set(pairs.select("persona_id", "chosen_text").iter_rows()) == {("one", "brief"), ("two", "long")}
    assert done.data("personas")["persona_id"].to_list() == ["one", "two"]
    assert "No-persona control" not in (done.folder / "README.md").read_text()


def test_candidates_of_somebody_are_shown_to_models_too(whole: Run) -> None:
    rows = [{"prompt": "Which?", "response": "a"}, {"prompt": "Which?", "response": "ab"}]

    def by_length(system: str, page: str) -> str:
        return "A" if "A) ab" in page else "B"

    steps = {"rows": {"table": rows}, "quorum": {"judge": "pick", "items": "rows", "show": 2, "model": "m"}}
    done = whole({"models": {"m": {}}, "steps": steps, "publish": {"exports": ["judgments"]}}, by_length)
    assert set(done.table("quorum")["choice"]) == {"B"}


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"model": ["one", "one"]}, "a model stands twice"),
        ({"model": ["one", "three"]}, "no model named 'three'"),
        ({"model": ["one", "one"], "as": "crowd"}, "a model stands twice"),
        ({"model": "", "utility": "weights"}, "a utility is somebody's"),
    ],
)
def test_what_cannot_be_asked_is_told(whole: Run, more: dict[str, Any], problem: str) -> None:
    with pytest.raises(SpecError, match=problem):
        judged(whole, **more)
