"""What each source of answers says, as arrays: the personas, the controls beside them, nobody in particular."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.analysis.distance import Floats
from prefgen.analysis.samples import Told
from prefgen.analysis.survey import EVERYBODY, Group, Question, SurveyAnswers
from prefgen.errors import UsageError

PERSONAS, NOBODY = "personas", "no persona"
"""Sources of answers that are judged: the judge in a persona, and without one."""


def judged_by_source(preferences: pl.DataFrame, personas: pl.DataFrame, answers: SurveyAnswers) -> pl.DataFrame:
    """Preferences with `source` and the attributes of the persona (a control's: of the one it stands beside).

    source    `personas`, `no persona` for the control `none`, else the name of the control
    """
    missing = [name for name in answers.by if name not in personas.columns]
    if missing:
        raise UsageError(
            f"the personas have no attribute {missing[0]!r}", fix=f"compare by one of {', '.join(personas.columns)}"
        )
    source = (
        pl.when(pl.col("control").is_null())
        .then(pl.lit(PERSONAS))
        .when(pl.col("control") == "none")
        .then(pl.lit(NOBODY))
        .otherwise("control")
    )
    own = personas.select(
        "persona_id", source.alias("source"), pl.coalesce("control_of", "persona_id").alias("_person")
    )
    levels = personas.select(
        pl.col("persona_id").alias("_person"), *(pl.col(name).cast(pl.String) for name in answers.by)
    )
    kept = [
        name
        for name in preferences.columns
        if name in {"persona_id", "item_id", "choice", "p_choice", "weight", "certainty"}
        or (name.startswith("p_") and len(name) == 3)
    ]
    return (
        preferences.select(kept)
        .join(own, on="persona_id", how="inner", maintain_order="left")
        .join(levels, on="_person", how="left", maintain_order="left")
    )


@dataclass(frozen=True, slots=True)
class Panel:
    """The people of one source.

    ids       persona_id, in order
    levels    a column an attribute: level as text, null for nobody in particular
    rows      their preferences, by item
    """

    ids: tuple[str, ...]
    levels: pl.DataFrame
    rows: Mapping[str, pl.DataFrame]

    @classmethod
    def of(cls, judged: pl.DataFrame, source: str, by: Mapping[str, str]) -> Panel:
        rows = judged.filter(source=source)
        people = rows.unique("persona_id", keep="first", maintain_order=True)
        by_item = {str(item): part for (item,), part in rows.partition_by("item_id", as_dict=True).items()}
        return cls(tuple(people["persona_id"]), people.select(list(by)), by_item)

    def told(self, question: Question, groups: Sequence[Group]) -> tuple[Told, Floats]:
        """What they say to a question, by group, and (groups,) the share of their probability on options the survey has.

        An answer weighs what its persona weighs, times its probability on those options. Nobody in particular is of
        every group.
        """
        columns = [f"p_{letter}" for letter, _ in question.options]
        rows = self.rows.get(question.item_id)
        if rows is None or any(column not in rows.columns for column in columns):
            return self._silent(question, groups)
        rows = rows.filter(pl.any_horizontal(pl.col(columns).is_not_null()))
        p = question.by_level(rows.select(pl.col(columns).fill_null(0.0)).to_numpy())
        mass = p.sum(axis=1)
        own = rows["weight"].to_numpy().astype(np.float64)[:, None] * _of_groups(rows, groups)
        weight = own * mass[:, None]
        known = {who: place for place, who in enumerate(self.ids)}
        place = rows["persona_id"].replace_strict(known, return_dtype=pl.Int64).to_numpy()
        all_p, all_weight = np.zeros((len(self.ids), p.shape[1])), np.zeros((len(self.ids), len(groups)))
        all_p[place] = p / np.maximum(mass, 1e-300)[:, None]
        all_weight[place] = weight
        return Told(all_p, all_weight), weight.sum(axis=0) / np.maximum(own.sum(axis=0), 1e-300)

    def members(self, group: Group) -> NDArray[np.bool_]:
        """Whether each of them is of a group."""
        return np.asarray((self.levels[group.attribute] == group.level).fill_null(False).to_numpy(), dtype=np.bool_)

    def weighing(self, weights: pl.DataFrame) -> Panel:
        """The same people with other weights.

        weights    persona_id, raked_weight
        """
        raked = weights.select("persona_id", pl.col("raked_weight").alias("weight"))
        rows = {
            item: part.drop("weight").join(raked, on="persona_id", how="inner", maintain_order="left")
            for item, part in self.rows.items()
        }
        return Panel(self.ids, self.levels, rows)

    def _silent(self, question: Question, groups: Sequence[Group]) -> tuple[Told, Floats]:
        n = len(self.ids)
        return Told(np.zeros((n, len(question.levels))), np.zeros((n, len(groups)))), np.zeros(len(groups))


def _of_groups(rows: pl.DataFrame, groups: Sequence[Group]) -> NDArray[np.bool_]:
    """(rows, groups): whether the person of a row is of a group."""
    everyone = np.ones(rows.height, dtype=np.bool_)
    found = [
        everyone
        if group.attribute == EVERYBODY
        else ((rows[group.attribute] == group.level).fill_null(False) | (rows["source"] == NOBODY)).to_numpy()
        for group in groups
    ]
    return np.stack(found, axis=1)
