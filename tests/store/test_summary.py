"""What a summary may hold, where a right seal says nothing: a complaint with file, key, what was found, and a fix."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import orjson
import pytest

from prefgen.errors import FileError
from prefgen.personas.draw import draw_audited
from prefgen.store.fitting import SHARE, misfit
from prefgen.store.folder import RunFolder
from prefgen.store.seal import sealed
from tests.analysis.planted import manifest_of, plant
from tests.personas.specs import AGES, VOTES, population
from tests.personas.test_microdata import survey, town


def manifest(folder: Path) -> dict[str, Any]:
    """Of a run whose draw tells all that one can tell."""
    asked = population(folder, attributes={"age": AGES, "vote": VOTES})
    told = draw_audited(asked, n=20, seed=1).audit.to_json()
    fitted = draw_audited(town(folder, survey(rows=200)), n=20, seed=1).audit.to_json()
    planted = plant()
    said = manifest_of(planted, planted.judgments, name="town")
    (drawn,) = (step for step in said["steps"] if step["kind"] == "draw")
    (judged,) = (step for step in said["steps"] if step["kind"] == "judge")
    drawn["summary"] = told | {"parts": [told, fitted]}
    estimate = {"value": 0.1, "low": 0.0, "high": 0.2, "n": 9}
    judged["summary"] = {"position_bias": estimate, "first_slot": estimate, "p_read": 0.9, "example": [["user", "A?"]]}
    return orjson.loads(orjson.dumps(said))  # type: ignore[no-any-return]


def complaint(folder: Path, said: dict[str, Any]) -> str:
    run = RunFolder(folder)
    run.manifest_path.write_bytes(orjson.dumps(sealed(said)))
    with pytest.raises(FileError, match=r"\n  fix: run the pipeline again") as caught:
        run.read_manifest()
    return str(caught.value)


def test_what_a_run_writes_is_read(tmp_path: Path) -> None:
    run, said = RunFolder(tmp_path), manifest(tmp_path)
    run.write_manifest(said)
    assert run.read_manifest() == said


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("0.n", "20", "steps[0].summary.n is '20', not a count"),
        ("0.source", {"a": 1}, "steps[0].summary.source is {'a': 1}, not "),
        ("0.audit", {}, "steps[0].summary.audit is {}, not a list"),
        ("0.audit.0.total_variation", None, "audit[0].total_variation is None, not a number from 0 to 1"),
        ("0.audit.0.total_variation", 1e300, "audit[0].total_variation is 1e+300, not a number from 0 to 1"),
        ("0.margins.0.levels", ["x"], "margins[0] is of 1 levels, 3 target, 3 realised, not of as many each"),
        ("0.margins", ..., "steps[0].summary.margins is missing"),
        ("0.parts.1.privacy.respondents", [], "parts[1].privacy.respondents is [], not a count"),
        ("0.parts.1.fit", {"converged": False}, "parts[1].fit.method is missing"),
        ("0.n", 0, "n is 0, not a number from 1"),
        ("2.position_bias.n", ..., "steps[2].summary.position_bias.n is missing"),
        ("2.position_bias.value", "much", "steps[2].summary.position_bias.value is 'much', not "),
        ("2.statuses", {"ok": None}, "statuses.ok is None, not a count"),
        ("2.example", [["user"]], "example[0] is ['user'], not a list of 2"),
        ("2.near_duplicates", 0.5, "steps[2].summary.near_questions is missing"),
        ("2.notes", "much", "notes is 'much', not a list"),
    ],
)
def test_an_odd_summary_is_told_with_its_key_and_what_was_found(
    tmp_path: Path, place: str, value: Any, words: str
) -> None:
    said = manifest(tmp_path)
    step, *keys, last = (int(key) if key.isdigit() else key for key in place.split("."))
    holder = said["steps"][step]["summary"]
    for key in keys:
        holder = holder[key]
    if value is ...:
        del holder[last]
    else:
        holder[last] = value
    told = complaint(tmp_path, said)
    assert f"{tmp_path}/manifest.json: damaged: " in told
    assert words in told


def test_what_is_nested_without_an_end_is_told(tmp_path: Path) -> None:
    said = manifest(tmp_path)
    nested: list[Any] = []
    for _ in range(100):
        nested = [copy.copy(nested)]
    said["steps"][0]["summary"]["x"] = nested
    assert "nested more than 40 levels deep" in complaint(tmp_path, said)


def test_a_shape_says_where_a_value_leaves_it() -> None:
    wanted = {"a": [{"b": (SHARE, type(None))}], "c?": {"*": int}, "d?": bool}
    assert misfit({"a": [{"b": None}, {"b": 1}], "c": {"x": 3}}, wanted) is None
    assert misfit({"a": [{"b": 0}, {"b": 2}]}, wanted) == "a[1].b is 2, not a number from 0 to 1"
    assert misfit({"a": [], "c": {"x": True}}, wanted) == "c.x is True, not a count"
    assert misfit({"a": [], "d": 1}, wanted) == "d is 1, not true or false"
    assert misfit({}, wanted) == "a is missing"
