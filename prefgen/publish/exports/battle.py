"""The export `battle`: every kept judgment as one answer against another, for Bradley-Terry and Elo."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import polars as pl

from prefgen.judging.coordinates import returned
from prefgen.judging.presentations import shown
from prefgen.publish.exports.columns import taken_names
from prefgen.publish.exports.messages import conversation
from prefgen.publish.exports.presets import Preset
from prefgen.publish.exports.source import Source
from prefgen.schemas import LETTERS

_INDEX = {name: index for index, name in enumerate(LETTERS)}


def rows(preset: Preset, source: Source) -> Iterator[pl.DataFrame]:
    """Battles in the order of the judgments.

    question_id       item_id
    model_a, model_b  who wrote the answer in the earlier and in the later slot of the two: the item's `sources`,
                      else the text of the option itself
    winner            model_a, model_b, tie (no difference), tie (bothbad) (neither, or not applicable)
    judge             persona_id
    turn              always 1
    conversation_a/b  list of {role, content}: the question and the answer
    order, repeat     which presentation it was
    then              judgment_id, the user's columns, split

    Of more than two options the chosen one meets each other one; a tie is a tie of every two.
    """
    names = "sources" if "sources" in source.items.columns else "options"
    items = source.items.select(
        "item_id",
        pl.col("prompt").alias("_prompt"),
        pl.col("options").alias("_options"),
        pl.col("neither").alias("_neither"),
        pl.col(names).alias("_sources"),
    )
    for frame in source.presentations():
        asked = frame.filter(pl.col("status").is_in(["ok", "tie", "na"]))
        yield _formed(preset, _battles(asked.join(items, on="item_id", how="left", maintain_order="left")))


def _battles(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows once per battle, with `_a` and `_b` (option indexes, the earlier slot first) and `winner`."""
    by = ["order", "_k", "_neither", "choice", "status"]
    rows = frame.with_columns(_k=pl.col("_options").list.len())
    kinds = rows.select(by).unique(maintain_order=True)
    table = [(*kind, *battle) for kind in kinds.iter_rows() for battle in battles_of(*kind)]
    schema = pl.Schema(
        {name: rows.schema[name] for name in by} | {"_a": pl.Int64(), "_b": pl.Int64(), "winner": pl.String()}
    )
    battles = pl.DataFrame(table, schema=schema, orient="row")
    return rows.join(battles, on=by, how="inner", nulls_equal=True, maintain_order="left_right")


def battles_of(
    order: str, k: int | None, neither: int | None, choice: str | None, status: str
) -> list[tuple[int, int, str]]:
    """(option in the earlier slot, option in the later slot, winner) for one judgment.

    >>> battles_of("swapped", 2, None, "A", "ok")
    [(1, 0, 'model_b')]
    >>> battles_of("given", 3, 2, "C", "na")
    [(0, 1, 'tie (bothbad)')]
    """
    if k is None:
        return []
    pairs = list(combinations([option for option in shown(order, k, neither) if option != neither], 2))
    if status != "ok" or choice is None:
        return [(a, b, "tie" if status == "tie" else "tie (bothbad)") for a, b in pairs]
    won = _INDEX[choice]
    return [(a, b, "model_a" if a == won else "model_b") for a, b in pairs if won in (a, b)]


def _formed(preset: Preset, frame: pl.DataFrame) -> pl.DataFrame:
    answer_a, answer_b = (
        frame.select(pl.col("_options").list.get(pl.col(at), null_on_oob=True).alias("answer"))["answer"]
        for at in ("_a", "_b")
    )
    known = {
        f"model_{side}": pl.coalesce(
            pl.col(names).list.get(pl.col(f"_{side}"), null_on_oob=True) for names in ("_sources", "_options")
        )
        for side in ("a", "b")
    }
    return frame.select(
        pl.col("item_id").alias("question_id"),
        *(known.get(name, pl.col(name)).alias(name) for name in preset.labels),
        pl.col("persona_id").alias("judge"),
        pl.lit(1, pl.Int64).alias("turn"),
        conversation(("user", frame["_prompt"]), ("assistant", answer_a)).alias("conversation_a"),
        conversation(("user", frame["_prompt"]), ("assistant", answer_b)).alias("conversation_b"),
        "order",
        "repeat",
        "judgment_id",
        *returned(frame, taken_names(preset)),
        *(["split"] if "split" in frame.columns else []),
    )
