"""Conversations that are killed, left with a provider, or held up by one slow answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import prefgen
from tests.benchmarks.talk import bytes_of, killed, requests_of, write_talk
from tests.faults.pipelines import run
from tests.faults.test_batches import by_cron
from tests.servers.running import Served

Start = Callable[..., Served]


@pytest.mark.slow
def test_killed_ten_times_the_bytes_are_the_same(endpoint: Start, folder: Path) -> None:
    server = endpoint({}, process=True)
    path = write_talk(folder, server.base_url, 4, turns=8)
    assert run(path, folder / "calm").code == 0
    asked = server.log()["requests"]
    assert asked == requests_of(4, turns=8)
    server.reset()
    met = killed(path, folder / "torn", server, asked, 10)
    assert met >= 5
    assert server.log()["requests"] - asked <= met * 64
    assert bytes_of(folder / "calm") == bytes_of(folder / "torn")


def test_a_batch_is_submitted_for_every_turn_as_the_plan_says(endpoint: Start, folder: Path) -> None:
    server = endpoint({"personality": "openai", "batch": {"polls": 1}}, process=True)
    path, batch = write_talk(folder, server.base_url, 1, 2, {"engine": "batch"}), folder / "batch"
    notes = " ".join(prefgen.plan(prefgen.load(path)).notes)
    codes = by_cron(path, batch)
    assert server.log()["batch"]["batches"] == ["completed"] * 3  # the opening is said, not asked
    assert "at most 3 submissions" in notes
    assert codes[-1] == 0
    assert codes.count(75) >= 3
    calm = write_talk(folder / "single", server.base_url, 1, turns=2)
    assert run(calm, folder / "calm").code == 0
    tables = [pl.read_parquet(sorted((one / "tables" / "chats").glob("*.parquet"))) for one in (batch, folder / "calm")]
    assert tables[0].equals(tables[1])
