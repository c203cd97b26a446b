"""How an item is laid out on the judge's page: which option stands in which slot.

A slot is what the judge sees, an option is what it means. `shown` is the only place where one becomes the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Literal

OrderRule = Literal["given", "swapped", "cyclic"]

MAX_OPTIONS = 26
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""Names of options (by place in the item) and of slots (by place on the page)."""


@cache
def orders_of(rules: tuple[OrderRule, ...], k: int) -> tuple[str, ...]:
    """Names of the orders in which an item of `k` options is shown, each once.

    >>> orders_of(("given", "swapped"), 3)
    ('given', 'swapped')
    >>> orders_of(("cyclic",), 3)
    ('given', 'turn-1', 'turn-2')
    """
    names: list[str] = []
    for rule in rules:
        names += ["given", *(f"turn-{turn}" for turn in range(1, k))] if rule == "cyclic" else [rule]
    return tuple(dict.fromkeys(names))


@cache
def shown(order: str, k: int, neither: int | None) -> tuple[int, ...]:
    """The option index in every slot, first slot first.

    `swapped` reverses the options and leaves the one marked `neither` where it is, so showing it twice
    swapped is showing it as given. `turn-r` rotates all options by r.

    >>> shown("swapped", 3, 2)
    (1, 0, 2)
    >>> shown("turn-1", 3, None)
    (1, 2, 0)
    """
    if order == "given":
        return tuple(range(k))
    if order == "swapped":
        substantive = [index for index in range(k) if index != neither]
        mirrored = dict(zip(substantive, reversed(substantive), strict=True))
        return tuple(mirrored.get(index, index) for index in range(k))
    turn = int(order.removeprefix("turn-"))
    return tuple((slot + turn) % k for slot in range(k))


def by_option(order: str, k: int, neither: int | None, by_slot: Iterable[float]) -> tuple[float, ...]:
    """Numbers that belong to slots, rearranged so that they belong to options."""
    placed = [0.0] * k
    for option, number in zip(shown(order, k, neither), by_slot, strict=True):
        placed[option] = number
    return tuple(placed)
