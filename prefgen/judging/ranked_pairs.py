"""Rankings to pairs: the best option over the others, or over the worst."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from prefgen.judging.aggregate import KEY
from prefgen.judging.candidates import OF_OPTIONS, of_options
from prefgen.judging.coordinates import free_names, returned, set_apart
from prefgen.judging.pairs import PairRule
from prefgen.judging.rankings import RANKINGS
from prefgen.schemas import LETTERS, PAIRS

_FOUND = {"row": pl.UInt32, "_chosen": pl.Int64, "_rejected": pl.Int64, "p_chosen": pl.Float64}
_LETTER = dict(enumerate(LETTERS))


def pairs_of_rankings(rankings: pl.DataFrame, items: pl.DataFrame, *, rule: PairRule) -> pl.DataFrame:
    """Pairs of options, the one with the least mean rank first; of drawn people whose every order has a kept ranking.

    rankings    whole persona x item groups of a table of rankings
    items       item_id, options
    rule        `chosen_vs_other`: one pair for every other option; `best_vs_worst`: one, against that with the largest mean rank

    The columns of `pairs`; p_chosen is the share of the rankings that put the chosen option above the rejected one, p_margin that
    share less the share of the others.
    """
    drawn = rankings.filter(pl.col("control").is_null())
    lost = pl.col("reject_reason").is_not_null().all().over(*KEY, "order").any().over(KEY)
    told = set_apart(drawn.filter(~lost, pl.col("reject_reason").is_null()), RANKINGS.names | {"split"})
    found = pl.DataFrame(list(_found(told, worst_only=rule == "best_vs_worst")), schema=_FOUND, orient="row")
    rows = told.select(pl.all().gather(found["row"])).hstack(found.drop("row"))
    each = of_options(items.schema)
    options = items.select("item_id", "options", *(f"{OF_OPTIONS}{name}" for name in each))
    joined = rows.join(options, on="item_id", how="left", maintain_order="left")
    sides = (("chosen", pl.col("_chosen")), ("rejected", pl.col("_rejected")))
    letters = [at.replace_strict(_LETTER, return_dtype=pl.String).alias(side) for side, at in sides]
    return joined.select(
        (pl.col("persona_id") + "|" + pl.col("item_id") + "|" + letters[0] + letters[1]).alias("pair_id"),
        *KEY,
        *returned(told, PAIRS.names),
        *letters,
        *(pl.col("options").list.get(at).alias(f"{side}_text") for side, at in sides),
        "p_chosen",
        (2 * pl.col("p_chosen") - 1).alias("p_margin"),
        "weight",
        *(
            pl.col(f"{OF_OPTIONS}{name}").list.get(at).alias(f"{side}_{free}")
            for name, free in free_names(each, {"text"}).items()  # `chosen_text` is the option itself
            for side, at in sides
        ),
        *(name for name in ("split",) if name in joined.columns),
    )


def _found(rankings: pl.DataFrame, *, worst_only: bool) -> Iterator[tuple[int, int, int, float]]:
    """(row, place of the chosen option, place of the rejected one, p_chosen) of every pair."""
    told = rankings.with_row_index("_row")
    groups = told.group_by(KEY, maintain_order=True).agg("_row", "ranking", "best", "mean_ranks")
    for rows, said, best, means in groups.select("_row", "ranking", "best", "mean_ranks").iter_rows():
        if best[0] is None or means[0] is None:
            continue
        chosen, ranks = LETTERS.index(best[0]), means[0]
        others = [place for place in range(len(ranks)) if place != chosen]
        for rejected in [max(others, key=lambda place: (ranks[place], -place))] if worst_only else others:
            above = [one.index(best[0]) < one.index(LETTERS[rejected]) for one in said]
            yield rows[0], chosen, rejected, float(np.mean(above))
