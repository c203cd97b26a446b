"""The step `draw`: checked with its pipeline, and its audit in the summary."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import yaml
from pydantic import ValidationError

from prefgen.errors import Complaint, SpecError
from prefgen.steps import draw
from prefgen.steps.context import Context
from prefgen.store.table import FRAME_ROWS
from tests.personas.specs import VOTES, population
from tests.steps.asking import summary_of

SPECS = Path(__file__).parents[2] / "persona_specs"


def context(seed: int = 7) -> Context:
    def complain(key, problem, fix):
        return SpecError(Complaint("pipeline.yaml", 1, ".".join(map(str, key)), problem, fix))

    return Context(step="people", seed=seed, ask=None, complain=complain)  # type: ignore[arg-type]


def step(folder: Path, **keys) -> draw.Draw:
    return draw.Draw.model_validate(keys, context=folder)


def made(spec: draw.Draw, at: Context | None = None) -> pl.DataFrame:
    return pl.concat(spec.make({}, at or context()))


def test_the_seven_come_with_their_control():
    people = made(step(SPECS, draw="britain_seven.yaml", controls=["none"]))
    assert people.height == 8
    assert people.filter(control="none")["text"].to_list() == [""]


def test_the_summary_has_the_audit_and_the_source(tmp_path):
    at = context()
    population(tmp_path, attributes={"vote": VOTES}, source="a survey")
    summary = summary_of(step(tmp_path, draw="people.yaml", n=100), {}, at)
    assert summary["population"] == "town"
    assert summary["source"] == ("a survey",)
    assert summary["n"] == 100
    assert [row["table"] for row in summary["audit"]] == ["vote"]


def test_the_seed_of_the_step_goes_before_that_of_the_pipeline(tmp_path):
    population(tmp_path, attributes={"vote": VOTES})
    own = step(tmp_path, draw="people.yaml", n=100, seed=3)
    assert made(own, context(1)).equals(made(own, context(2)))
    shared = step(tmp_path, draw="people.yaml", n=100)
    assert not made(shared, context(1)).equals(made(shared, context(2)))


def test_every_file_that_decides_is_an_input(tmp_path):
    (tmp_path / "t.csv").write_text("vote,count\n" + "".join(f"{vote},{share}\n" for vote, share in VOTES.items()))
    population(tmp_path, attributes={"vote": list(VOTES)}, tables=[{"of": ["vote"], "file": "t.csv"}])
    assert [path.name for path in step(tmp_path, draw="people.yaml", n=1).inputs()] == ["people.yaml", "t.csv"]


def test_large_draws_come_in_parts(tmp_path):
    population(tmp_path, attributes={"vote": VOTES})
    parts = list(step(tmp_path, draw="people.yaml", n=FRAME_ROWS + 5).make({}, context()))
    assert [part.height for part in parts] == [FRAME_ROWS, 5]


def test_the_spec_is_checked_with_the_step(tmp_path):
    (tmp_path / "people.yaml").write_text(yaml.safe_dump({"population": "town", "atributes": {}}))
    with pytest.raises(SpecError, match=r"people\.yaml:1: atributes: unknown key"):
        step(tmp_path, draw="people.yaml", n=1)


def test_attributes_need_to_be_told_how_many(tmp_path):
    population(tmp_path, attributes={"vote": VOTES})
    with pytest.raises(ValidationError, match="which do not say how many people to draw"):
        step(tmp_path, draw="people.yaml")


def test_portraits_cannot_be_shuffled():
    with pytest.raises(ValidationError, match="named portraits have no attributes to shuffle"):
        step(SPECS, draw="britain_seven.yaml", controls=["shuffled"])


def test_a_plan_hears_what_was_found_in_a_survey(tmp_path):
    (tmp_path / "survey.csv").write_text("region,vote\n" + "01,left\n02,right\n" * 5 + "Total,left\n")
    population(tmp_path, microdata={"file": "survey.csv", "columns": ["region", "vote"]})
    at = context()
    made(step(tmp_path, draw="people.yaml", n=11), at)
    assert "levels of region (respondents): 'Total' 1, '01' 5, '02' 5" in at.notes
    assert any("'Total'" in note and "row of totals" in note for note in at.notes)
