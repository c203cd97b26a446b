"""Exports whose row is a pair of answers: dpo, margin, cond, fewshot, and the forms of single trainers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import polars as pl

from prefgen.judging.coordinates import PREFIX, returned
from prefgen.publish.exports.columns import taken_names
from prefgen.publish.exports.messages import conversation, question
from prefgen.publish.exports.presets import Form, Preset
from prefgen.publish.exports.shots import said_before, with_shots
from prefgen.publish.exports.source import Source


def rows(preset: Preset, source: Source) -> Iterator[pl.DataFrame]:
    """Pairs as the preset wants them.

    prompt        list of {role, content}; the context is its system message; absent for the form `whole`
    chosen        list of {role, content}: the assistant's answer (the whole conversation for the form `whole`); for `message` one of them
    rejected      likewise
    context, completions    instead of these three for the form `ranked`: the prompt, and a list of {rank, completion}, the chosen 0
    condition     for context `condition`: the portrait, null where it is empty
    shots         for context `shots`: earlier choices of the persona, list of {prompt, chosen, rejected}
    liked, disliked    in the place of `shots` where lists are wanted: what was chosen, and what was not
    weight        of the pair in training, mean about 1
    p_margin      p(chosen) - p(rejected), in [0, 1]
    margin        the same, under the name that trainers of reward models look for
    p_chosen      probability of the chosen option, in [0, 1]
    p_soft        p(chosen) / (p(chosen) + p(rejected)), in [0.5, 1]
    agree_share   share of the other people with a pair on this item who chose the same, in [0, 1]; null = nobody else
    then          chosen_option, rejected_option, persona_id, item_id, pair_id, the user's columns, split
    """
    votes = _votes(source) if "agree_share" in preset.labels else None
    frames: Iterator[pl.DataFrame] = (_joined(frame, source) for frame in source.pairs())
    if preset.context == "shots":
        frames = with_shots(frames, n=source.shots, seed=source.seed)
    for frame in frames:
        told = frame if votes is None else _with_agreement(frame, votes)
        made = _formed(preset, told, system_role=source.system_role)
        yield _as_lists(made) if source.details is not None and source.details.lists else made


def _joined(frame: pl.DataFrame, source: Source) -> pl.DataFrame:
    people = source.personas.select("persona_id", pl.col("text").alias("_persona"))
    if source.conditions is not None:
        apart = {name: PREFIX + name for name in source.conditions.columns if PREFIX + name in frame.columns}
        people = source.conditions.rename(apart)
    keys = [name for name in people.columns if name != "_persona"]
    questions = source.items.select("item_id", pl.col("prompt").alias("_prompt"))
    return frame.join(people, on=keys, how="left", maintain_order="left").join(
        questions, on="item_id", how="left", maintain_order="left"
    )


def _formed(preset: Preset, frame: pl.DataFrame, *, system_role: bool) -> pl.DataFrame:
    if preset.context == "condition":
        frame = frame.filter(_condition().is_not_null())
    said = {"none": pl.lit(""), "shots": said_before(pl.col("shots"))}.get(preset.context, pl.col("_persona"))
    system = frame.with_columns(said.alias("_system"))["_system"]
    asked = question(system, frame["_prompt"], system_role=system_role)
    chosen, rejected = (("assistant", frame[f"{side}_text"]) for side in ("chosen", "rejected"))
    texts = _FORMS[preset.form](asked, chosen, rejected)
    context = {"condition": [_condition().alias("condition")], "shots": [pl.col("shots")]}.get(preset.context, [])
    known = {
        "p_soft": pl.col("p_chosen") / (2 * pl.col("p_chosen") - pl.col("p_margin")),
        "margin": pl.col("p_margin"),
    }
    users = [name for name in preset.labels if name not in known and name not in frame.columns]
    known |= {name: pl.col(PREFIX + name) for name in users}
    others = frame.drop(PREFIX + name for name in users)
    return frame.select(
        *texts,
        *context,
        *(known.get(name, pl.col(name)).alias(name) for name in preset.labels),
        pl.col("chosen").alias("chosen_option"),
        pl.col("rejected").alias("rejected_option"),
        "persona_id",
        "item_id",
        "pair_id",
        *returned(others, taken_names(preset)),
        *(["split"] if "split" in frame.columns else []),
    )


Turn = tuple[str, pl.Series]


def _apart(asked: Sequence[Turn], chosen: Turn, rejected: Turn) -> list[pl.Series]:
    return [
        conversation(*asked).alias("prompt"),
        conversation(chosen).alias("chosen"),
        conversation(rejected).alias("rejected"),
    ]


def _whole(asked: Sequence[Turn], chosen: Turn, rejected: Turn) -> list[pl.Series]:
    return [conversation(*asked, chosen).alias("chosen"), conversation(*asked, rejected).alias("rejected")]


def _message(asked: Sequence[Turn], chosen: Turn, rejected: Turn) -> list[pl.Series]:
    prompt, *answers = _apart(asked, chosen, rejected)
    return [prompt, *(answer.list.first() for answer in answers)]


def _ranked(asked: Sequence[Turn], chosen: Turn, rejected: Turn) -> list[pl.Series]:
    prompt, *answers = _apart(asked, chosen, rejected)
    completions = [
        pl.struct(pl.lit(rank, pl.Int64).alias("rank"), pl.lit(answer).alias("completion"))
        for rank, answer in enumerate(answers)
    ]
    return [prompt.alias("context"), pl.select(pl.concat_list(completions).alias("completions")).to_series()]


_FORMS: Mapping[Form, Callable[[Sequence[Turn], Turn, Turn], list[pl.Series]]] = {
    "apart": _apart,
    "whole": _whole,
    "message": _message,
    "ranked": _ranked,
}


def _condition() -> pl.Expr:
    text = pl.col("_persona").str.strip_chars()
    return pl.when(text != "").then(text)


def _as_lists(frame: pl.DataFrame) -> pl.DataFrame:
    """What was chosen and what was not, each in a list, in the place of shots."""
    sides = (("liked", "chosen"), ("disliked", "rejected"))
    lists = [pl.col("shots").list.eval(pl.element().struct.field(side)).alias(name) for name, side in sides]
    place = frame.columns.index("shots")
    both = frame.with_columns(lists).drop("shots")
    return both.select(*frame.columns[:place], "liked", "disliked", *frame.columns[place + 1 :])


def _votes(source: Source) -> pl.DataFrame:
    """item_id, chosen, n (people who chose it), n_all (people with a pair on the item)."""
    counted = [
        frame.select("persona_id", "item_id", "chosen").unique().group_by("item_id", "chosen").len("n")
        for frame in source.pairs()
    ]
    votes = pl.concat(counted).group_by("item_id", "chosen").agg(pl.col("n").sum())
    return votes.with_columns(n_all=pl.col("n").sum().over("item_id"))


def _with_agreement(frame: pl.DataFrame, votes: pl.DataFrame) -> pl.DataFrame:
    others = pl.col("n_all") - 1
    share = pl.when(others > 0).then((pl.col("n") - 1) / others).cast(pl.Float64)
    joined = frame.join(votes, on=["item_id", "chosen"], how="left", maintain_order="left")
    return joined.with_columns(agree_share=share).drop("n", "n_all")
