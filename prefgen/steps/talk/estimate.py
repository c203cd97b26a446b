"""What conversations will ask, found by holding some of them with nobody: every reply is a placeholder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from prefgen.dialogues import Call
from prefgen.records import Response
from prefgen.spec.models import BatchModel
from prefgen.spec.reply_types import Plain
from prefgen.steps.context import StepEstimate
from prefgen.steps.talk.chats import Chats
from prefgen.steps.talk.conversation import Chat, Held, Rules, converse
from prefgen.steps.talk.rows import Shape
from prefgen.steps.talk.sides import SAY, Speaker
from prefgen.steps.write.different import Different
from prefgen.steps.write.memory import longest
from prefgen.steps.write.memory import submissions as in_submissions
from prefgen.steps.write.outcome import placeholder

if TYPE_CHECKING:
    from prefgen.steps.talk import Talk

_MOST = 4_000  # requests that are rendered for a plan; of more, about so many
_TOKENS = 100  # of a reply that says something
_OF_A_NOTE = 20  # of each further field
_WORDS_A_TOKEN = 1 / 1.4


def estimate_of(step: Talk, chats: Chats, shape: Shape, rules: Rules) -> StepEstimate:
    """The most that is asked. Of very many conversations some are held; rows of the table stand for all of them."""
    each = rules.turns * len(rules.speakers)
    some = chats.some(max(1, _MOST // each)) if chats.n * each > _MOST else chats
    endless = replace(rules, until=None, tries=1, speakers=[replace(one, when=None) for one in rules.speakers])
    counted = {name: Different() for _, name in step.asks()}
    submissions = 0
    for number, chat in enumerate(some):
        memory = None if step.memory is None else step.memory.latest([_words(_TOKENS, str(number))] * 5)
        submissions = max(submissions, _hold(endless, chat, memory, counted, number))
    scale = chats.n / max(1, some.n)
    notes = list(_notes(step, chats, rules, submissions))
    rows = (_placeholder(chat, rules.speakers, number) for number, chat in enumerate(chats))
    return StepEstimate(
        rows=chats.n,
        asked=tuple(one.asked(name, scale=scale) for name, one in counted.items()),
        empty=shape.frame(rows),
        notes=tuple(notes),
        bound="at most" if rules.tries == 1 else "unknown",
        usable="at most",
    )


def _hold(rules: Rules, chat: Chat, memory: Sequence[Any] | None, counted: dict[str, Different], number: int) -> int:
    """Hold one conversation with nobody; how often a batch would have to be waited for."""
    waits, turn = 0, 0
    dialogue = converse(rules, chat, memory)
    try:
        calls = next(dialogue)
        while True:
            waits += any(isinstance(_speaker(rules, call).model, BatchModel) for call in calls)
            turn += 1
            calls = dialogue.send([_answer(rules, call, counted, f"{number}.{turn}") for call in calls])
    except StopIteration:
        return waits


def _speaker(rules: Rules, call: Call) -> Speaker:
    """Who is asked; sides of one model and one form of reply are as good as each other here."""
    mine = [one for one in rules.speakers if one.side.model == call.model]
    return next((one for one in mine if one.side.declared.schema == call.request.schema), mine[0])


def _answer(rules: Rules, call: Call, counted: dict[str, Different], name: str) -> Response:
    speaker, found = _speaker(rules, call), counted[call.model]
    request_id, tokens = call.request.request_id, _tokens(speaker)
    found.add(call.request.messages, request_id, tokens=tokens)
    reply = _reply(speaker, name, _words(tokens, name))
    declared = speaker.side.declared
    said = str(reply[declared.names[0]]) if declared.is_prose else orjson.dumps(reply).decode()
    return Response(request_id, text=said)


def _tokens(speaker: Speaker) -> int:
    names = speaker.side.declared.names
    texts = _TOKENS if speaker.side.says or speaker.side.declared.is_prose else 0
    return min(texts + _OF_A_NOTE * len([name for name in names if name != SAY]), speaker.side.max_tokens)


def _words(tokens: int, name: str) -> str:
    return f"{name}{' word' * round(tokens * _WORDS_A_TOKEN)}"


def _reply(speaker: Speaker, name: str, said: str) -> dict[str, Any]:
    types = speaker.side.declared.fields.types
    return {
        one: said
        if one == SAY or (speaker.side.declared.is_prose and kind == Plain("text"))
        else placeholder(kind, name)
        for one, kind in types
    }


def _placeholder(chat: Chat, speakers: Sequence[Speaker], number: int) -> Held:
    """A conversation of one reply a side, for later steps to be planned with."""
    last = {one.name: _reply(one, f"{number}", f"text {number}") for one in speakers}
    turns = [{"role": name, "content": reply.pop(SAY, None), **reply} for name, reply in _copies(last)]
    return Held(chat, dict(last), turns, request_ids=[f"placeholder-{number}"])


def _copies(last: dict[str, dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((name, dict(reply)) for name, reply in last.items())


def _notes(step: Talk, chats: Chats, rules: Rules, submissions: int) -> Iterator[str]:
    if not chats.n:
        yield "not counted: its rows rest on answers that nobody gave yet"
    if step.opens is None and (first := rules.speakers[0]).first is not None:
        yield f"`first` of {first.name!r} is what it is asked; with `opens: {first.name}` it would be what it says"
    cold = sorted({one.side.model for one in rules.speakers if one.model.temperature == 0})
    if rules.repeats > 1 and len(cold) == len({one.side.model for one in rules.speakers}):
        yield f"{rules.repeats} repeats at temperature 0 are {rules.repeats} times the same: set the models' `temperature`"
    if rules.tries > 1:
        yield f"counted as if every reply can be read; at most {rules.tries} times as many requests"
    if submissions:
        yield in_submissions(submissions * rules.tries * longest(step.memory, chats))
