"""Rankings: all options of an item in order, as they were said, and what several of them add up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations, groupby
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.estimates import crossed_mean, crossed_share
from prefgen.judging.presentations import is_balanced, shown
from prefgen.schemas import ANSWERS, LETTERS, Column, Schema
from prefgen.spec.reply import Reply
from prefgen.spec.reply_types import Choice, Fields

# fmt: off
RANKINGS = Schema((
    Column("ranking_id", pl.String, "key", "this ranking"),
    *ANSWERS.only("persona_id", "item_id", "order", "repeat", "status").columns,
    Column("ranking", pl.String, "label", "letters of the options in the order of the item, the best first, whatever the slots; null = none"),
    Column("slot", pl.String, "label", "slot of the page that was put first; null = no ranking"),
    *ANSWERS.only("model", "request_id", "failure", "control", "weight").columns,
    Column("mean_ranks", pl.List(pl.Float64), "measure", "rank of every option, 1 the best, in the order of the item: mean over the orders of the mean over repeats; null = an order was not read"),
    Column("best", pl.String, "label", "letter of the option with the least mean rank; null = several have it, or an order was not read"),
    Column("order_agreement", pl.Float64, "measure", "Kendall's tau between the mean ranks of every two orders, -1 to 1; null = one order only"),
    Column("repeat_agreement", pl.Float64, "measure", "Kendall's tau between every two repeats of an order, -1 to 1; null = one repeat only"),
    Column("position_bias", pl.Float64, "measure", "share of rankings that put the first slot first, beyond chance: 1 always, 0 as often as any other; null = the orders do not balance, or one was not read"),
    Column("n_presentations", pl.Int64, "measure", "rankings of this persona on this item"),
    *ANSWERS.only("reject_reason").columns,
))
# fmt: on
"""One presentation: all options in order, with the measures of its persona and item. Columns of the items follow."""

MEASURES = ("mean_ranks", "best", "order_agreement", "repeat_agreement", "position_bias", "n_presentations")

Floats = NDArray[np.float64]


def reply_of_slots(slots: Sequence[str]) -> Reply:
    """What is replied: a slot for every place, the best first."""
    names = ("first", *(f"place_{place}" for place in range(2, len(slots) + 1)))
    return Reply(Fields(tuple((name, Choice(tuple(slots))) for name in names)))


def ranks_of(slots: Sequence[str], order: str, neither: int | None) -> tuple[str, tuple[int, ...]] | None:
    """(letters of the options, the best first; rank of every option) of slots, the best first; None where one stands twice.

    >>> ranks_of(["B", "A", "C"], "turn-1", None)
    ('CBA', (3, 2, 1))
    """
    if len(set(slots)) < len(slots):
        return None
    places = shown(order, len(slots), neither)
    options = [places[LETTERS.index(slot)] for slot in slots]
    ranks = [0] * len(options)
    for rank, option in enumerate(options, 1):
        ranks[option] = rank
    return "".join(LETTERS[option] for option in options), tuple(ranks)


def tau(one: Sequence[float], other: Sequence[float]) -> float:
    """Kendall's tau-b of two lists of ranks; 0 where one of them ties all.

    >>> tau([1, 2, 3], [1, 2, 3]), tau([1, 2, 3], [3, 2, 1])
    (1.0, -1.0)
    """
    first, second = np.asarray(one, np.float64), np.asarray(other, np.float64)
    above = np.triu_indices(len(first), 1)
    a, b = (np.sign(np.subtract.outer(ranks, ranks))[above] for ranks in (first, second))
    scale = float(np.sqrt((a != 0).sum() * (b != 0).sum()))
    return float((a * b).sum()) / scale if scale else 0.0


@dataclass(frozen=True, slots=True)
class Ranked:
    """One presentation, read.

    ranks    of every option; None where nothing was read
    first    whether the first slot was put first
    """

    order: str
    ranks: tuple[int, ...] | None
    first: bool | None


def measured(rankings: Sequence[Ranked], k: int, neither: int | None) -> dict[str, Any]:
    """The measures of all presentations of one persona and item, adjacent and by order."""
    by_order = {order: list(some) for order, some in groupby(rankings, key=lambda one: one.order)}
    known = [[one.ranks for one in some if one.ranks is not None] for some in by_order.values()]
    told: dict[str, Any] = dict.fromkeys(MEASURES) | {"n_presentations": len(rankings)}
    repeats = [tau(*two) for some in known for two in combinations(some, 2)]
    told["repeat_agreement"] = _mean(repeats)
    if not all(known):
        return told
    means = [np.mean(some, axis=0) for some in known]
    ranks = np.mean(means, axis=0)
    best = np.flatnonzero(ranks < ranks.min() + 1e-9)
    told |= {"mean_ranks": ranks.tolist(), "best": LETTERS[best[0]] if len(best) == 1 else None}
    told["order_agreement"] = _mean([tau(*two) for two in combinations(means, 2)])
    if k > 1 and is_balanced(frozenset(by_order), k, neither):
        share = float(np.mean([np.mean([one.first or False for one in some]) for some in by_order.values()]))
        told["position_bias"] = (share - 1 / k) / (1 - 1 / k)
    return told


def _mean(numbers: Sequence[float]) -> float | None:
    return float(np.mean(numbers)) if numbers else None


@dataclass(slots=True)
class RankingTally:
    """What the rankings of a step add up to, by item: rows and those read; sums and numbers of every measure."""

    n_items: int
    counts: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros((2 + 2 * len(_TOLD), self.n_items))

    def add(self, item: int, rankings: Sequence[Ranked], measures: dict[str, Any]) -> None:
        """All presentations of one persona and item."""
        self.counts[0, item] += len(rankings)
        self.counts[1, item] += sum(one.ranks is not None for one in rankings)
        for place, name in enumerate(_TOLD):
            if measures[name] is not None:
                self.counts[2 + 2 * place, item] += measures[name]
                self.counts[3 + 2 * place, item] += 1

    def summary(self) -> dict[str, Any]:
        """For the manifest, each with its 95 % interval over items; None of what was not measured."""
        means = {
            name: asdict(crossed_mean(*self.counts[2 + 2 * place : 4 + 2 * place], within=(-1.0, 1.0)))
            for place, name in enumerate(_TOLD)
        }
        measured_ = {name: one if one["value"] is not None else None for name, one in means.items()}
        read = asdict(crossed_share(self.counts[1], self.counts[0]))
        return {"rows": int(self.counts[0].sum()), "read": read, **measured_}


_TOLD = ("order_agreement", "repeat_agreement", "position_bias")
