"""docs/gpus.md: its settings are settings, and its job script puts itself back into the queue when it should."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter

from prefgen.spec.models import ModelSpec

_PAGE = (Path(__file__).parents[2] / "docs/gpus.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", _PAGE, flags=re.DOTALL | re.MULTILINE)


def test_every_model_of_the_page_can_be_read():
    models = [model for block in blocks("yaml") for model in yaml.safe_load(block)["models"].values()]
    assert len(models) >= 5
    for model in models:
        TypeAdapter(ModelSpec).validate_python(model)


def job(folder: Path, prefgen: str) -> subprocess.Popen[str]:
    """The page's job with stand-ins for the two commands it calls."""
    (script,) = blocks("bash")
    commands = folder / "bin"
    commands.mkdir()
    for name, text in (("prefgen", prefgen), ("scontrol", f'echo "$@" > {folder}/requeued')):
        (commands / name).write_text(f"#!/bin/bash\n{text}\n")
        (commands / name).chmod(0o755)
    (folder / "job.sh").write_text(script)
    env = os.environ | {
        "PATH": f"{commands}:{os.environ['PATH']}",
        "SLURM_SUBMIT_DIR": str(folder),
        "SLURM_JOB_ID": "7",
    }
    return subprocess.Popen(["bash", str(folder / "job.sh")], env=env, text=True)


@pytest.mark.parametrize(("code", "again"), [(0, False), (75, True), (130, True), (3, False), (5, False)])
def test_the_job_goes_back_into_the_queue_where_the_same_command_goes_on(tmp_path, code, again):
    assert job(tmp_path, f"exit {code}").wait(20) == code
    assert (tmp_path / "requeued").exists() == again


def test_the_time_limit_stops_the_run_which_has_time_to_end_by_itself(tmp_path):
    child = job(tmp_path, f"trap 'sleep 1; exit 130' TERM; touch {tmp_path}/there; while :; do sleep 0.1; done")
    until = time.monotonic() + 20
    while not (tmp_path / "there").exists() and time.monotonic() < until:
        time.sleep(0.05)
    child.send_signal(signal.SIGTERM)
    assert child.wait(20) == 130
    assert (tmp_path / "requeued").read_text() == "requeue 7\n"
