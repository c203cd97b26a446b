"""How far several models agree that play the same personas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl

from prefgen.estimates import crossed_share
from prefgen.judging.questionnaire import Questionnaire
from prefgen.personas.cast import PLAYED_BY
from prefgen.schemas import LETTERS

_PLACE = {letter: place for place, letter in enumerate(LETTERS)}


@dataclass(slots=True)
class ModelsAgree:
    """What each model chose as each person: 9 bytes a person and item.

    people    persona_id and `person`, a number for each person; empty where one model plays everybody
    items     item_id and `item`, its number
    """

    people: pl.DataFrame
    items: pl.DataFrame
    chosen: dict[str, list[pl.DataFrame]] = field(default_factory=dict)

    @classmethod
    def of(cls, parts: Mapping[str, Questionnaire]) -> ModelsAgree:
        """Nothing counted yet."""
        several = [one for one in parts.values() if PLAYED_BY in one.personas.columns]
        if len(several) < 2:
            return cls(pl.DataFrame(), pl.DataFrame())
        drawn = pl.concat(
            [one.personas.filter(pl.col("control").is_null()).select("persona_id", "person") for one in several]
        )
        people = drawn.with_columns(pl.col("person").rank("dense"))
        return cls(people, several[0].items.shape.select("item_id").with_row_index("item"))

    def add(self, model: str, frame: pl.DataFrame) -> None:
        """What a part of a model's judgments comes to; whole persona x item groups."""
        if self.people.is_empty():
            return
        once = frame.unique(["persona_id", "item_id"], keep="first", maintain_order=True)
        told = once.join(self.people, on="persona_id").join(self.items, on="item_id")
        place = pl.col("item_choice").replace_strict(_PLACE, default=None, return_dtype=pl.UInt8)
        self.chosen.setdefault(model, []).append(told.select("person", "item", place.alias("choice")).drop_nulls())

    def summary(self) -> dict[str, Any]:
        """`models_agree`: of every two models the share of persons and items on which both chose the same, of those on which both chose,
        with its 95 % interval over items."""
        tables = {name: pl.concat(parts) for name, parts in self.chosen.items()}
        return {"models_agree": [self._of(*two, tables) for two in combinations(tables, 2)]} if len(tables) > 1 else {}

    def _of(self, one: str, other: str, tables: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
        both = tables[one].join(tables[other], on=["person", "item"])
        items, same = both["item"].to_numpy(), (both["choice"] == both["choice_right"]).to_numpy()
        agreed, of = (np.bincount(some, minlength=self.items.height) for some in (items[same], items))
        return {"models": [one, other], "both": both.height, **asdict(crossed_share(agreed, of))}
