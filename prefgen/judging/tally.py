"""What the judgments of one step say of the judge, counted part by part: a summary needs no second look at the table."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.judging.item_facts import facts_brought
from prefgen.judging.item_rows import Items
from prefgen.judging.slots import SlotCount

_MEANS = ("order_agreement", "repeat_agreement", "p_read", "certainty")


class Tally:
    """Counts over the parts of a judgments table whose items are known."""

    def __init__(self, items: Items) -> None:
        brought = facts_brought(items.schema)
        groups = pl.concat([frame.select(brought) for frame in items.frames()]) if brought else pl.DataFrame()
        self._slots = SlotCount(items.shape.select("item_id", "n_options").hstack(groups))
        self._judgments = 0
        self._choices: dict[str, NDArray[np.float64]] = {}
        self._counts: dict[str, dict[str, int]] = {"status": {}, "readout": {}}
        self._sums = dict.fromkeys(_MEANS, 0.0)
        self._known = dict.fromkeys(_MEANS, 0)

    def add(self, frame: pl.DataFrame) -> None:
        """Count one part: whole persona x item groups."""
        self._judgments += frame.height
        for name, into in self._counts.items():
            for value, count in frame[name].value_counts().iter_rows():
                into[value] = into.get(value, 0) + count
        once = frame.unique(["persona_id", "item_id"], keep="first", maintain_order=True)
        for name in _MEANS:
            known = (once if name.endswith("agreement") else frame)[name].drop_nulls()
            self._sums[name] += float(known.sum())
            self._known[name] += known.len()
        here = self._slots.at.join(frame.select("item_id").unique(), on="item_id", how="semi")  # of very many a few
        placed = frame.join(here, on="item_id", how="left", maintain_order="left")
        self._slots.add(placed)
        people = placed.filter(pl.col("control").is_null(), pl.col("item_choice").is_not_null())
        chosen = people.unique(["persona_id", "item_id"], keep="first")
        for (letter,), rows in chosen.group_by("item_choice"):
            counts = self._choices.setdefault(str(letter), np.zeros(self._slots.at.height))
            np.add.at(counts, rows["every"].to_numpy(), 1.0)

    def summary(self) -> dict[str, Any]:
        """For the manifest: counts by status and readout, the mean of each measure (None = never measured), and the bias of the slots."""
        means = {name: self._sums[name] / self._known[name] if self._known[name] else None for name in _MEANS}
        slots = self._slots.slots()
        return {
            "judgments": self._judgments,
            "statuses": dict(sorted(self._counts["status"].items())),
            "readouts": dict(sorted(self._counts["readout"].items())),
            "first_slot": asdict(slots.first_slot),
            "position_bias": asdict(slots.position_bias),
            "order_agreement": means["order_agreement"],
            "repeat_agreement": means["repeat_agreement"],
            "p_read": means["p_read"],
            "certainty_mean": means["certainty"],
            "choices": self._shares(),
        }

    def _shares(self) -> list[dict[str, Any]]:
        """Of every option the share of person x item, controls left out, that chose it, of those with a choice, with its interval over items."""
        of = np.sum([*self._choices.values()], axis=0)
        chosen = sorted(self._choices.items())
        return [{"answer": letter, **asdict(self._slots.units.share(won, of))} for letter, won in chosen]
