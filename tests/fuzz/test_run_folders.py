"""Run folders that somebody damaged, given to the commands that read them: right, or one sentence; never a traceback."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest
import yaml

from prefgen.personas.draw import draw_audited
from prefgen.store.seal import sealed
from tests.faults.pipelines import write_pipeline
from tests.fuzz.ending import told, wrong_with
from tests.fuzz.folders import change, copy_of, resummed, retold
from tests.personas.specs import AGES, VOTES, population
from tests.personas.test_microdata import survey, town
from tests.publish import made
from tests.servers.hub import Hub
from tests.servers.hub_repos import Stored

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes")

STEPS = {
    "pairs": {"pair": "chosen_vs_other", "from": "kept", "items": "items"},
    "parts": {"split": "pairs", "by": ["item"], "test": 0.3},
}
NAME = "user/town"


@pytest.fixture
def whole(folder: Path, endpoint, served: Hub) -> Path:
    """A finished run with everything beside it that a run can have, published once."""
    url = endpoint().base_url
    path = write_pipeline(folder, url, personas=4, items=4, steps=STEPS)
    run = folder / "whole"
    rng = np.random.default_rng(0)
    said = {f"item-{k:05d}": rng.choice(["yes", "no"], 60) for k in range(4)}
    pl.DataFrame({"vote": rng.choice(["left", "right", "none"], 60), **said}).write_parquet(folder / "survey.parquet")
    survey = {"survey": "survey.parquet", "by": ["vote"], "levels": ["yes", "no"], "least": 5}
    (folder / "survey.yaml").write_text(yaml.safe_dump(survey))
    (folder / "model.txt").write_text(f"engine=openai,model=test-model,base_url={url}")
    assert wrong_with("run", path, "--out", run, codes=(0,)) is None
    for command in commands(folder, run):
        shutil.rmtree(folder / "out", ignore_errors=True)
        assert wrong_with(*command, codes=(0,)) is None, command
    return run


def commands(folder: Path, run: Path) -> list[tuple[object, ...]]:
    """Those that read a run folder."""
    return [
        ("show", run),
        ("show", run, "--json"),
        ("export", run, "--to", "kto", "--out", folder / "out"),
        ("export", run, "--to", "dpo", "--out", folder / "out", "--jsonl"),
        ("push", run, NAME, "--force"),
        ("append", run, NAME, "--force"),
        ("calibrate", run, folder / "survey.yaml"),
        ("report", run),
        ("place", run, "--model", (folder / "model.txt").read_text()),
        ("run", folder / "pipeline.yaml", "--out", run),
    ]


def changed_folder(run: Path, rng: random.Random) -> list[str]:
    """A run folder changed once or twice where it lies."""
    return [change(run, rng) for _ in range(rng.choice([1, 1, 1, 2]))]


def found_in(
    folder: Path, whole: Path, numbers: range, changing: Callable[[Path, random.Random], object] = changed_folder
) -> dict[str, list[object]]:
    """What went wrong, with the numbers of the mutants; of the slow commands each mutant gets one."""
    found: dict[str, list[object]] = {}
    for number in numbers:
        rng = random.Random(f"folder {number}")
        copy_of(whole, folder / "run")
        done = changing(folder / "run", rng)
        several = commands(folder, folder / "run")
        for command in [
            *several[:2],
            rng.choice(several[2:6]),
            *([rng.choice(several[6:9])] if number % 8 == 0 else []),
            *(several[9:] if number % 8 == 1 else []),
        ]:
            shutil.rmtree(folder / "out", ignore_errors=True)
            wrong = wrong_with(*command, folder=folder / "run", codes=(0, 2, 3, 4, 5))
            if wrong is not None:
                found.setdefault(f"{command[0]}: {wrong}", []).append((number, done))
    return found


@pytest.mark.parametrize(
    "numbers", [range(8), *(pytest.param(range(k, k + 100), marks=pytest.mark.slow) for k in range(0, 400, 100))]
)
def test_no_run_folder_ends_in_a_traceback(folder: Path, whole: Path, numbers: range) -> None:
    found = found_in(folder, whole, numbers)
    assert not found, told(found)


@pytest.mark.parametrize(
    "numbers", [range(20), *(pytest.param(range(k, k + 250), marks=pytest.mark.slow) for k in range(0, 2500, 250))]
)
def test_no_summary_under_a_right_seal_ends_in_a_traceback(folder: Path, whole: Path, numbers: range) -> None:
    give_audits(folder, whole)
    found = found_in(folder, whole, numbers, resummed)
    assert not found, told(found)


def give_audits(folder: Path, whole: Path) -> None:
    """The draw of a run tells of two populations, one of them fitted to a survey: all that a summary can hold."""
    places = [folder / name for name in ("fitted", "asked")]
    for place in places:
        place.mkdir()
    fitted = town(places[0], survey(rows=300), microdata={"min_cell": 5, "small": "merge"})
    asked = population(places[1], attributes={"age": AGES, "vote": VOTES, "sex": {"woman": 0.5, "man": 0.5}})
    audits = [draw_audited(one, n=40, seed=1).audit for one in (fitted, asked)]
    said = orjson.loads((whole / "manifest.json").read_bytes())
    (drawn,) = (one for one in said["steps"] if one["kind"] == "draw")
    drawn["summary"] |= replace(audits[0], parts=tuple(audits)).to_json()
    (whole / "manifest.json").write_bytes(orjson.dumps(sealed(said)))


@pytest.mark.parametrize(
    "numbers", [range(8), *(pytest.param(range(k, 120, 2), marks=pytest.mark.slow) for k in range(2))]
)
def test_no_published_manifest_ends_in_a_traceback(folder: Path, served: Hub, numbers: range) -> None:
    run = made.run_in(folder / "made").path
    assert wrong_with("push", run, NAME, codes=(0,)) is None
    repo, found = served.repos[NAME], {}
    head = repo.at("main")
    assert head is not None
    for number in numbers:
        rng = random.Random(f"published {number}")
        content = json.dumps(retold(orjson.loads(head.files["manifest.json"].content), rng)).encode()
        repo.add("main", {**head.files, "manifest.json": Stored(content, False)}, f"mutant {number}")
        out = folder / f"out{number}"
        reading = (["pull", NAME], ["pull", NAME, "--config", "dpo", "--head", 2], ["pull", NAME, "--out", out])
        copied = (["show", out], ["export", out, "--to", "kto", "--out", folder / "kto"])
        for words in (*reading, *copied, rng.choice((["append", run, NAME], ["push", run, NAME]))):
            if (wrong := wrong_with(*words)) is not None:
                found.setdefault(f"{words[0]}: {wrong}", []).append(number)
    assert not found, told(found)
