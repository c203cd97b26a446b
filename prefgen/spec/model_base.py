"""What every engine takes of a model."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from pydantic import Field

from prefgen.spec.fields import Spec


class ModelBase(Spec):
    """What every engine takes; together with the prompt this is what decides an answer.

    module    of `prefgen/engines/`, with `engine_of`; a model without one is answered by nobody
    """

    module: ClassVar[str] = ""

    model: str = Field(min_length=1, description="Name of the model, as the engine knows it.")
    revision: str | None = Field(None, description="Version of the model; part of every request's identity.")
    temperature: float = Field(0.0, ge=0, le=2, description="Sampling temperature; 0 takes the likeliest token.")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus sampling mass.")
    max_tokens: int | None = Field(
        None, ge=1, description="Most tokens of one answer; by default what the readout needs."
    )
    seed: int | None = Field(None, description="Sampling seed sent to the engine, where it takes one.")
    prefill: bool = Field(
        False,
        description="Whether the answer is begun with `Answer:` as a last message of the assistant, for the readouts "
        "`logprobs` and `text`; for servers that go on from such a message (llama.cpp, vLLM, SGLang).",
    )
    system_role: bool = Field(
        True,
        description="False for models whose template has no system role: the persona then opens the user message.",
    )

    @property
    def name(self) -> str:
        """The model as it stands in rows."""
        return self.model

    @property
    def identity(self) -> str | None:
        """What tells this model from others of its name; part of every request's id."""
        return self.revision


def as_json(value: Any) -> Any:
    """A value of YAML as the JSON that is sent, its keys as text. ValueError for what JSON has not."""
    if isinstance(value, dict):
        return {str(key): as_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_json(inner) for inner in value]
    if isinstance(value, bool | str) or value is None:
        return value
    if (isinstance(value, int) and abs(value) < 2**53) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise ValueError(
        f"{value!r} cannot be sent as JSON\nfix: write text (in quotes), a number, true or false, a list or a mapping"
    )
