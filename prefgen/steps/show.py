"""`show`: candidates to items, each a set of candidates that a judge is to see together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from prefgen.errors import one_of
from prefgen.judging.candidates import CORE, is_candidates, shown_sets
from prefgen.judging.presentations import MAX_OPTIONS
from prefgen.spec.fields import Name
from prefgen.spec.pipeline import Grain
from prefgen.steps.context import Context
from prefgen.steps.step import Parts, Step
from prefgen.steps.table.glue import kept
from prefgen.store.table import PART_ROWS, Table


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
        candidates = read_candidates(tables[self.show], "show", context)
        for place, name in enumerate(self.within):
            if name not in candidates.columns or name in ("prompt", "response"):
                fix = f"name {one_of(name, [one for one in candidates.columns if one not in CORE])}"
                raise context.error(("within", place), f"no column {name!r} to agree in, in {self.show!r}", fix)
        if self.size != "all" and not 2 <= self.size <= MAX_OPTIONS:
            problem = f"{self.size} candidates at once"
            raise context.error("size", problem, f"show 2 to {MAX_OPTIONS}, or `all`")
        made = shown_sets(candidates, self.within, None if self.size == "all" else self.size)
        if self.size == "all":
            by = list(dict.fromkeys(["item_id", *self.within]))
            large = candidates.group_by(by).agg(pl.col("response").n_unique()).filter(pl.col("response") > MAX_OPTIONS)
            if large.height:
                context.note(
                    f"{large.height} times more than {MAX_OPTIONS} candidates stand together, and are not shown: keep fewer"
                )
        yield from made.iter_slices(PART_ROWS) if made.height else [made]
        return {"candidates": candidates.height, "questions": candidates["item_id"].n_unique(), "sets": made.height}


def read_candidates(table: Table, key: str, context: Context) -> pl.DataFrame:
    """The kept candidates of a table; a complaint about `key` where it has none."""
    if not is_candidates(list(table.schema)):
        found = ", ".join(map(repr, table.schema))
        raise context.error(
            key,
            f"{table.name!r} has no candidates: its columns are {found}",
            "name a step with `prompt` and `response`",
        )
    return kept(table)
