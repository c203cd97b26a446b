"""Killed at any moment: nothing lost, nothing doubled, nothing stored asked again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.kills import kill_half_way, killed_when
from tests.faults.pipelines import data_bytes, judgments, run, write_pipeline
from tests.servers.running import Served

Start = Callable[..., Served]
_IN_FLIGHT = 64


def check_kill(server: Served, folder: Path, requests: int) -> None:
    pipeline = write_pipeline(folder, server.base_url, personas=requests // 100, items=50)
    after = kill_half_way(pipeline, folder / "run", server, requests=requests)
    assert after.code == -9, "the run was over before it could be killed"
    assert after.sent_before < requests
    assert (after.rows, after.doubled, after.unanswered) == (requests, 0, 0)
    assert after.resent <= _IN_FLIGHT
    assert after.third_run == 0


def test_a_kill_half_way_costs_no_row_and_at_most_what_was_in_flight(endpoint: Start, folder: Path) -> None:
    check_kill(endpoint({"latency_s": 0.02}, process=True), folder, 1_000)


@pytest.mark.slow
def test_a_kill_half_way_through_ten_thousand(endpoint: Start, folder: Path) -> None:
    check_kill(endpoint({"latency_s": 0.02}, process=True), folder, 10_000)


@pytest.mark.slow
def test_kills_at_many_moments_leave_the_bytes_of_a_calm_run(endpoint: Start, folder: Path) -> None:
    server = endpoint({"latency_s": 0.01}, process=True)
    pipeline = write_pipeline(folder, server.base_url, personas=10, items=50)
    calm = run(pipeline, folder / "calm")
    assert calm.code == 0, calm.err
    server.reset()
    moments = random.Random(5)
    kills = 0
    for _ in range(30):
        until = server.log()["requests"] + moments.randrange(1, 120)
        if killed_when(pipeline, folder / "run", lambda until=until: server.log()["requests"] >= until) == 0:
            break
        kills += 1
    assert run(pipeline, folder / "run").code == 0
    log = server.log()
    assert kills >= 5
    assert log["requests"] - log["bodies"] <= _IN_FLIGHT * kills
    assert judgments(folder / "run").height == 1_000
    assert data_bytes(folder / "run") == data_bytes(folder / "calm")


@pytest.mark.slow
def test_kills_while_tables_and_data_are_written_cost_no_request_and_no_byte(endpoint: Start, folder: Path) -> None:
    server = endpoint(process=True)
    pipeline = write_pipeline(folder, server.base_url, personas=20, items=50)
    assert run(pipeline, folder / "calm").code == 0
    server.reset()
    killed_when(pipeline, folder / "run", lambda: server.log()["answered_bodies"] >= 2_000)
    resent = server.log()["requests"] - server.log()["bodies"]
    kills = 0
    for tenths in range(4, 60, 2):
        began = time.monotonic()
        until = began + tenths / 10
        if killed_when(pipeline, folder / "run", lambda until=until: time.monotonic() >= until) == 0:
            break
        kills += 1
    assert kills >= 2
    assert run(pipeline, folder / "run").code == 0
    log = server.log()
    assert log["requests"] - log["bodies"] - resent <= _IN_FLIGHT  # of the first kill
    assert data_bytes(folder / "run") == data_bytes(folder / "calm")
    left = [path.name for path in (folder / "run").rglob("*") if ".aside" in path.name or ".old" in path.name]
    assert left == []
