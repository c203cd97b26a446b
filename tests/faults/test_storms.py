"""Whatever the weather: every presentation is one row, what is stored is never asked again, the bytes do not change."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.kills import killed_when
from tests.faults.pipelines import data_bytes, judgments, run, write_pipeline
from tests.servers.running import Served, serve
from tests.servers.script import ANSWERS, HANGING, PASSING

Start = Callable[..., Served]
_PERSONAS, _ITEMS = 4, 6
_ROWS = _PERSONAS * _ITEMS * 2
_MODEL = {"timeout_s": 1.0, "concurrency": 16}

SHORT: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
    "database": None,
}


@pytest.fixture(scope="module")
def server() -> Any:
    with serve() as running:
        yield running


@pytest.fixture(scope="module")
def calm(server: Served, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], pl.DataFrame]:
    """Data and judgments of a run without any fault."""
    folder = tmp_path_factory.mktemp("calm")
    pipeline = write_pipeline(folder, server.base_url, personas=_PERSONAS, items=_ITEMS, model=_MODEL)
    ran = run(pipeline, folder / "run")
    assert ran.code == 0, ran.err
    return data_bytes(folder / "run"), judgments(folder / "run")


def storms(kinds: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    """Schedules of faults that end after a few tries of each request."""
    storm = st.fixed_dictionaries(
        {
            "rate": st.floats(0.05, 0.9),
            "kinds": st.lists(st.sampled_from(kinds), min_size=1, max_size=6, unique=True),
            "seed": st.integers(0, 2**31),
            "calm_after": st.integers(1, 2),
        }
    )
    return st.fixed_dictionaries(
        {
            "storms": st.lists(storm, min_size=1, max_size=1),
            "retry_after_s": st.sampled_from([0, 0.05]),
            "drip_s": st.just(0.05),
            "latency_s": st.sampled_from([0.0, [0.0, 0.02]]),
        }
    )


def check_passing(
    server: Served, calm: tuple[dict[str, bytes], pl.DataFrame], script: dict[str, Any], kills: list[int]
) -> None:
    server.reset()
    server.follow(script)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pipeline = write_pipeline(folder, server.base_url, personas=_PERSONAS, items=_ITEMS, model=_MODEL)
        for more in kills:
            until = server.log()["requests"] + more
            killed_when(pipeline, folder / "run", lambda until=until: server.log()["requests"] >= until)
        ran = run(pipeline, folder / "run")
        assert ran.code == 0, ran.err
        log = server.log()
        rows = judgments(folder / "run")
        assert rows.height == rows["judgment_id"].n_unique() == _ROWS
        assert data_bytes(folder / "run") == calm[0]
        resent = log["answered"] - log["answered_bodies"]
        assert resent <= _MODEL["concurrency"] * len(kills)


@settings(max_examples=2, **SHORT)
@given(script=storms(PASSING))
def test_a_passing_storm_leaves_no_trace_in_the_data(
    server: Served, calm: tuple[dict[str, bytes], pl.DataFrame], script: dict[str, Any]
) -> None:
    check_passing(server, calm, script, [])


@pytest.mark.slow
@settings(max_examples=25, **SHORT)
@given(script=storms((*PASSING, *HANGING)), kills=st.lists(st.integers(1, 60), max_size=3))
def test_a_passing_storm_with_kills_leaves_no_trace_in_the_data(
    server: Served, calm: tuple[dict[str, bytes], pl.DataFrame], script: dict[str, Any], kills: list[int]
) -> None:
    check_passing(server, calm, script, kills)


def check_mixed(server: Served, folder: Path, *, personas: int, items: int, seed: int, hang: bool) -> None:
    """Faults of every kind, some for ever: each presentation is accounted for, and what was answered is as in calm."""
    total = personas * items * 2
    model = {"timeout_s": 2.0}
    pipeline = write_pipeline(folder, server.base_url, personas=personas, items=items, model=model)
    server.follow({})
    assert run(pipeline, folder / "calm").code == 0
    quiet = judgments(folder / "calm")
    server.reset()
    passing = (*PASSING, *HANGING) if hang else PASSING
    lasting = {"rate": 0.04, "kinds": [*ANSWERS[:-1], "400", "context_length"], "seed": seed, "per": "prompt"}
    again = {"rate": 0.16, "kinds": list(passing), "seed": seed + 1, "calm_after": 4}
    server.follow({"storms": [lasting, again], "retry_after_s": 0.05, "drip_s": 0.1})
    ran = run(pipeline, folder / "run")
    assert ran.code == 0, ran.err
    rows = judgments(folder / "run")
    assert rows.height == rows["judgment_id"].n_unique() == total
    log = server.log()
    assert log["twice"] == 0
    assert len(log["faults"]) >= 16, "the storm was no storm"
    key = ["persona_id", "item_id", "order", "repeat"]
    own = [*key, "choice", "status", "p", "judgment_id", "request_id"]
    answered = rows.filter(pl.col("status") == "ok")
    assert answered.height >= 0.9 * total
    before = quiet.join(answered.select(key), on=key, how="semi")
    assert answered.select(own).sort(key).equals(before.select(own).sort(key))
    odd = rows.filter(pl.col("status") != "ok")
    assert odd["reject_reason"].null_count() == 0
    assert odd.filter(pl.col("status") == "failed")["failure"].null_count() == 0


def test_in_a_storm_of_every_kind_each_presentation_is_accounted_for(server: Served, folder: Path) -> None:
    check_mixed(server, folder, personas=10, items=20, seed=11, hang=False)


@pytest.mark.slow
def test_ten_thousand_requests_in_a_storm_of_every_kind(server: Served, folder: Path) -> None:
    check_mixed(server, folder, personas=100, items=50, seed=7, hang=True)
