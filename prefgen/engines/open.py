"""Which engine answers for a model; nothing of an engine is imported before it is wanted."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Literal

from prefgen.engines.engine import Engine
from prefgen.engines.store import ResponseStore
from prefgen.spec.models import ModelSpec

Place = Literal["local", "ray"]
"""Where a model answers: in this process, or in actors of a Ray cluster."""


def open_engine(spec: ModelSpec, *, store: ResponseStore) -> Engine:
    """The engine of a model, as `engine_of` of its module makes it; what it keeps from run to run lies beside `store`."""
    made: Engine = import_module(f"prefgen.engines.{spec.module}").engine_of(spec, store)
    return made


def opener_on(place: Place) -> Callable[..., Engine]:
    """What opens the engine of a model there. EngineError where that place cannot be had."""
    if place == "local":
        return open_engine
    from prefgen.engines.ray_cluster import check_installed
    from prefgen.engines.ray_engine import open_on_ray

    check_installed()
    return open_on_ray
