"""What a model is asked, as a request: the messages as it takes them, its settings, and what the answer may be."""

from __future__ import annotations

from typing import Any

from prefgen.judging.prompts import Messages, as_sent
from prefgen.records import Readout, Request
from prefgen.spec.models import ModelSpec


def request_of(model: ModelSpec, messages: Messages, readout: Readout, *, most: int, **more: Any) -> Request:
    """A request to a model, with its own temperature, mass and seed.

    messages    as they were written; a begun answer and the system's are sent as the model takes them
    most        tokens of the answer, where the model does not say
    more        further fields of the request, which win over the model's
    """
    settings: dict[str, Any] = {"temperature": model.temperature, "top_p": model.top_p, "seed": model.seed}
    return Request(
        model=model.model,
        revision=model.identity,
        messages=as_sent(messages, prefill=model.prefill, system_role=model.system_role),
        readout=readout,
        max_tokens=model.max_tokens or most,
        **(settings | more),
    )
