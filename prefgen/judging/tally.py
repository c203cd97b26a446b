"""What the judgments of one step say of the judge, counted part by part: a summary needs no second look at the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from prefgen.estimates import Estimate, crossed_share

_MEANS = ("order_agreement", "repeat_agreement", "p_read", "certainty")


@dataclass(slots=True)
class Tally:
    """Counts over the parts of a judgments table.

    verdicts, first    per item: answers that name a slot, and those of them that name the first
    bias, cells        per item: the sum of `position_bias` over its personas, and how many have one
    """

    n_items: int
    judgments: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    readouts: dict[str, int] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    verdicts: NDArray[np.float64] = field(init=False)
    first: NDArray[np.float64] = field(init=False)
    bias: NDArray[np.float64] = field(init=False)
    cells: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.verdicts, self.first, self.bias, self.cells = (np.zeros(self.n_items) for _ in range(4))

    def add(self, frame: pl.DataFrame, items: NDArray[np.intp]) -> None:
        """Count one part: whole persona x item groups; `items` is the row of the item of each."""
        self.judgments += frame.height
        for counted, into in (("status", self.statuses), ("readout", self.readouts)):
            for value, count in frame[counted].value_counts().iter_rows():
                into[value] = into.get(value, 0) + count
        frame = frame.with_columns(_item=pl.Series(items, dtype=pl.Int64))
        once = frame.unique(["persona_id", "item_id"], keep="first", maintain_order=True)
        for name in _MEANS:
            known = (once if name.endswith("agreement") else frame)[name].drop_nulls()
            self.sums[name] = self.sums.get(name, 0.0) + float(known.sum())
            self.counts[name] = self.counts.get(name, 0) + known.len()
        named, biased = frame.drop_nulls("slot"), once.drop_nulls("position_bias")
        self.verdicts += self._by_item(named)
        self.first += self._by_item(named.filter(pl.col("slot") == "A"))
        self.cells += self._by_item(biased)
        self.bias += self._by_item(biased, biased["position_bias"].to_numpy())

    def _by_item(self, rows: pl.DataFrame, weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        sums = np.bincount(rows["_item"].to_numpy(), weights=weights, minlength=self.n_items)
        return sums.astype(np.float64)

    def summary(self, factors: Sequence[ArrayLike] = ()) -> dict[str, Any]:
        """For the manifest: counts by status and readout, the mean of each measure (None = never measured), and the bias of the slots.

        factors    integer codes of the crossed factors that items share, see `crossed_share`
        """
        means = {name: self.sums[name] / self.counts[name] if self.counts[name] else None for name in self.sums}
        first = crossed_share(self.first, self.verdicts, factors)
        shifted = crossed_share((self.bias + self.cells) / 2, self.cells, factors)  # from -1 to 1 as from 0 to 1
        return {
            "judgments": self.judgments,
            "statuses": dict(sorted(self.statuses.items())),
            "readouts": dict(sorted(self.readouts.items())),
            "first_slot": asdict(first),
            "position_bias": asdict(_unshifted(shifted)),
            "order_agreement": means.get("order_agreement"),
            "repeat_agreement": means.get("repeat_agreement"),
            "p_read": means.get("p_read"),
            "certainty_mean": means.get("certainty"),
        }


def _unshifted(share: Estimate) -> Estimate:
    value, low, high = (None if one is None else 2 * one - 1 for one in (share.value, share.low, share.high))
    return Estimate(value, low, high, share.n)
