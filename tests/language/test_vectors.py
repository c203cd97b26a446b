"""Texts as vectors: from an endpoint's /embeddings into a column, and what was planted in them comes back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import prefgen
from prefgen.analysis.asked.components import principal
from prefgen.engines.reply import FailedInReplyError, UnreadableError
from prefgen.engines.vectors import to_vector
from prefgen.engines.wire import PLAIN
from prefgen.errors import EngineError, SpecError
from prefgen.records import Request
from tests.servers.ruled import Ruled, ruled

TASTES = {"short": np.array([1.0, 0.0, 0.0, 0.2]), "long": np.array([-1.0, 0.0, 0.0, -0.2])}


def vector(text: str) -> list[float]:
    """Where a text stands: by its first word, and a little by all of it."""
    rng = np.random.default_rng(sum(text.encode()))
    return list(map(float, TASTES[text.split()[0]] + 0.05 * rng.normal(size=4)))


def pipeline(folder: Path, base_url: str, **more: Any) -> Path:
    rows = [
        {"persona_id": f"p{n % 6}", "taste": ("short", "long")[n % 2], "text": f"{('short', 'long')[n % 2]} answer {n}"}
        for n in range(60)
    ]
    pairs = [
        {
            "item_id": f"q{n}",
            "prompt": f"How {n}?",
            "chosen": f"short answer {n}",
            "rejected": f"long answer {n}",
        }
        for n in range(30)
    ]
    pl.DataFrame(rows).write_ndjson(folder / "rows.jsonl")
    pl.DataFrame(pairs).write_ndjson(folder / "pairs.jsonl")
    said: dict[str, Any] = {
        "name": "vectors",
        "models": {"m": {"engine": "openai", "model": "m", "base_url": base_url, "concurrency": 4}},
        "steps": {
            "rows": {"table": "rows.jsonl"},
            "where": {"write": {"place": "vector"}, "for": "rows", "model": "m", "prompt": "{{ text }}"},
            "pairs": {"table": "pairs.jsonl"},
            "of_chosen": {"write": {"chosen_place": "vector"}, "for": "pairs", "model": "m", "prompt": "{{ chosen }}"},
            "both": {
                "write": {"rejected_place": "vector"},
                "for": "of_chosen",
                "model": "m",
                "prompt": "{{ rejected }}",
            },
        },
        "analyse": [
            {"components": {"from": "where", "of": "place", "n": 2, "by": ["taste"]}},
            {"components": {"name": "of pairs", "from": "both", "of": "place", "n": 2}},
            {"segments": {"from": "where", "over": ["place"], "n": 2}},
        ],
        "publish": {"exports": [{"rows": {"from": "where"}}]},
    }
    said |= more
    (folder / "p.yaml").write_text(yaml.safe_dump(said, sort_keys=False))
    return folder / "p.yaml"


@pytest.fixture(scope="module")
def served() -> Iterator[Ruled]:
    with ruled(lambda *_: "", vector=vector) as found:
        yield found


def test_planted_tastes_are_the_first_component_and_the_segments(tmp_path: Path, served: Ruled) -> None:
    path = pipeline(tmp_path, served.base_url)
    run = prefgen.run(path, tmp_path / "run")
    rows = pl.read_parquet(tmp_path / "run" / "data" / "rows" / "*.parquet")
    assert rows.schema["place"] == pl.List(pl.Float32)
    for text, place in rows.select("text", "place").iter_rows():
        assert place == pytest.approx(np.array(vector(text), dtype=np.float32))
    found = {one["name"]: one for one in json.loads((tmp_path / "run" / "report.json").read_text())["analyses"]}
    table, by_taste = found["components of where"]["tables"]
    assert table["rows"][0][1] > 0.9
    assert {row[0]: np.sign(row[2]) for row in by_taste["rows"]} == {"short": 1.0, "long": -1.0}
    (of_pairs,) = found["of pairs"]["tables"]
    assert of_pairs["rows"][0][1] > 0.9
    assert of_pairs["rows"][0][3] == 1.0  # everybody chose the short one
    (groups,) = found["segments of where"]["tables"]
    assert sorted(row[1] for row in groups["rows"]) == [3, 3]
    asked = len(served.asked)
    assert prefgen.run(path, tmp_path / "run").path == run.path
    assert len(served.asked) == asked


def test_a_plan_counts_the_texts_and_no_answers(tmp_path: Path, served: Ruled) -> None:
    plan = prefgen.plan(pipeline(tmp_path, served.base_url))
    (step,) = [one for one in plan.steps if one.name == "where"]
    assert (step.rows, step.requests, step.completion_tokens) == (60, 60, 0)


@pytest.mark.parametrize(
    ("write", "more", "said"),
    [
        ({"place": "vector", "why": "text"}, {}, "no model says a vector"),
        ([{"place": "vector"}], {}, "no model says a vector"),
        ({"place": ["vector"]}, {}, "no model says a vector"),
        ({"place": "vector"}, {"system": "Be brief."}, "leave `as`, `system` and `again` out"),
        ({"place": "vector"}, {"model": "small"}, "gives no vectors"),
        ({"place": "vector"}, {"tries": 2, "again": "Once more."}, "leave `as`, `system` and `again` out"),
        ({"place": "vector"}, {"repeats": 2}, "asked again it is the same"),
    ],
)
def test_a_vector_stands_alone_and_comes_from_an_endpoint(
    tmp_path: Path, write: Any, more: dict[str, Any], said: str
) -> None:
    models = {"m": {"engine": "openai", "model": "m"}, "small": {"engine": "embedded"}}
    step = {"write": write, "for": "rows", "model": "m", "prompt": "{{ text }}", **more}
    rows = [{"text": "a"}, {"text": "b"}]
    path = pipeline(
        tmp_path, "http://127.0.0.1:9/v1", models=models, steps={"rows": {"table": rows}, "x": step}, analyse=[]
    )
    with pytest.raises(SpecError, match=said):
        prefgen.plan(path)


def test_a_server_without_embeddings_is_said_so(tmp_path: Path) -> None:
    with ruled(lambda *_: "A") as without, pytest.raises(EngineError, match="HTTP 404"):
        prefgen.run(pipeline(tmp_path, without.base_url), tmp_path / "run")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"{}", "the shape"),
        (b'{"data": [{"embedding": []}]}', "the shape"),
        (b'{"data": [{"embedding": [1e999]}]}', "not JSON|finite"),
        (b'{"data": [{"embedding": [null]}]}', "the shape|finite"),
        (b'{"data": [{"embedding": [[1, 2], [3, 4]]}]}', "for every token"),
        (b'{"data": [{"embedding": "AAAA"}]}', "the shape"),
        (b"[]", "no JSON object"),
        (b'{"data": [{"embedding": [1' + b"0" * 400 + b"]}]}", "the shape|not JSON"),
        (b"<html>", "not JSON"),
    ],
)
def test_what_is_no_vector_is_told(raw: bytes, said: str) -> None:
    with pytest.raises(UnreadableError, match=said):
        to_vector(Request("m"), "req-1", raw, PLAIN)


def test_an_error_in_disguise_is_one() -> None:
    with pytest.raises(FailedInReplyError):
        to_vector(Request("m"), "req-1", b'{"error": {"message": "overloaded", "code": 503}}', PLAIN)


@given(st.binary(max_size=80) | st.recursive(st.none() | st.floats() | st.text(max_size=3), st.lists, max_leaves=6))
def test_no_reply_at_all_is_a_traceback(said: Any) -> None:
    raw = said if isinstance(said, bytes) else json.dumps({"data": [{"embedding": said}]}).encode()
    try:
        response = to_vector(Request("m"), "req-1", raw, PLAIN)
    except (UnreadableError, FailedInReplyError):
        return
    assert np.isfinite(json.loads(response.text)).all()


def test_components_are_those_of_scikit_learn() -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    rng = np.random.default_rng(5)
    points = rng.normal(size=(200, 6)) @ np.diag([5, 3, 2, 1, 1, 0.5])
    scores, shares = principal(points - points.mean(axis=0), 3)
    theirs = decomposition.PCA(n_components=3).fit(points)
    assert shares == pytest.approx(theirs.explained_variance_ratio_)
    assert np.abs(scores) == pytest.approx(np.abs(theirs.transform(points)), abs=1e-8)


@pytest.mark.model
def test_a_real_server_tells_what_is_alike(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    command = [sys.executable, "-m", "tests.servers.llamacpp", "--embeddings"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        base_url = f"{server.stdout.readline().strip()}/v1"
        texts = ["I love green tea.", "Green tea is what I love.", "The court dismissed the appeal in 1987."]
        steps = {
            "rows": {"table": [{"text": text} for text in texts]},
            "x": {"write": {"place": "vector"}, "for": "rows", "model": "m", "prompt": "{{ text }}"},
        }
        exports = {"exports": [{"rows": {"from": "x"}}]}
        path = pipeline(tmp_path, base_url, steps=steps, analyse=[], publish=exports)
        try:
            prefgen.run(path, tmp_path / "run")
        finally:
            server.communicate()
    rows = pl.read_parquet(tmp_path / "run" / "data" / "rows" / "*.parquet")
    tea, also_tea, court = (np.array(one) / np.linalg.norm(one) for one in rows["place"])
    assert len(tea) == 576
    assert tea @ also_tea > max(tea @ court, also_tea @ court)


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        ([[1.0, None], [2.0, 3.0], [3.0, 1.0], [1.0, 1.0]], "missing, or not finite"),
        ([[1.0, float("nan")], [2.0, 3.0], [3.0, 1.0], [1.0, 1.0]], "missing, or not finite"),
        ([[], [], [], []], "missing, or not finite"),
        ([[0.1, 0.7, 0.3]] * 7, "all vectors are the same"),
        ([[1.0], [1.0, 2.0], [3.0], [4.0]], "vectors of 1 and of 2 numbers"),
    ],
)
def test_vectors_that_say_nothing_are_told_and_not_a_traceback(tmp_path: Path, vectors: Any, said: str) -> None:
    rows = pl.DataFrame(
        {"at": vectors, "persona_id": list("abcdefg")[: len(vectors)]}, schema_overrides={"at": pl.List(pl.Float64)}
    )
    rows.write_parquet(tmp_path / "rows.parquet")
    analyse = [
        {"components": {"from": "rows", "of": "at", "n": 1}},
        {"segments": {"from": "rows", "over": ["at", "at"], "n": 2}},
    ]
    steps = {"rows": {"table": "rows.parquet"}}
    exports = {"exports": [{"rows": {"from": "rows"}}]}
    path = pipeline(tmp_path, "http://127.0.0.1:9/v1", steps=steps, analyse=analyse, publish=exports)
    if "and of" in said:
        with pytest.raises(SpecError, match=said):
            prefgen.run(path, tmp_path / "run")
        return
    prefgen.run(path, tmp_path / "run")
    first, _ = json.loads((tmp_path / "run" / "report.json").read_text())["analyses"]
    assert said in first["said"][0]


def test_rows_are_not_told_apart_by_vectors(tmp_path: Path) -> None:
    steps = {"rows": {"table": [{"at": [1.0, 2.0], "n": 1}, {"at": [2.0, 1.0], "n": 2}]}}
    for one in ({"components": {"of": "at", "by": ["at"]}}, {"segments": {"over": ["n"], "by": "at"}}):
        said = {key: {"from": "rows", **value} for key, value in one.items()}
        exports = {"exports": [{"rows": {"from": "rows"}}]}
        path = pipeline(tmp_path, "http://127.0.0.1:9/v1", steps=steps, analyse=[said], publish=exports)
        with pytest.raises(SpecError, match="one value a row"):
            prefgen.plan(path)
