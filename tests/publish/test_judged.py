"""Every step that judged has a section of its own on card and report: picks, ratings, and what people gave."""

from __future__ import annotations

import json

import prefgen
from prefgen.publish.hub.pooled import added_up
from prefgen.publish.judged import judged_steps
from prefgen.store.shape import wrong_manifest
from tests.language.conftest import Run, whole

__all__ = ["whole"]


def judge(system: str, page: str) -> dict[str, float]:
    """Likes long answers, in whatever slot, and gives one in four 4 points of 5."""
    if "How far" in page:
        return {"5": 0.25, "4": 0.75} if "a0" in page else {"1": 1.0}
    return {"A": 0.9, "B": 0.1} if page.index("loong") < page.index("short") else {"A": 0.1, "B": 0.9}


def test_card_and_report_have_a_section_for_each(whole: Run) -> None:
    rows = [{"prompt": f"Q{n}?", "response": f"a{n % 4} is so", "stars": n % 3, "said": "yes"} for n in range(24)]
    asked = [{"prompt": f"P{n}?", "options": ["short", "loong"], "area": "x"} for n in range(8)]
    steps = {
        "rows": {"table": rows},
        "asked": {"table": asked},
        "scored": {"judge": "score", "items": "rows", "criteria": {"fit": "it fits"}, "model": "m"},
        "stars": {
            "judge": "score",
            "items": "rows",
            "given": "stars",
            "range": "0..2",
            "criteria": {"liked": "it is liked"},
        },
        "picked": {"judge": "pick", "items": "asked", "model": "m"},
    }
    done = whole({"models": {"m": {}}, "steps": steps, "publish": {"exports": ["judgments"]}}, judge)
    manifest = json.loads((done.folder / "manifest.json").read_text())
    assert wrong_manifest(manifest) is None
    found = {one.name: one for one in judged_steps(manifest)}
    assert [*found] == ["scored: fit", "stars: liked", "picked"]
    scored = {answer: share for answer, _, share in found["scored: fit"].answers}
    assert {answer: round(share, 6) for answer, share in scored.items()} == {
        "1": 0.75, "2": 0.0, "3": 0.0, "4": 0.1875, "5": 0.0625,
    }  # fmt: skip
    assert [round(share, 6) for _, _, share in found["stars: liked"].answers] == [round(1 / 3, 6)] * 3
    assert found["picked"].answers[-1][0] == "B"
    assert found["picked"].answers[-1][2] == 1.0
    assert "16 judgments, 100 % of them read" in found["picked"].said
    assert "orders agree 100 %" in found["picked"].said
    card = (done.folder / "README.md").read_text()
    assert "**scored: fit**: 24 rows, 100 % (" in card
    prefgen.run(prefgen.load(done.folder / "pipeline.yaml"), done.folder, report=True)
    page = (done.folder / "report.html").read_text()
    assert 'id="judged"' in page
    assert "<bdi>stars: liked</bdi>" in page


def test_of_two_runs_shares_are_pooled_and_rows_added() -> None:
    def rating(value: float, n: int) -> dict[str, object]:
        estimate = {"value": value, "low": value - 0.1, "high": value + 0.1, "n": n}
        answers = [{"answer": "yes", **estimate}]
        return {
            "criterion": "fit",
            "rows": n,
            "read": estimate,
            "answers": answers,
            "mean": None,
            "repeats_agree": None,
        }

    (both,) = added_up([rating(0.2, 10)], [rating(0.4, 30)], (10, 30), "ratings")
    assert both["rows"] == 40
    assert round(both["answers"][0]["value"], 9) == 0.35
    assert both["answers"][0]["answer"] == "yes"
    other = {**rating(0.5, 5), "criterion": "ease"}
    assert [one["criterion"] for one in added_up([rating(0.2, 10)], [other], (10, 5), "ratings")] == ["fit", "ease"]
