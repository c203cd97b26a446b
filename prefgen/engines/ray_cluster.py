"""The Ray cluster that a run uses: one that runs already (RAY_ADDRESS), or one of this machine's own, started and ended here."""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
from typing import Any

from prefgen.errors import EngineError, first_words
from prefgen.spec.models import EmbeddedModel, OpenAIModel, VllmModel

_KNOCK_S = 10.0
INSTALL = 'pip install "prefgen[ray]"'


def check_installed() -> None:
    """EngineError where there is no Ray."""
    if importlib.util.find_spec("ray") is None:
        raise EngineError("`--on ray` needs the package ray, which is not installed", fix=INSTALL)


def join() -> bool:
    """Be part of a cluster; whether it was started for this. EngineError where none can be reached.

    Not to be called in the main thread, where Ray takes the signals that end a run for itself.
    """
    check_installed()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a run makes no call that nobody asked for
    import ray

    if ray.is_initialized():  # by a notebook, or for another model
        return False
    address = os.environ.get("RAY_ADDRESS") or "local"
    own: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    try:
        _knock(address)
        ray.init(address=address, namespace="prefgen", log_to_driver=False, logging_level=logging.ERROR, **own)
    except Exception as error:  # Ray's own errors of starting and of connecting have many parents
        raise EngineError(
            f"Ray ({'RAY_ADDRESS ' + address if address != 'local' else 'a cluster of this machine'}): {first_words(error)}",
            fix="check RAY_ADDRESS, and that Ray and Python have the same versions there; without it Ray is started here",
        ) from None
    return True


def _knock(address: str) -> None:
    """OSError where nobody listens: Ray would try again for ten minutes."""
    host, colon, port = address.rpartition("//")[2].rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK_S).close()


def resources_of(spec: EmbeddedModel | VllmModel | OpenAIModel) -> tuple[float, float]:
    """(GPUs, CPUs) of one actor."""
    gpus: float = spec.tensor_parallel * spec.data_parallel if isinstance(spec, VllmModel) else 0
    cpus: float = (spec.threads or 1) if isinstance(spec, EmbeddedModel) else 1
    told = spec.ray
    return gpus if told.num_gpus is None else told.num_gpus, cpus if told.num_cpus is None else told.num_cpus


def room_for(gpus: float, cpus: float) -> int:
    """How many actors of this size the nodes can hold, whatever else runs on them."""
    import ray

    n = 0
    for node in ray.nodes():
        if node["Alive"]:
            wanted = [(gpus, "GPU"), (cpus, "CPU")]
            n += int(min((node["Resources"].get(kind, 0) // each for each, kind in wanted if each), default=1))
    return n
