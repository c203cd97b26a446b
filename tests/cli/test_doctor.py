"""What the doctor says of odd servers: a finding and an exit code, never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from prefgen.cli.doctor import examine
from prefgen.dispatch.speed import remember_speed, speeds_path
from prefgen.engines import vllm_start
from prefgen.flow.pipeline import load
from tests.faults.pipelines import environment, write_pipeline
from tests.servers.raw import http, raw_server

THOUGHT = {"choices": [{"message": {"content": None, "reasoning": "Hm"}, "finish_reason": "length"}]}
TEXT = {"choices": [{"message": {"content": "A"}, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    ("reply", "code", "words"),
    [
        (
            http("200 OK", json.dumps(TEXT).encode()),
            0,
            "does not list its models; a small question is answered, by text",
        ),
        (http("200 OK", json.dumps(THOUGHT).encode()), 3, "needs a larger `max_tokens`"),
        (
            http("200 OK", b'{"error": {"code": 402, "message": "Insufficient credits"}}'),
            3,
            "HTTP 402: Insufficient credits",
        ),
        (http("400 Oh", b'{"error": "System role not supported"}'), 3, "write `system_role: false`"),
        (http("400 Oh", b'{"error": "Invalid model name"}'), 3, "not answered: HTTP 400: Invalid model name"),
        (http("429 Slow", b"{}", "Retry-After: 9999"), 3, "asks for 9,999 s of patience"),
        (b"nothing like HTTP", 3, "what came is not HTTP"),
    ],
)
def test_a_server_that_does_not_answer_is_a_finding_with_its_reason(tmp_path: Path, capsys, reply, code, words):
    with raw_server(lambda *_: reply) as server:
        path = write_pipeline(tmp_path, server.base_url, personas=1, items=1)
        assert examine(path, as_json=True) == code
    said = capsys.readouterr().out
    assert words in next(one["found"] for one in json.loads(said) if one["what"].startswith("model "))


def test_a_model_that_was_seen_here_is_told_with_its_speed(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with raw_server(lambda *_: http("200 OK", json.dumps(TEXT).encode())) as server:
        path = write_pipeline(tmp_path, server.base_url, personas=1, items=1)
        model = load(path).models["judge"]
        assert examine(path, as_json=True) == 0
        assert not [one for one in json.loads(capsys.readouterr().out) if one["what"] == "speed of judge"]
        remember_speed(model, "judge:1", requests=8120, seconds=10.0)
        remember_speed(model, "write:120", requests=100, seconds=32.0)
        remember_speed(model.model_copy(update={"concurrency": 3}), "judge:1", requests=100, seconds=1.0)
        assert examine(path, as_json=True) == 0
    told = [one for one in json.loads(capsys.readouterr().out) if one["what"] == "speed of judge"]
    said = "812 requests/s (judge, tokens an answer: 1); 3.12 requests/s (write, tokens an answer: 120)"
    assert told == [{"what": "speed of judge", "fine": None, "found": f"{said}, as seen on this machine before"}]


def test_what_the_suite_runs_teaches_no_plan_of_the_developer():
    assert "prefgen-tests-" in str(speeds_path())
    asked = "from prefgen.dispatch.speed import speeds_path; print(speeds_path())"
    said = subprocess.run([sys.executable, "-c", asked], env=environment(), capture_output=True, text=True, check=True)
    assert said.stdout.strip() == str(speeds_path())


@pytest.mark.parametrize("listed", [b"[]", b"null", b'{"data": null}', b'{"data": [1, {"id": 7}]}', b"no JSON"])
def test_a_list_of_models_that_is_none_is_no_harm(tmp_path: Path, capsys, listed):
    with raw_server(lambda *_: http("200 OK", json.dumps(TEXT).encode()), listed=listed) as server:
        path = write_pipeline(tmp_path, server.base_url, personas=1, items=1)
        assert examine(path, as_json=True) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("keys", "gpus", "code", "words"),
    [
        ({"model": "./tiny"}, 4, 0, "tiny, 0 MB; 1 of 4 GPUs"),
        ({"model": "./tiny"}, 0, 0, "no NVIDIA GPU here, so on the CPU"),
        ({"model": "./tiny", "tensor_parallel": 4, "data_parallel": 2}, 4, 3, "are 8 GPUs, and this machine has 4"),
        ({"model": "./nowhere"}, 4, 3, "there is no such folder"),
        ({"model": "nobody/no-such-model"}, 4, 0, "to be fetched from the Hub at the first run"),
        (None, 4, 3, "needs the package vllm, which is not installed"),
    ],
    ids=str,
)
def test_weights_and_gpus_of_ones_own_are_looked_at_and_nothing_is_loaded(
    tmp_path: Path, capsys, monkeypatch, keys, gpus, code, words
):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.json").write_text("{}")
    (tmp_path / "tiny" / "model.safetensors").write_bytes(b"12345")
    monkeypatch.setattr(vllm_start, "gpus", lambda: gpus)
    monkeypatch.setattr(vllm_start, "is_installed", lambda: keys is not None)
    path = write_pipeline(tmp_path, personas=1, items=1, model={"engine": "vllm"} | (keys or {"model": "./tiny"}))
    assert examine(path, as_json=True) == code
    said = json.loads(capsys.readouterr().out)
    assert words in next(one["found"] for one in said if one["what"] == "model judge (vllm)")


def test_a_folder_of_batches_is_told_with_what_waits_in_it(tmp_path: Path, capsys):
    (tmp_path / "waiting").mkdir()
    for name in ("a.jsonl", "a.out.jsonl", "b.jsonl"):
        (tmp_path / "waiting" / name).touch()
    path = write_pipeline(tmp_path, personas=1, items=1, model={"engine": "batch", "folder": "waiting"})
    assert examine(path, as_json=True) == 0
    assert "2 of them with requests" in capsys.readouterr().out
