"""Small persona specs for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import yaml

from prefgen.spec.population import Population, read_population


def population(folder: Path, **keys: Any) -> Population:
    """A population with these keys; name and text are given where they are not."""
    path = folder / "people.yaml"
    spec = {"population": "town", **keys}
    if "portraits" not in keys and "combine" not in keys:
        spec = {"text": "You are somebody.", **spec}
    path.write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")
    return read_population(path)


def people_only(frame: pl.DataFrame) -> pl.DataFrame:
    """The drawn people, without controls."""
    return frame.filter(pl.col("control").is_null())


def share(frame: pl.DataFrame, **levels: object) -> float:
    """Weighted share of the people who have these levels."""
    held = frame.filter(**levels)["weight"].sum() if levels else frame["weight"].sum()
    return float(held / frame["weight"].sum())


VOTES = {"left": 0.45, "right": 0.35, "none": 0.20}
AGES = {"18-34": 0.3, "35-64": 0.5, "65-90": 0.2}
AGE_BY_VOTE = {
    "18-34": {"left": 0.18, "right": 0.05, "none": 0.07},
    "35-64": {"left": 0.20, "right": 0.20, "none": 0.10},
    "65-90": {"left": 0.07, "right": 0.10, "none": 0.03},
}
