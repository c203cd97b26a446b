"""`join`: rows with the columns of the rows that other steps have for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import polars as pl
from pydantic import Field

from prefgen.spec.fields import Name
from prefgen.spec.pipeline import Grain
from prefgen.steps.context import Context
from prefgen.steps.step import Parts, Step
from prefgen.steps.write.joined import joined
from prefgen.store.table import Table

_FOUND = "_found"


class Join(Step):
    """The rows of a step, each with the columns of the one row that every further step has for it.

    ```yaml
    asked: {join: [votes, parts]}
    ```

    Rows belong together that agree in all ids (`<name>_id`) that both steps have. A column that stands in both is `<step>_<column>` of the
    further one. A row without a partner is dropped, with the reason `not in STEP`; several partners are an error. A `judge` step with
    several `items`, and a `pair` step `from` several, write this step themselves.
    """

    kind: ClassVar[str] = "join"
    grain: ClassVar[Grain | None] = None

    join: Annotated[list[Name], Field(min_length=2)] = Field(
        description="The step with the rows, then those that are looked up."
    )
    match: list[Name] | None = Field(None, description="Columns by which they are looked up, instead of ids.")

    def reads(self) -> tuple[tuple[str, str], ...]:
        return tuple(("join", name) for name in self.join)

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """The rows in their order, those without a partner with a reason."""
        first = tables[self.join[0]]
        rows = joined([tables[name] for name in self.join], self.match, context, key="join")
        dropped = 0
        for frame in first.frames():
            made = frame.with_columns(pl.col("reject_reason") if "reject_reason" in frame.columns else _NO_REASON)
            for name, other in zip(self.join[1:], rows.further, strict=True):
                known = other.rows.with_columns(pl.lit(True).alias(_FOUND))
                made = made.join(known, on=other.keys, how="left", maintain_order="left")
                missing = pl.when(pl.col(_FOUND).is_null()).then(pl.lit(f"not in {name}"))
                made = made.with_columns(pl.coalesce("reject_reason", missing).alias("reject_reason")).drop(_FOUND)
            dropped += made.height - made["reject_reason"].null_count()
            yield made.select(pl.exclude("reject_reason"), "reject_reason")
        return {"dropped": dropped}


_NO_REASON = pl.lit(None, dtype=pl.String).alias("reject_reason")
