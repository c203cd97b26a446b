"""However a command ends - stopped, cut off, out of room - it says so, exits as README says, and can go on."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import polars as pl
import pytest

from prefgen.cli.ending import discreet
from tests.faults.pipelines import COMMAND, KEY, command, data_bytes, environment, prefgen, run, write_pipeline
from tests.servers.running import Served

Start = Callable[..., Served]
SLOW = {"latency_s": 0.05}


def begun(pipeline: Path, out: Path, server: Served, *more: str, **streams: object) -> subprocess.Popen[str]:
    """A run that has asked something and is not done yet."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    process = subprocess.Popen(command(pipeline, out, *more), text=True, env=environment(), **streams)  # type: ignore[call-overload]
    until = time.monotonic() + 60
    while server.log()["answered"] < 20 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    return process


def test_a_stopped_run_says_so_shows_how_far_it_is_and_goes_on(endpoint: Start, folder: Path) -> None:
    server = endpoint(SLOW, process=True)
    pipeline = write_pipeline(folder, server.base_url, personas=12, items=30, model={"concurrency": 4})
    out = folder / "out"
    for kind, times in ((signal.SIGINT, 1), (signal.SIGTERM, 1), (signal.SIGHUP, 1), (signal.SIGINT, 2)):
        process = begun(pipeline, out, server)
        for _ in range(times):
            process.send_signal(kind)
            time.sleep(0.05)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130, said
        assert "run the same command again to go on" in said
        assert "Traceback" not in said
        server.reset()
    shown = prefgen("show", str(out))
    assert shown.code == 0, shown.err
    assert "not finished: 2 of 4 steps are made (personas, items)" in shown.out
    assert "stopped at 'answers'" in shown.out
    assert f"--out {out}" in shown.out
    told = orjson.loads(prefgen("show", str(out), "--json").out)
    assert (told["status"], told["lead"]) == ("unfinished", "not finished: 2 of 4 steps are made (personas, items)")
    stored = told["unfinished"].pop("answers_stored")
    assert stored >= 20
    assert told["unfinished"] == {"made": ["personas", "items"], "ahead": ["answers", "kept"], "stopped_at": "answers"}
    server.follow({})
    assert run(pipeline, out).code == 0
    assert orjson.loads(prefgen("show", str(out), "--json").out)["unfinished"] is None
    assert run(pipeline, folder / "calm").code == 0
    assert data_bytes(out) == data_bytes(folder / "calm")


def test_a_run_whose_reader_goes_away_stops_and_is_no_success(endpoint: Start, folder: Path) -> None:
    server = endpoint(SLOW, process=True)
    pipeline = write_pipeline(folder, server.base_url, personas=20, items=30, model={"concurrency": 8})
    process = begun(pipeline, folder / "out", server, "--json")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        said = process.stderr.read()
    assert process.wait(60) == 141
    assert said.count("run the same command again to go on") == 1
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    assert run(pipeline, folder / "out").code == 0


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_full_disk_behind_the_screen_is_exit_4(endpoint: Start, folder: Path, stream: str) -> None:
    pipeline = write_pipeline(folder, endpoint().base_url, personas=3, items=4)
    with Path("/dev/full").open("w") as full:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: full}
        process = subprocess.Popen(
            command(pipeline, folder / "out", "--json" if stream == "stdout" else "--no-report"),
            env=environment(),
            text=True,
            **streams,  # type: ignore[call-overload]
        )
        _, said = process.communicate(timeout=60)
    assert process.returncode == 4
    assert stream == "stderr" or "No space left on device" in said
    assert "Traceback" not in (said or "")
    assert run(pipeline, folder / "out").code == 0


