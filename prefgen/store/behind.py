"""Work some pieces behind: while one is written, the next are made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_WAITING = 2  # one is not enough where `work` gathers two pieces and writes them at once


def behind(pieces: Iterable[T], work: Callable[[T], object]) -> None:
    """Call `work` on every piece in order, in a thread of its own, while the pieces after it are being made.

    A few pieces are held at once. What `pieces` or `work` raises is raised here.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        begun: deque[Future[object]] = deque()
        for piece in pieces:
            if len(begun) == _WAITING:
                begun.popleft().result()
            begun.append(pool.submit(work, piece))
        for one in begun:
            one.result()
