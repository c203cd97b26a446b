"""How an item is laid out on the judge's page: which option stands in which slot.

A slot is what the judge sees, an option is what it means. `shown` is the only place where one becomes the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from prefgen.schemas import LETTERS
from prefgen.seeds import unit_for

OrderRule = Literal["balanced", "given", "swapped", "cyclic"]

MAX_OPTIONS = len(LETTERS)
"""A letter names an option by its place in the item, and a slot by its place on the page."""


def place_of(letter: str | None) -> int | None:
    """The place of an option that has a name; None for none."""
    return None if letter is None else LETTERS.index(letter)


@cache
def orders_of(rules: tuple[OrderRule, ...], k: int, neither: int | None) -> tuple[str, ...]:
    """Names of the orders in which an item of `k` options is shown; no two of them lay it out alike.

    `balanced`, and `cyclic`, which is the same, are all k rotations: every option, the one marked neither included,
    stands once in every slot.

    >>> orders_of(("balanced",), 3, 2), orders_of(("balanced",), 2, None)
    (('given', 'turn-1', 'turn-2'), ('given', 'swapped'))
    >>> orders_of(("given", "cyclic", "swapped"), 2, None)
    ('given', 'swapped')
    """
    names: dict[tuple[int, ...], str] = {}
    for rule in rules:
        for name in _rotations(k, neither) if rule in ("balanced", "cyclic") else (rule,):
            names.setdefault(shown(name, k, neither), name)
    return tuple(names.values())


@cache
def _rotations(k: int, neither: int | None) -> tuple[str, ...]:
    turns = tuple(f"turn-{turn}" for turn in range(1, k))
    mirrored = shown("swapped", k, neither)
    return ("given", *("swapped" if shown(turn, k, neither) == mirrored else turn for turn in turns))


@cache
def is_balanced(orders: frozenset[str], k: int, neither: int | None) -> bool:
    """Whether every option stands in every slot equally often over these orders.

    Then the mean of the log-odds over them is free of any slot bias that adds to the log-odds.

    >>> is_balanced(frozenset(["given", "swapped"]), 2, None), is_balanced(frozenset(["given", "swapped"]), 3, 2)
    (True, False)
    """
    places = Counter((slot, option) for order in orders for slot, option in enumerate(shown(order, k, neither)))
    return len(places) == k * k and len(set(places.values())) == 1


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


@dataclass(frozen=True, slots=True)
class Orders:
    """In which orders each item of a judge step is shown.

    rules          for every item
    prior_share    all rotations for this share of the items, in (0, 1], one rotation for each of the rest; None for `rules`
    seed           decides which items are which, each by its own id, so that further items move nobody
    """

    rules: tuple[OrderRule, ...] = ("balanced",)
    prior_share: float | None = None
    seed: int = 0

    def of(self, item_id: str, k: int, neither: int | None) -> tuple[str, ...]:
        """The orders of one item."""
        rotations = orders_of(self.rules, k, neither)
        if self.prior_share is None or self.in_full(item_id):
            return rotations
        return (rotations[int(unit_for(self.seed, "rotation", item_id) * len(rotations))],)

    def in_full(self, item_id: str) -> bool:
        """Whether an item is one of those from which the slot prior is estimated."""
        return self.prior_share is not None and unit_for(self.seed, "slot prior", item_id) < self.prior_share
