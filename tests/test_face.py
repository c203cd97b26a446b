"""`import prefgen`: what a program or a notebook calls, over a real socket."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import prefgen
from prefgen import schemas
from prefgen.errors import FileError, SpecError
from tests.faults.pipelines import write_pipeline
from tests.servers.running import Served, thread

PERSONAS, ITEMS = 6, 4


@pytest.fixture
def server():
    with thread({}) as served:
        yield served


@pytest.fixture
def made(server: Served, tmp_path: Path, monkeypatch) -> prefgen.Run:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")
    path = write_pipeline(
        tmp_path, server.base_url, personas=PERSONAS, items=ITEMS, exports=("judgments", "preferences", "dpo")
    )
    return prefgen.run(path, tmp_path / "run", report=False, progress=False)


def test_a_run_is_made_and_read(made: prefgen.Run) -> None:
    assert made.fresh
    judgments = made.judgments.collect()
    assert judgments.height == PERSONAS * ITEMS * 2
    assert made.personas.collect().height == PERSONAS
    assert made.items.select("item_id").collect().height == ITEMS
    assert made.preferences.collect().height == PERSONAS * ITEMS
    assert made.data("dpo").collect().height == sum(made.data("dpo", split).collect().height for split in ("train",))
    assert made.table("answers").collect().height == judgments.height
    one = made.personas.collect()["persona_id"][0]
    assert made.judgments.filter(persona_id=one).collect().height == ITEMS * 2


@pytest.mark.parametrize("name", ["personas", "items", "judgments", "preferences"])
def test_a_table_has_its_columns_in_the_types_that_are_said(made: prefgen.Run, name: str) -> None:
    schema = getattr(schemas, name.upper())
    found = getattr(made, name).collect_schema()
    said = schema.types()
    assert {one: kind for one, kind in found.items() if one in said} == {one: said[one] for one in found if one in said}
    brought = schemas.coordinates(found, schema)
    assert set(brought) == set(found) - schema.names
    assert not {"prompt", "choice", "p", "weight", "status"} & set(brought)


def test_every_column_has_one_line_of_meaning() -> None:
    tables = [one for one in vars(schemas).values() if isinstance(one, schemas.Schema)]
    assert len(tables) >= 7
    for column in (column for table in tables for column in table.columns):
        assert column.meaning, column.name
        assert "\n" not in column.meaning


def test_the_same_call_again_asks_nothing(made: prefgen.Run, server: Served) -> None:
    before = server.log()["requests"]
    again = prefgen.run(made.path / "pipeline.yaml", made.path, report=False, progress=False)
    assert not again.fresh
    assert server.log()["requests"] == before
    assert prefgen.open_run(made.path).manifest == made.manifest


def test_a_running_event_loop_is_no_hindrance_and_signals_stay_as_they_were(
    server: Served, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")
    path = write_pipeline(tmp_path, server.base_url, personas=2, items=2)
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]

    async def cell() -> int:
        return prefgen.run(path, tmp_path / "run", report=False, progress=False).judgments.collect().height

    assert asyncio.run(cell()) == 8
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_settings_are_written_over_the_file_and_a_plan_asks_nobody(server: Served, tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, server.base_url, personas=3, items=5)
    settings = {"models.judge.concurrency": 2, "seed": 7, "limit": 2}
    pipeline = prefgen.load(path, settings)
    assert (pipeline.models["judge"].concurrency, pipeline.seed, pipeline.limit) == (2, 7, 2)
    assert prefgen.plan(pipeline).requests == 3 * 2 * 2
    assert prefgen.plan(path).requests == 3 * 5 * 2
    assert server.log()["requests"] == 0
    with pytest.raises(SpecError, match="concurrenci"):
        prefgen.load(path, {"models.judge.concurrenci": 2})


def test_people_are_drawn_and_exports_written(made: prefgen.Run, tmp_path: Path) -> None:
    people = prefgen.draw(tmp_path / "people.yaml", 50, seed=3)
    assert people.height == 50
    assert people.equals(prefgen.draw(tmp_path / "people.yaml", 50, seed=3))
    splits = prefgen.export(made, "kto", tmp_path / "kto")
    assert sum(splits.values()) == pl.scan_parquet(tmp_path / "kto" / "*.parquet").select(pl.len()).collect().item() > 0


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda run: run.table("nobody"), "no step 'nobody'"),
        (lambda run: run.data("kto"), "no data/kto"),
        (lambda run: run.data("dpo", "test"), "no data/dpo/test"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(
    made: prefgen.Run, ask: Callable[[prefgen.Run], object], words: str
) -> None:
    with pytest.raises(FileError, match=words) as missed:
        ask(made)
    assert "dpo" in missed.value.fix or "answers" in missed.value.fix


def test_a_run_is_replayed_without_its_server(made: prefgen.Run, server: Served, tmp_path: Path) -> None:
    before = server.log()["requests"]
    again = prefgen.run(tmp_path / "pipeline.yaml", tmp_path / "again", replay=made.path, report=False, progress=False)
    assert again.judgments.collect()["choice"].equals(made.judgments.collect()["choice"])
    assert server.log()["requests"] == before
    with pytest.raises(SpecError, match="there are no responses here"):
        prefgen.run(tmp_path / "pipeline.yaml", tmp_path / "none", replay=tmp_path / "nowhere", progress=False)


def test_people_are_drawn_with_their_audit_into_a_file(made: prefgen.Run, tmp_path: Path) -> None:
    drawn = prefgen.draw_audited(made.path.parent / "people.yaml", 50, seed=3, out=tmp_path / "drawn.parquet")
    assert drawn.audit.n == 50
    assert pl.read_parquet(tmp_path / "drawn.parquet").equals(drawn.people)
    assert (tmp_path / "drawn.audit.json").is_file()


def test_a_run_that_judges_nothing_has_its_people_and_items(made: prefgen.Run, tmp_path: Path) -> None:
    (tmp_path / "drawn.yaml").write_text(
        "name: drawn\nsteps:\n  people: {draw: people.yaml, n: 7}\n"
        "  items: {table: [{item_id: q, prompt: 'Q?', options: [a, b]}]}\npublish: {exports: [personas]}\n"
    )
    run = prefgen.run(tmp_path / "drawn.yaml", tmp_path / "drawn", report=False, progress=False)
    assert (run.personas.collect().height, run.items.collect()["item_id"].to_list()) == (7, ["q"])
    with pytest.raises(FileError, match="no judgments"):
        _ = run.judgments


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError):
        prefgen.open_run(tmp_path)


def test_a_notebook_shows_a_run_and_escapes_its_names(made: prefgen.Run) -> None:
    shown = prefgen.Run(made.path, dict(made.manifest) | {"name": "<script>x</script>"})._repr_html_()
    assert "&lt;script&gt;" in shown
    assert "<script>" not in shown
    assert f"<td>{PERSONAS * ITEMS * 2:,}</td>" in shown


def test_the_package_is_imported_for_nothing() -> None:
    code = "import sys, prefgen; prefgen.__version__; print(sorted({'polars', 'aiohttp', 'pydantic', 'asyncio'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert {"load", "plan", "run", "open_run", "draw", "export"} <= set(dir(prefgen))
    with pytest.raises(AttributeError, match="no attribute 'ruin'"):
        prefgen.ruin  # noqa: B018


def test_what_readme_shows_runs_as_it_stands(server: Served, tmp_path: Path, monkeypatch) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    code = re.findall(r"^```python\n(.*?)^```$", readme, re.M | re.S)
    blocks = re.findall(r"^```yaml\n(.*?)^```$", readme, re.M | re.S)
    people = next(one for one in blocks if one.startswith("population:"))
    pipeline = next(one for one in blocks if one.startswith("name: my-prefs"))
    (tmp_path / "people.yaml").write_text(people)
    (tmp_path / "prefs.yaml").write_text(
        pipeline.replace("http://127.0.0.1:8000/v1", server.base_url).replace("qwen3-8b", "test-model")
    )
    item = re.search(r'^    (\{"prompt".*\})$', readme, re.M)
    assert item is not None
    (tmp_path / "items.jsonl").write_text(item[1] + "\n")
    (tmp_path / "outputs").mkdir()
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code[0], names)
    assert names["run"].path == Path("outputs/my-prefs-limit-20")
    assert names["people"].height == 1000
    assert list((tmp_path / "outputs/kto").glob("*.parquet"))
