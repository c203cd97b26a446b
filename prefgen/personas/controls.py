"""Control personas: judged like anyone else, to see what a portrait is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import numpy as np
import polars as pl

from prefgen.personas.cells import Codes
from prefgen.personas.names import named_apart
from prefgen.seeds import rng_for

Control = Literal["none", "wrong", "shuffled"]
"""No persona at all | another persona's portrait | attributes shuffled among the drawn people."""

CONTROLS: tuple[Control, ...] = get_args(Control)


def none_control(people: pl.DataFrame) -> pl.DataFrame:
    """One row without a portrait: no attributes, text '', weight 1, standing beside nobody."""
    blank = people.head(1).select(pl.lit(None, dtype=dtype).alias(name) for name, dtype in people.schema.items())
    return blank.with_columns(
        pl.lit("none").alias("persona_id"),
        people["population"].head(1),
        pl.lit("none").alias("control"),
        pl.lit(1.0).alias("weight"),
        pl.lit("").alias("text"),
    )


def wrong_control(people: pl.DataFrame, *, seed: int) -> pl.DataFrame | None:
    """Everyone with another persona's portrait; None when all portraits read the same.

    Attributes are those that the text tells; `control_of` leads to the persona it stands beside. Each portrait
    is lent once wherever no text belongs to more than half of the people.
    """
    partner = _partners(people["text"], rng_for(seed, "wrong", str(people["population"][0])))
    return None if partner is None else _beside(people, people[partner], "wrong")


def shuffled_control(
    people: pl.DataFrame,
    told: pl.DataFrame,
    attributes: Sequence[str],
    *,
    seed: int,
    portray: Callable[[pl.DataFrame], pl.DataFrame],
) -> pl.DataFrame:
    """Everyone with attributes shuffled column by column: right marginals, no associations.

    people        one row a person
    told          the same people portrayed, once or in several wordings
    attributes    the columns to shuffle; a band moves with its number
    portray       makes rows like `told` from rows like `people`

    Impossible combinations may appear here: that is what this control is for.
    """
    columns = []
    for name in attributes:
        order = rng_for(seed, "shuffled", str(people["population"][0]), name.removesuffix("_band")).permutation(
            people.height
        )
        columns.append(people[name].gather(pl.Series(order)))
    return _beside(told, portray(people.with_columns(columns)), "shuffled")


def _beside(people: pl.DataFrame, worn: pl.DataFrame, control: Control) -> pl.DataFrame:
    """`worn` under the names and weights of `people`; what is worn is in the name, or one name would be several persons."""
    told = worn.select(pl.exclude("persona_id", "person", "control", "control_of", "weight"))
    return worn.with_columns(
        (f"{control}-" + people["persona_id"] + "-" + named_apart(told)).alias("persona_id"),
        pl.lit(control).alias("control"),
        people["persona_id"].alias("control_of"),
        people["weight"],
    )


def _partners(texts: pl.Series, rng: np.random.Generator) -> Codes | None:
    """For every row another row with another text; a permutation where one exists."""
    groups = texts.rank("dense").to_numpy().astype(np.intp) - 1
    sizes = np.bincount(groups)
    if len(sizes) < 2:
        return None
    shuffled = rng.permutation(len(groups))
    renamed = rng.permutation(len(sizes))  # else neighbours in the alphabet would always lend to each other
    order = shuffled[np.argsort(renamed[groups[shuffled]], kind="stable")]
    partner = np.empty(len(groups), dtype=np.intp)
    partner[order] = np.roll(order, -int(sizes.max()))
    largest = int(sizes.argmax())
    stuck = np.flatnonzero(groups[partner] == groups)
    others = order[groups[order] != largest]
    partner[stuck] = others[np.arange(len(stuck)) % len(others)]
    return partner
