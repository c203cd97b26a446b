"""What is to be asked next: requests that stand alone, or the next turns of dialogues that are under way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

from prefgen.dialogues import Call, Dialogue
from prefgen.engines.engine import Meter
from prefgen.engines.store import ResponseStore
from prefgen.records import Request, Response

_CHUNK = 128  # requests rendered and looked up at once, while an engine waits: a few milliseconds


@dataclass(slots=True)
class Turn:
    """What one dialogue asks now.

    unknown    calls without a stored response
    answers    what is known of the turn's other calls, by request id; what is asked is added
    """

    unknown: Sequence[Call]
    calls: Sequence[Call] = ()
    answers: dict[str, Response] = field(default_factory=dict)
    dialogue: Dialogue[Any] | None = None

    def take(self, known: Mapping[str, Response]) -> int:
        """Number of its unknown calls that are known now."""
        found = {name: known[name] for call in self.unknown if (name := call.request.request_id) in known}
        if not found:
            return 0
        before = len(self.unknown)
        self.answers |= found
        self.unknown = [call for call in self.unknown if call.request.request_id not in found]
        return before - len(self.unknown)


class Turns(Protocol):
    """A source of turns."""

    def next(self) -> Turn | None:
        """One with something to ask; None when there is none just now."""
        ...

    def heard(self, response: Response) -> None:
        """One call was answered."""
        ...

    def answered(self, turn: Turn) -> None:
        """All calls of a turn have their answers: its dialogue may go on."""
        ...


class Singles:
    """Requests to one model that nothing else depends on: what is stored is not even read."""

    def __init__(self, model: str, requests: Iterable[Request], store: ResponseStore, meter: Meter) -> None:
        self._todo = self._unstored(model, requests, store, meter)

    @staticmethod
    def _unstored(model: str, requests: Iterable[Request], store: ResponseStore, meter: Meter) -> Iterator[Turn]:
        source = iter(requests)
        while chunk := list(islice(source, _CHUNK)):
            by_id = {request.request_id: request for request in chunk}
            missing = store.missing(list(by_id))
            meter.stored += len(chunk) - len(missing)
            for request_id in missing:
                yield Turn((Call(model, by_id[request_id]),))

    def next(self) -> Turn | None:
        return next(self._todo, None)

    def heard(self, response: Response) -> None:
        """What is stored is looked up with the next requests."""

    def answered(self, turn: Turn) -> None:
        """Nothing follows."""


class Talks:
    """Dialogues, opened as there is room for them; those under way go before new ones.

    known    the responses there are to some calls, by request id
    """

    def __init__(
        self,
        dialogues: Iterable[Dialogue[Any]],
        known: Callable[[Sequence[Call]], Mapping[str, Response]],
        meter: Meter,
    ) -> None:
        self._unopened = iter(dialogues)
        self._known = known
        self._meter = meter
        self._ready: deque[Turn] = deque()
        self._heard: dict[str, Response] = {}  # since the ready ones were looked up
        self._moved: list[tuple[Dialogue[Any], Sequence[Call]]] = []  # what they ask next was not looked up yet

    def next(self) -> Turn | None:
        while True:
            while self._ready:
                turn = self._ready.popleft()
                # another dialogue may have asked the same since it was looked up
                if self._is_open(turn, self._heard):
                    return turn
            if not self._moved and not self._open_more():
                return None
            self._look_up()

    def _is_open(self, turn: Turn, known: Mapping[str, Response]) -> bool:
        """Whether something of it is still to be asked; if not, its dialogue moves on."""
        self._meter.stored += turn.take(known)
        if not turn.unknown:
            self.answered(turn)
        return bool(turn.unknown)

    def _open_more(self) -> bool:
        """Whether there were any left to open."""
        opened = 0
        for dialogue in islice(self._unopened, _CHUNK):
            opened += 1
            self._advance(dialogue, None)
        return opened > 0

    def heard(self, response: Response) -> None:
        if self._ready:
            self._heard[response.request_id] = response

    def answered(self, turn: Turn) -> None:
        assert turn.dialogue is not None
        self._advance(turn.dialogue, [turn.answers[call.request.request_id] for call in turn.calls])

    def _advance(self, dialogue: Dialogue[Any], answers: Sequence[Response] | None) -> None:
        try:
            calls = next(dialogue) if answers is None else dialogue.send(answers)
        except StopIteration:
            return
        self._moved.append((dialogue, calls))

    def _look_up(self) -> None:
        """What the moved dialogues ask: those whose answers are all known move on, the others are ready."""
        self._heard.clear()
        moved, self._moved = self._moved, []
        known = self._known([call for _, calls in moved for call in calls])
        turns = (Turn(calls, calls, dialogue=dialogue) for dialogue, calls in moved)
        self._ready.extend(turn for turn in turns if self._is_open(turn, known))
