"""The Batch API as cron would drive it: the same command again and again until it exits 0."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.pipelines import KEY, data_bytes, judgments, run, write_pipeline
from tests.servers.running import Served

Start = Callable[..., Served]


def by_cron(pipeline: Path, out: Path, *, most: int = 30) -> list[int]:
    """Exit codes of fresh processes, until one is not 75."""
    codes: list[int] = []
    while len(codes) < most:
        ran = run(pipeline, out)
        codes.append(ran.code)
        assert "Traceback" not in ran.err
        if ran.code != 75:
            assert ran.code == 0, ran.err
            break
    return codes


def check_batches(endpoint: Start, folder: Path, script: dict[str, Any], *, requests: int, size: int) -> dict[str, Any]:
    """Run by batch to the end; complete, nothing answered twice, and the same data as asked one by one."""
    server = endpoint({"key": KEY, "personality": "openai", **script}, process=True)
    personas = requests // 100
    pipeline = write_pipeline(
        folder,
        personas=personas,
        items=50,
        model={"engine": "batch", "base_url": server.base_url, "batch_size": size},
    )
    codes = by_cron(pipeline, folder / "run")
    assert codes[0] == 75
    assert codes[-1] == 0
    rows = judgments(folder / "run")
    assert rows.height == rows["judgment_id"].n_unique() == requests
    assert rows["status"].unique().to_list() == ["ok"]
    log = server.log()["batch"]
    assert log["answered"] == requests
    assert log["twice"] == 0
    calm = write_pipeline(folder / "one-by-one", server.base_url, personas=personas, items=50)
    assert run(calm, folder / "calm").code == 0
    mine = [name for name in rows.columns if name != "readout"]
    assert rows.select(mine).equals(judgments(folder / "calm").select(mine))
    return log


def test_batches_are_left_and_collected_one_expiring_half_way(endpoint: Start, folder: Path) -> None:
    log = check_batches(endpoint, folder, {"batch": {"polls": 1, "expire": [1]}}, requests=200, size=80)
    assert log["batches"] == ["completed", "expired", "completed", "completed"]
    assert log["rows"] == [80, 80, 40, 40]


@pytest.mark.slow
def test_failed_rows_and_refused_batches_are_sent_again(endpoint: Start, folder: Path) -> None:
    script = {"batch": {"polls": 1, "fail_rows": 0.1, "most_at_once": 2}}
    check_batches(endpoint, folder, script, requests=500, size=200)


@pytest.mark.slow
def test_five_thousand_over_three_batches_one_expiring_half_way(endpoint: Start, folder: Path) -> None:
    log = check_batches(endpoint, folder, {"batch": {"polls": 2, "expire": [1]}}, requests=5_000, size=2_000)
    assert log["batches"][:3] == ["completed", "expired", "completed"]


@pytest.mark.slow
def test_a_finished_batch_run_asks_nothing(endpoint: Start, folder: Path) -> None:
    server = endpoint({"batch": {"polls": 1}}, process=True)
    model = {"engine": "batch", "base_url": server.base_url}
    pipeline = write_pipeline(folder, personas=1, items=10, model=model)
    by_cron(pipeline, folder / "run")
    before, paths = data_bytes(folder / "run"), server.log()["paths"]
    assert run(pipeline, folder / "run").code == 0
    assert server.log()["paths"] == paths
    assert data_bytes(folder / "run") == before
