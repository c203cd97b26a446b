"""`show`: candidates to items, each a set of candidates that a judge is to see together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field

from prefgen.errors import one_of
from prefgen.judging.candidates import CORE, as_shown, is_candidates, keys_of, sets_of
from prefgen.judging.presentations import MAX_OPTIONS
from prefgen.spec.fields import Name
from prefgen.spec.pipeline import Grain
from prefgen.steps.context import Context
from prefgen.steps.step import Parts, Step
from prefgen.store.numbered import NUMBER, Held, Numbered
from prefgen.store.table import FRAME_ROWS, PART_BYTES, Table

_NOT_WITHIN = frozenset({*CORE, "prompt_id", "options", "neither", "reject_reason"} - {"item_id"})
"""Columns that sets have of their own, or that tell every candidate from all others."""

_TOGETHER = 4
"""Parts of sets whose candidates are read at once: where those of a question lie far apart, every part is looked into for them."""


class Show(Step):
    """Sets of candidates, as items. A `judge` step with `within:` or `show:` writes this step itself, as `<its name>_shown`.

    ```yaml
    sets: {show: drafts, within: [item_id], size: 2}
    ```

    `item_id` names the set and `prompt_id` the question; what differs between the candidates stands in lists `option_<column>`.
    Of candidates that say the same the first is shown. Dropped candidates are not.
    """

    kind: ClassVar[str] = "show"
    grain: ClassVar[Grain | None] = "items"

    show: str = Field(description="Name of a step with candidates: rows with `prompt` and `response`.")
    within: list[Name] = Field(
        default_factory=lambda: ["item_id"],
        description="Columns in which candidates shown together agree, besides the question.",
    )
    size: int | Literal["all"] = Field(
        2, description="How many are shown together: every such set of a question, or `all` of them at once."
    )

    def reads(self) -> tuple[tuple[str, str], ...]:
        return (("show", self.show),)

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """The sets, question by question."""
        table = tables[self.show]
        check_candidates(table, "show", context)
        for place, name in enumerate(self.within):
            if name not in table.schema or name in _NOT_WITHIN:
                fix = f"name {one_of(name, [one for one in table.schema if one not in _NOT_WITHIN])}"
                raise context.error(("within", place), f"no column {name!r} to agree in, in {self.show!r}", fix)
        if self.size != "all" and not 2 <= self.size <= MAX_OPTIONS:
            problem = f"{self.size} candidates at once"
            raise context.error("size", problem, f"show 2 to {MAX_OPTIONS}, or `all`")
        keys, mean_bytes = _keys(table, self.within)
        if self.size == "all":
            large = keys.group_by("group").agg(pl.col("text").n_unique()).filter(pl.col("text") > MAX_OPTIONS).height
            if large:
                context.note(
                    f"{large} times more than {MAX_OPTIONS} candidates stand together, and are not shown: keep fewer"
                )
        sets = sets_of(keys, None if self.size == "all" else self.size)
        rows = Numbered([table], lambda kinds: [pl.col(name) for name in kinds if name != "reject_reason"])
        options = float(sets.list.len().mean() or 1)  # type: ignore[arg-type]
        at_once = max(1, min(FRAME_ROWS, int(PART_BYTES / (mean_bytes * options))))
        for start in range(0, len(sets), _TOGETHER * at_once) or [0]:
            some = sets[start : start + _TOGETHER * at_once]
            numbers = np.unique(some.explode().to_numpy())
            held = Held(numbers, rows.rows(numbers))
            for begin in range(0, len(some), at_once) or [0]:
                yield as_shown(some[begin : begin + at_once], held.rows, self.within)
        return {"candidates": keys.height, "questions": keys["question"].n_unique(), "sets": len(sets)}


def check_candidates(table: Table, key: str, context: Context) -> None:
    """A complaint about `key` where a table has no candidates."""
    if not is_candidates(list(table.schema)):
        found = ", ".join(map(repr, table.schema))
        raise context.error(
            key,
            f"{table.name!r} has no candidates: its columns are {found}",
            "name a step with `prompt` and `response`",
        )


def _keys(table: Table, within: Sequence[str]) -> tuple[pl.DataFrame, float]:
    """(`row` and keys of the kept candidates, bytes of one of them, about)."""
    found, n, size = [], 0, 0.0
    for frame in table.frames():
        rows = pl.int_range(n, n + frame.height, dtype=NUMBER, eager=True).alias("row")
        keys = keys_of(frame, within).with_columns(rows)
        found.append(keys.filter(frame["reject_reason"].is_null()) if "reject_reason" in frame.columns else keys)
        n, size = n + frame.height, size + frame.estimated_size()
    return pl.concat(found), max(1.0, size / max(1, n))
