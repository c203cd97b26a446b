"""docs/schedulers.md: every example is what its scheduler takes, and the script is safe to repeat."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.servers.hub import hub
from tests.servers.running import Served

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs/schedulers.md").read_text()

PIPELINE = """
name: town
seed: 1
models: {{judge: {{engine: openai, model: test-model, base_url: "{url}", concurrency: 8}}}}
steps:
  people: {{draw: people.yaml, n: 6, controls: [none]}}
  items: {{table: [{{prompt: "Tea?", options: ["yes", "no"]}}, {{prompt: "Milk?", options: ["yes", "no"]}}]}}
  answers: {{judge: pick, items: items, as: people, model: judge}}
publish: {{exports: [dpo, judgments]}}
"""
PEOPLE = (
    "population: town\nattributes:\n  age: {young: 0.5, old: 0.5}\n  home: {flat: 0.5, house: 0.5}\n"
    'text: "You are {{ age }} and live in a {{ home }}."\n'
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", _PAGE, flags=re.DOTALL | re.MULTILINE)


def ran(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.mark.parametrize("language", ["sh", "bash"])
def test_the_shell_scripts_parse(tmp_path: Path, language: str) -> None:
    (script,) = blocks(language)
    path = tmp_path / "script"
    path.write_text(script)
    ran(language, "-n", path)
    if shutil.which("shellcheck"):
        ran("shellcheck", path)


def test_systemd_accepts_service_and_timer(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed")
    (tmp_path / "nightly.sh").write_text(blocks("sh")[0])
    (tmp_path / "nightly.sh").chmod(0o755)
    (tmp_path / "keys.env").touch()
    for unit, name in zip(blocks("ini"), ("town.service", "town.timer"), strict=True):
        (tmp_path / name).write_text(unit.replace("/srv/town", str(tmp_path)))
    said = ran("systemd-analyze", "verify", tmp_path / "town.timer", tmp_path / "town.service")
    assert "town." not in said, said


def test_the_github_workflow_fits_its_schema(tmp_path: Path) -> None:
    workflow = blocks("yaml")[0]
    assert list(yaml.safe_load(workflow)["jobs"]) == ["publish"]
    if importlib.util.find_spec("check_jsonschema") is None:
        pytest.skip("check-jsonschema is not installed; the YAML was parsed")
    (tmp_path / "nightly.yml").write_text(workflow)
    ran(
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.github-workflows",
        tmp_path / "nightly.yml",
    )


def test_the_kubernetes_job_fits_its_schema() -> None:
    job = yaml.safe_load(blocks("yaml")[1])
    assert job["kind"] == "CronJob"
    validate: Any = pytest.importorskip("kubernetes_validate")
    validate.validate(job, "1.31", strict=True)


def test_the_airflow_flow_compiles() -> None:
    (flow,) = blocks("python")
    compile(flow, "town.py", "exec")


@pytest.fixture
def nightly(tmp_path: Path, endpoint: Callable[..., Served]) -> Path:
    """/srv/town, with a pipeline against the endpoint and the script of the page."""
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines/town.yaml").write_text(PIPELINE.format(url=endpoint().base_url))
    (tmp_path / "pipelines/people.yaml").write_text(PEOPLE)
    (tmp_path / "nightly.sh").write_text(blocks("sh")[0].replace("NAMESPACE", "user"))
    (tmp_path / "nightly.sh").chmod(0o755)
    return tmp_path


def environment(folder: Path, served: Any) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, **served.env(str(folder / "home")), "OPENAI_API_KEY": "sk-loopback", "PATH": path}


@pytest.mark.slow
def test_two_nights_make_two_versions_however_often_the_script_is_called(nightly: Path) -> None:
    with hub() as served:
        for night in ("2026-11-21", "2026-11-21", "2026-11-22", "2026-11-21", "2026-11-22"):
            done = subprocess.run(
                ["./nightly.sh", night], cwd=nightly, env=environment(nightly, served), capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
        repo = served.repos["user/town"]
        assert [commit.summary.split(":")[0] for commit in repo.history()][:1] == ["town"]
        assert len(repo.history()) == 3, "the Hub's first commit and one of each night"
        assert set(repo.tags) == {"2026-11-21", "2026-11-22"}


@pytest.mark.slow
def test_a_night_that_misses_its_gate_is_not_published(nightly: Path) -> None:
    pipeline = nightly / "pipelines/town.yaml"
    few = '  few: {keep: answers, where: "p_choice > 2"}\n'  # nobody knows before that none is left
    pipeline.write_text(
        pipeline.read_text().replace("publish:", few + "publish:") + "expect: {few: {min_yield: 0.5}}\n"
    )
    with hub() as served:
        done = subprocess.run(
            ["./nightly.sh"], cwd=nightly, env=environment(nightly, served), capture_output=True, text=True
        )
        assert done.returncode == 5, done.stderr
        assert served.journal == []


@pytest.mark.slow
@pytest.mark.skipif(
    "PREFGEN_CRON_TEST" not in os.environ or not shutil.which("cron"),
    reason="starts the machine's cron daemon and puts a file into /etc/cron.d: set PREFGEN_CRON_TEST=1 as root",
)
def test_cron_runs_the_night(nightly: Path) -> None:
    _, line = blocks("cron")[0].splitlines()
    command = line.replace("/srv/town", str(nightly)).removeprefix("*/15 1-6 * * *").strip()
    table = Path("/etc/cron.d/prefgen-test")
    with hub() as served:
        wanted = environment(nightly, served)
        keys = ("HF_ENDPOINT", "HF_HOME", "HF_TOKEN", "HF_HUB_DISABLE_XET", "OPENAI_API_KEY", "PATH")
        table.write_text("".join(f"{name}={wanted[name]}\n" for name in keys) + f"* * * * *  root  {command}\n")
        table.chmod(0o644)
        daemon = subprocess.Popen(["cron", "-f"])
        try:
            until = time.monotonic() + 130
            while time.monotonic() < until and not (served.repos.get("user/town") and served.repos["user/town"].tags):
                time.sleep(0.5)
        finally:
            table.unlink()
            daemon.terminate()
            daemon.wait(10)
        assert len(served.repos["user/town"].tags) == 1, (nightly / "nightly.log").read_text()
