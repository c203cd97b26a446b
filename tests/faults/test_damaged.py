"""Run folders that a disk, a copy or a hand has damaged: what is wrong is said, and the same command makes it anew."""

from __future__ import annotations

import json
import random
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from prefgen.cli import app
from prefgen.cli.ending import _code_of
from prefgen.errors import FileError
from prefgen.ids import file_sha256
from prefgen.store.folder import RunFolder
from tests.faults.pipelines import COMMAND, write_pipeline
from tests.servers.running import Served

Start = Callable[..., Served]
STEPS = {
    "pairs": {"pair": "chosen_vs_other", "from": "kept", "items": "items"},
    "parts": {"split": "pairs", "by": ["item"], "test": 0.3},
}


def prefgen(*words: object) -> int:
    """The exit code of a command; 1 is a traceback."""
    return _code_of(lambda: app([*map(str, words)], standalone_mode=False))


@pytest.fixture
def whole(folder: Path, endpoint: Start) -> Path:
    path = write_pipeline(folder, endpoint().base_url, personas=3, items=4, steps=STEPS)
    assert prefgen("run", path, "--out", folder / "whole", "--no-report") == 0
    return folder / "whole"


def data_of(run: Path) -> dict[str, str]:
    return {path.relative_to(run).as_posix(): file_sha256(path) for path in sorted(run.rglob("data/**/*.parquet"))}


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


HARM: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "changed at equal size": flipped,
    "gone": lambda path: path.unlink(),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "other": lambda path: path.write_bytes(b"PAR1 nothing PAR1"),
}


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize(
    "name", ["tables/answers/part-00000.parquet", "tables/kept/done.json", "data/dpo/train-*.parquet", "manifest.json"]
)
def test_the_same_command_makes_damaged_files_anew(
    whole: Path, name: str, harm: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = data_of(whole)
    (victim,) = whole.glob(name)
    HARM[harm](victim)
    capsys.readouterr()
    if name.startswith("tables/"):
        with pytest.raises(FileError, match=r"(damaged|no finished table)\n  fix: run the pipeline again"):
            RunFolder(whole).table(victim.parent.name)
    if name == "manifest.json":
        assert prefgen("show", whole) == 4
        assert "Traceback" not in capsys.readouterr().err
    assert prefgen("run", "pipeline.yaml", "--out", whole, "--no-report") == 0
    assert data_of(whole) == before
    assert RunFolder(whole).read_manifest()["status"] == "finished"
    for step in ("answers", "kept"):
        RunFolder(whole).table(step)


def test_the_seal_is_no_part_of_what_a_manifest_says(whole: Path) -> None:
    folder = RunFolder(whole)
    manifest = folder.read_manifest()
    assert "seal" not in manifest
    folder.write_manifest(manifest)
    assert folder.read_manifest() == manifest


@pytest.mark.parametrize("limit", [0, 100, 1_000, 3_000, 5_000, 8_000, 12_000, 20_000, 40_000])
def test_a_full_disk_is_said_at_any_moment_and_the_same_command_goes_on(
    whole: Path, tmp_path: Path, limit: int
) -> None:
    """A file that may not grow beyond `limit` bytes stands for a disk that is full."""
    out = tmp_path / "full"
    command = [COMMAND, "run", "pipeline.yaml", "--out", str(out), "--no-report", "--replay", str(whole)]
    found = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert found.returncode in (0, 4), found.stderr
    assert "Traceback" not in found.stderr
    assert subprocess.run(command, capture_output=True, timeout=120, check=False).returncode == 0
    assert data_of(out) == data_of(whole)


def mutated(value: Any, rng: random.Random) -> Any:
    """The same JSON with one value somewhere replaced, removed or doubled."""
    odd = [None, True, -1, 2**70, 1e308, "", "../../x", "\x1b[31m", [], {}, [[]], {"": None}]
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(sorted(value))
        if rng.random() < 0.15:
            return {name: one for name, one in value.items() if name != key}
        return value | {key: mutated(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.85:
        place = rng.randrange(len(value))
        if rng.random() < 0.2:
            return [*value, value[place]] if rng.random() < 0.5 else value[:place] + value[place + 1 :]
        return [mutated(one, rng) if at == place else one for at, one in enumerate(value)]
    return rng.choice(odd)


def damage(run: Path, rng: random.Random) -> str:
    """One file of a run folder damaged, however; what was done."""
    files = [path for path in sorted(run.rglob("*")) if path.is_file() and path.name != ".lock"]
    victim = rng.choice(files)
    if victim.suffix == ".json" and rng.random() < 0.6:
        victim.write_text(json.dumps(mutated(json.loads(victim.read_text()), rng)))
        return f"{victim.name} mutated"
    harm = rng.choice(sorted(HARM))
    if victim.stat().st_size or harm in ("gone", "longer"):
        HARM[harm](victim)
    return f"{victim.relative_to(run)} {harm}"


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(20))
def test_no_damage_ends_in_a_traceback(whole: Path, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    before = data_of(whole)
    assert prefgen("report", whole) == 0
    for _ in range(4):
        run = tmp_path / "damaged"
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(whole, run)
        done = [damage(run, rng) for _ in range(rng.choice([1, 1, 2, 4]))]
        for command in (["show"], ["report"], ["export", "--to", "kto", "--out", tmp_path / "kto"]):
            shutil.rmtree(tmp_path / "kto", ignore_errors=True)
            assert prefgen(command[0], run, *command[1:]) in (0, 2, 4), (done, command)
        code = prefgen("run", "pipeline.yaml", "--out", run, "--no-report")
        assert code in (0, 2, 4), done
        if not any("responses" in one or "pipeline.yaml" in one for one in done):
            assert code == 0, done
            assert data_of(run) == before, done


def test_a_folder_in_the_place_of_a_figure_is_a_sentence(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (whole / "figures" / "position.png").mkdir(parents=True)
    assert prefgen("report", whole) == 4
    assert "position.png: Is a directory\n  fix: " in capsys.readouterr().err


def test_a_card_shows_no_rows_of_damaged_data(whole: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = {f"item-{k:05d}": ["yes", "no"] * 20 for k in range(4)}
    pl.DataFrame({"vote": ["left", "right"] * 20, **said}).write_parquet(folder / "survey.parquet")
    (folder / "survey.yaml").write_text("{survey: survey.parquet, by: [vote], levels: ['yes', 'no'], least: 5}")
    (victim,) = whole.glob("data/judgments/train-*.parquet")
    HARM["cut"](victim)
    capsys.readouterr()
    assert prefgen("calibrate", whole, "survey.yaml") == 4
    assert "not the file that the manifest describes\n  fix: " in capsys.readouterr().err
    assert not (whole / "calibration.json").exists()


def test_models_are_not_placed_where_pipeline_and_manifest_do_not_fit(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = RunFolder(whole).pipeline_path.read_text()
    RunFolder(whole).pipeline_path.write_text(
        said.replace("  answers:\n", "  asked:\n").replace("keep: answers", "keep: asked")
    )
    assert prefgen("place", whole, "--model", "engine=openai,model=m,base_url=http://127.0.0.1:9/v1") == 4
    assert "has no judge step 'answers'" in capsys.readouterr().err
