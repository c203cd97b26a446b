"""Free text that a model wrote: what of it can be used, or why nothing can."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from prefgen.judging.wrapping import unwrapped
from prefgen.records import Response
from prefgen.thoughts import answer_of

Nonresponse = Literal["failed", "refusal", "unparsed"]
"""Why there is no text: the request failed, the model declined, or it said nothing that is a text."""

_DECLINES = re.compile(
    r"\W*(?:i(?:['\u2019]m| am) (?:sorry|unable|not able)\b|sorry,|as an ai\b|as a language model\b"
    r"|i (?:cannot|can['\u2019]t|can not|won['\u2019]t|will not|must decline to|refuse to) "
    r"(?:help|assist|write|create|tell|produce|provide|comply|do|continue|generate|fulfil|retell)\b)",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Prose:
    """A text, or why there is none."""

    text: str
    nonresponse: Nonresponse | None = None


def prose(response: Response) -> Prose:
    """What a model wrote, without its thoughts and without what it says about the text.

    A text that was cut off ends with its last whole sentence, and thoughts that were cut off are no text; only how it
    begins makes it a refusal.

    >>> prose(Response("r", text="Ann smiles. Bob wa", finish="length")).text
    'Ann smiles.'
    >>> prose(Response("r", text="I'm sorry, but I can't write that.")).nonresponse
    'refusal'
    """
    if response.failure is not None:
        return Prose("", "failed")
    said = answer_of(response.text)
    if response.finish in ("content_filter", "refusal") or (said is not None and _DECLINES.match(said)):
        return Prose("", "refusal")
    if said is None:
        return Prose("", "unparsed")
    text = unwrapped(whole_sentences(said) if response.finish == "length" else said)
    return Prose(text) if text else Prose("", "unparsed")


def spoken(response: Response) -> Prose:
    """What a model said in a conversation: without its thoughts, and else word for word.

    A text that was cut off ends with its last whole sentence. Regrets are no refusals here: people say them.

    >>> spoken(Response("r", text="I'm sorry to hear that. Sure, here is another:")).text
    "I'm sorry to hear that. Sure, here is another:"
    """
    if response.failure is not None:
        return Prose("", "failed")
    if response.finish in ("content_filter", "refusal"):
        return Prose("", "refusal")
    said = answer_of(response.text) or ""
    text = (whole_sentences(said) if response.finish == "length" else said).strip()
    return Prose(text) if text else Prose("", "unparsed")


def whole_sentences(text: str) -> str:
    """A text that was cut off, up to its last whole sentence; '' when it has none.

    >>> whole_sentences("You walk. You rea")
    'You walk.'
    """
    end = max(text.rfind(mark) for mark in ".!?")
    return text[: end + 1].strip()


def count_sentences(text: str) -> int:
    """Sentences of a text; what somebody says inside one, and `Mr.` or `J.`, end none.

    >>> count_sentences('Mrs. Lee waits. "At last!" she says. Then she smiles')
    3
    """
    ends = [end for end in _SENTENCE_END.finditer(text) if not _ABBREVIATED.search(text[: end.start() + 1])]
    rest = text[ends[-1].end() :] if ends else text
    return len(ends) + bool(rest.strip())


_SENTENCE_END = re.compile(r"[.!?\u2026]+[\"'\u201d\u2019)\]]*(?=\s+[\"'\u201c\u2018(\[]?[A-Z0-9\u00c0-\u00de]|\s*\Z)")
_ABBREVIATED = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|Prof|[A-Z])\.\Z")
