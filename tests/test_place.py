"""Models placed among personas, through the real command line."""

from collections.abc import Callable
from pathlib import Path

import orjson

from tests.faults.pipelines import prefgen, run, write_pipeline
from tests.servers.running import Served


def test_models_are_asked_once_without_a_persona_and_stand_on_the_map(
    folder: Path, endpoint: Callable[..., Served]
) -> None:
    served = endpoint({"models": ["test-model", "one", "two"]})
    path = write_pipeline(folder, served.base_url, personas=5, items=8)
    assert run(path, folder / "out").code == 0
    before = served.log()["answered"]
    models = [
        f"engine=openai,model={name},base_url={served.base_url},region={region}"
        for name, region in (("one", "Europe"), ("two", "Asia"))
    ]
    words = ["place", str(folder / "out"), *(word for model in models for word in ("--model", model))]
    placed = prefgen(*words, "--json")
    assert placed.code == 0, placed.err
    found = orjson.loads(placed.out)
    assert [model["region"] for model in found["models"]] == ["Europe", "Asia"]
    assert {near["target"] for near in found["nearness"]} >= {"majority"}
    assert served.log()["answered"] == before + 2 * 8 * 2
    again = prefgen(*words)
    assert again.code == 0, again.err
    assert served.log()["answered"] == before + 2 * 8 * 2
    assert "Europe" in (folder / "out" / "report.html").read_text()


def test_a_model_that_cannot_be_is_told(folder: Path, endpoint: Callable[..., Served]) -> None:
    path = write_pipeline(folder, endpoint().base_url, personas=2, items=2)
    assert run(path, folder / "out").code == 0
    for wrong in ("nonsense", "engine=teapot,model=x", "engine=openai"):
        said = prefgen("place", str(folder / "out"), "--model", wrong)
        assert said.code == 2, said.err
        assert "--model" in said.err
    assert prefgen("place", str(folder), "--model", "engine=openai,model=x").code == 4
