"""The event loop in which everything is asked: the fastest there is, from anywhere, a notebook included."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar, cast

_T = TypeVar("_T")


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run to the end; Ctrl-C cancels the work and is raised when that is done.

    Where a loop runs already (a notebook), in a thread of its own.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _run(work)
    with ThreadPoolExecutor(1, "prefgen") as thread:
        return thread.submit(_run, work).result()


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    with _rare_collections(), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(work)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for garbage thirty times less often: a request leaves a handful of objects, and the search was 15 % of its CPU."""
    before = gc.get_threshold()
    gc.set_threshold(20_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        from uvloop import new_event_loop
    except ImportError:  # there is none for Windows
        return asyncio.new_event_loop
    return cast("Callable[[], asyncio.AbstractEventLoop]", new_event_loop)
