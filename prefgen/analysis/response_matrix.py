"""Every persona's answers side by side: one pass over the judgments, then arrays of persona x item."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.analysis.filling import STATUSES, fill_choices, fill_slots, with_rest
from prefgen.judging.item_facts import coordinates_of, in_units
from prefgen.judging.slots import SlotCount, Slots
from prefgen.judging.units import Units, sampled_coordinates
from prefgen.schemas import LETTERS
from prefgen.seeds import unit_for

MOST_PERSONAS = 240
"""People looked at one by one; beyond, a seeded draw of them stands for all."""
MOST_CELLS = 3_000_000
"""Cells of persona x item held; beyond, a seeded draw of items stands for all."""

OF_JUDGMENTS = (
    "persona_id",
    "item_id",
    "order",
    "repeat",
    "choice",
    "slot",
    "status",
    "item_choice",
    "position_bias",
    "n_presentations",
)
_BY_ITEM = ("choice", "p", "verdicts", "first", "bias", "pairs", "changed", "statuses", "kept")


@dataclass(frozen=True, slots=True, eq=False)
class ResponseMatrix:
    """Answers as arrays of persona x item (K x I), O options at most.

    controls     per persona None (a drawn person), 'none', 'wrong' or 'shuffled'
    control_of   per persona the one it stands beside, or None
    told_as      per persona (person, wording): the same person in several wordings has several rows; wording None for
                 one who is told in one way
    items        one row an item: item_id, n_options, neither, longest (index of the one longest substantive
                 option, null when two tie), stretch (its characters over the shortest's), then coordinates
    sampled      the coordinates whose levels are a sample: what intervals generalise over, beside questions
    units        which items are one question, and which levels of `sampled` they share
    choice       (K, I) index of the order-debiased choice, -1 for none
    p            (K, I, O) order-debiased probability of each option, NaN where there is no answer; one more column, for what
                 is on `tie` and `na`, where those were offered
    verdicts, first    (K, I) verdicts, the option marked neither included, and those of them that named the first slot
    bias               (K, I) position bias over a balanced set of orders, NaN where it has none: see `judging.aggregate`
    pairs, changed     (K, I) presentations compared with the first order, and those whose verdict is another option
    statuses     (K, I, 6) judgments by status, in the order of STATUSES
    kept         (K, I) whether any judgment is kept; all True where nothing was filtered
    drawn_from   (personas, items) of the run; more than K and I when a seeded draw stands for them
    twins        drawn persons left out because another has the same portrait: to a judge they are one respondent, who counts
                 with the weight of all
    slots        where the verdicts of all persons stood
    """

    personas: tuple[str, ...]
    controls: tuple[str | None, ...]
    control_of: tuple[str | None, ...]
    told_as: tuple[tuple[str, str | None], ...]
    weights: NDArray[np.float64]
    items: pl.DataFrame
    coordinates: tuple[str, ...]
    options: tuple[str, ...]
    sampled: tuple[str, ...]
    units: Units
    choice: NDArray[np.int8]
    p: NDArray[np.float32]
    verdicts: NDArray[np.uint8]
    first: NDArray[np.uint8]
    bias: NDArray[np.float32]
    pairs: NDArray[np.uint8]
    changed: NDArray[np.uint8]
    statuses: NDArray[np.uint8]
    kept: NDArray[np.bool_]
    drawn_from: tuple[int, int]
    twins: int
    slots: Slots

    @property
    def people(self) -> NDArray[np.intp]:
        """Rows of the drawn persons, controls left out."""
        return np.flatnonzero([control is None for control in self.controls])

    def options_chosen(self, rows: NDArray[np.intp], *, kept_only: bool = False) -> NDArray[np.int64]:
        """(items, options): how many of the personas in `rows` chose each option."""
        chosen = np.where(self.kept[rows], self.choice[rows], -1) if kept_only else self.choice[rows]
        counts = np.zeros((chosen.shape[1], len(self.options)), np.int64)
        for option in range(len(self.options)):
            counts[:, option] = (chosen == option).sum(axis=0)
        return counts


def matrix_of(
    judgments: Iterable[pl.DataFrame],
    items: pl.DataFrame,
    personas: pl.DataFrame,
    *,
    seed: int = 0,
    most_personas: int = MOST_PERSONAS,
    most_cells: int = MOST_CELLS,
) -> ResponseMatrix:
    """The matrix of one run.

    judgments    parts in which all judgments of a persona and item stand together: persona_id, item_id, order,
                 repeat, choice, slot, status, item_choice, position_bias, n_presentations,
                 p_<option>, p_tie and p_na where they were offered and, where rows were filtered, reject_reason
    items        rows of `item_facts`
    personas     persona_id, control, control_of, weight; person and wording where people are told in several; portrait
                 (anything that is equal for equal texts) where they have one

    Memory grows with personas x items up to `most_cells`, not with the judgments.
    """
    people, twins = _drawn_people(personas, most_personas, seed)
    slots = SlotCount(items)
    asked, unit_of = in_units(_drawn_items(items, max(1, most_cells // max(1, people.height)), seed))
    matrix = replace(
        _empty_matrix(people, asked, unit_of, slots), drawn_from=(personas.height, items.height), twins=twins
    )
    at_persona = pl.DataFrame({"persona_id": people["persona_id"], "k": np.arange(people.height)})
    at_item = slots.at.join(
        asked.select("item_id", "n_options", "neither", i=pl.int_range(pl.len())), on="item_id", how="left"
    )
    for part in judgments:
        part = part.select(*OF_JUDGMENTS, pl.col("^(p_[A-Z]|p_tie|p_na|reject_reason)$"))
        rows = part.join(at_item, on="item_id", how="inner")
        slots.add(rows)
        rows = rows.filter(pl.col("i").is_not_null()).join(at_persona, on="persona_id", how="inner")
        if rows.height:
            matrix = with_rest(matrix, rows)
            fill_choices(matrix, rows)
            fill_slots(matrix, rows)
    return _asked_only(replace(matrix, slots=slots.slots()))


def _empty_matrix(people: pl.DataFrame, asked: pl.DataFrame, unit_of: np.ndarray, slots: SlotCount) -> ResponseMatrix:
    """Nobody was asked anything yet."""
    coordinates = coordinates_of(asked)
    sampled = sampled_coordinates(asked, coordinates)
    k, i, o = people.height, asked.height, max(asked["n_options"].to_list(), default=0)
    empty = {name: np.zeros((k, i), np.uint8) for name in ("verdicts", "first", "pairs", "changed")}
    return ResponseMatrix(
        personas=tuple(people["persona_id"]),
        controls=tuple(people["control"]),
        control_of=tuple(people["control_of"]),
        told_as=tuple(people.select("person", "wording").iter_rows()),
        weights=people["weight"].to_numpy(),
        items=asked,
        coordinates=coordinates,
        options=tuple(LETTERS[:o]),
        sampled=sampled,
        units=Units.over(unit_of, asked, sampled),
        choice=np.full((k, i), -1, np.int8),
        p=np.full((k, i, o), np.nan, np.float32),
        bias=np.full((k, i), np.nan, np.float32),
        statuses=np.zeros((k, i, len(STATUSES)), np.uint8),
        kept=np.ones((k, i), np.bool_),
        drawn_from=(k, i),
        twins=0,
        slots=slots.slots(),
        **empty,
    )


def _asked_only(matrix: ResponseMatrix) -> ResponseMatrix:
    """The matrix without items that nobody was asked (a limited run leaves most of them out)."""
    asked = matrix.statuses.any(axis=(0, 2))
    if asked.all():
        return matrix
    items, unit_of = matrix.items.filter(pl.Series(asked)), matrix.units.of[asked]
    coordinates = coordinates_of(items)
    sampled = sampled_coordinates(items, coordinates)
    whole = matrix.items.height == matrix.drawn_from[1]
    return replace(
        matrix,
        items=items,
        units=Units.over(unit_of, items, sampled),
        coordinates=coordinates,
        sampled=sampled,
        drawn_from=(matrix.drawn_from[0], items.height if whole else matrix.drawn_from[1]),
        **{name: getattr(matrix, name)[:, asked] for name in _BY_ITEM},
    )


def _drawn_people(personas: pl.DataFrame, most: int, seed: int) -> tuple[pl.DataFrame, int]:
    """Those looked at one by one, and how many were left out as another's twin."""
    text = pl.lit(None, pl.String)
    wanted = {
        "control": text,
        "control_of": text,
        "weight": pl.lit(1.0),
        "person": text,
        "wording": text,
        "portrait": text,
    }
    people = personas.with_columns(**{name: empty for name, empty in wanted.items() if name not in personas.columns})
    person = pl.coalesce("person", "persona_id").alias("person")
    weight = pl.col("weight").cast(pl.Float64).fill_null(1.0)
    people = people.select("persona_id", "control", "control_of", weight, person, "wording", "portrait")
    people, twins = _without_twins(people.unique("persona_id", keep="first", maintain_order=True))
    drawn = people.filter(pl.col("control").is_null())
    if drawn.height <= most:
        return people, twins
    place = {one: unit_for(seed, "matrix", "persona", one) for one in drawn["person"].unique(maintain_order=True)}
    ranked = sorted(drawn.select("persona_id", "person").iter_rows(), key=lambda row: place[row[1]])
    kept = [name for name, _ in ranked[:most]]
    beside = pl.col("control").is_not_null() & (pl.col("control_of").is_null() | pl.col("control_of").is_in(kept))
    return people.filter(pl.col("persona_id").is_in(kept) | beside), twins


def _without_twins(people: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Of drawn persons with one portrait the first, with the weight of all; controls of the others go with them."""
    drawn = pl.col("control").is_null() & pl.col("portrait").is_not_null()
    if not people.select((drawn & pl.col("portrait").is_duplicated()).any()).item():
        return people, 0
    one = (
        pl.when(drawn)
        .then(pl.lit("p") + pl.col("portrait").cast(pl.String))
        .otherwise(pl.lit("c") + pl.col("persona_id"))
    )
    people = people.with_columns(pl.col("weight").sum().over(one), first=pl.col("persona_id").first().over(one))
    kept = people.filter(pl.col("first") == pl.col("persona_id"))
    alone = pl.col("control_of").is_null() | pl.col("control_of").is_in(kept["persona_id"].implode())
    return kept.filter(alone).drop("first"), people.height - kept.height


def _drawn_items(items: pl.DataFrame, most: int, seed: int) -> pl.DataFrame:
    if items.height <= most:
        return items
    drawn = np.array([unit_for(seed, "matrix", "item", name) for name in items["item_id"]])
    return items[np.sort(np.argsort(drawn, kind="stable")[:most])]
