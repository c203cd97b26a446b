"""Dialogues: what is asked next depends on what was answered. Pure: no network, no clock, no store."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, TypeAlias, TypeVar

from prefgen.records import Request, Response

_T = TypeVar("_T")
_AT_ONCE = 1000  # dialogues whose answers are read together


class Call(NamedTuple):
    """One request to one model, by its name under `models:`."""

    model: str
    request: Request


Dialogue: TypeAlias = Generator[Sequence[Call], Sequence[Response], _T]
"""Yields what it asks next, is sent the answers in that order (failures included), and returns what it makes of them.

The same answers must lead to the same questions: a dialogue is driven once to have everything asked, and then replayed
from the stored answers, in order, however the driving was interrupted.
"""


def replayed(dialogues: Iterable[Dialogue[_T]], read: Callable[[Sequence[str]], Sequence[Response]]) -> Iterator[_T]:
    """What each dialogue returns, in their order, from stored answers alone.

    read    the stored responses of some ids, in their order

    >>> def ask() -> Dialogue[str]:
    ...     (answer,) = yield (Call("judge", Request("m", messages=(("user", "Tea?"),))),)
    ...     return answer.text
    >>> list(replayed([ask(), ask()], lambda ids: [Response(name, "yes") for name in ids]))
    ['yes', 'yes']
    """
    source = iter(dialogues)
    while some := list(islice(source, _AT_ONCE)):
        results: dict[int, _T] = {}
        turns: dict[int, Sequence[Call]] = {}
        for number, dialogue in enumerate(some):
            _step(number, dialogue, None, turns, results)
        while turns:
            ids = [call.request.request_id for calls in turns.values() for call in calls]
            answers = iter(read(ids))
            for number, calls in list(turns.items()):
                _step(number, some[number], list(islice(answers, len(calls))), turns, results)
        yield from (results[number] for number in range(len(some)))


def _step(
    number: int,
    dialogue: Dialogue[_T],
    answers: Sequence[Response] | None,
    turns: dict[int, Sequence[Call]],
    results: dict[int, _T],
) -> None:
    """One turn on: the next calls into `turns`, or what it returned into `results`."""
    try:
        turns[number] = next(dialogue) if answers is None else dialogue.send(answers)
    except StopIteration as end:
        turns.pop(number, None)
        results[number] = end.value
