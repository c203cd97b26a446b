"""The first request of a kind at an endpoint, and what it finds out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prefgen.engines.engine import Meter

_PILOT_S = 15.0


def note_once(meter: Meter, note: str) -> None:
    """Say something of an endpoint, once."""
    if note not in meter.notes:
        meter.notes.append(note)


@asynccontextmanager
async def first(pilot: asyncio.Lock) -> AsyncIterator[None]:
    """Wait for the pilot, but not for one that hangs: then others find out beside it."""
    try:
        async with asyncio.timeout(_PILOT_S):
            await pilot.acquire()
    except TimeoutError:
        yield
        return
    try:
        yield
    finally:
        pilot.release()
