"""vLLM in this process, as a model of a pipeline."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from prefgen.ids import content_id
from prefgen.spec.fields import beside_its_file
from prefgen.spec.model_base import ModelBase, as_json


class VllmModel(ModelBase):
    """vLLM in this process: open weights on one's own GPUs, with neither a server nor a network."""

    module: ClassVar[str] = "vllm"

    engine: Literal["vllm"]
    model: str = Field(
        min_length=1,
        description="A folder with weights and tokenizer (written with a slash in front: `/`, `./`, `../` or `~/`), or a "
        "name on the Hub. Either is part of every request's identity.",
    )
    tensor_parallel: int = Field(1, ge=1, le=1024, description="GPUs that hold one copy of the weights together.")
    data_parallel: int = Field(1, ge=1, le=1024, description="Copies of the weights that answer side by side.")
    quantization: str | None = Field(
        None, min_length=1, description="How the weights are read, e.g. `fp8`; by default as the model's own files say."
    )
    dtype: Literal["auto", "half", "float16", "bfloat16", "float", "float32"] = Field(
        "auto", description="Type of weights and activations; `auto` takes that of the model's files."
    )
    max_model_len: int | None = Field(
        None, ge=16, description="Most tokens of a prompt and its answer together; by default the model's own limit."
    )
    concurrency: int = Field(256, ge=1, le=8192, description="Most requests in the engine at once.")
    prefill: bool = Field(
        True, description="Whether the answer is begun with `Answer:`, so that the letter is the next token."
    )
    chat_template_kwargs: dict[str, Any] = Field(
        default_factory=lambda: {"enable_thinking": False},
        description="What the model's chat template is told besides the messages; part of every request's identity.",
    )
    engine_args: dict[str, Any] = Field(
        default_factory=dict,
        description="Any other engine argument of vLLM, e.g. `{gpu_memory_utilization: 0.8}`; part of every request's "
        "identity but for those that change no answer.",
    )

    @property
    def identity(self) -> str | None:
        """The revision, and whatever else changes what the weights answer."""
        from prefgen.spec.engine_args import HARMLESS  # a list for this engine alone

        said = self.model_dump(mode="json", include={"dtype", "quantization"}, exclude_defaults=True)
        if self.chat_template_kwargs != {"enable_thinking": False}:
            said["chat_template_kwargs"] = self.chat_template_kwargs
        if args := {key: value for key, value in self.engine_args.items() if key not in HARMLESS}:
            said["engine_args"] = args
        return content_id("rev", (self.revision, said)) if said else self.revision

    @property
    def folder(self) -> Path | None:
        """Where the weights lie, if `model` is no name on the Hub."""
        return Path(self.model) if self.model.startswith("/") else None

    @property
    def name(self) -> str:
        """A folder's last part: where it lies is nobody's business."""
        return Path(self.model).name if self.folder else self.model

    @field_validator("model")
    @classmethod
    def _beside_its_file(cls, value: str, info: ValidationInfo) -> str:
        if not value.startswith(("/", "./", "../", "~/")):
            return value
        return os.path.normpath(Path.cwd() / beside_its_file(Path(value).expanduser(), info))

    @field_validator("engine_args", "chat_template_kwargs")
    @classmethod
    def _sendable(cls, value: dict[str, Any]) -> dict[str, Any]:
        from prefgen.spec.engine_args import OWN_KEYS

        for key in value:
            if key in OWN_KEYS:
                raise ValueError(f"{key!r} has a key of its own\nfix: use {OWN_KEYS[key]}")
        sendable: dict[str, Any] = as_json(value)
        return sendable
