"""How much a judge likes each slot whatever stands there, estimated on some items and taken out of the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.judging.presentations import is_balanced, place_of, shown
from prefgen.records import LEAST_P
from prefgen.schemas import LETTERS


@dataclass(slots=True)
class SlotPriors:
    """Slot priors by persona and number of options.

    An item shown in all rotations has every option once in every slot, so the mean over its rotations of the log
    probability of a slot holds nothing of the options. The prior is the mean of that over the items.

    Source: Zheng et al. 2024 (arXiv:2309.03882), PriDe; here from log-odds, and for every persona by itself.
    """

    sums: dict[tuple[str, int], NDArray[np.float64]] = field(default_factory=dict)
    counts: dict[tuple[str, int], int] = field(default_factory=dict)

    def learn(self, judgments: pl.DataFrame) -> None:
        """Take in whole persona x item groups; those not read in every rotation, or without probabilities, teach nothing."""
        letters = [name for name in judgments.schema["p"].to_schema() if name in LETTERS]  # type: ignore[attr-defined]
        read = judgments.filter(pl.col("p").is_not_null() & pl.col("readout").str.starts_with("logprobs"))
        p = read.select(
            "persona_id", "item_id", "order", "neither", *(pl.col("p").struct.field(name) for name in letters)
        )
        orders = p.group_by("persona_id", "item_id", "order", "neither", maintain_order=True).agg(
            pl.col(letters).mean()
        )
        for (persona, _), rows in orders.group_by("persona_id", "item_id", maintain_order=True):
            slots = _by_slot(rows, letters)
            if slots is not None:
                key = str(persona), len(slots)
                self.sums[key] = self.sums.get(key, np.zeros(len(slots))) + slots
                self.counts[key] = self.counts.get(key, 0) + 1

    def of(self, persona_id: str, k: int) -> NDArray[np.float64] | None:
        """Log prior of each slot, mean 0; None where no item of so many options taught one."""
        key = (persona_id, k)
        return self.sums[key] / self.counts[key] if key in self.counts else None

    def taken_out(self, rows: pl.DataFrame, persona_ids: pl.Series, answers: list[str]) -> pl.DataFrame:
        """Rows of `measured` with the prior out of the p_<option> of groups shown in one order; `_taken_out` says where.

        What is offered besides the options stands in no slot and keeps its odds against the slots' average.
        """
        letters = [name for name in answers if name in LETTERS]
        rows = rows.with_columns(persona_ids.alias("_persona"))
        alone = (pl.col("order").n_unique().over("_group") == 1) & pl.col("_odds") & (pl.col("_k") > 1)
        rows = rows.with_columns(_alone=alone)
        by = ["_persona", "order", "_k", "neither"]
        kinds = rows.filter("_alone").select(by).unique(maintain_order=True)
        shifts = pl.DataFrame(
            [self._shift(*kind, width=len(letters)) for kind in kinds.iter_rows()],
            schema={f"_shift_{letter}": pl.Float64 for letter in letters},
            orient="row",
        )
        rows = rows.join(kinds.hstack(shifts), on=by, how="left", nulls_equal=True, maintain_order="left")
        out = pl.col("_alone") & pl.col("_shift_A").is_not_null()
        logs = [
            pl.col(f"p_{name}").clip(LEAST_P).log() - (pl.col(f"_shift_{name}") if name in letters else 0.0)
            for name in answers
        ]
        total = pl.sum_horizontal(one.exp() for one in logs)
        freed = [
            pl.when(out).then(one.exp() / total).otherwise(pl.col(f"p_{name}")).alias(f"p_{name}")
            for name, one in zip(answers, logs, strict=True)
        ]
        return rows.with_columns(*freed, _taken_out=out).drop("_persona", "_alone", *shifts.columns)

    def _shift(self, persona: str, order: str, k: int, neither: str | None, *, width: int) -> list[float | None]:
        """Per option the log prior of the slot it stands in; nulls where none is known."""
        prior = self.of(persona, k)
        shift: list[float | None] = [None] * width
        if prior is not None:
            for slot, option in enumerate(shown(order, k, place_of(neither))):
                shift[option] = float(prior[slot])
        return shift


def _by_slot(rows: pl.DataFrame, letters: list[str]) -> NDArray[np.float64] | None:
    """Mean log probability of each slot over the orders of one persona and item, less their mean; None where they do not balance."""
    neither = rows["neither"][0]
    place = place_of(neither)
    p = rows.select(letters).to_numpy()
    k = int((~np.isnan(p[0].astype(np.float64))).sum())
    orders: list[str] = rows["order"].to_list()
    if k < 2 or not is_balanced(frozenset(orders), k, place):
        return None
    logs = np.log(np.maximum(p[:, :k], LEAST_P))
    slots = np.mean([logs[row][list(shown(order, k, place))] for row, order in enumerate(orders)], axis=0)
    return np.asarray(slots - slots.mean(), np.float64)


def learnt(parts: Iterable[pl.DataFrame]) -> SlotPriors:
    """The priors that some judgments teach."""
    priors = SlotPriors()
    for part in parts:
        priors.learn(part)
    return priors
