"""Exports whose row is one answer: kto, sft, table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from prefgen.judging.aggregate import KEY
from prefgen.judging.coordinates import returned
from prefgen.publish.exports.columns import taken_names
from prefgen.publish.exports.messages import conversation, question
from prefgen.publish.exports.presets import Preset
from prefgen.publish.exports.source import Source
from prefgen.schemas import LETTERS


def rows(preset: Preset, source: Source) -> Iterator[pl.DataFrame]:
    """Each answer of a pair once per persona, as the preset wants it.

    prompt       list of {role, content}, the portrait as system message (not for context `none`)
    completion   list of {role, content}: the assistant's answer (not for context `none`)
    messages     instead of these two for the form `whole`, which has the chosen answers alone: prompt and answer
    label        true: this persona chose it; false: chose another
    p            probability of this answer, in [0, 1]
    user         0-based row of the persona in the config `personas`
    item         0-based number of the answer, counted through the options of the config `items`; (item_id, option) names it
    level        1 chosen, 0 not
    time         0-based place of the question in the order in which it was met
    weight       of the pair in training
    then         option, persona_id, item_id, the user's columns, split
    """
    people = source.personas.with_row_index("_user").select("persona_id", "_user", pl.col("text").alias("_persona"))
    before = (pl.col("options").list.len().cum_sum() - pl.col("options").list.len()).cast(pl.Int64)
    questions = source.items.with_row_index("_time").select(
        "item_id", "_time", pl.col("prompt").alias("_prompt"), before.alias("_before")
    )
    for frame in source.pairs():
        answers = _candidates(frame)
        wanted = answers.filter("label") if preset.form == "whole" else answers
        joined = wanted.join(people, on="persona_id", how="left", maintain_order="left")
        asked = joined.join(questions, on="item_id", how="left", maintain_order="left")
        yield _formed(preset, asked, system_role=source.system_role)


def _candidates(frame: pl.DataFrame) -> pl.DataFrame:
    """Both sides of every pair, each answer of a persona and item once, the chosen one first."""
    sides = [
        frame.with_row_index("_pair").with_columns(
            label=pl.lit(wanted), option=pl.col(side), _text=pl.col(f"{side}_text"), p=p
        )
        for side, wanted, p in (
            ("chosen", True, pl.col("p_chosen")),
            ("rejected", False, pl.col("p_chosen") - pl.col("p_margin")),
        )
    ]
    both = pl.concat(sides).sort("_pair", "label", descending=[False, True], maintain_order=True)
    return both.unique(subset=[*KEY, "option"], keep="first", maintain_order=True).drop("_pair")


def _formed(preset: Preset, frame: pl.DataFrame, *, system_role: bool) -> pl.DataFrame:
    letter = {name: index for index, name in enumerate(LETTERS)}
    known = {
        "user": pl.col("_user").cast(pl.Int64),
        "item": pl.col("_before") + pl.col("option").replace_strict(letter, return_dtype=pl.Int64),
        "level": pl.col("label").cast(pl.Int64),
        "time": pl.col("_time").cast(pl.Int64),
    }
    persona = (
        frame["_persona"] if preset.context == "profile" else pl.repeat("", frame.height, dtype=pl.String, eager=True)
    )
    asked = question(persona, frame["_prompt"], system_role=system_role)
    texts = _texts(preset, asked, ("assistant", frame["_text"]))
    return frame.select(
        *texts,
        *(known.get(name, pl.col(name)).alias(name) for name in preset.labels),
        "option",
        "persona_id",
        "item_id",
        *returned(frame, taken_names(preset)),
        *(["split"] if "split" in frame.columns else []),
    )


def _texts(preset: Preset, asked: Sequence[tuple[str, pl.Series]], answer: tuple[str, pl.Series]) -> list[pl.Series]:
    if "user" in preset.labels:
        return []
    if preset.form == "whole":
        return [conversation(*asked, answer).alias("messages")]
    return [conversation(*asked).alias("prompt"), conversation(answer).alias("completion")]
