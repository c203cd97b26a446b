"""A conversation while it goes on, as a dialogue: who is asked what next depends on what was said. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from prefgen.dialogues import Call, Dialogue
from prefgen.judging.prompts import Messages
from prefgen.judging.prose import spoken
from prefgen.records import Response
from prefgen.spec.condition import ConditionError
from prefgen.steps.talk.conditions import LiveCondition
from prefgen.steps.talk.sides import SAY, Speaker
from prefgen.steps.write.outcome import Written, heard

_BEGIN = "Begin the conversation."


class Chat(NamedTuple):
    """One conversation to be held: its row, what templates see of it, and which independent one it is."""

    row: Mapping[str, Any]
    facts: Mapping[str, Any]
    repeat: int

    @property
    def asked_of(self) -> int:
        """Every repeat has a memory of its own."""
        return self.repeat


@dataclass(frozen=True, slots=True)
class Rules:
    """What all conversations of a step have in common.

    speakers    in the order in which they speak
    turns       how often each may
    until       when it ends before; None for never
    repeats     conversations about one row
    tries       how often a reply is asked for until it can be read
    """

    speakers: Sequence[Speaker]
    turns: int
    until: LiveCondition | None
    repeats: int
    tries: int


@dataclass(slots=True)
class Held:
    """A conversation, and how it ended.

    turns          what was said and noted, in order: role, content (null for notes), and the other fields of the reply
    last           the last reply of every side; nulls before its first
    ended          `until`, `turns` (there were no more), `silence` (nobody had anything to answer), or whose reply was
                   missing, and why
    reason         why it is dropped: `failed`, `refusal`, `unparsed`, or None
    request_ids    of every reply that was read, in order
    """

    chat: Chat
    last: dict[str, Mapping[str, Any]]
    turns: list[dict[str, Any]] = field(default_factory=list)
    ended: str = "turns"
    reason: str | None = None
    request_ids: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Characters of what was said, about: what it takes to hold it."""
        return sum(len(turn["content"] or "") for turn in self.turns)


def converse(rules: Rules, chat: Chat, memory: Sequence[Any] | None = None) -> Dialogue[Held]:
    """One conversation, reply by reply.

    memory    what earlier ones gave; None where the step has no memory
    """
    facts = {**chat.facts, **({} if memory is None else {"memory": list(memory)})}
    held = Held(chat, {one.name: one.nothing for one in rules.speakers})
    floor = _Floor(rules.speakers, held, facts)
    for turn in range(1, rules.turns + 1):
        before = len(held.turns)
        for speaker in rules.speakers:
            if not floor.is_due(speaker, turn):
                continue
            reply: Mapping[str, Any] | None = floor.opening(speaker)
            if reply is None:
                messages = floor.page(speaker, turn)
                if messages is None:
                    continue
                written = yield from _reply(rules, speaker, messages, chat.repeat)
                held.request_ids.append(written.request_id)
                if written.reason is not None:
                    held.ended, held.reason = f"{speaker.name} {written.reason}", written.reason
                    return held
                reply = written.rows[0]
            floor.take(speaker, reply)
            if rules.until is not None and _holds(rules.until, floor.facts(turn), ("until",), speaker):
                held.ended = "until"
                return held
        if len(held.turns) == before:
            held.ended = "silence"
            return held
    return held


def _reply(rules: Rules, speaker: Speaker, messages: Messages, repeat: int) -> Dialogue[Written]:
    """One reply, asked for until it can be read."""
    written = Written()
    for number in range(rules.tries):
        request = speaker.request(messages, repeat + rules.repeats * number)
        (answer,) = yield (Call(speaker.side.model, request),)
        written = _read(answer, speaker)
        if written.reason is None:
            break
    return written


def _read(answer: Response, speaker: Speaker) -> Written:
    """A reply; what is said in prose stays as it was said, polite openings and all."""
    if not (speaker.side.declared.is_prose and speaker.side.says):
        return heard(answer, speaker.side.declared)
    said = spoken(answer)
    rows = () if said.nonresponse else ({SAY: said.text},)
    return Written(rows, said.nonresponse, answer.request_id)


def _holds(condition: LiveCondition, facts: Mapping[str, Any], at: tuple[str, ...], speaker: Speaker) -> bool:
    try:
        return condition.holds(facts)
    except ConditionError as error:
        raise speaker.context.error(at, error.problem, error.fix) from None


class _Floor:
    """Who has heard what: the messages that every side has before it."""

    def __init__(self, speakers: Sequence[Speaker], held: Held, facts: dict[str, Any]) -> None:
        self._held, self._facts = held, facts
        self._speakers = speakers
        self._many = sum(one.side.says for one in speakers) > 2  # then what is said has a name before it
        self._system = {one.name: one.system_message(facts) for one in speakers}
        self._pages: dict[str, list[tuple[str, str]]] = {one.name: self._begun(one) for one in speakers}

    def _begun(self, speaker: Speaker) -> list[tuple[str, str]]:
        if speaker.first is None or speaker.opens:
            return []
        said = speaker.filled(speaker.first, self._facts, "first")
        return [("user", said)] if said else []

    def facts(self, turn: int) -> dict[str, Any]:
        """What templates and conditions see now."""
        return {**self._facts, **self._held.last, "turn": turn}

    def is_due(self, speaker: Speaker, turn: int) -> bool:
        """Whether a side speaks in this turn."""
        if speaker.when is None:
            return True
        return _holds(speaker.when, self.facts(turn), ("sides", speaker.name, "when"), speaker)

    def opening(self, speaker: Speaker) -> dict[str, Any] | None:
        """What the side that opens says without being asked; None from then on, and where that is nothing."""
        if not speaker.opens or speaker.first is None or self._held.turns:
            return None
        said = speaker.filled(speaker.first, self._facts, "first")
        return {**speaker.nothing, SAY: said} if said else None

    def page(self, speaker: Speaker, turn: int) -> Messages | None:
        """What a side is asked; None where it has spoken and nothing was said since."""
        if speaker.prompt is not None:
            facts = {**self.facts(turn), "turns": self._held.turns}
            return (*self._system[speaker.name], ("user", speaker.filled(speaker.prompt, facts, "prompt")))
        page = self._pages[speaker.name]
        if not page:
            page.append(("user", _BEGIN))
        if page[-1][0] != "user":
            return None
        return (*self._system[speaker.name], *page)

    def take(self, speaker: Speaker, reply: Mapping[str, Any]) -> None:
        """A side has replied: it is noted, and the others hear what was said."""
        notes = {name: value for name, value in reply.items() if name != SAY}
        self._held.turns.append({"role": speaker.name, "content": reply.get(SAY), **notes})
        self._held.last[speaker.name] = reply
        said = reply.get(SAY)
        if said is None:
            return
        own = self._pages[speaker.name]
        if not own:
            own.append(("user", _BEGIN))  # chat templates begin with the user
        own.append(("assistant", speaker.as_told(reply)))
        heard_by_others = f"{speaker.name}: {said}" if self._many else str(said)
        for other in self._speakers:
            if other is not speaker and other.prompt is None:
                _hear(self._pages[other.name], heard_by_others)


def _hear(page: list[tuple[str, str]], said: str) -> None:
    """What others say between two replies of a side is one message to it."""
    if page and page[-1][0] == "user":
        page[-1] = ("user", f"{page[-1][1]}\n\n{said}")
    else:
        page.append(("user", said))
