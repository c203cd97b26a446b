"""Which engine answers for a model; nothing of an engine is imported before it is wanted."""

from __future__ import annotations

from importlib import import_module

from prefgen.engines.engine import Engine
from prefgen.engines.store import ResponseStore
from prefgen.spec.models import ModelSpec


def open_engine(spec: ModelSpec, *, store: ResponseStore) -> Engine:
    """The engine of a model, as `engine_of` of its module makes it; what it keeps from run to run lies beside `store`."""
    made: Engine = import_module(f"prefgen.engines.{spec.module}").engine_of(spec, store)
    return made
