"""Which engine answers for a model; nothing of an engine is imported before it is wanted."""

from __future__ import annotations

from prefgen.engines.engine import Engine
from prefgen.engines.store import ResponseStore
from prefgen.spec.models import BatchModel, EmbeddedModel, OpenAIModel, VllmModel


def open_engine(spec: EmbeddedModel | VllmModel | OpenAIModel | BatchModel, *, store: ResponseStore) -> Engine:
    """The engine of a model; what it keeps from run to run (batches under way, vLLM's log) lies beside `store`."""
    if isinstance(spec, EmbeddedModel):
        from prefgen.engines.embedded import EmbeddedEngine

        return EmbeddedEngine(spec)
    if isinstance(spec, VllmModel):
        from prefgen.engines.vllm import VllmEngine

        return VllmEngine(spec, store.path.parent / "vllm.log")
    if isinstance(spec, OpenAIModel):
        from prefgen.engines.http import OpenAIEngine

        return OpenAIEngine(spec, store)
    from prefgen.engines.batch import BatchEngine

    return BatchEngine(spec, store.path.parent / "batches")
