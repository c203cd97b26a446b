"""The command line as a user meets it: real processes, exit codes, stdout for data and stderr for people."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import polars as pl
import pytest

from prefgen.cli.commands import check_files
from tests.faults.pipelines import COMMAND, write_pipeline
from tests.servers.running import Served

Start = Callable[..., Served]
ROOT = Path(__file__).parents[2]


def prefgen(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *map(str, words)], capture_output=True, text=True, cwd=cwd, timeout=120, check=False
    )


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    said = prefgen("--help")
    assert said.returncode == 0
    for command in ("check", "plan", "run", "personas", "export", "report", "show", "doctor"):
        assert command in said.stdout
    script = "import sys; from prefgen.cli import app; heavy = {'polars', 'pydantic', 'aiohttp', 'openai', 'numpy', 'xllamacpp'}; sys.exit(len(heavy & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "pipelines").glob("*.yaml")) + sorted((ROOT / "persona_specs").glob("*.yaml")),
    ids=lambda path: path.name,
)
def test_every_shipped_file_is_right(path: Path) -> None:
    said = prefgen("check", path)
    assert said.returncode == 0 or "prefgen-examples" in said.stdout, said.stdout + said.stderr


def test_the_quickstart_is_planned_as_promised() -> None:
    said = prefgen("plan", ROOT / "pipelines" / "quickstart.yaml", "--json")
    steps = {step["name"]: step for step in orjson.loads(said.stdout)["steps"]}
    assert steps["questions"]["rows"] == 84
    assert steps["answers"]["requests"] == steps["answers"]["rows"] == 84 * 8 * 3


def test_a_run_speaks_json_to_programs(folder: Path, endpoint: Start) -> None:
    path = write_pipeline(folder, endpoint().base_url, personas=3, items=4)
    said = prefgen("run", path, "--out", folder / "out", "--json")
    events = [orjson.loads(line) for line in said.stdout.splitlines()]
    assert said.returncode == 0, said.stderr
    assert [event["event"] for event in events if event["event"] in ("plan", "done")] == ["plan", "done"]
    summary = orjson.loads(prefgen("show", folder / "out", "--json").stdout)
    assert summary
    assert prefgen("show", folder / "out").returncode == 0
    assert prefgen("report", folder / "out").returncode == 0


def test_people_are_drawn_into_the_file_that_was_named(folder: Path) -> None:
    for suffix in ("parquet", "csv", "jsonl"):
        said = prefgen(
            "personas", ROOT / "persona_specs" / "britain_seven.yaml", "--n", 20, "--out", folder / f"p.{suffix}"
        )
        assert said.returncode == 0, said.stderr
    assert pl.read_parquet(folder / "p.parquet").height == 20


def test_an_export_may_be_written_once_more(folder: Path, endpoint: Start) -> None:
    path = write_pipeline(folder, endpoint().base_url, personas=3, items=4)
    assert prefgen("run", path, "--out", folder / "out").returncode == 0
    said = prefgen("export", folder / "out", "--to", "kto", "--out", folder / "kto")
    assert said.returncode == 0, said.stderr
    assert list((folder / "kto").rglob("*.parquet"))
    said = prefgen("export", folder / "out", "--to", "kta", "--out", folder / "kta")
    assert said.returncode == 2
    assert "'kto'" in said.stderr
    words = ("export", folder / "out", "--to", "attr", "--from", "answers")
    said = prefgen(
        *words, "--set", "labels=[item_choice, topic]", "--set", "columns=[item_id]", "--out", folder / "attr"
    )
    assert said.returncode == 0, said.stderr
    rows = pl.read_parquet(folder / "attr" / "*.parquet")
    assert rows.columns == ["item_id", "item_choice", "topic"]
    for options, about in (
        ("labels=[none]", "no column 'none'"),
        ("label=[x]", "is not understood"),
        ("labels", "a.b=c"),
    ):
        said = prefgen(*words, "--set", options, "--out", folder / "more")
        assert said.returncode == 2
        assert about in said.stderr
        assert "Traceback" not in said.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["run", "nobody.yaml"], 2),
        (["run"], 2),
        (["frobnicate"], 2),
        (["show", "nobody"], 4),
        (["plan", "nobody.yaml", "--set", "x"], 2),
        (["personas", "nobody.yaml", "--out", "x.parquet"], 2),
        (["export", "nobody", "--to", "dpo", "--out", "x"], 4),
        (["report", "nobody"], 4),
    ],
)
def test_a_wrong_command_line_is_a_sentence_and_an_exit_code(folder: Path, words: list[str], code: int) -> None:
    said = prefgen(*words, cwd=folder)
    assert said.returncode == code, said.stderr
    assert "Traceback" not in said.stderr
    assert said.stderr
    assert list(folder.iterdir()) == []


def test_the_doctor_tells_who_answers_and_never_the_key(
    folder: Path, endpoint: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-0123456789")
    path = write_pipeline(folder, endpoint().base_url, personas=3, items=4)
    said = prefgen("doctor", path)
    assert said.returncode == 0, said.stderr
    assert "a small question is answered, by logprobs+grammar" in said.stderr
    other = prefgen("doctor", path, "--set", "models.judge.model=nobody")
    assert other.returncode == 3
    assert "does not list 'nobody'; write one of its names: 'test-model'" in other.stderr
    assert "very-secret" not in said.stderr + said.stdout
    nobody = write_pipeline(folder, "http://127.0.0.1:9/v1", personas=3, items=4)
    assert prefgen("doctor", nobody).returncode == 3


def test_the_yaml_reference_is_what_the_fields_say() -> None:
    from prefgen.cli.reference import reference

    assert (ROOT / "docs" / "reference.md").read_text() == reference(), "run `make docs`"


FIVE_MISTAKES = """name: town
models: {judge: {engine: embedded}}
steps:
  answers: {table: [{prompt: "Tea?", response: "yes", heat: 1}, {prompt: "Tea?", response: "no", heat: 0}]}
  kept: {keep: answers, where: "heet > 0"}
  texts: {wrote: response, for: answers, model: judge}
  scored: {judge: score, items: anwsers, criteria: {good: "it is good"}, model: judge}
  graded: {judge: grade, items: answers, criteria: {good: "it is good"}, levels: 3, model: judge}
  picks: {judge: pick, items: answers, show: 3, show: 2, model: judge}
  both: {table: [texts, kept, graded]}
publish: {exports: [{rows: {from: both}}]}
"""


def test_check_finds_a_column_a_step_a_name_a_type_and_a_doubled_key_in_one_round(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(FIVE_MISTAKES)
    assert check_files([path]) == 2
    said = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("  fix:")]
    wanted = [
        (5, "steps.kept.where", "there is no column 'heet'"),
        (6, "steps.texts", "no kind of step among its keys"),
        (7, "steps.scored.items", "no step named 'anwsers'"),
        (8, "steps.graded.levels", "3 is not a list"),
        (9, "steps.picks.show", "written twice, first on line 9"),
    ]
    assert len(said) == len(wanted), said
    for line, (number, key, problem) in zip(said, wanted, strict=True):
        assert line.startswith(f"{path}:{number}: {key}: "), line
        assert problem in line
