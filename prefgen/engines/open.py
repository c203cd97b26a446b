"""Which engine answers for a model; nothing of an engine is imported before it is wanted."""

from __future__ import annotations

from prefgen.engines.engine import Engine
from prefgen.engines.store import ResponseStore
from prefgen.spec.models import BatchModel, EmbeddedModel, ModelSpec, OpenAIModel


def open_engine(spec: ModelSpec, *, store: ResponseStore) -> Engine:
    """The engine of a model. It may keep notes about the endpoint in `store`, and batches beside it."""
    if isinstance(spec, EmbeddedModel):
        from prefgen.engines.embedded import EmbeddedEngine

        return EmbeddedEngine(spec)
    if isinstance(spec, OpenAIModel):
        from prefgen.engines.http import OpenAIEngine

        return OpenAIEngine(spec)
    if isinstance(spec, BatchModel):
        from prefgen.engines.batch import BatchEngine

        return BatchEngine(spec, store.path.parent / "batches")
    from prefgen.engines.replay import ReplayEngine

    return ReplayEngine(spec)
