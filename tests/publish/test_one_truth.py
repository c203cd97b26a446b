"""A run with two judge steps over different items and personas: everything that speaks of it speaks of the same table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
import yaml

from prefgen.analysis.findings import find
from prefgen.errors import SpecError
from prefgen.face import open_run
from prefgen.flow.pipeline import load
from prefgen.flow.plan import make_plan
from prefgen.publish.exports.one import export_run
from prefgen.publish.report.headlines import judged
from prefgen.publish.report.people import describe_people
from prefgen.publish.report.readings import read_judgments
from prefgen.store.finished import finished
from prefgen.store.folder import RunFolder
from tests.faults.pipelines import prefgen
from tests.servers.answers import completion
from tests.servers.running import Served, serve
from tests.test_run import Nobody, run

PEOPLE = """
population: {name}
portraits:
  - {{id: {name}-one, share: 0.5, text: "You are the first of {name}."}}
  - {{id: {name}-two, share: 0.5, text: "You are the second of {name}."}}
"""


def written(folder: Path, base_url: str, **publish: Any) -> Path:
    """Two groups of people, each with questions of its own, judged in two steps."""
    for name in ("adults", "children"):
        (folder / f"{name}.yaml").write_text(PEOPLE.format(name=name))
    steps: dict[str, Any] = {}
    for judge, people, items, n in (("a", "adults", "taxes", 6), ("b", "children", "games", 4)):
        rows = [{"item_id": f"{items}-{k}", "prompt": f"{items} {k}?", "options": ["yes", "no"]} for k in range(n)]
        steps |= {
            people: {"draw": f"{people}.yaml", "controls": ["none"]},
            items: {"table": rows},
            judge: {"judge": "pick", "items": items, "as": people, "model": "judge"},
        }
    model = {"engine": "openai", "model": "test-model", "base_url": base_url}
    exports = [{"dpo": {"from": "a", "name": "dpo_a"}}, {"dpo": {"from": "b"}}, "judgments", "table"]
    pipeline = {
        "name": "two",
        "models": {"judge": model},
        "steps": steps,
        "publish": {"exports": exports, "license": "cc-by-4.0"} | publish,
    }
    path = folder / "two.yaml"
    path.write_text(yaml.safe_dump(pipeline, sort_keys=False))
    return path


@dataclass(frozen=True)
class Ran:
    folder: RunFolder
    pipeline: Path
    base_url: str
    screen: str

    @property
    def manifest(self) -> dict[str, Any]:
        return self.folder.read_manifest()


@pytest.fixture(scope="module", params=["b", "a"], ids=["the last speaks", "the first is chosen"])
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("two")
    with serve(None) as served:
        path = written(folder, served.base_url, **({} if request.param == "b" else {"judgments": "a"}))
        said = prefgen("run", str(path), "--out", str(folder / "out"))
        assert said.code == 0, said.err
        yield Ran(RunFolder(folder / "out"), path, served.base_url, said.err)


def spoken(ran: Ran) -> tuple[str, str, str, int]:
    """The step that speaks, its people and items, and how many items there are."""
    return (
        ("a", "adults", "taxes", 6)
        if ran.manifest["publish"].get("judgments") == "a"
        else ("b", "children", "games", 4)
    )


def read(ran: Ran, name: str) -> pl.DataFrame:
    return pl.read_parquet(ran.folder.data / name / "*.parquet")


def test_screen_card_report_and_show_name_the_table_they_speak_of(ran: Ran) -> None:
    step, people, items, n = spoken(ran)
    other = "a" if step == "b" else "b"
    card = ran.folder.card_path.read_text()
    lead = f"{2 * 3 * n} judgments by test-model as 2 personas and 1 control on {n} items. This speaks of {step}; {other} was judged too."
    assert lead in prefgen("show", str(ran.folder.path)).out.replace("\n", " ").replace("  ", " ")
    assert lead in ran.folder.report_path.read_text()
    assert f"judgments: those of {step} ({other} was judged too)" in ran.screen
    assert f"speaks of the judgments of the step `{step}`" in card
    assert (judged(ran.manifest) or {})["name"] == step
    found = find(ran.folder, draws=5)["matrix"]
    assert (found["personas"], found["items"]) == (2, n)
    assert {one.item_id.split("-")[0] for one in read_judgments(ran.folder, ran.manifest)} == {items}
    assert f"the first of {people}" in card
    shown = describe_people(ran.folder, ran.manifest) or {}
    assert f"2 personas of the population “{people}” and 1 control" in shown["lead"]
    opened = open_run(ran.folder.path)
    assert set(opened.items.collect()["item_id"].str.split("-").list.first()) == {items}
    assert set(opened.personas.collect()["population"]) == {people}


def test_personas_and_items_hold_every_exported_id_once(ran: Ran) -> None:
    people, items = read(ran, "personas"), read(ran, "items")
    assert people["persona_id"].is_unique().all()
    assert items["item_id"].is_unique().all()
    for name in ("dpo", "dpo_a", "judgments", "table"):
        rows = read(ran, name)
        assert set(rows["item_id"]) <= set(items["item_id"]), name
        assert set(rows["persona_id"]) <= set(people["persona_id"]), name
    assert items.height == 10
    assert set(read(ran, "dpo_a")["item_id"].str.split("-").list.first()) == {"taxes"}
    assert set(read(ran, "dpo")["item_id"].str.split("-").list.first()) == {"games"}


def test_exports_without_a_step_are_made_from_the_judgments_that_speak(ran: Ran) -> None:
    step, _, items, n = spoken(ran)
    assert {one["name"]: one["steps"] for one in ran.manifest["configs"]}["judgments"] == [step]
    rows, questions = read(ran, "table"), read(ran, "items")
    answers = [(item, letter) for item in questions["item_id"] for letter in "AB"]
    assert rows.height
    for row in rows.iter_rows(named=True):
        assert answers[row["item"]] == (row["item_id"], row["option"])
    assert set(read(ran, "judgments")["item_id"]) == {f"{items}-{k}" for k in range(n)}


def test_an_export_made_later_numbers_as_the_run_does(ran: Ran, tmp_path: Path) -> None:
    export_run(ran.folder.path, "table", tmp_path / "again")
    assert pl.read_parquet(tmp_path / "again/*.parquet").equals(read(ran, "table"))


def test_a_model_is_placed_on_the_same_questions(ran: Ran) -> None:
    step, _, items, _ = spoken(ran)
    placed = prefgen(
        "place", str(ran.folder.path), "--model", f"engine=openai,model=test-model,base_url={ran.base_url}", "--json"
    )
    assert placed.code == 0, placed.err
    assert orjson.loads(placed.out)["judgments"] == step
    assert set(finished(ran.folder, ran.manifest).items.read()["item_id"].str.split("-").list.first()) == {items}  # type: ignore[union-attr]


def test_a_calibration_is_of_the_same_judgments_unless_it_names_others(ran: Ran, tmp_path: Path) -> None:
    step, people, items, n = spoken(ran)
    survey = pl.DataFrame({f"{items}-{k}": ["yes", "no"] * 40 for k in range(n)} | {"kind": [people] * 80})
    survey.write_csv(tmp_path / "survey.csv")
    (tmp_path / "survey.yaml").write_text(
        "survey: survey.csv\nby: {population: kind}\nlevels: ['yes', 'no']\nleast: 2\n"
    )
    said = prefgen("calibrate", str(ran.folder.path), str(tmp_path / "survey.yaml"), "--json")
    assert said.code == 0, said.err
    assert orjson.loads((ran.folder.path / "calibration.json").read_bytes())["judgments"] == step
    assert f"the judgments of `{step}`" in ran.folder.card_path.read_text()


@pytest.mark.parametrize("readout", ["logprobs", "certainty"])
@pytest.mark.parametrize("system_role", [True, False])
def test_the_card_prints_a_request_that_a_server_was_really_sent(
    readout: str, system_role: bool, folder: Path, endpoint: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []

    def heard(body: dict[str, Any], *rest: Any) -> Any:
        sent.append("\n\n".join(f"[{one['role']}]\n{one['content']}" for one in body["messages"]))
        return completion(body, *rest)

    monkeypatch.setattr("tests.servers.endpoint.completion", heard)
    path = written(folder, endpoint().base_url, exports=["judgments"])
    edited(path, lambda pipeline: pipeline["steps"]["b"].update(orders=["cyclic"], readout=readout))
    edited(path, lambda pipeline: pipeline["models"]["judge"].update(system_role=system_role))
    said = prefgen("run", str(path), "--out", str(folder / "out"), "--no-report")
    assert said.code == 0, said.err
    (block,) = re.findall(r"as it was sent:\n\n```\n(.*?)\n```", (folder / "out" / "README.md").read_text(), re.S)
    assert block in sent
    assert ("[system]" in block) is system_role
    assert "children" in block


def test_data_that_were_paid_for_are_finished_whether_or_not_a_card_can_be_written(
    folder: Path, endpoint: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    served = endpoint()
    path = written(folder, served.base_url)

    def broken(*_: Any) -> None:
        raise ValueError("a bug of the card")

    with monkeypatch.context() as patched:
        patched.setattr("prefgen.flow.telling.write_card", broken)
        with pytest.raises(ValueError, match="a bug of the card"):
            run(load(path), folder / "out", Nobody())
    out = RunFolder(folder / "out")
    assert out.read_manifest()["status"] == "finished"
    assert pl.read_parquet(out.data / "dpo" / "*.parquet").height
    asked = served.log()["answered"]
    run(load(path), folder / "out", Nobody())
    assert out.card_path.is_file()
    assert served.log()["answered"] == asked


def edited(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    pipeline = yaml.safe_load(path.read_text())
    change(pipeline)
    path.write_text(yaml.safe_dump(pipeline, sort_keys=False))
    return path


def test_two_exports_of_one_name_are_refused_with_line_and_fix(folder: Path) -> None:
    path = written(folder, "http://127.0.0.1:9/v1", exports=[{"dpo": {"from": "a"}}, {"dpo": {"from": "b"}}])
    with pytest.raises(
        SpecError,
        match=r"exports\[1\]: two exports are named 'dpo'\n  fix: name one of them, e.g. \{dpo: \{name: dpo_2\}\}",
    ):
        make_plan(load(path))


def test_one_id_for_two_questions_is_refused(folder: Path) -> None:
    path = written(folder, "http://127.0.0.1:9/v1")
    edited(path, lambda pipeline: pipeline["steps"]["games"]["table"][0].update(item_id="taxes-0"))
    with pytest.raises(
        SpecError, match=r"item_id 'taxes-0' stands for two questions, one in each of 'taxes' and 'games'"
    ):
        make_plan(load(path))


def test_pairs_of_another_judge_are_taken_only_where_they_are_named(folder: Path) -> None:
    path = written(folder, "http://127.0.0.1:9/v1", exports=["dpo"])
    edited(
        path,
        lambda pipeline: pipeline["steps"].update(pairs={"pair": "chosen_vs_other", "from": "a", "items": "taxes"}),
    )
    with pytest.raises(SpecError, match=r"the pairs of 'pairs' rest on 'a', and the run's judgments are those of 'b'"):
        make_plan(load(path))
    edited(path, lambda pipeline: pipeline["publish"].update(exports=[{"dpo": {"from": "pairs"}}]))
    make_plan(load(path))
    edited(path, lambda pipeline: pipeline["publish"].update(exports=["dpo"], judgments="a"))
    make_plan(load(path))
