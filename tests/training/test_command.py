"""The whole way: planted opinions, pairs, training, and what came of it on questions that nobody was trained on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import prefgen
from tests.training import tiny

pytestmark = pytest.mark.train
pytest.importorskip("torch")
pytest.importorskip("peft")

PLANTED = Path(__file__).parents[2] / "pipelines" / "training" / "planted_seven.yaml"
TARGET = "progressive_activists"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prefgen.run(PLANTED, out=tmp_path_factory.mktemp("planted") / "run", report=False, progress=False).path


@pytest.fixture(scope="module")
def weights(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has read nothing yet, with the words of the questions."""
    items = prefgen.open_run(run).items.select("prompt", "options").collect()
    texts = [*items["prompt"], *(text for options in items["options"] for text in options)]
    words = tiny.tokenizer(sorted({word for text in texts for word in text.split()}))
    folder = tmp_path_factory.mktemp("tiny")
    tiny.model(folder, vocabulary=len(words), width=64)
    words.save_pretrained(folder / "model")
    return folder / "model"


def command(*said: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "prefgen.training", *map(str, said)],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
    )


def test_training_moves_a_model_to_its_target_and_away_from_the_others(
    run: Path, weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    methods = [word for name in ("plain", "dpo", "wdpo", "sft") for word in ("--method", name)]
    how = ("--epochs", 12, "--learning-rate", 1e-2, "--rank", 16, "--batch", 16)
    done = command(run, "--target", TARGET, "--model", weights, "--out", out, *methods, *how)
    assert done.returncode == 0, done.stderr[-3000:]
    found = {one["method"]: one["nearness"] for one in json.loads((out / "alignment.json").read_text())}
    assert list(found) == ["plain", "dpo", "wdpo", "sft"]
    for method in ("dpo", "wdpo"):
        divergence = found[method]["divergence"]
        assert found[method]["accuracy"] > 0.8 > found["plain"]["accuracy"], found
        near, far = divergence[TARGET], divergence["backbone_conservatives"]
        assert far - near > 0.15, found  # they were as far from each other as planted: the plain model knows neither
        assert (out / f"{method}-0" / "adapter_model.safetensors").is_file()
    assert done.stdout.startswith("| method |")
    assert len(done.stdout.splitlines()) == 6


def test_weights_for_other_exponents_are_those_of_the_weigh_step(run: Path) -> None:
    from prefgen.training.data import read_aligning

    aligning = read_aligning(run, TARGET)
    assert len(aligning.train) == 120
    assert len(aligning.questions) == 40
    assert not set(aligning.train["item_id"]) & {question.item_id for question in aligning.questions}
    assert set(aligning.questions[0].p) == set(aligning.personas)
    # The pipeline weighs by all questions, training by those it sees; the tiers themselves are the same, in this order.
    mine, theirs = aligning.weighed(2.0, 0.0)["weight"], aligning.weighed(1.0, 0.0)["weight"]
    ratio = (mine / theirs**2).round(9)
    assert ratio.n_unique() == 1
    assert mine.mean() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (("--target", "nobody"), "no persona 'nobody'"),
        (("--target", TARGET, "--method", "ppo"), "there is no method 'ppo'"),
        (("--target", TARGET, "--method", "wdpo:1"), "not two numbers"),
        (("--target", TARGET, "--export", "nothing"), "no data/nothing"),
        (("--target", TARGET, "--model", "/nowhere/at/all"), "cannot be loaded"),
    ],
)
def test_what_cannot_be_trained_is_a_sentence(run: Path, said: tuple[object, ...], words: str) -> None:
    done = command(run, *said)
    assert done.returncode in (2, 3, 4), done.stderr[-2000:]
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_portraits_in_the_prompts_are_refused(tmp_path: Path) -> None:
    from prefgen.errors import UsageError
    from prefgen.training.data import read_aligning

    made = prefgen.run(prefgen.load(PLANTED), out=tmp_path / "run", report=False, progress=False).path
    pairs = sorted((made / "data" / "dpo").glob("*.parquet"))
    for path in pairs:
        told = pl.read_parquet(path)
        turns = pl.concat_list(pl.lit([{"role": "system", "content": "You are old."}], told.schema["prompt"]), "prompt")
        told.with_columns(prompt=turns).write_parquet(path)
    with pytest.raises(UsageError, match="have the portrait in them"):
        read_aligning(made, TARGET)
