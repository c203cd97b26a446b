"""Pipelines written in a test, run whole against a rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

import prefgen
from prefgen.store.folder import RunFolder
from tests.servers.ruled import Rule, Ruled, ruled


@dataclass
class Done:
    """A finished run: its folder, and what was asked."""

    folder: Path
    served: Ruled | None = None

    def table(self, step: str) -> pl.DataFrame:
        return RunFolder(self.folder).table(step).read()

    def data(self, config: str) -> pl.DataFrame:
        files = sorted((self.folder / "data" / config).glob("*.parquet"))
        return pl.concat([pl.read_parquet(file).with_columns(split=pl.lit(file.name.split("-")[0])) for file in files])


Run = Callable[..., Done]


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a pipeline given as a mapping; further files by name."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")

    def run(pipeline: Mapping[str, Any], rule: Rule | None = None, **files: Any) -> Done:
        for name, content in files.items():
            path = tmp_path / name.replace("__", ".")
            if isinstance(content, pl.DataFrame):
                content.write_parquet(path) if path.suffix == ".parquet" else content.write_ndjson(path)
            else:
                path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        if rule is None:
            return _run(tmp_path, dict(pipeline))
        with ruled(rule) as served:
            models = {
                name: {"engine": "openai", "model": "m", "base_url": served.base_url, **model}
                for name, model in pipeline.get("models", {"m": {}}).items()
            }
            done = _run(tmp_path, {**pipeline, "models": models})
            return Done(done.folder, served)

    return run


def _run(folder: Path, pipeline: dict[str, Any]) -> Done:
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump({"name": "town", "seed": 1, **pipeline}, sort_keys=False))
    prefgen.run(prefgen.load(path), folder / "run", report=False)
    return Done(folder / "run")


RECIPES = Path(__file__).parents[2] / "pipelines" / "recipes"


def recipe_file(name: str) -> Path:
    """A recipe of the gallery by its number."""
    (found,) = RECIPES.glob(f"{name}_*.yaml")
    return found


@dataclass
class Recipe:
    """Runs recipes of the gallery, each as it is written but for what is set."""

    folder: Path

    def __call__(self, name: str, rule: Rule | None = None, settings: Mapping[str, Any] | None = None) -> Done:
        if rule is None:
            return self._run(name, settings or {})
        with ruled(rule) as served:
            of_models = {
                f"models.{model}.{key}": value
                for model in yaml.safe_load(recipe_file(name).read_text("utf-8"))["models"]
                for key, value in {"engine": "openai", "model": "m", "base_url": served.base_url}.items()
            }
            return Done(self._run(name, {**of_models, **(settings or {})}).folder, served)

    def _run(self, name: str, settings: Mapping[str, Any]) -> Done:
        out = self.folder / name
        prefgen.run(prefgen.load(recipe_file(name), dict(settings)), out, report=False)
        return Done(out)

    def planned(self, name: str, settings: Mapping[str, Any]) -> list[str]:
        """Names of the models that are asked, from the plan."""
        plan = prefgen.plan(prefgen.load(recipe_file(name), dict(settings)))
        return sorted({one.model for step in plan.steps for one in step.asked})


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    return Recipe(tmp_path)
