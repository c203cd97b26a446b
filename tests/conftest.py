"""What every test stands on: a home of its own; the misbehaving endpoint and a Hub on loopback on request."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from prefgen.engines.weights import default_weights
from prefgen.errors import PrefgenError
from tests.caches import developers, own_caches
from tests.servers.hub import Hub, hub
from tests.servers.running import Served, serve, thread

# Who starts the suite in the background or under nohup leaves signals ignored, and what is tested would begin with them so.
if threading.current_thread() is threading.main_thread():
    for _signal, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(_signal) is signal.SIG_IGN:
            signal.signal(_signal, _usual)

_OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
for _name in _OFFLINE:
    os.environ.pop(_name, None)  # libraries read it once, when they are imported

os.environ.pop(
    "PYTHONDONTWRITEBYTECODE", None
)  # hundreds of processes are started here: each would compile all of prefgen

settings.register_profile("prefgen", deadline=None)  # a busy machine is no fault of what is tested
settings.load_profile("prefgen")


@pytest.fixture(scope="session", autouse=True)
def _caches_of_the_suite(request: pytest.FixtureRequest) -> Iterator[None]:
    """The embedded model alone is shared: it is re-encoded once, in the developer's cache, and linked here where a test asks it."""
    asks = any(item.get_closest_marker("model") for item in request.session.items)
    if asks:
        with contextlib.suppress(PrefgenError):  # not installed: the test says so itself
            default_weights(cache=developers())
    with own_caches(weights=asks):
        yield


@pytest.fixture(autouse=True)
def _no_setting_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test spends money or reads a token by accident, or is kept from its Hub by a setting or by what another test left."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HF_TOKEN", "HF_ENDPOINT", "HF_HOME", *_OFFLINE):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def endpoint() -> Iterator[Callable[..., Served]]:
    """`endpoint({...script...})` starts a misbehaving endpoint; `process=True` in a process of its own."""
    with ExitStack() as held:

        def start(script: dict[str, Any] | None = None, *, process: bool = False) -> Served:
            return held.enter_context(serve(script) if process else thread(script))

        yield start


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is also the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


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
