"""Every option of `push`, `append` and `pull`, alone and beside others, over one run."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from prefgen.cli import app
from tests.fuzz.ending import wrong_with
from tests.publish import made
from tests.servers.hub import Hub

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes")  # of the client itself
COMMANDS = ("push", "append", "pull")
Words = tuple[str, ...]


def calls() -> list[Words]:
    """In an order in which each of them can be done; RUN is the run, OUT a folder of each call's own."""
    writes = [(), ("--public",), ("--private",), ("--tag", "v1"), ("--force",), ("--json",)]
    rows = ("--config", "dpo")
    reads: list[Words] = [
        (),
        ("--revision", "main"),
        ("--out", "OUT/copy"),
        rows,
        (*rows, "--out", "OUT/rows.parquet"),
        (*rows, "--out", "OUT/rows.jsonl"),
        (*rows, "--split", "train"),
        (*rows, "--where", "p_margin > 0.1"),
        (*rows, "--columns", "persona_id, chosen"),
        (*rows, "--head", "0"),
        (
            *rows,
            "--split",
            "train",
            "--where",
            "weight > 0",
            "--columns",
            "persona_id",
            "--head",
            "2",
            "--revision",
            "v1",
        ),
    ]
    pushes: list[Words] = [("push", "RUN", "user/town", *more) for more in writes]
    appends: list[Words] = [("append", "RUN", "user/grown", *more) for more in writes]
    return [*pushes, *appends, *(("pull", "user/town", *more) for more in reads)]


def test_every_option_runs_to_the_end(served: Hub, tmp_path: Path) -> None:
    run = made.run_in(tmp_path / "run").path
    for number, words in enumerate(calls()):
        (tmp_path / str(number)).mkdir()
        said = [word.replace("RUN", str(run)).replace("OUT", str(tmp_path / str(number))) for word in words]
        assert wrong_with(*said, codes=(0,)) is None, words


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_is_left_out(name: str) -> None:
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    said = {word for words in calls() if words[0] == name for word in words if word.startswith("--")}
    there = {word for one in command.params for word in (*one.opts, *one.secondary_opts) if word.startswith("--")}
    assert there - {"--help"} == said
