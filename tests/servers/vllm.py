"""A real vLLM server on loopback: `with server(weights) as base_url`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "m"
_START_S = 400


@contextmanager
def server(weights: Path, log: Path) -> Iterator[str]:
    """Its address, up to `/v1`. What it prints goes to `log`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # `vllm serve` itself does not start where vLLM was built for CPUs.
    module = "vllm.entrypoints.openai.api_server"
    small = ["--max-model-len", "1024", "--max-num-seqs", "16", "--enforce-eager", "--block-size", "32"]
    where = ["--host", "127.0.0.1", "--port", str(port), "--model", str(weights), "--served-model-name", NAME]
    environment = os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    with log.open("w") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", module, *where, *small], stdout=out, stderr=out, env=environment
        )
        try:
            _wait(child, f"http://127.0.0.1:{port}/health", log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            child.terminate()
            try:
                child.wait(60)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _wait(child: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        assert child.poll() is None, log.read_text()[-2000:]
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise AssertionError(f"vLLM did not start in {_START_S} s: {log.read_text()[-2000:]}")
