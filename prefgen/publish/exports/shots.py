"""Earlier choices of a persona, put beside a choice that a model is to foresee."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl

from prefgen.seeds import unit_for

_SHOT = pl.List(pl.Struct({"prompt": pl.String, "chosen": pl.String, "rejected": pl.String}))


def with_shots(frames: Iterable[pl.DataFrame], *, n: int, seed: int) -> Iterator[pl.DataFrame]:
    """The same rows with `shots`: up to `n` other choices of the same persona, on other items;
    from `train` where the persona has rows there, so that nothing held out is shown in training.

    frames    pairs with persona_id, item_id, pair_id, chosen_text, rejected_text, _prompt, perhaps split; a persona's
              rows adjacent (where they are not, each stretch is taken by itself)

    The choices of a persona form a ring in an order that belongs to their ids and the seed; a row's shots are the next
    ones of the ring. So a row's shots do not depend on how the rows were cut into frames.
    """
    for frame in _whole_personas(frames):
        yield _of_whole_personas(frame, n, seed)


def said_before(shots: pl.Expr) -> pl.Expr:
    """Shots as the text of a system message."""
    one = pl.format(
        "Question: {}\nChosen: {}\nNot chosen: {}",
        *(pl.element().struct.field(name) for name in ("prompt", "chosen", "rejected")),
    )
    text = shots.list.eval(one).list.join("\n\n")
    return (
        pl.when(shots.list.len() > 0).then(pl.lit("Choices this person made before.\n\n") + text).otherwise(pl.lit(""))
    )


def _whole_personas(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same rows, cut only where the persona changes."""
    held: pl.DataFrame | None = None
    for frame in frames:
        rows = frame if held is None else pl.concat([held, frame])
        if rows.is_empty():
            held = rows
            continue
        last = rows["persona_id"].rle_id()
        cut = int((last < last[-1]).sum())
        if cut:
            yield rows.head(cut)
        held = rows.slice(cut)
    if held is not None:
        yield held


def _of_whole_personas(frame: pl.DataFrame, n: int, seed: int) -> pl.DataFrame:
    rows = frame.with_row_index("_row").with_columns(
        _run=pl.col("persona_id").rle_id(),
        _place=pl.Series(
            [
                unit_for(seed, "shot", persona, item)
                for persona, item in frame.select("persona_id", "item_id").iter_rows()
            ],
            dtype=pl.Float64,
        ),
    )
    pool = rows.filter(_least_held_out()) if "split" in rows.columns else rows
    ring = pool.unique(subset=["_run", "item_id"], keep="first", maintain_order=True).sort("_run", "_place", "item_id")
    found = _next_in_ring(rows, ring, n)
    taken = ring.select(
        pl.struct(pl.col("_prompt").alias("prompt"), pl.col("chosen_text").alias("chosen"),
                  pl.col("rejected_text").alias("rejected")).alias("_shot")
    )["_shot"]  # fmt: skip
    lists = pl.DataFrame({"_row": [row for row, _ in found], "_at": [at for _, at in found]},
                         schema={"_row": pl.UInt32, "_at": pl.UInt32})  # fmt: skip
    listed = (
        lists.with_columns(taken.gather(lists["_at"]).alias("shots")).group_by("_row", maintain_order=True).agg("shots")
    )
    empty = pl.lit([], dtype=_SHOT)
    return (
        rows.join(listed.select("_row", pl.col("shots").cast(_SHOT)), on="_row", how="left", maintain_order="left")
        .with_columns(pl.col("shots").fill_null(empty))
        .drop("_row", "_run", "_place")
    )


def _least_held_out() -> pl.Expr:
    """A persona's rows in `train`; of a persona held out itself, those on questions that are not, if there are any."""
    split = pl.col("split").fill_null("train")
    rank = pl.when(split == "train").then(0).when(split != "test").then(1).otherwise(2)
    return rank == rank.min().over("_run")


def _next_in_ring(rows: pl.DataFrame, ring: pl.DataFrame, n: int) -> list[tuple[int, int]]:
    """(row, place in `ring`) for every shot of every row."""
    places, runs, ids = ring["_place"].to_numpy(), ring["_run"].to_numpy(), ring["item_id"].to_list()
    found: list[tuple[int, int]] = []
    for row, run, place, item in rows.select("_row", "_run", "_place", "item_id").iter_rows():
        first, last = (int(np.searchsorted(runs, run, side)) for side in ("left", "right"))
        here = first + int(np.searchsorted(places[first:last], place, "right"))
        size, taken = last - first, 0
        for step in range(size):
            at = first + (here - first + step) % size
            if ids[at] != item:
                found.append((row, at))
                taken += 1
            if taken == n:
                break
    return found
