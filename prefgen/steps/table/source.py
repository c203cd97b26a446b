"""Where the rows of a `table` step come from, and the rows themselves, part by part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
from pydantic import Discriminator, Field, Tag

from prefgen.spec.fields import Name
from prefgen.spec.fields import Spec as SpecPart
from prefgen.steps.context import Context
from prefgen.steps.step import Summary
from prefgen.steps.table.glue import kept_of, queried, stacked
from prefgen.store.objects import frame_of
from prefgen.store.rows import parts_with_notes
from prefgen.store.table import Table

if TYPE_CHECKING:
    from prefgen.steps.table import TableStep


class FromHub(SpecPart):
    """A dataset on the Hub. A run folder stays with the commit that it began with; it stands in its pipeline.yaml."""

    hub: str = Field(
        pattern="^[A-Za-z0-9._-]{1,96}/[A-Za-z0-9._-]{1,96}$", description="Name of the dataset: user/name."
    )
    config: str | None = Field(None, description="One of its configs; by default the one that the card calls default.")
    split: str | None = Field(None, description="One of its splits; by default all of them.")
    revision: str = Field("main", min_length=1, description="Branch, tag or commit.")
    commit: str | None = Field(
        None, pattern="^[0-9a-f]{40}$", description="What `revision` named when the run began; the run writes it."
    )

    def is_of(self, said: object) -> bool:
        """Whether `said`, from an earlier resolved pipeline, names the same rows by the same words."""
        keys = ("hub", "config", "split", "revision")
        return isinstance(said, dict) and all(said.get(key) == getattr(self, key) for key in keys)


def _tag(value: object) -> str:
    if isinstance(value, list):
        return "names" if value and all(isinstance(one, str) for one in value) else "rows"
    return "a dataset" if isinstance(value, dict | FromHub) else "a name"


Source = Annotated[
    Annotated[str, Tag("a name")]
    | Annotated[FromHub, Tag("a dataset")]
    | Annotated[list[Name], Tag("names")]
    | Annotated[list[dict[str, Any]], Tag("rows")],
    Discriminator(_tag),
]


def parts_of(spec: TableStep, tables: Sequence[Table], context: Context) -> tuple[Iterator[pl.DataFrame], Summary]:
    """The rows as they are brought, one part at least, and which version of them where they come from outside."""
    if spec.file is not None:
        parts, notes = parts_with_notes(spec.file)
        context.note(*notes)
        return parts, {}
    if tables:
        return _of_steps(spec, tables, context), {}
    if isinstance(spec.table, FromHub):
        return _from_hub(spec.table)
    written = [row for row in spec.table if isinstance(row, dict)]
    rows = frame_of(written, lambda number, problem, fix: context.error(("table", number), problem, fix))
    return iter((rows,)), {}


def _of_steps(spec: TableStep, tables: Sequence[Table], context: Context) -> Iterator[pl.DataFrame]:
    if spec.sql is not None:
        return iter((queried(spec.sql, {table.name: table for table in tables}, context),))
    if len(tables) > 1:
        return stacked(tables, context)
    frames = tables[0].frames()
    return frames if spec.each is None else map(kept_of, frames)


def commit_of(source: FromHub) -> str:
    """The commit whose rows are read."""
    from prefgen.store.hub_rows import commit_of  # the Hub's client takes half a second to import

    return source.commit or commit_of(source.hub, source.revision)


def _from_hub(source: FromHub) -> tuple[Iterator[pl.DataFrame], Summary]:
    from prefgen.store.hub_rows import hub_rows

    commit = commit_of(source)
    rows = hub_rows(source.hub, commit=commit, config=source.config, split=source.split)
    return iter((rows,)), {"hub": source.hub, "commit": commit}
