"""A folder for caches of one's own: what runs in tests and benchmarks teaches no plan of the developer how fast a model is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch


def developers() -> Path:
    """The developer's cache of prefgen."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "prefgen"


@contextmanager
def own_caches(*, weights: bool = True) -> Iterator[None]:
    """For this process and those it starts.

    weights    whether the embedded model is linked here, where the developer's cache has it: it takes long to make
    """
    theirs = developers()
    with tempfile.TemporaryDirectory(prefix="prefgen-tests-") as folder:
        ours = Path(folder) / "prefgen"
        ours.mkdir()
        for made in theirs.glob("*.gguf") if weights else ():
            (ours / made.name).symlink_to(made)
        with patch.dict(os.environ, XDG_CACHE_HOME=folder):
            yield
