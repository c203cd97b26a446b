"""Renders what a judge reads: the persona once, the page once per item and order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from prefgen.judging.presentations import shown
from prefgen.records import Readout
from prefgen.schemas import LETTERS
from prefgen.spec.template import Blank, Sandbox

_TEMPLATES = Path(__file__).parent / "templates"

Messages = tuple[tuple[str, str], ...]

MAX_TOKENS: Mapping[Readout, int] = {
    "logprobs": 16,
    "text": 16,
    "certainty": 32,
    "reason": 300,
    "prose": 600,
    "likelihood": 1,
}
"""Tokens an answer may have, unless the model's spec says otherwise; one is enough where it is held to its choices."""


def as_sent(messages: Messages, *, prefill: bool, system_role: bool) -> Messages:
    """What a model is sent of a conversation.

    prefill        whether it goes on from a begun answer; else the begun answer is left out
    system_role    whether its template has a system message; else that opens the user's first one

    >>> as_sent((("system", "You are Ann."), ("user", "A or B?"), ("assistant", "Answer:")), prefill=False, system_role=False)
    (('user', 'You are Ann.\\n\\nA or B?'),)
    """
    if not prefill and messages[-1][0] == "assistant":
        messages = messages[:-1]
    if not system_role and messages[0][0] == "system":
        (_, persona), (role, page), *rest = messages
        messages = ((role, f"{persona}\n\n{page}"), *rest)
    return messages


_HOUSE = Environment(undefined=StrictUndefined, loader=FileSystemLoader(_TEMPLATES))  # noqa: S701 - plain text


def sandbox() -> Sandbox:
    """The sandbox of pages that users write: they may take in the house's own templates."""
    return Sandbox(loader=FileSystemLoader(_TEMPLATES))


@dataclass(frozen=True, slots=True)
class Page:
    """What is asked about one item in one order: the same for every persona."""

    messages: Messages  # the user's message, and the beginning of the answer where the readout has one
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prompts:
    """The two templates of one judge step, compiled."""

    persona: Blank
    page: Blank
    readout: Readout
    extra: tuple[str, ...]  # 'TIE' and 'NA' where the judge may say so

    @classmethod
    def load(cls, *, readout: Readout, extra: tuple[str, ...], page: str | None = None) -> Prompts:
        """The house's templates; `page` replaces the text of the page. Raises jinja2.TemplateError."""
        own = sandbox().from_string(page) if page is not None else _HOUSE.get_template("pick.jinja")
        return cls(Blank(_HOUSE.get_template("persona.jinja")), Blank(own), readout, extra)

    def system(self, persona_text: str) -> Messages:
        """The message that makes the model a persona; none for the no-persona control."""
        return (("system", self.persona.filled({"text": persona_text})),) if persona_text else ()

    def render_page(self, item: Mapping[str, Any], order: str) -> Page:
        """The page of one item with its options in `order`."""
        options: list[str] = item["options"]
        places = shown(order, len(options), item["neither"])
        slots = [(LETTERS[slot], options[option]) for slot, option in enumerate(places)]
        scored = (
            self.readout == "likelihood"
        )  # the options are no part of the page: what stands on it would have a place
        choices = tuple(options) if scored else (*(slot for slot, _ in slots), *self.extra)
        facts = {
            "item": item,
            "options": slots,
            "choices": choices,
            "readout": self.readout,
            "order": order,
            "listed": ", ".join(choices),
        }
        text = self.page.filled(facts)
        # A model that begins its own sentence hides the letter; one that goes on from `Answer:` says it first.
        begun = (("assistant", "Answer:"),) if self.readout in ("logprobs", "text") else ()
        return Page((("user", text.strip()), *begun), choices)


__all__ = ["MAX_TOKENS", "Blank", "Messages", "Page", "Prompts", "TemplateError", "as_sent", "sandbox"]
