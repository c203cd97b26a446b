"""A model in several actors of a Ray cluster: each opens the engine for itself, and a request goes to the one with least to do.

The process that runs the pipeline hands out requests and is the only one that stores answers. An actor that ends, with its
node or alone, is replaced, and what it had not answered is asked of another.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from prefgen.engines.engine import Engine, Meter, RefusedError
from prefgen.engines.open import open_engine
from prefgen.engines.ray_actor import LostError, RemoteActor
from prefgen.engines.ray_cluster import check_installed, join, resources_of, room_for
from prefgen.engines.ray_worker import Told, Worker
from prefgen.engines.store import ResponseStore
from prefgen.errors import EngineError, NotFinished
from prefgen.records import Request, Response
from prefgen.spec.models import EmbeddedModel, ModelSpec, OpenAIModel, VllmModel

_STOP_S = 30.0  # in which engines close by themselves
_AGAIN_S = 0.5  # between an actor's end and its replacement
_MOST_BEGINNINGS = 4096
_LOST_IN_A_ROW = 10  # actors that ended without an answer in between, besides one each, after which the run ends


def open_on_ray(spec: ModelSpec, *, store: ResponseStore) -> Engine:
    """The engine of a model in actors; a batch and stored answers are read here, as without Ray."""
    if not isinstance(spec, EmbeddedModel | VllmModel | OpenAIModel):
        return open_engine(spec, store=store)
    check_installed()
    return RayEngine(spec, open_engine(spec, store=store).room)


class RayEngine:
    """Actors, made when first something is asked, and kept for all steps of a run.

    each    requests that one actor works on at once
    """

    def __init__(self, spec: EmbeddedModel | VllmModel | OpenAIModel, each: int) -> None:
        self._gpus, self._cpus = resources_of(spec)
        self._n = spec.ray.actors
        self._each = each
        self._spec: ModelSpec = spec
        if isinstance(spec, EmbeddedModel):
            gguf = None if spec.gguf is None else spec.gguf.absolute()
            self._spec = spec.model_copy(update={"threads": spec.threads or max(1, int(self._cpus)), "gguf": gguf})
        self._own_cluster = False
        self._actors: list[RemoteActor] = []

    @property
    def room(self) -> int:
        return self._each * (len(self._actors) or self._n or 1)

    @asynccontextmanager
    async def session(self, meter: Meter) -> AsyncIterator[RaySession]:
        if not self._actors:
            meter.waiting = "Ray starts"
            try:
                await asyncio.to_thread(self._start)
            finally:
                meter.waiting = ""
        note = f"Ray: {len(self._actors)} actors of {self._gpus:g} GPUs and {self._cpus:g} CPUs"
        if note not in meter.notes:
            meter.notes.append(note)
        session = RaySession(self._actors, self._each, self._made, meter, keeps=isinstance(self._spec, OpenAIModel))
        try:
            yield session
        finally:
            await session.end()

    def _start(self) -> None:
        self._own_cluster = join()
        room = room_for(self._gpus, self._cpus)
        if self._n is None and not room:
            raise EngineError(
                f"Ray: no node has room for an actor of {self._gpus:g} GPUs and {self._cpus:g} CPUs",
                fix="write what an actor needs, e.g. `ray: {num_gpus: 0}`; or, where nodes come when they are wanted, `ray: {actors: 4}`",
            )
        self._actors.extend(self._made() for _ in range(self._n or room))

    def _made(self) -> RemoteActor:
        """A new actor; it waits where nothing has room for it."""
        import ray

        kind: Any = ray.remote(Worker)
        size = {"num_gpus": self._gpus, "num_cpus": self._cpus}
        # It is replaced here and not restarted by Ray: so it is known at once which requests went with it.
        return RemoteActor(kind.options(**size, max_restarts=0, max_concurrency=self._each + 8).remote(self._spec))

    def close(self) -> None:
        """End the engines and their actors, and the cluster if it was started here."""
        actors, self._actors = self._actors, []
        if not actors:
            return
        import ray

        stopping = [one.handle.stop.remote() for one in actors if one.ready]
        with contextlib.suppress(Exception):  # whatever has ended already, or does not in time, is ended
            ray.get(stopping, timeout=_STOP_S)
        for one in actors:
            one.kill()
        if self._own_cluster:
            ray.shutdown()


class RaySession:
    """Requests to actors that are ready; the others are waited for beside them.

    keeps    an engine that breaks (a wrong key) does so in every actor: none is replaced for it
    """

    def __init__(
        self, actors: list[RemoteActor], each: int, made: Callable[[], RemoteActor], meter: Meter, *, keeps: bool
    ) -> None:
        self._actors = actors
        self._each = each
        self._made = made
        self._meter = meter
        self._keeps = keeps
        self._changed = asyncio.Event()
        self._failed: EngineError | None = None
        self._lost = 0  # since the last answer
        self._at: dict[int, RemoteActor] = {}  # who was asked last what begins so
        self._waiting: set[asyncio.Task[None]] = set()
        for one in actors:
            if not one.ready:
                self._wait_for(one)

    async def settle(self) -> None:
        """Nothing is ever left to come."""

    async def end(self) -> None:
        """Wait for nobody any more."""
        waiting = list(self._waiting)
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def answer(self, request: Request) -> Response:
        self._meter.in_flight += 1
        try:
            while True:
                actor = await self._take(request)
                try:
                    told = await actor.answer(request)
                except LostError as lost:
                    self._replace(actor, str(lost))
                    continue
                finally:
                    self._changed.set()
                if told.kind == "broken" and not self._keeps:
                    self._replace(actor, told.problem, told.fix)
                    continue
                return self._heard(told)
        finally:
            self._meter.in_flight -= 1

    def _heard(self, told: Told) -> Response:
        self._lost = 0
        self._meter.retries += told.retries
        self._meter.throttled += told.throttled
        self._meter.retried_for = told.retried_for or self._meter.retried_for
        for note in told.notes:
            if note not in self._meter.notes:
                self._meter.notes.append(note)
        if told.kind == "refused":
            raise RefusedError(told.problem)
        if told.kind == "waiting":
            raise NotFinished(told.problem, fix=told.fix)
        if told.response is None:
            raise EngineError(told.problem, fix=told.fix)
        return told.response

    async def _take(self, request: Request) -> RemoteActor:
        """The ready actor with least to do, or one with little more that was asked last what begins alike."""
        while True:
            if self._failed is not None:
                raise self._failed
            free = [one for one in self._actors if one.ready and one.busy < self._each]
            if free:
                break
            if not any(one.ready for one in self._actors):
                self._meter.waiting = "Ray: no actor is ready yet"
            self._changed.clear()
            await self._changed.wait()
        self._meter.waiting = ""
        least = min(free, key=lambda one: one.busy)
        begins = hash(request.messages[0])
        before = self._at.pop(begins, None)
        taken = before if before in free and before.busy <= least.busy + self._each // 4 else least
        self._at[begins] = taken
        if len(self._at) > _MOST_BEGINNINGS:
            del self._at[next(iter(self._at))]
        return taken

    def _replace(self, actor: RemoteActor, why: str, fix: str | None = None) -> None:
        """Put a new actor in the place of one that has ended. Its other requests come here too, and find it replaced."""
        if actor not in self._actors:
            return
        actor.kill()
        self._lost += 1
        if self._lost > len(self._actors) + _LOST_IN_A_ROW:
            self._fail(EngineError(f"Ray: one actor after the other ended ({why})", fix=fix or _LOOK))
            return
        new = self._made()
        self._actors[self._actors.index(actor)] = new
        self._wait_for(new, _AGAIN_S)

    def _fail(self, error: EngineError) -> None:
        self._failed = error
        self._changed.set()

    def _wait_for(self, actor: RemoteActor, after_s: float = 0.0) -> None:
        """Beside all else: an actor may wait for room in the cluster, and then loads weights."""
        waiting = asyncio.ensure_future(self._until_ready(actor, after_s))
        self._waiting.add(waiting)
        waiting.add_done_callback(self._waiting.discard)

    async def _until_ready(self, actor: RemoteActor, after_s: float) -> None:
        await asyncio.sleep(after_s)
        try:
            told = await actor.start()
        except LostError as lost:
            self._replace(actor, str(lost))
            return
        except EngineError as error:
            self._fail(error)
            return
        if told.kind == "broken":
            self._fail(EngineError(told.problem, fix=told.fix))
            return
        actor.ready = True
        self._changed.set()


_LOOK = "look into the logs of the cluster (`ray logs`, /tmp/ray/session_latest/logs); where memory ran out give each actor more"
