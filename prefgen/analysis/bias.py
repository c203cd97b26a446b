"""Does the judge read the options, or only where they stand?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prefgen.analysis.sheet import Sheet
from prefgen.estimates import NOTHING, Estimate, clustered_share

_EDGES = (0.0, 0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True, slots=True)
class PersonaBias:
    """Position bias of the judge when it plays one persona."""

    persona_id: str
    control: str | None
    follows_slot: Estimate
    first_slot: Estimate


@dataclass(frozen=True, slots=True)
class ItemBias:
    """One item on which the verdict follows the slot for many personas."""

    item_id: str
    follows_slot: float
    comparisons: int


@dataclass(frozen=True, slots=True)
class PositionBias:
    """Position bias of a sheet, controls included.

    follows_slot     share of comparisons between an item as given and the same item in another order in which
                     the verdict stayed in its slot and so changed the option; 0 for a judge who reads
    first_slot       share of verdicts, among those for a substantive option, that name the first slot
    fair_first_slot  what that share is for a judge who reads; None when only one order was shown
    items_by_bias    number of items by their own follows_slot, in five equal steps from 0 to 1
    worst_items      the items with most of it
    """

    follows_slot: Estimate
    first_slot: Estimate
    fair_first_slot: float | None
    by_persona: tuple[PersonaBias, ...]
    items_by_bias: tuple[int, ...]
    worst_items: tuple[ItemBias, ...]


def estimate_position_bias(sheet: Sheet, *, most_items: int = 5) -> PositionBias:
    """Position bias over all, by persona and by item; intervals take the judgments of an item as one cluster."""
    follows, pairs = sheet.follows.astype(np.int64), sheet.pairs.astype(np.int64)
    first, verdicts = sheet.first.astype(np.int64), sheet.verdicts.astype(np.int64)
    of_item, pairs_of_item = follows.sum(axis=0), pairs.sum(axis=0)
    with np.errstate(invalid="ignore"):
        by_item = of_item / pairs_of_item
    known = by_item[pairs_of_item > 0]
    steps = (
        np.bincount(np.searchsorted(_EDGES, known, side="right") - 1, minlength=5) if known.size else np.zeros(5, int)
    )
    return PositionBias(
        follows_slot=clustered_share(sheet.by_unit(of_item), sheet.by_unit(pairs_of_item)),
        first_slot=clustered_share(sheet.by_unit(first.sum(axis=0)), sheet.by_unit(verdicts.sum(axis=0))),
        fair_first_slot=_fair_share(sheet, verdicts.sum(axis=0)) if pairs.any() else None,
        by_persona=tuple(
            PersonaBias(name, sheet.controls[row], clustered_share(sheet.by_unit(follows[row]), sheet.by_unit(pairs[row])) if pairs[row].any() else NOTHING,
                clustered_share(sheet.by_unit(first[row]), sheet.by_unit(verdicts[row])))
            for row, name in enumerate(sheet.personas)
        ),
        items_by_bias=tuple(int(count) for count in steps),
        worst_items=_worst(sheet, by_item, pairs_of_item, most_items),
    )  # fmt: skip


def _fair_share(sheet: Sheet, verdicts: NDArray[np.int64]) -> float | None:
    """One over the number of substantive options: where every one of them stood first equally often."""
    if not verdicts.any():
        return None
    real = sheet.items["n_options"].to_numpy() - sheet.items["neither"].is_not_null().to_numpy()
    return float((verdicts / np.maximum(real, 1)).sum() / verdicts.sum())


def _worst(sheet: Sheet, by_item: NDArray[np.float64], pairs: NDArray[np.int64], most: int) -> tuple[ItemBias, ...]:
    order = np.argsort(-np.nan_to_num(by_item, nan=-1.0), kind="stable")[:most]
    names = sheet.items["item_id"]
    return tuple(
        ItemBias(names[int(at)], float(by_item[at]), int(pairs[at])) for at in order if pairs[at] and by_item[at] > 0
    )
