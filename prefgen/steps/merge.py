"""`merge`: texts that say the same, in other words, get one of them in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import polars as pl
from pydantic import Field, model_validator

from prefgen.dialogues import Call, Dialogue, replayed
from prefgen.errors import one_of
from prefgen.judging.merging import Canonical, by_words, groups_in, in_order, page_of, portions, reply_of, through
from prefgen.judging.requests import request_of
from prefgen.records import Request, Response
from prefgen.spec.fields import Name
from prefgen.spec.models import ModelSpec
from prefgen.spec.pipeline import Grain
from prefgen.spec.reply_types import ReplyError
from prefgen.steps.context import Asked, Bound, Context, StepEstimate
from prefgen.steps.step import Parts, Step
from prefgen.steps.table.glue import kept_of
from prefgen.steps.write.measures import words_of
from prefgen.steps.write.outcome import heard
from prefgen.store.table import Table

_ROUNDS = 8
"""Most times that what stands for others is asked about anew."""

_SAMPLE = 32
_TOKENS = 4  # of a text in a reply


class Merge(Step):
    """The rows of a step with `canonical`: one text for all that say the same in a column.

    ```yaml
    topics: {merge: facts, column: topic, near: 0.85}
    topics: {merge: facts, column: topic, model: judge, at_once: 200}
    ```

    Without a model texts are alike that share enough of their words; the more frequent stands for the other. A model is asked, some
    texts at once, which say the same, and which of these says it best; what then stands for others is asked about again, until one
    portion has them all or nothing more is merged. Every `canonical` is a text of the column. Dropped rows have none.
    """

    kind: ClassVar[str] = "merge"
    grain: ClassVar[Grain | None] = None

    merge: Name = Field(description="Step with the rows.")
    column: Name = Field(description="Column with the texts.")
    near: float | None = Field(
        None, gt=0, le=1, description="Share of the different words of two texts from which on they are alike."
    )
    model: Name | None = Field(None, description="The model that says which are alike, under `models:`.")
    at_once: int = Field(200, ge=2, le=2000, description="Most texts that the model is asked about together.")
    tries: int = Field(2, ge=1, le=10, description="How often a portion is asked until its reply can be read.")

    @model_validator(mode="after")
    def _fits(self) -> Merge:
        if (self.near is None) == (self.model is None):
            raise ValueError("texts are alike by their words or by a model\nfix: write either `near: 0.85` or `model:`")
        return self

    def reads(self) -> tuple[tuple[str, str], ...]:
        return (("merge", self.merge),)

    def asks(self) -> tuple[tuple[str, str], ...]:
        return (("model", self.model),) if self.model is not None else ()

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """The rows, in their order."""
        table = tables[self.merge]
        texts = in_order(self._counts(table, context))
        unread = 0
        if self.model is not None:
            canonical, unread = self._by_model(texts, self.model, context)
        else:
            canonical = by_words(texts, [words_of(text) for text in texts], self.near or 1.0)
        for frame in table.frames():
            yield _with(frame, self.column, canonical)
        n = len({*canonical.values()})
        context.note(f"{len(texts):,} different texts of {self.column!r} are {n:,} that say different things")
        return {"texts": len(texts), "canonical": n} | ({"portions_unread": unread} if self.model is not None else {})

    def estimate(self, tables: Mapping[str, Table], context: Context) -> StepEstimate:
        """The first portions, as if nothing could be merged and every reply read."""
        table = tables[self.merge]
        pages = [page_of(some) for some in portions(self._counts(table, context), self.at_once)]
        texts = sum(page.count("\n") for page in pages)
        asked = Asked(self.model or "", len(pages), sum(map(len, pages)), _TOKENS * texts, tuple(pages[:_SAMPLE]))
        notes = () if len(pages) < 2 else ("counted as one round: what stands for others is asked about again",)
        empty = pl.concat([_with(frame, self.column, {}) for frame in table.frames()])
        bound: Bound = "at most" if len(pages) < 2 and self.tries == 1 else "unknown"
        return StepEstimate(rows=table.n_rows, asked=(asked,), empty=empty, notes=notes, bound=bound)

    def _counts(self, table: Table, context: Context) -> Counter[str]:
        """How often each text stands in the kept rows."""
        kind = table.schema.get(self.column)
        if kind != pl.String:
            problem = f"no column {self.column!r}" if kind is None else f"{self.column!r} is of type {kind}, not text"
            fix = f"name {one_of(self.column, [name for name, one in table.schema.items() if one == pl.String])}"
            raise context.error("column", problem, fix)
        if "canonical" in table.schema:
            raise context.error("merge", f"{self.merge!r} has a column 'canonical' already", "rename it")
        counts: Counter[str] = Counter()
        reason = ["reject_reason"] if "reject_reason" in table.schema else []
        for frame in table.frames([self.column, *reason]):
            counts.update(text for text in kept_of(frame)[self.column].drop_nulls() if text.strip())
        return counts

    def _by_model(self, texts: Sequence[str], name: str, context: Context) -> tuple[Canonical, int]:
        model = context.ask.spec(name)

        def dialogues() -> Iterator[Dialogue[tuple[Canonical, int]]]:
            yield _merged(texts, self, name, model)

        context.ask.drive([name], dialogues(), planned=len(portions(texts, self.at_once)))
        (found,) = replayed(dialogues(), context.ask.read)
        return found


def _with(frame: pl.DataFrame, column: str, canonical: Canonical) -> pl.DataFrame:
    found = pl.col(column).replace_strict(canonical, default=pl.col(column), return_dtype=pl.String)
    kept = pl.col("reject_reason").is_null() if "reject_reason" in frame.columns else pl.lit(True)
    return frame.with_columns(pl.when(kept).then(found).alias("canonical"))


def _merged(texts: Sequence[str], step: Merge, name: str, model: ModelSpec) -> Dialogue[tuple[Canonical, int]]:
    """What each text is brought to, and of how many portions no reply could be read."""
    canonical, unread = {text: text for text in texts}, 0
    for _ in range(_ROUNDS):
        some = portions({*canonical.values()}, step.at_once)
        found: Canonical = {}
        left = list(some)
        for number in range(step.tries):
            if not left:
                break
            replies = yield [Call(name, _request(portion, model, number)) for portion in left]
            read = [_read(response, portion) for response, portion in zip(replies, left, strict=True)]
            found |= {text: stands for one in read if one is not None for text, stands in one.items()}
            left = [portion for portion, one in zip(left, read, strict=True) if one is None]
        unread += len(left)
        canonical = through(canonical, found)
        if len(some) < 2 or all(text == stands for text, stands in found.items()):
            break
    return canonical, unread


def _read(response: Response, portion: Sequence[str]) -> Canonical | None:
    told = heard(response, reply_of(len(portion)))
    try:
        return groups_in(told.rows[0], portion) if told.rows else None
    except ReplyError:
        return None


def _request(portion: Sequence[str], model: ModelSpec, number: int) -> Request:
    schema = reply_of(len(portion)).schema
    messages = (("user", page_of(portion)),)
    return request_of(model, messages, "prose", most=64 + 12 * len(portion), repeat=number, schema=schema)
