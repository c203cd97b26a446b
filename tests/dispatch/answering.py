"""An engine under the real dispatcher, with a store that only hands on what is put."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

from prefgen.dispatch import loop
from prefgen.dispatch.budget import Budget
from prefgen.dispatch.drive import Drive
from prefgen.dispatch.turns import Singles
from prefgen.engines.engine import Engine, Meter
from prefgen.engines.store import ResponseStore
from prefgen.records import Request, Response
from prefgen.spec.models import ModelSpec


class _HandingOn:
    pending = 0

    def __init__(self, put: Callable[[Request, Response], None]) -> None:
        self._put = put
        self.requests: dict[str, Request] = {}

    def missing(self, request_ids: Sequence[str]) -> Sequence[str]:
        return request_ids

    def put(self, response: Response) -> None:
        self._put(self.requests[response.request_id], response)

    def commit(self, *, sync: bool = False) -> None: ...


class _One:
    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def spec(self, name: str) -> ModelSpec:
        return cast("ModelSpec", self._engine._spec)

    def price(self, name: str) -> None: ...

    def engine(self, name: str) -> Engine:
        return cast("Engine", self._engine)


def answer_all(
    engine: Engine, requests: Iterable[Request], put: Callable[[Request, Response], None], meter: Meter
) -> None:
    """Put one response for every request, as a run does."""
    handing = _HandingOn(put)

    def seen() -> Iterator[Request]:
        for request in requests:
            handing.requests[request.request_id] = request
            yield request

    store = cast("ResponseStore", handing)
    turns = Singles("m", seen(), store, meter)
    drive = Drive(turns, _One(engine), store, Budget(None), meter, lambda: None)
    first = turns.next()
    if first is not None:
        loop.run(drive.run(first))
