"""The Hub on loopback, as every test of publishing finds it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.hub import Hub, hub


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty Hub; this process and those it starts use it, with a home of their own and short waits."""
    import datasets
    import huggingface_hub.constants

    from prefgen.store import remote

    monkeypatch.setattr(remote, "WAIT_S", 0.02)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)  # read when it was imported
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    with hub() as running:
        for name, value in running.env(str(tmp_path / "home")).items():
            monkeypatch.setenv(name, value)
        yield running
