"""What can go wrong with an endpoint, one thing at a time, through the real command line."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tests.faults.pipelines import (
    KEY,
    Ran,
    command,
    data_bytes,
    environment,
    judgments,
    manifest,
    requests_of,
    run,
    write_pipeline,
)
from tests.servers.running import Served, serve

Start = Callable[..., Served]


def complaint(ran: Ran) -> str:
    """What a person reads; never a traceback, never the key."""
    assert "Traceback" not in ran.err
    assert KEY not in ran.err + ran.out
    return ran.err


def test_one_prompt_that_is_always_refused_costs_one_row(endpoint: Start, folder: Path) -> None:
    server = endpoint({"rules": [{"match": "B) a new park in quarter 17\\n", "fault": "400"}]})
    pipeline = write_pipeline(folder, server.base_url, personas=1, items=128)
    assert run(pipeline, folder / "run").code == 0
    rows = judgments(folder / "run")
    failed = rows.filter(pl.col("status") == "failed")
    assert (rows.height, failed.height) == (256, 1)
    assert "flagged as potentially violating our usage policy" in failed["failure"][0]
    assert failed.select("item_id", "order", "reject_reason").row(0) == ("item-00017", "swapped", "failed")
    assert rows.filter(pl.col("status") == "ok").height == 255
    assert server.log()["faults"] == {"400": 1}
    before, sent = data_bytes(folder / "run"), server.log()["paths"]
    assert run(pipeline, folder / "run").code == 0
    assert data_bytes(folder / "run") == before
    assert server.log()["paths"] == sent, "a finished run asks nothing, not even what was refused"


def test_nobody_listening_ends_the_run_soon_and_the_next_run_goes_on(folder: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    pipeline = write_pipeline(folder, f"http://127.0.0.1:{port}/v1", personas=4, items=8)
    ran = run(pipeline, folder / "run", timeout=60)
    assert ran.code == 3
    assert f"127.0.0.1:{port}" in complaint(ran)
    assert "fix:" in ran.err
    with serve(port=port):
        assert run(pipeline, folder / "run").code == 0
    assert judgments(folder / "run")["status"].unique().to_list() == ["ok"]


@pytest.mark.slow  # a server may be restarting: half a minute is waited for it
def test_an_endpoint_that_dies_half_way_ends_the_run_and_nothing_answered_is_asked_again(folder: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    model = {"concurrency": 8}
    with serve({"die_after": 40, "latency_s": 0.01}, port=port) as server:
        pipeline = write_pipeline(folder, server.base_url, personas=8, items=8, model=model)
        ran = run(pipeline, folder / "run", timeout=120)
        assert ran.code == 3, ran.err
        complaint(ran)
        answered = server.log()["answered"]
    with serve(port=port) as server:
        assert run(pipeline, folder / "run").code == 0
        again = server.log()["requests"]
    assert again <= 128 - answered + 8 + 3  # what was in flight, and a look at what the server can do
    assert judgments(folder / "run").height == 128


def test_a_wrong_key_stops_at_once_and_says_which_variable(endpoint: Start, folder: Path) -> None:
    server = endpoint({"key": "sk-another"})
    pipeline = write_pipeline(folder, server.base_url, personas=20, items=20)
    ran = run(pipeline, folder / "run")
    assert ran.code == 3
    assert "OPENAI_API_KEY" in complaint(ran)
    assert server.log()["requests"] <= 64


@pytest.mark.parametrize("status", [307, *(pytest.param(other, marks=pytest.mark.slow) for other in (301, 308))])
def test_a_redirect_to_another_host_is_not_followed_with_the_key(endpoint: Start, folder: Path, status: int) -> None:
    server = endpoint({"rules": [{"match": "", "fault": f"redirect_{status}"}]})
    pipeline = write_pipeline(folder, server.base_url, personas=1, items=40)
    ran = run(pipeline, folder / "run", timeout=60)
    assert ran.code == 3
    assert "another address" in complaint(ran)
    assert server.log()["strays"] == []


def test_the_key_is_nowhere_in_the_run_folder(endpoint: Start, folder: Path) -> None:
    server = endpoint(
        {"storms": [{"rate": 0.3, "kinds": ["401", "429_seconds", "500"], "seed": 3}], "retry_after_s": 0}
    )
    pipeline = write_pipeline(folder, server.base_url, personas=2, items=4)
    ran = run(pipeline, folder / "run")
    complaint(ran)
    for path in (folder / "run").rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path


def test_a_budget_stops_the_run_and_the_same_command_goes_on(endpoint: Start, folder: Path) -> None:
    server = endpoint({"models": ["gpt-4o-mini"], "latency_s": 0.005, "personality": "openai"})
    pipeline = write_pipeline(
        folder, server.base_url, personas=10, items=10, model={"model": "gpt-4o-mini", "concurrency": 4}
    )
    ran = run(pipeline, folder / "run", "--budget", "0.002")
    assert ran.code == 75, ran.err
    assert "budget" in complaint(ran)
    spent = server.log()["requests"]
    assert 0 < spent < 200
    assert run(pipeline, folder / "run").code == 0
    log = server.log()
    assert log["twice"] == 0
    assert judgments(folder / "run").height == 200


def test_two_runs_at_once_do_not_share_a_folder(endpoint: Start, folder: Path) -> None:
    server = endpoint({"latency_s": 0.2}, process=True)
    pipeline = write_pipeline(folder, server.base_url, personas=4, items=16, model={"concurrency": 8})
    first = subprocess.Popen(
        command(pipeline, folder / "run"), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while not server.log()["requests"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        second = run(pipeline, folder / "run")
        assert second.code == 75
        assert str(first.pid) in complaint(second)
        assert first.wait(60) == 0
    finally:
        first.kill()
        first.wait()
    assert server.log()["twice"] == 0


def until_answered(server: Served, n: int) -> None:
    """Wait until so many requests were answered."""
    deadline = time.monotonic() + 60
    while server.log()["answered"] < n:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_a_scheduler_end_a_run_with_130_and_the_next_goes_on(
    stop: signal.Signals, endpoint: Start, folder: Path
) -> None:
    server = endpoint({"latency_s": 0.05}, process=True)
    pipeline = write_pipeline(folder, server.base_url, personas=10, items=20, model={"concurrency": 8})
    process = subprocess.Popen(
        command(pipeline, folder / "run"),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    until_answered(server, 40)
    process.send_signal(stop)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    sent = server.log()
    assert run(pipeline, folder / "run").code == 0
    log = server.log()
    assert log["requests"] - log["bodies"] <= 8
    assert log["requests"] <= 400 + 8 + sent["requests"] - sent["answered"]
    assert judgments(folder / "run").height == 400


_IGNORES = """
import os, signal, sys
signal.signal(signal.Signals[sys.argv[1]], signal.SIG_IGN)
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.parametrize(("ignored", "sent", "code"), [("SIGINT", "SIGTERM", 130), ("SIGHUP", "SIGHUP", 0)])
def test_a_job_in_the_background_is_ended_by_sigterm_and_one_under_nohup_is_not_by_a_hangup(
    ignored: str, sent: str, code: int, endpoint: Start, folder: Path
) -> None:
    server = endpoint({"latency_s": 0.05}, process=True)
    pipeline = write_pipeline(folder, server.base_url, personas=4, items=10, model={"concurrency": 2})
    process = subprocess.Popen(
        [sys.executable, "-c", _IGNORES, ignored, *command(pipeline, folder / "run")],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    until_answered(server, 8)
    process.send_signal(signal.Signals[sent])
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert run(pipeline, folder / "run").code == 0
    assert judgments(folder / "run").height == 80


_FULL = """
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_a_full_disk_is_said_in_a_sentence_and_what_was_answered_is_kept(endpoint: Start, folder: Path) -> None:
    server = endpoint()
    pipeline = write_pipeline(folder, server.base_url, personas=20, items=50)
    words = [sys.executable, "-c", _FULL, "150000", *command(pipeline, folder / "run")]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=120, check=False)
    ran = Ran(done.returncode, done.stdout, done.stderr)
    assert ran.code == 4, ran.err
    assert "fix:" in complaint(ran)
    before = server.log()
    assert 0 < before["requests"] <= 2000
    assert run(pipeline, folder / "run").code == 0
    after = server.log()
    assert judgments(folder / "run").height == 2000
    assert judgments(folder / "run")["judgment_id"].n_unique() == 2000
    assert after["bodies"] <= 2000 + 3
    # One batch of commits at most was refused by the disk.
    assert after["requests"] - after["bodies"] <= 64 + 2


NO_CHOICE = {
    "content_filter": "refusal",
    "refusal": "refusal",
    "wrong_option": "unparsed",
    "huge": "failed",
    "null_content": "unparsed",
}


def test_an_answer_that_is_no_choice_is_a_row_of_its_own_kind(endpoint: Start, folder: Path) -> None:
    rules = [
        {"match": f"B) a new park in quarter {number}\\n", "fault": fault} for number, fault in enumerate(NO_CHOICE)
    ]
    server = endpoint({"rules": rules})
    pipeline = write_pipeline(folder, server.base_url, personas=1, items=7, model={"max_attempts": 2})
    ran = run(pipeline, folder / "run")
    assert ran.code == 0, ran.err
    rows = judgments(folder / "run")
    odd = rows.filter(pl.col("status") != "ok")
    assert (rows.height, odd["status"].to_list()) == (14, list(NO_CHOICE.values()))
    assert odd["choice"].null_count() == 5
    assert odd["reject_reason"].to_list() == odd["status"].to_list()


FAST = [("logprobs", "vllm"), ("logprobs", "plain"), ("reason", "openai")]
READOUTS = [
    pytest.param(readout, personality, marks=() if (readout, personality) in FAST else pytest.mark.slow)
    for readout in ("logprobs", "text", "certainty", "reason")
    for personality in ("llamacpp", "vllm", "openai", "plain")
]


@pytest.mark.parametrize(("readout", "personality"), READOUTS)
def test_every_readout_is_read_from_every_kind_of_server(
    endpoint: Start, folder: Path, readout: str, personality: str
) -> None:
    server = endpoint({"personality": personality})
    pipeline = write_pipeline(folder, server.base_url, personas=2, items=4, readout=readout)
    ran = run(pipeline, folder / "run")
    assert ran.code == 0, ran.err
    rows = judgments(folder / "run")
    assert rows["status"].to_list() == ["ok"] * 16
    if readout == "certainty":
        assert rows["certainty"].null_count() == 0
    if readout == "logprobs" and personality != "plain":
        assert rows["readout"].str.starts_with("logprobs").all()
        assert rows["p_choice"].max() < 1
    requests = requests_of(folder / "run")
    assert (requests["planned"], requests["answered"]) == (16, 16)


EACH = ["logprobs", "top_logprobs", "grammar", "max_tokens", "temperature", "response_format"]


@pytest.mark.parametrize("refused", [EACH, *(pytest.param([key], marks=pytest.mark.slow) for key in EACH)], ids=str)
def test_a_server_that_refuses_a_key_is_asked_without_it(endpoint: Start, folder: Path, refused: list[str]) -> None:
    server = endpoint({"refuses": refused, "personality": "openai"})
    pipeline = write_pipeline(folder, server.base_url, personas=2, items=4)
    ran = run(pipeline, folder / "run")
    assert ran.code == 0, ran.err
    assert judgments(folder / "run")["status"].to_list() == ["ok"] * 16


def test_json_on_stdout_is_one_event_a_line(endpoint: Start, folder: Path) -> None:
    server = endpoint()
    pipeline = write_pipeline(folder, server.base_url, personas=2, items=4)
    ran = run(pipeline, folder / "run", "--json")
    assert ran.code == 0
    events = [json.loads(line) for line in ran.out.splitlines()]
    assert events
    assert manifest(folder / "run")["status"] == "finished"


def test_a_server_that_does_not_answer_is_seen_to_be_waited_for(endpoint: Start, folder: Path) -> None:
    server = endpoint({"latency_s": 2.5})
    pipeline = write_pipeline(folder, server.base_url, personas=1, items=2, model={"concurrency": 4})
    ran = run(pipeline, folder / "run", "--json")
    assert ran.code == 0, ran.err
    events = [json.loads(line) for line in ran.out.splitlines()]
    assert any(event["event"] == "progress" and event["in_flight"] and not event["answered"] for event in events)


@pytest.mark.slow
def test_a_run_says_what_it_asks_again_for_while_it_works(endpoint: Start, folder: Path) -> None:
    server = endpoint({"storms": [{"rate": 0.3, "kinds": ["hang"]}]})
    pipeline = write_pipeline(folder, server.base_url, personas=4, items=8, model={"timeout_s": 0.5})
    ran = run(pipeline, folder / "run", "--json")
    assert ran.code == 0, ran.err
    events = [json.loads(line) for line in ran.out.splitlines()]
    seen = [one for one in events if one["event"] == "progress" and one["retries"]]
    assert seen
    assert {one["retried_for"] for one in seen} == {"no answer within 0.5 s"}
