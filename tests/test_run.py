"""The whole line over a real socket: made once, resumed anywhere, replayed to the same bytes."""

from collections.abc import Callable
from pathlib import Path

import orjson
import polars as pl
import pytest

from prefgen.errors import GateError, NotFinished, SpecError, UsageError
from prefgen.flow.outcome import Outcome
from prefgen.flow.pipeline import load
from prefgen.flow.plan import make_plan
from prefgen.flow.planned import Plan
from prefgen.flow.run import run as run_with_report
from prefgen.ids import file_sha256
from prefgen.spec.pipeline import Pipeline, replaying
from prefgen.store.folder import RunFolder
from prefgen.store.tables import Account
from tests.faults.pipelines import write_pipeline
from tests.servers.running import Served


class Nobody:
    """A reporter who does not look, but counts."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def planned(self, plan: Plan, folder: Path) -> None: ...
    def begins(self, step: str, kind: str) -> None:
        self.steps.append(step)

    def asks(self, step: str, meter: object) -> None: ...
    def made(self, account: Account) -> None: ...
    def says(self, sentence: str) -> None: ...


def run(pipeline: Pipeline, out: Path, reporter: Nobody) -> Outcome:
    """A run without its report page, which is made in a test of its own."""
    return run_with_report(pipeline, out, reporter, report=False)


Start = Callable[..., Served]
STEPS = {
    "kept": {"keep": "answers", "where": {"unsure": "p_choice >= 0.55"}},
    "pairs": {"pair": "chosen_vs_other", "from": "kept", "items": "items"},
    "parts": {"split": "pairs", "by": ["item"], "test": 0.3},
}


def written(folder: Path, base_url: str) -> Path:
    return write_pipeline(folder, base_url, personas=8, items=10, steps=STEPS)


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): file_sha256(path) for path in sorted((folder / "data").rglob("*.parquet"))
    }


def test_rows_in_are_rows_kept_and_dropped_and_the_manifest_says_so(folder: Path, endpoint: Start) -> None:
    path = written(folder, endpoint().base_url)
    planned = {step.name: step for step in make_plan(load(path)).steps}
    manifest = run(load(path), folder / "out", Nobody()).manifest
    for account in manifest["steps"]:
        table = RunFolder(folder / "out").table(account["name"])
        assert account["rows"] == table.n_rows == account["kept"] + sum(account["dropped"].values())
        if planned[account["name"]].rows is not None:
            assert planned[account["name"]].rows == account["rows"]
    asked = next(account for account in manifest["steps"] if account["name"] == "answers")
    assert asked["requests"]["sent"] == planned["answers"].requests == 160
    kept = RunFolder(folder / "out").table("kept").read()
    assert kept.filter(pl.col("p_choice") < 0.55)["reject_reason"].eq("unsure").all()
    assert manifest["status"] == "finished"
    for entry in manifest["files"]:
        assert file_sha256(folder / "out" / entry["path"]) == entry["sha256"]


def test_a_finished_run_asks_nothing_and_writes_nothing(folder: Path, endpoint: Start) -> None:
    served = endpoint()
    path = written(folder, served.base_url)
    run(load(path), folder / "out", Nobody())
    asked, files = (
        served.log()["answered"],
        {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("*") if path.name != ".lock"},
    )
    reporter = Nobody()
    assert not run(load(path), folder / "out", reporter).fresh
    assert served.log()["answered"] == asked
    assert reporter.steps == []
    assert files == {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("*") if path.name != ".lock"}


def test_a_replay_of_the_responses_gives_the_same_bytes_without_a_server(folder: Path, endpoint: Start) -> None:
    path = written(folder, endpoint().base_url)
    run(load(path), folder / "out", Nobody())
    replayed = replaying(load(path), folder / "out" / "responses.sqlite")
    run(replayed, folder / "again", Nobody())
    assert digests(folder / "out") == digests(folder / "again")


def test_the_resolved_pipeline_runs_again_to_the_same_bytes(folder: Path, endpoint: Start) -> None:
    run(load(written(folder, endpoint().base_url)), folder / "out", Nobody())
    resolved = load(folder / "out" / "pipeline.yaml")
    run(resolved, folder / "again", Nobody())
    assert digests(folder / "out") == digests(folder / "again")


def test_a_changed_step_is_made_again_and_nothing_asked_twice(folder: Path, endpoint: Start) -> None:
    served = endpoint()
    path = written(folder, served.base_url)
    run(load(path), folder / "out", Nobody())
    asked = served.log()["answered"]
    reporter = Nobody()
    run(load(path, ["steps.kept.where.unsure=p_choice >= 0.9"]), folder / "out", reporter)
    assert reporter.steps == ["kept", "pairs", "parts"]
    assert served.log()["answered"] == asked
    run(load(path, ["steps.answers.repeats=2"]), folder / "out", Nobody())
    assert served.log()["answered"] == 2 * 160


def test_a_run_stopped_at_any_step_goes_on_where_it_was(folder: Path, endpoint: Start) -> None:
    path = written(folder, endpoint().base_url)
    run(load(path), folder / "whole", Nobody())
    for stop in ("personas", "answers", "kept", "parts"):

        class Stopping(Nobody):
            def begins(self, step: str, kind: str, at: str = stop) -> None:
                if step == at:
                    raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(load(path), folder / f"cut-{stop}", Stopping())
        assert orjson.loads((folder / f"cut-{stop}" / "manifest.json").read_bytes())["status"] == "unfinished"
        run(load(path), folder / f"cut-{stop}", Nobody())
        assert digests(folder / f"cut-{stop}") == digests(folder / "whole")


def test_a_missed_gate_is_told_after_the_data_is_written_and_every_time(folder: Path, endpoint: Start) -> None:
    path = written(folder, endpoint().base_url)
    for _ in range(2):
        with pytest.raises(GateError, match=r"kept\.min_yield"):
            run(load(path, ["expect.kept={min_yield: 1.0}"]), folder / "out", Nobody())
    assert (folder / "out" / "data" / "dpo").exists()


def test_nothing_is_written_for_a_pipeline_that_is_wrong(folder: Path) -> None:
    path = written(folder, "http://127.0.0.1:9/v1")
    with pytest.raises(SpecError):
        run(load(path, ["steps.kept.where=nonsense >= 1"]), folder / "out", Nobody())
    assert not (folder / "out").exists()


def test_a_folder_belongs_to_one_dataset_and_one_run(folder: Path, endpoint: Start) -> None:
    path = written(folder, endpoint().base_url)
    run(load(path), folder / "out", Nobody())
    with pytest.raises(UsageError, match="holds the dataset"):
        run(load(path, ["name=another"]), folder / "out", Nobody())
    with RunFolder(folder / "out").locked(), pytest.raises(NotFinished):
        run(load(path), folder / "out", Nobody())


def test_a_report_that_is_missing_is_made_and_nothing_else(folder: Path, endpoint: Start) -> None:
    served = endpoint()
    path = written(folder, served.base_url)
    run(load(path), folder / "out", Nobody())
    asked, data = served.log()["answered"], digests(folder / "out")
    assert not (folder / "out" / "report.html").exists()
    reporter = Nobody()
    run_with_report(load(path), folder / "out", reporter)
    assert (folder / "out" / "report.html").exists()
    assert reporter.steps == []
    assert (served.log()["answered"], digests(folder / "out")) == (asked, data)


def test_the_log_tells_what_happened_and_no_persona(folder: Path, endpoint: Start) -> None:
    path = written(folder, endpoint().base_url)
    run(load(path), folder / "out", Nobody())
    events = [orjson.loads(line) for line in (folder / "out" / "log.jsonl").read_bytes().splitlines()]
    assert [event["event"] for event in events if event["event"] != "progress"][:2] == ["run", "begin"]
    assert {event["name"] for event in events if event["event"] == "made"} == set(load(path).steps)
    assert events[-1]["event"] == "done"
    assert b"You are" not in (folder / "out" / "log.jsonl").read_bytes()


def test_the_key_stands_in_no_file(folder: Path, endpoint: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-0123456789")
    run(load(written(folder, endpoint().base_url)), folder / "out", Nobody())
    for path in (folder / "out").rglob("*"):
        if path.is_file():
            assert b"sk-very-secret" not in path.read_bytes(), path
