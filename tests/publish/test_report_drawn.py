"""The draw in the report: figures of what was asked for and what was drawn, whatever levels are called."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from prefgen.personas.draw import draw_audited
from prefgen.publish.report import draw_figures, write_report
from prefgen.publish.report.drawn import MOST_LEVELS, draw_draws
from prefgen.publish.report.headlines import headlines
from prefgen.store.files import write_json
from prefgen.store.folder import RunFolder
from tests.analysis.planted import plant, plant_run
from tests.personas.specs import AGE_BY_VOTE, AGES, VOTES, population
from tests.publish.test_report import HOSTILE, Page, html_of

ODD = {"<script>alert(1)</script>": 0.5, HOSTILE["cyd"]: 0.3, "$x^2$ 👩‍🚀\x07": 0.2}


def summary(folder: Path, *, n: int = 30, **spec) -> dict:
    return draw_audited(population(folder, **spec), n=n, seed=1).audit.to_json()


def manifest(*summaries: dict) -> dict:
    return {"steps": [{"kind": "draw", "summary": one} for one in summaries]}


def keys(*summaries: dict) -> list[str]:
    return [key for key, _, _ in draw_draws(manifest(*summaries))]


def report_with(folder: Path, drawn: dict) -> RunFolder:
    run = RunFolder(plant_run(folder, plant()))
    told = run.read_manifest()
    told["steps"][0]["summary"] = drawn
    write_json(run.manifest_path, told)
    write_report(run)
    return run


def test_shares_and_associations_of_a_draw_stand_in_the_page_and_as_files(tmp_path):
    spec = {"attributes": {"age": AGES, "vote": VOTES, "sex": {"woman": 0.5, "man": 0.5}}}
    tables = [{"of": ["age", "vote"], "shares": AGE_BY_VOTE}]
    run = report_with(tmp_path / "run", summary(tmp_path, **spec, tables=tables))
    html = html_of(run)
    people = html[html.index('<section id="people">') : html.index('<section id="read">')]
    assert re.findall(r'<figure id="figure-(\w+)">', people) == ["margins", "associations"]
    assert {"margins.png", "associations.png"} <= {path.name for path in run.figures.iterdir()}
    assert "Farthest from the shares asked for is " in people
    assert "<td>age x vote</td>" in people
    assert "town: 30 people, effective sample size 30." in people
    assert Page(html).open == []


def test_names_of_strangers_stay_text_in_figures(tmp_path):
    drawn = summary(tmp_path, attributes={"odd": ODD, "vote": VOTES, "age": AGES})
    run = report_with(tmp_path / "run", drawn)
    page = Page(html_of(run))
    assert page.tags.count("script") == 1
    assert page.handlers == []
    assert "&lt;script&gt;alert(1)" in html_of(run)
    assert page.open == []


def test_what_is_just_as_asked_for_needs_no_figure(tmp_path):
    portraits = [{"id": name, "share": 0.5, "text": name} for name in ("one", "two")]
    exact = draw_audited(population(tmp_path, portraits=portraits), seed=1).audit.to_json()
    assert keys(exact) == []
    assert keys(summary(tmp_path, n=20, attributes={"sex": {"woman": 0.5, "man": 0.5}})) == []
    html = html_of(report_with(tmp_path / "run", exact))
    assert "How well the draw has what was asked for" not in html


def test_several_populations_have_figures_of_their_own_and_say_whose(tmp_path):
    one = summary(tmp_path, attributes={"vote": VOTES}, n=7)
    other = one | {"population": "village"}
    both = {**one, "parts": [one, other], "margins": [], "audit": [], "associations": []}
    assert keys(both) == ["margins", "margins2"]
    assert [title.rpartition(" ")[2] for _, title, _ in draw_draws(manifest(one, other))] == ["(town)", "(village)"]


@pytest.mark.parametrize("n_levels", [MOST_LEVELS, 51])
def test_an_attribute_of_many_levels_keeps_its_figure_short(tmp_path, n_levels):
    levels = {f"state {number}": 1 + number for number in range(n_levels)}
    drawn = summary(tmp_path, attributes={"state": levels}, normalize=True, n=33)
    ((_, _, drawing),) = draw_draws(manifest(drawn))
    names = [label.get_text() for label in drawing.figure.axes[0].get_yticklabels()]
    assert (names[-1] == "41 more") is (n_levels > MOST_LEVELS)
    assert len(names) == min(n_levels, MOST_LEVELS + 1)
    assert len(drawing.table.rows) == n_levels


def test_a_run_without_a_draw_has_none(tmp_path):
    run = RunFolder(plant_run(tmp_path / "run", plant()))
    assert not any(one.key.startswith("margins") for one in draw_figures(run.read_manifest(), {"matrix": None}))


def test_only_a_draw_with_something_wrong_is_among_what_to_know_first(tmp_path):
    tables = [{"of": ["age", "vote"], "shares": AGE_BY_VOTE}]
    right = summary(tmp_path, attributes={"age": AGES, "vote": VOTES}, tables=tables)
    told = {"steps": [{"name": "people", "kind": "draw", "grain": "personas", "summary": right}]}
    assert headlines(told, {}) == []
    wrong = {**VOTES, "left": 0.44, "none": 0.21}
    torn = summary(tmp_path, attributes={"age": AGES, "vote": wrong}, tables=tables)
    (said,) = headlines({"steps": [{"name": "people", "kind": "draw", "grain": "personas", "summary": torn}]}, {})
    assert said.sentence.startswith("No population has all tables of town at once: the one that fits worst misses by .")
    leaky = right | {"privacy": {"holdout_share": 0.62}}
    (said,) = headlines({"steps": [{"name": "people", "kind": "draw", "grain": "personas", "summary": leaky}]}, {})
    assert said.weight == "grave"
    assert "(62 %, where 50 % is wanted)" in said.sentence
