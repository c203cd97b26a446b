"""An option of an item told as a short scene, and which option a scene tells: prompts out, nothing asked here."""

from __future__ import annotations

from collections.abc import Sequence

from prefgen.judging.presentations import orders_of, shown
from prefgen.judging.prompts import Messages
from prefgen.schemas import LETTERS


def read_back_orders(n_options: int, neither: int | None) -> tuple[str, ...]:
    """In which orders the options of a scene are read back: each stands once in every slot, the one marked neither too.

    So a reader who likes a letter, whichever it is, is found out.
    """
    return orders_of(("balanced",), n_options, neither)


def vignette_messages(
    question: str, option: str, others: Sequence[str], *, words: int, sentences: tuple[int, int], unsaid: Sequence[str]
) -> Messages:
    """What a model is asked to tell.

    others    options that the scene must not tell: the other ones of the item
    unsaid    words it must not use, in any form
    """
    lines = [
        f"Tell a short scene in {sentences[0]} to {sentences[1]} sentences, about {words} words, as plain running text.",
        "One or two people with names, one moment in which something happens, and a line of what one of them feels.",
        f"The scene belongs to this question: {question}",
        f"It shows this answer: {option}",
        *(f"It does not show this one: {other}" for other in others),
        "Let it show in what happens and in what is said. Do not argue, and do not name the idea behind it.",
    ]
    if unsaid:
        lines.append(f"Do not use these words, nor others made from them: {', '.join(unsaid)}.")
    lines.append("Write the scene alone: no title, no list, no question.")
    return (("user", "\n".join(lines)),)


def read_back_messages(scene: str, question: str, options: Sequence[str], neither: int | None, order: str) -> Messages:
    """What a reader is asked about one scene; the answer is the letter of a slot."""
    places = shown(order, len(options), neither)
    slots = "\n".join(f"{LETTERS[slot]}) {options[option]}" for slot, option in enumerate(places))
    page = (
        f"Read this scene:\n\n{scene}\n\nIt was told about this question: {question}\n"
        f"Which of these answers does the scene show?\n{slots}\n\nAnswer with one letter."
    )
    return (("user", page), ("assistant", "Answer:"))


def read_back_slot(option: int, n_options: int, neither: int | None, order: str) -> str:
    """The letter that names an option on the reader's page."""
    return LETTERS[shown(order, n_options, neither).index(option)]
