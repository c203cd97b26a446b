"""Earlier choices of a persona, put beside a choice that a model is to foresee."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from prefgen.seeds import unit_for

Places = npt.NDArray[np.int64]
Present = npt.NDArray[np.bool_]

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
    rows = frame.with_columns(
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
    at, present = _next_in_ring(rows, ring, n)
    said = [ring[name].gather(at[present]).to_arrow() for name in ("_prompt", "chosen_text", "rejected_text")]
    taken = pa.StructArray.from_arrays(said, ["prompt", "chosen", "rejected"])
    ends = np.concatenate([[0], present.sum(axis=1).cumsum()])
    shots = pl.from_arrow(pa.LargeListArray.from_arrays(pl.Series(ends, dtype=pl.Int64).to_arrow(), taken))
    assert isinstance(shots, pl.Series)
    return frame.with_columns(shots.cast(_SHOT).alias("shots"))


def _least_held_out() -> pl.Expr:
    """A persona's rows in `train`; of a persona held out itself, those on questions that are not, if there are any."""
    split = pl.col("split").fill_null("train")
    rank = pl.when(split == "train").then(0).when(split != "test").then(1).otherwise(2)
    return rank == rank.min().over("_run")


def _next_in_ring(rows: pl.DataFrame, ring: pl.DataFrame, n: int) -> tuple[Places, Present]:
    """For every row, places in `ring` of up to `n` shots, and which of the columns are shots."""
    runs = ring["_run"].to_numpy()
    first, last = (np.searchsorted(runs, rows["_run"].to_numpy(), side) for side in ("left", "right"))
    # A place is below 1, so that run and place together sort as they do one after the other.
    placed = runs + ring["_place"].to_numpy()
    here = np.searchsorted(placed, rows["_run"].to_numpy() + rows["_place"].to_numpy(), "right")
    size = last - first
    steps = np.arange(n + 1)  # one more than wanted: a row's own question is passed over, and stands once in the ring
    at = first[:, None] + (here - first)[:, None] + steps
    at = first[:, None] + (at - first[:, None]) % np.maximum(size, 1)[:, None]
    present = steps < size[:, None]
    items = pl.concat([ring["item_id"], rows["item_id"]]).rank("dense").to_numpy()
    of_ring, of_row = items[: ring.height], items[ring.height :]
    at = np.where(present, at, 0)
    if ring.height:
        present &= of_ring[at] != of_row[:, None]
    present &= present.cumsum(axis=1) <= n
    return at, present
