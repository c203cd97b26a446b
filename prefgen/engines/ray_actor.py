"""One actor as the process sees it that hands out requests."""

from __future__ import annotations

import contextlib
from typing import Any

from prefgen.engines.ray_worker import Told
from prefgen.errors import EngineError, first_words
from prefgen.records import Request


class LostError(Exception):
    """The actor ended before it answered; in Ray's words."""


class RemoteActor:
    """An actor, and how much it was asked. Its replacement is another object.

    ready    its engine is open
    busy     requests that it works on
    """

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.ready = False
        self.busy = 0

    async def start(self) -> Told:
        """Open its engine. LostError when it ends meanwhile."""
        return await self._called(self.handle.start.remote())

    async def answer(self, request: Request) -> Told:
        """What became of a request. LostError when the actor ends before; EngineError for a defect of its own."""
        self.busy += 1
        try:
            return await self._called(self.handle.answer.remote(request))
        finally:
            self.busy -= 1

    async def _called(self, call: Any) -> Told:
        from ray.exceptions import RayError, RayTaskError

        try:
            told: Told = await call
        except RayTaskError as error:
            raise EngineError(f"Ray: {first_words(error.cause or error)}", fix="report it, please") from None
        except RayError as error:
            raise LostError(first_words(error)) from None
        return told

    def kill(self) -> None:
        """End it at once, its process too; those who wait for it are told."""
        import ray

        self.ready = False
        with contextlib.suppress(Exception):  # it has ended already
            ray.kill(self.handle)