@pytest.mark.parametrize(
    "words", [["plan", "pipeline.yaml"], ["plan", "pipeline.yaml", "--json"], ["--help"], ["--version"]]
)
def test_whatever_is_printed_where_there_is_no_room_is_exit_4(endpoint: Start, folder: Path, words: list[str]) -> None:
    write_pipeline(folder, endpoint().base_url, personas=3, items=4)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [COMMAND, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_values_that_a_filter_cannot_take_cost_no_answer(endpoint: Start, folder: Path) -> None:
    server = endpoint()
    odd = {"kept": {"keep": "answers", "where": "CAST(persona_id AS INT) > 1"}}
    pipeline = write_pipeline(folder, server.base_url, personas=3, items=4, steps=odd)
    stopped = run(pipeline, folder / "out")
    assert stopped.code == 2
    assert "steps.kept.where" in stopped.err
    assert "TRY_CAST" in stopped.err
    assert "Traceback" not in stopped.err
    asked = server.log()["requests"]
    pipeline = write_pipeline(folder, server.base_url, personas=3, items=4)
    assert run(pipeline, folder / "out").code == 0
    assert server.log()["requests"] == asked


def test_the_version_and_completion_are_where_people_look() -> None:
    assert prefgen("--version").out == prefgen("version").out != ""
    done = prefgen(_PREFGEN_COMPLETE="complete_bash", COMP_WORDS="prefgen calib", COMP_CWORD="1")
    assert done.out.split() == ["calibrate"]


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        (
            "steps.answers.modle=x",
            "--set steps.answers.modle=x: steps.answers.modle: unknown key\n  fix: use one of 'model'",
        ),
        (
            "modles.judge.temperature=1",
            "--set modles.judge.temperature=1: modles: unknown key\n  fix: use one of 'models'",
        ),
        (
            "models.judge.temperature=hot",
            "--set models.judge.temperature=hot: models.judge.temperature: 'hot' is not a number",
        ),
        ("models.judge.engine=opnai", "--set models.judge.engine=opnai: models.judge"),
        ("seed=-1", "--set seed=-1: seed: -1 is too small"),
        ("name.x=1", "--set name.x=1: name is not a mapping"),
        ("name=[", "is not a YAML value"),
    ],
)
def test_a_flag_is_named_where_it_is_at_fault(folder: Path, flag: str, words: str) -> None:
    path = write_pipeline(folder, "http://127.0.0.1:9/v1", personas=3, items=4)
    done = prefgen("plan", str(path), "--set", flag)
    assert done.code == 2
    assert words in done.err
    assert "pipeline.yaml:" not in done.err


@pytest.mark.parametrize("width", [60, 80, 160])
def test_a_plan_can_be_read_on_a_narrow_screen(folder: Path, width: int) -> None:
    import io

    from prefgen.flow.pipeline import load
    from prefgen.flow.plan import make_plan
    from prefgen.screen.console import PlanGrid, Screen

    path = write_pipeline(
        folder, "http://127.0.0.1:9/v1", personas=300, items=400, model={"model": "a-model-of-a-long-name-70b-instruct"}
    )
    screen = Screen(file=io.StringIO(), width=width)
    screen.print(PlanGrid(make_plan(load(path))))
    said = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in said
    assert all(len(line) <= width for line in said.splitlines())
    for figure in ("answers", "240,000", "unknown", "judge"):
        assert figure in said


def test_no_key_stands_in_what_is_printed_of_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert KEY not in discreet(f"ValueError: Bearer {KEY} is not right")


def test_control_characters_of_a_file_do_not_reach_the_terminal(folder: Path) -> None:
    (folder / "p.yaml").write_text('"\\e[2J": 1\nname: "\\e[31m"\nsteps: {a: {table: [{x: 1}]}}\n')
    done = prefgen("check", "p.yaml")
    assert done.code == 2
    assert "\x1b" not in done.out + done.err
    assert "\\x1b[2J" in done.out


def test_rows_are_pulled_by_expressions_over_a_row_alone() -> None:
    from prefgen.errors import UsageError
    from prefgen.publish.hub.pull import _condition

    assert pl.DataFrame({"a": [1, 2]}).filter(_condition("a > 1").expression).height == 1  # type: ignore[union-attr]
    for where in ("a > avg(a)", "a in (select 1)", "a >"):
        with pytest.raises(UsageError, match="--where"):
            _condition(where)
