"""`talk`: conversations between sides, each a model with an aim and notes of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, model_validator

from prefgen.dialogues import Dialogue, replayed
from prefgen.spec.fields import Name
from prefgen.spec.pipeline import Grain
from prefgen.steps.context import Context, StepEstimate
from prefgen.steps.step import Parts, Step
from prefgen.steps.talk.chats import Chats
from prefgen.steps.talk.conversation import Chat, Held, Rules, converse
from prefgen.steps.talk.estimate import estimate_of
from prefgen.steps.talk.rows import Shape, remembered
from prefgen.steps.talk.sides import Side, Speaker, check_name, live_condition
from prefgen.steps.talk.tally import Tally
from prefgen.steps.write.joined import joined
from prefgen.steps.write.lists import Lists
from prefgen.steps.write.measures import Measure
from prefgen.steps.write.memory import Memory, lines_of
from prefgen.store.table import Table, row_batches

SideName = Annotated[Name, AfterValidator(check_name)]


class Talk(Step):
    """A conversation about every row of a table, between two or more sides.

    ```yaml
    chats:
      talk: 8
      for: [requests, people]
      opens: person
      sides:
        person:    {model: writer, system: "{{ text }} You want {{ want }}.", first: "{{ prompt }}", reply: {say: text, score: 1..10}}
        assistant: {model: agent, system: "Three sentences at most."}
      until: "person.score = 10"
    ```

    In a turn every side speaks once: the side that `opens`, then the others in their order. A side is sent its system message and the conversation
    so far, what it replied itself as the assistant and what the others said as the user; of other sides it hears `say` alone, and what else
    they reply stays hidden from it. A side without `say` only takes notes. A conversation ends when `until` is true after a reply, or when
    nobody has anything to answer. A reply that cannot be read is asked for again as `tries` allows; then the conversation ends, and its row is
    dropped with the reason.

    Every row keeps the columns of the row it is about. Added are `<step>_id`, `repeat`, `turns` (a list of `role`, `content`, and the other fields of
    all replies), a column for every side with the fields of its last reply (null before the first), `ended` (`until`, `turns`, `silence`, or
    whose reply was missing), `request_ids`, and `reject_reason`.
    """

    kind: ClassVar[str] = "talk"
    grain: ClassVar[Grain | None] = "dialogues"

    talk: int = Field(ge=1, le=1000, description="Most turns; in each every side speaks once.")
    for_: Name | Annotated[list[Name], Field(min_length=1)] = Field(
        alias="for",
        description="Step with the rows; further ones are looked up by the ids that both have, one row each.",
    )
    with_: list[Name] = Field(
        default_factory=list,
        alias="with",
        description="Steps whose rows templates see as lists, by the step's name: those that share the row's ids.",
    )
    match: list[Name] | None = Field(None, description="Columns by which further tables are looked up, instead of ids.")
    opens: Name | None = Field(
        None, description="The side that speaks first, with its `first`; else the sides speak in the order written."
    )
    sides: dict[SideName, Side] = Field(
        min_length=2,
        description="The sides by their names, which templates and SQL use too: not `user`, which is a function in SQL.",
    )
    until: str | None = Field(
        None, description="SQL over the row and the last replies, after which a conversation ends: `person.score = 10`."
    )
    memory: Memory | None = Field(
        None,
        description="`{by: [columns], order: column, see: column, last: n}`: conversations about rows that agree in `by` are held one after the "
        "other, and templates see in `memory` what the earlier ones gave: `side.field`, a field, or a column of the row; nulls are left out.",
    )
    measure: dict[Name, Measure] = Field(
        default_factory=dict,
        description="Columns with numbers, as of `write`: `{words: side.say}`, `{edits: a.say, with: b.text}`; of `turns` all that was said.",
    )
    repeats: int = Field(1, ge=1, le=1000, description="Independent conversations about every row.")
    tries: int = Field(1, ge=1, le=10, description="How often a reply is asked for until it can be read.")

    @model_validator(mode="after")
    def _fits(self) -> Talk:
        if self.opens is not None and self.opens not in self.sides:
            raise ValueError(f"no side {self.opens!r} to open\nfix: name one of {', '.join(self.sides)}")
        if not any(side.says for side in self.sides.values()):
            raise ValueError(
                "nobody says anything\nfix: give a side a reply with `say`, e.g. `{say: text, done: yes/no}`"
            )
        for name, side in self.sides.items():
            if name == self.opens and side.first is not None and not side.says:
                raise ValueError(f"{name!r} opens and cannot speak\nfix: give its reply a field `say`")
            if name != self.opens and side.prompt is not None and side.first is not None:
                raise ValueError(f"{name!r} is asked its `prompt` every time, and never `first`\nfix: keep one of them")
        self._check_fields()
        if self.memory is not None and "." not in self.memory.see and len(self._sides_with(self.memory.see)) > 1:
            of = self._sides_with(self.memory.see)[0]
            raise ValueError(f"several sides reply {self.memory.see!r}\nfix: write e.g. `see: {of}.{self.memory.see}`")
        return self

    def _check_fields(self) -> None:
        """What one name means in a turn."""
        known: dict[str, Any] = {}
        for name, side in self.sides.items():
            for field, kind in side.declared.columns.items():
                if known.setdefault(field, kind) != kind:
                    raise ValueError(
                        f"{field!r} of {name!r} is of another type than that of an earlier side\nfix: name one of them otherwise"
                    )

    def _sides_with(self, field: str) -> list[str]:
        return [name for name, side in self.sides.items() if field in side.declared.names]

    @property
    def order(self) -> list[str]:
        """The sides as they speak."""
        return sorted(self.sides, key=lambda name: name != self.opens)

    def reads(self) -> tuple[tuple[str, str], ...]:
        names = [self.for_] if isinstance(self.for_, str) else self.for_
        return (*(("for", name) for name in names), *(("with", name) for name in self.with_))

    def asks(self) -> tuple[tuple[str, str], ...]:
        return tuple(("sides", name) for name in dict.fromkeys(side.model for side in self.sides.values()))

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """The conversations, in the order of the rows; with a memory group by group."""
        chats = self.chats(tables, context)
        shape, rules = self.prepared(chats, context)
        see = self._see(chats, context)

        def dialogues() -> Iterator[Dialogue[list[Held]]]:
            return (_line(rules, line, self.memory, see) for line in lines_of(self.memory, chats))

        models = [name for _, name in self.asks()]
        context.ask.drive(models, dialogues(), planned=chats.n * self.talk * len(self.sides))
        held = chain.from_iterable(replayed(dialogues(), context.ask.read))
        statuses: Counter[str] = Counter()
        tally = Tally(self.order)
        for some in row_batches(held, lambda one: one.size):
            for one in some:
                statuses[one.reason or "ok"] += 1
                tally.add(one)
            yield shape.frame(some)
        if not chats.n:
            yield shape.frame([])
        return {"statuses": dict(sorted(statuses.items())), **tally.summary()}

    def estimate(self, tables: Mapping[str, Table], context: Context) -> StepEstimate:
        """Every side in every turn, as if nothing ended a conversation: the most that can be asked."""
        chats = self.chats(tables, context)
        shape, rules = self.prepared(chats, context)
        self._see(chats, context)
        return estimate_of(self, chats, shape, rules)

    def chats(self, tables: Mapping[str, Table], context: Context) -> Chats:
        """The conversations to be held."""
        named = [tables[name] for key, name in self.reads() if key == "for"]
        rows = joined(named, self.match, context, most=context.limit)
        lists = Lists.of([tables[name] for name in self.with_], rows.schema.names(), context)
        if self.memory is not None:
            self.memory.check(rows.schema, context)
        return Chats(rows, lists, self.repeats)

    def prepared(self, chats: Chats, context: Context) -> tuple[Shape, Rules]:
        """The table, and what all conversations have in common, compiled."""
        shape = Shape.of(chats.rows.schema, self.sides, self.measure, context)
        speakers = [
            Speaker.of(name, self.sides[name], shape.seen, context, opens=name == self.opens) for name in self.order
        ]
        until = None if self.until is None else live_condition(self.until, shape.seen, ("until",), context)
        return shape, Rules(speakers, self.talk, until, self.repeats, self.tries)

    def _see(self, chats: Chats, context: Context) -> str:
        """What is remembered, as `side.field` or a column of the row; '' without a memory."""
        if self.memory is None:
            return ""
        see = self.memory.see
        fields = [f"{name}.{field}" for name, side in self.sides.items() for field in side.declared.names]
        if see not in fields and "." not in see and self._sides_with(see):
            see = f"{self._sides_with(see)[0]}.{see}"
        if see not in fields and see not in chats.rows.schema:
            raise context.error(("memory", "see"), f"nothing gives {see!r}", f"name one of {', '.join(fields)}")
        return see


def _line(rules: Rules, line: list[Chat], memory: Memory | None, see: str) -> Dialogue[list[Held]]:
    """Conversations that are held one after the other."""
    held: list[Held] = []
    seen: list[Any] = []
    for chat in line:
        one = yield from converse(rules, chat, None if memory is None else memory.latest(seen))
        held.append(one)
        given = remembered(one, see) if memory is not None else None
        if given is not None:
            seen.append(given)
    return held
