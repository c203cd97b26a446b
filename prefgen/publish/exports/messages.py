"""Conversations as columns: lists of {role, content}, as chat templates read them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))


def question(persona: pl.Series, asked: pl.Series, *, system_role: bool) -> tuple[tuple[str, pl.Series], ...]:
    """The turns before an answer: what is said of the persona, and the question.

    system_role    False for templates without one: the persona then opens the user's message
    """
    if system_role:
        return ("system", persona), ("user", asked)
    both = pl.DataFrame({"persona": persona, "asked": asked})
    known = pl.col("persona").str.strip_chars() != ""
    said = pl.when(known).then(pl.concat_str("persona", "asked", separator="\n\n")).otherwise("asked")
    return (("user", both.select(said.alias("asked"))["asked"]),)


def conversation(*turns: tuple[str, pl.Series]) -> pl.Series:
    """One conversation a row, from (role, what is said in every row); a system that says nothing has no message.

    Built from whole columns at once: ten times faster than expressions that join structs row by row.
    """
    height = turns[0][1].len()
    said = [content.cast(pl.String).fill_null("") for _, content in turns]
    present = np.ones((height, len(turns)), dtype=bool)
    for place, (role, _) in enumerate(turns):
        if role == "system":
            present[:, place] = (said[place].str.strip_chars() != "").to_numpy()
    # Row by row, turn by turn: where each message lies when the columns are put one below the other.
    turn_of = np.broadcast_to(np.arange(len(turns)), present.shape)[present]
    row_of = np.broadcast_to(np.arange(height)[:, None], present.shape)[present]
    contents = pl.concat(said).gather(turn_of * height + row_of)
    roles = pl.Series([role for role, _ in turns], dtype=pl.String).gather(turn_of)
    messages = pa.StructArray.from_arrays([roles.to_arrow(), contents.to_arrow()], ["role", "content"])
    ends = np.concatenate([[0], present.sum(axis=1).cumsum()])
    # not `pa.array`, which imports pandas wherever it is installed
    made = pl.from_arrow(pa.LargeListArray.from_arrays(pl.Series(ends, dtype=pl.Int64).to_arrow(), messages))
    assert isinstance(made, pl.Series)
    return made.cast(MESSAGES)
