"""`--on ray` without Ray: what is said where it is not there, and how large an actor is."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from pydantic import ValidationError

from prefgen.engines.open import open_engine, opener_on
from prefgen.engines.ray_cluster import resources_of
from prefgen.errors import EngineError
from prefgen.spec.models import Actors, EmbeddedModel, OpenAIModel, VllmModel
from tests.faults.pipelines import run, write_pipeline


def test_without_ray_the_run_ends_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match="package ray") as caught:
        opener_on("ray")
    assert 'pip install "prefgen[ray]"' in str(caught.value)
    assert opener_on("local") is open_engine


def test_a_place_that_there_is_not_is_refused(tmp_path: Path) -> None:
    made = write_pipeline(tmp_path, "http://127.0.0.1:9/v1", personas=1, items=1)
    ran = run(made, tmp_path / "out", "--on", "rey")
    assert ran.code == 2
    assert "--on 'rey': there is no such place" in ran.err
    assert "'ray', 'local'" in ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("spec", "size"),
    [
        (EmbeddedModel(engine="embedded"), (0, 1)),
        (EmbeddedModel(engine="embedded", threads=4), (0, 4)),
        (OpenAIModel(engine="openai", model="m"), (0, 1)),
        (OpenAIModel(engine="openai", model="m", ray=Actors(num_cpus=0.1)), (0, 0.1)),
        (VllmModel(engine="vllm", model="m"), (1, 1)),
        (VllmModel(engine="vllm", model="m", tensor_parallel=4, data_parallel=2), (8, 1)),
        (VllmModel(engine="vllm", model="m", ray=Actors(num_gpus=0, num_cpus=16)), (0, 16)),
    ],
    ids=str,
)
def test_an_actor_is_as_large_as_its_model(
    spec: EmbeddedModel | OpenAIModel | VllmModel, size: tuple[float, float]
) -> None:
    assert resources_of(spec) == size


def test_where_a_model_answers_is_no_part_of_what_it_says() -> None:
    one, other = (OpenAIModel(engine="openai", model="m", ray=Actors(actors=n)) for n in (1, 8))
    assert one.identity == other.identity


@pytest.mark.parametrize("keys", [{"actors": 0}, {"num_gpus": -1}, {"num_cpu": 1}], ids=str)
def test_sizes_that_cannot_be_are_refused(keys: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        OpenAIModel.model_validate({"engine": "openai", "model": "m", "ray": keys})
