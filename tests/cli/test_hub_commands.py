"""push, append and pull as a scheduler and a reader call them, against a Hub on loopback."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import orjson

from tests.faults.pipelines import COMMAND, write_pipeline
from tests.servers.hub import hub
from tests.servers.running import Served


def test_what_was_pushed_can_be_pulled_and_read(folder: Path, endpoint: Callable[..., Served]) -> None:
    path = write_pipeline(folder, endpoint().base_url, personas=3, items=4)
    with hub() as there:
        env = {**os.environ, **there.env(str(folder / "home"))}

        def prefgen(*words: object) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [COMMAND, *map(str, words)], capture_output=True, text=True, env=env, check=False, timeout=120
            )

        assert prefgen("run", path, "--out", folder / "out").returncode == 0
        first = prefgen("push", folder / "out", "me/town", "--json")
        assert first.returncode == 0, first.stderr
        again = orjson.loads(prefgen("push", folder / "out", "me/town", "--json").stdout)
        assert orjson.loads(first.stdout)["uploaded"]
        assert again["uploaded"] == []
        assert prefgen("append", folder / "out", "me/town").returncode == 0
        listed = prefgen("pull", "me/town")
        assert "judgments/train: 24 rows" in listed.stderr
        assert prefgen("pull", "me/town", "--out", folder / "copy").returncode == 0
        assert (folder / "copy" / "manifest.json").exists()
        rows = prefgen(
            "pull",
            "me/town",
            "--config",
            "judgments",
            "--where",
            "repeat = 0",
            "--columns",
            "persona_id,choice",
            "--head",
            3,
        )
        assert [set(orjson.loads(line)) for line in rows.stdout.splitlines()] == [{"persona_id", "choice"}] * 3
        kept = prefgen("pull", "me/town", "--config", "judgments", "--out", folder / "rows.jsonl")
        assert kept.returncode == 0, kept.stderr
        assert len((folder / "rows.jsonl").read_text().splitlines()) == 24
        assert prefgen("pull", "me/town", "--head", 3).returncode == 2
        assert prefgen("pull", "me/nothing").returncode == 4
        assert prefgen("push", folder, "me/town").returncode == 4


def test_the_doctor_says_whether_the_hub_takes_the_token(folder: Path) -> None:
    with hub() as there:
        for token, mark in ((there.token, "ok  "), ("hf_wrong", "bad ")):
            env = {**os.environ, **there.env(str(folder / "home")), "HF_TOKEN": token, "COLUMNS": "200"}
            said = subprocess.run([COMMAND, "doctor"], capture_output=True, text=True, env=env, check=True).stderr
            assert f"{mark}Hugging Face Hub: {there.url}" in said
            assert token not in said
