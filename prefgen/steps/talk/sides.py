"""The sides of a conversation: what each is sent, and what it may reply."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson
import polars as pl
from jinja2 import TemplateError
from pydantic import Field, field_validator

from prefgen.judging.prompts import Messages
from prefgen.judging.requests import request_of
from prefgen.records import Request
from prefgen.spec.condition import ConditionError
from prefgen.spec.fields import Name
from prefgen.spec.fields import Spec as Part
from prefgen.spec.models import ModelSpec
from prefgen.spec.reply import Reply, reply_of
from prefgen.spec.reply_types import Plain
from prefgen.spec.template import Blank, blank_of
from prefgen.steps.context import Context
from prefgen.steps.talk.conditions import LiveCondition

SAY = "say"
"""The field of a reply that the other sides hear."""

_MOST_SHOWN = 20  # columns named in a complaint


class Side(Part):
    """One side of a conversation."""

    model: Name = Field(description="The model that is this side, under `models:`.")
    system: str | None = Field(
        None, description="Template of its system message, over the row, the lists of `with`, and `memory`."
    )
    first: str | None = Field(
        None,
        min_length=1,
        description="Template over the same: of the side that `opens` what it says first, without being asked; of any other the message with which "
        "its conversation begins. Without one a side that has heard nothing yet is told to begin.",
    )
    prompt: str | None = Field(
        None,
        min_length=1,
        description="Template of what it is asked every time, instead of being sent the conversation: over the same, the last replies of all sides "
        "(`person.score`), `turns` so far, and `turn`, from 1.",
    )
    reply: Any = Field(
        SAY,
        description="Type of its replies, as of `write`: a column, or `{column: type}`. The other sides hear `say`; one without it only takes notes.",
    )
    when: str | None = Field(
        None, description="SQL over the row, the last replies and `turn`: it is asked only where this is true."
    )
    max_tokens: int = Field(600, ge=1, le=100_000, description="Most tokens of a reply, where the model does not say.")

    @field_validator("reply")
    @classmethod
    def _one_reply(cls, value: Any) -> Any:
        reply = reply_of(value)
        types = dict(reply.fields.types)
        if reply.many:
            raise ValueError(
                "a side replies with a text or fields, not with rows\nfix: write e.g. `{say: text, done: yes/no}`"
            )
        if reply.is_vector:
            raise ValueError("nobody says a vector\nfix: write it in a `write` step, `{name: vector}`")
        if types.get(SAY, Plain("text")) != Plain("text"):
            raise ValueError("what is said is a text\nfix: write `say: text`")
        if taken := {"role", "content"} & set(types):
            raise ValueError(f"{min(taken)!r} is a field of every turn\nfix: choose another name")
        return value

    @cached_property
    def declared(self) -> Reply:
        """What it replies."""
        return reply_of(self.reply)

    @property
    def says(self) -> bool:
        """Whether the other sides hear it."""
        return SAY in self.declared.names


@dataclass(frozen=True)
class Speaker:
    """A side ready to be asked: its templates and condition compiled.

    opens    whether it speaks first, so that `first` is what it says
    """

    name: str
    side: Side
    model: ModelSpec
    system: Blank | None
    first: Blank | None
    prompt: Blank | None
    when: LiveCondition | None
    opens: bool
    context: Context

    @classmethod
    def of(cls, name: str, side: Side, columns: pl.Schema, context: Context, *, opens: bool) -> Speaker:
        """Compile it; SpecError for a template or condition that is none.

        columns    of the row, with the last replies of all sides as structs, and `turn`
        """
        blanks = {}
        for key in ("system", "first", "prompt"):
            try:
                text = getattr(side, key)
                blanks[key] = None if text is None else blank_of(text)
            except TemplateError as error:
                raise context.error(("sides", name, key), f"not a template: {error}", "write {{ name }}") from None
        when = None if side.when is None else live_condition(side.when, columns, ("sides", name, "when"), context)
        model = context.ask.spec(side.model)
        return cls(name, side, model, **blanks, when=when, opens=opens, context=context)

    @cached_property
    def nothing(self) -> dict[str, None]:
        """Its reply before the first."""
        return dict.fromkeys(self.side.declared.names)

    def system_message(self, facts: Mapping[str, Any]) -> Messages:
        """What it is told of itself, and how to reply; none where there is nothing to tell."""
        said = "" if self.system is None else self.filled(self.system, facts, "system")
        text = "\n\n".join(filter(None, (said, self.side.declared.asked())))
        return (("system", text),) if text else ()

    def filled(self, blank: Blank, facts: Mapping[str, Any], key: str) -> str:
        """A template, filled and stripped; a complaint about one that it cannot be filled with."""
        try:
            return blank.filled(facts).strip()
        except Exception as error:  # a stranger's template may raise anything
            names = ", ".join([*facts][:_MOST_SHOWN])
            problem = f"{type(error).__name__}: {error}"
            raise self.context.error(("sides", self.name, key), problem, f"use {names}") from None

    def as_told(self, reply: Mapping[str, Any]) -> str:
        """A reply of its own as it is shown to it later: in the form in which it was asked for."""
        if self.side.declared.is_prose:
            return str(reply[SAY])
        known = {name: value for name, value in reply.items() if value is not None}
        return orjson.dumps(known).decode()

    def request(self, messages: Messages, repeat: int) -> Request:
        """What is asked of its model."""
        schema = self.side.declared.schema
        return request_of(self.model, messages, "prose", most=self.side.max_tokens, repeat=repeat, schema=schema)


def live_condition(sql: str, columns: pl.Schema, at: tuple[str, ...], context: Context) -> LiveCondition:
    """A condition over a conversation; a complaint where it is none."""
    try:
        return LiveCondition.over(sql, columns)
    except ConditionError as error:
        raise context.error(at, error.problem, error.fix) from None


def check_name(name: str) -> str:
    """A side's name, by which templates and SQL call it; ValueError for one that they cannot."""
    if name in ("user", "system"):
        fix = "call it e.g. `person`; exports rename it" if name == "user" else "write it as `system:` of a side"
        raise ValueError(f"no side can be named {name!r}\nfix: {fix}")
    if name in ("turn", "turns", "memory", "ended") or re.fullmatch(r"[A-Za-z_]\w*", name) is None:
        raise ValueError(f"no side can be named {name!r}\nfix: use letters, digits and `_`, e.g. person and assistant")
    return name
