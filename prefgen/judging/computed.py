"""Judgments that nobody was asked for: the table of a judge step whose choices a utility computes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from prefgen.ids import content_id
from prefgen.judging.design import Rows, items_asked
from prefgen.judging.judgments import assembled, p_fields, row_schema
from prefgen.judging.questionnaire import Questionnaire
from prefgen.judging.utility import Floats, Utility, options_long, shares
from prefgen.schemas import LETTERS

COMPUTED = "utility"
"""The readout of such judgments: no page was shown, so there are no slots and no bias of theirs."""

_UNTOLD = "the utility of an option is not a number"

_OF_PEOPLE = ("persona_id", "population", "control", "control_of", "weight", "text")


_NEITHER = pl.col("n").replace_strict(dict(enumerate(LETTERS)), default=None, return_dtype=pl.String)
_STATUS = (
    pl.when("untold")
    .then(pl.lit("failed"))
    .when(pl.col("choice").is_null())
    .then(pl.lit("tie"))
    .when(pl.col("choice") == _NEITHER)
    .then(pl.lit("na"))
    .otherwise(pl.lit("ok"))
)


def chosen_by(utility: Utility, asked: Questionnaire, *, noise: float, part_rows: int) -> Iterator[pl.DataFrame]:
    """Judgments without measures, persona by persona, item by item; at least one frame.

    One row per persona and item that a drawn persona is asked about; controls have no utility and no rows. A tie where several options share
    the largest probability; `failed` where the utility of one is null or no finite number. Raises ConditionError where the utility cannot be computed.
    """
    items = asked.items.all()  # whose numbers may all be standardized together
    options = options_long(items, standardize=utility.standardize)
    starts = np.searchsorted(options["_item"].to_numpy(), np.arange(asked.items.height + 1))
    of_options = options.drop("_item", "_option")
    rows = items_asked(asked.design, asked.personas.height, asked.items.height)
    yield _frame(asked, items, [], [], [])
    persona_rows: list[int] = []
    item_rows: list[Rows] = []
    ps: list[Floats] = []
    for number, persona in enumerate(asked.personas.iter_rows(named=True)):
        if persona["control"] is not None or not len(rows[number]):
            continue
        mine = {name: value for name, value in persona.items() if name not in _OF_PEOPLE}
        at = np.concatenate([np.arange(starts[item], starts[item + 1]) for item in rows[number]])
        of_item = np.repeat(rows[number], starts[rows[number] + 1] - starts[rows[number]])
        persona_rows.append(number)
        item_rows.append(rows[number])
        ps.append(shares(utility.of(mine, of_options[at]), of_item, noise))
        if sum(map(len, item_rows)) >= part_rows:
            yield _frame(asked, items, persona_rows, item_rows, ps)
            persona_rows, item_rows, ps = [], [], []
    if persona_rows:
        yield _frame(asked, items, persona_rows, item_rows, ps)


def _frame(
    asked: Questionnaire, items: pl.DataFrame, personas: list[int], asked_about: list[Rows], ps: list[Floats]
) -> pl.DataFrame:
    """The judgments of some personas, each on its own items; `ps` has a number for every option of those."""
    persona = np.repeat(np.array(personas, dtype=np.int64), [len(some) for some in asked_about])
    item = np.concatenate([*asked_about, np.array([], dtype=np.int64)])
    people, questions = asked.personas["persona_id"].gather(persona), items["item_id"].gather(item)
    ids = [content_id("jdg", (COMPUTED, *both)) for both in zip(people, questions, strict=True)]
    p, chosen, untold = _probabilities(asked, item, ps)
    told = pl.DataFrame(
        [
            pl.Series("judgment_id", ids, dtype=pl.String),
            chosen,
            p,
            items["neither"].gather(item).alias("n"),
            untold,
        ]
    )
    unasked = row_schema(()).items()
    frame = told.select(
        "judgment_id",
        pl.lit("given").alias("order"),
        pl.lit(0, dtype=pl.Int64).alias("repeat"),
        "choice",
        _STATUS.alias("status"),
        pl.when(~pl.col("untold")).then("p").alias("p"),
        pl.lit(COMPUTED).alias("readout"),
        pl.when("untold").then(pl.lit(_UNTOLD)).alias("failure"),
        _NEITHER.alias("neither"),
        pl.lit(COMPUTED).alias("model"),
    )
    frame = frame.with_columns(
        pl.lit(None, dtype=kind).alias(name) for name, kind in unasked if name not in frame.columns
    )
    rows, of = (pl.Series(one, dtype=pl.UInt32) for one in (persona, item))
    return assembled(asked.personas, items, rows, of, frame)


def _probabilities(asked: Questionnaire, item: Rows, ps: list[Floats]) -> tuple[pl.Series, pl.Series, pl.Series]:
    """(`p`, `choice`, `untold`) of every row: the option that is likeliest, null where several are or none can be told."""
    names = p_fields(asked.letters, asked.prompts.extra)
    sizes = asked.items.shape["n_options"].to_numpy()[item]
    wide = np.full((len(item), len(asked.letters)), np.nan)
    wide[np.arange(wide.shape[1])[None, :] < sizes[:, None]] = np.concatenate([*ps, np.array([])])
    best = np.nanmax(wide, axis=1, initial=0.0)
    alone = (wide >= best[:, None] - 1e-12).sum(axis=1) == 1
    p = {name: pl.Series(wide[:, k], dtype=pl.Float64).fill_nan(None) for k, name in enumerate(asked.letters)}
    offered = {name: pl.zeros(len(item), dtype=pl.Float64, eager=True) for name in names[len(asked.letters) :]}
    likeliest = np.nan_to_num(wide, nan=-1.0).argmax(axis=1) if len(item) else np.array([], dtype=np.int64)
    chosen = pl.Series("choice", np.array(list(LETTERS))[likeliest], dtype=pl.String)
    untold = pl.Series("untold", np.isnan(wide).all(axis=1), dtype=pl.Boolean)
    alone &= ~untold.to_numpy()
    return (
        pl.DataFrame(p | offered).to_struct("p"),
        chosen.zip_with(pl.Series(alone, dtype=pl.Boolean), pl.Series([None], dtype=pl.String)),
        untold,
    )
