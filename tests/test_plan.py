"""A plan says what is exact and what is at most, learns how fast a model is, and what it had to make is not made again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from prefgen.dispatch.speed import remember_speed, speed_of, speeds_path
from prefgen.errors import SpecError
from prefgen.flow.pipeline import load
from prefgen.flow.plan import make_plan
from prefgen.flow.planned import Plan
from prefgen.screen.console import plan_notes
from prefgen.spec.models import EmbeddedModel, OpenAIModel
from prefgen.spec.pipeline import Pipeline
from prefgen.steps import draw
from tests.faults.pipelines import write_pipeline
from tests.servers.running import Served
from tests.test_run import STEPS, Nobody, run

Start = Callable[..., Served]
PIPELINE = """
name: t
models: {m: {engine: openai, model: x, base_url: "http://127.0.0.1:9/v1", concurrency: 10}}
steps:
  people: {draw: people.yaml, n: 6}
  items: {table: items.jsonl}
  lives: {write: backstory, as: people, model: m}
  retold: {write: vignettes, items: items, model: m, tries: TRIES}
  a: {judge: pick, items: items, as: people, model: m}
  b: {judge: pick, items: items, as: lives, model: m}
  c: {judge: pick, items: retold, as: people, model: m}
  kept: {keep: c, where: "p_choice >= 0.5"}
  pairs: {pair: chosen_vs_other, from: kept, items: retold}
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def pipeline(folder: Path, tries: int = 1, more: str = "") -> Pipeline:
    (folder / "people.yaml").write_text(
        "population: p\nsource: made up\nattributes: {vote: {left: 0.5, right: 0.5}}\ntext: You vote {{ vote }}.\n"
    )
    (folder / "items.jsonl").write_text(
        '{"prompt": "Tea?", "options": ["yes", "no"]}\n{"prompt": "Cake?", "options": ["yes", "no"]}\n'
    )
    path = folder / "p.yaml"
    path.write_text(PIPELINE.replace("TRIES", str(tries)) + more)
    return load(path)


def test_counts_are_exact_at_most_or_unknown(folder: Path) -> None:
    plan = {step.name: step for step in make_plan(pipeline(folder)).steps}
    assert {name: (step.rows, step.rows_are) for name, step in plan.items()} == {
        "people": (6, "exact"),
        "items": (2, "exact"),
        "lives": (6, "exact"),
        "retold": (2, "exact"),
        "a": (24, "exact"),
        "b": (24, "exact"),  # who has no life keeps the text there was
        "c": (24, "at most"),  # an item whose vignettes fail a check is not asked about
        "kept": (24, "at most"),
        "pairs": (None, "unknown"),
    }
    assert {name: step.requests_are for name, step in plan.items() if step.model} == {
        "lives": "at most",
        "retold": "at most",
        "a": "exact",
        "b": "at most",  # two lives may turn out the same
        "c": "at most",
    }


def test_more_tries_than_one_are_a_guess_that_says_the_most(folder: Path) -> None:
    step = next(step for step in make_plan(pipeline(folder, tries=3)).steps if step.name == "retold")
    assert step.requests_are == "unknown"
    assert f"at most {3 * step.requests:,} requests with 3 tries" in step.notes[0]


@pytest.mark.parametrize(
    ("gate", "complaint"),
    [
        ("c: {rows: 24}", None),  # it may be reached
        ("c: {rows: 20}", None),
        ("c: {rows: 25}", "at most 24 rows, expected 25"),
        ("c: {min_rows: 25}", "at most 24 rows, expected at least 25"),
        ("a: {rows: 20}", "24 rows, expected 20"),
        ("a: {min_rows: 25}", "24 rows, expected at least 25"),
        ("a: {min_rows: 24}", None),
    ],
)
def test_what_cannot_be_reached_is_refused_and_what_may_be_is_not(
    folder: Path, gate: str, complaint: str | None
) -> None:
    made = pipeline(folder, more=f"expect: {{{gate}}}\n")
    if complaint is None:
        make_plan(made)
    else:
        with pytest.raises(SpecError, match=complaint):
            make_plan(made)


def test_people_are_drawn_once_and_a_finished_run_plans_nothing(
    folder: Path, endpoint: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    real = draw.draw_audited
    monkeypatch.setattr(draw, "draw_audited", lambda *given, **named: drawn.append(1) or real(*given, **named))
    path = write_pipeline(folder, endpoint().base_url, personas=4, items=3, steps=STEPS)

    class Stopping(Nobody):
        def begins(self, step: str, kind: str) -> None:
            if step == "answers":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(load(path), folder / "out", Stopping())
    run(load(path), folder / "out", Nobody())
    assert len(drawn) == 1

    def nobody_plans(*_: object) -> Plan:
        raise AssertionError

    monkeypatch.setattr("prefgen.flow.plan.make_plan", nobody_plans)
    assert not run(load(path), folder / "out", Nobody()).fresh


def test_a_run_teaches_the_next_plan_how_fast_its_model_is(folder: Path, endpoint: Start) -> None:
    path = write_pipeline(folder, endpoint().base_url, personas=8, items=10, steps=STEPS)
    before = make_plan(load(path))
    assert "a guess" in plan_notes(before)[-1]
    assert not speeds_path().exists()
    run(load(path), folder / "out", Nobody())
    after = make_plan(load(path))
    assert "earlier runs on this machine" in plan_notes(after)[-1]
    asked = next(step for step in after.steps if step.name == "answers")
    assert asked.measured
    assert asked.seconds is not None
    assert 0 < asked.seconds < 60


def test_a_broken_file_of_speeds_is_none_and_few_requests_teach_nothing() -> None:
    model = EmbeddedModel(engine="embedded")
    remember_speed(model, "judge:1", requests=10, seconds=1.0)
    assert not speeds_path().exists()
    remember_speed(model, "judge:1", requests=100, seconds=20.0)
    known = speed_of(model, "judge:1")
    assert known is not None
    assert (known.requests_per_s, known.measured) == (5.0, True)
    speeds_path().write_text("[broken")
    known = speed_of(model, "judge:1")
    assert known is not None
    assert not known.measured


def test_every_address_of_a_list_answers() -> None:
    both = OpenAIModel(engine="openai", model="x", base_url=["http://a/v1", "http://b/v1"], concurrency=10)
    known = speed_of(both, "judge:1")
    assert known is not None
    assert known.requests_per_s == 20
