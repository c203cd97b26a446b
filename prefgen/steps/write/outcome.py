"""What was written, as rows: read strictly, checked, and with the ids of what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from prefgen.ids import content_id
from prefgen.judging.candidates import CORE
from prefgen.judging.prose import prose
from prefgen.records import Response
from prefgen.spec.condition import Condition, ConditionError, condition_over
from prefgen.spec.reply import Reply
from prefgen.spec.reply_types import Choice, Fields, Many, Plain, Range, ReplyError, Type
from prefgen.steps.context import Context
from prefgen.steps.write.jobs import Job, Jobs
from prefgen.steps.write.measures import Measure, check_measures
from prefgen.thoughts import answer_of

_OWN = frozenset(
    {"request_id", "writer", "written_as", "repeat", "reject_reason", "candidate_id", "item_id", "neither"}
)
"""Columns that the step makes itself, or from which rows have their ids."""


@dataclass(frozen=True, slots=True)
class Written:
    """One reply, read.

    rows       what it holds; empty where nothing could be read
    reason     why it is dropped, or None: `failed`, `refusal`, `unparsed`, or one of `where`
    faults     why single rows of it are, by their place: the readers that they did not pass
    """

    rows: Sequence[Mapping[str, Any]] = ()
    reason: str | None = None
    request_id: str = ""
    faults: Mapping[int, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of its texts, lists and vectors, about: what it takes to hold it."""
        return sum(map(_size, (value for row in self.rows for value in row.values())))


def _size(value: Any) -> int:
    return int(getattr(value, "nbytes", 0)) or (
        len(value) if isinstance(value, str) else 64 * len(value) if isinstance(value, list | dict) else 8
    )


def heard(response: Response, reply: Reply, count: int | None = None) -> Written:
    """A response as rows of the declared type, at most `count`, or why it has none; JSON is never repaired."""
    if reply.is_vector:
        filtered = response.finish in ("content_filter", "refusal")
        why = "failed" if response.failure is not None else "refusal" if filtered else None
        said = response.text
    else:
        told = prose(response)
        why, said = told.nonresponse, told.text if reply.is_prose else answer_of(response.text) or ""
    if why is not None:
        return Written(reason=why, request_id=response.request_id)
    try:
        return Written(reply.read(said)[:count], request_id=response.request_id)
    except ReplyError:
        return Written(reason="unparsed", request_id=response.request_id)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How replies become the step's table."""

    step: str
    source: pl.Schema
    reply: Reply
    measures: Mapping[str, Measure]
    conditions: Mapping[str, Condition]
    context: Context
    written_as: bool

    @classmethod
    def of(
        cls,
        source: pl.Schema,
        reply: Reply,
        measures: Mapping[str, Measure],
        where: Mapping[str, str],
        context: Context,
        *,
        written_as: bool,
    ) -> Outcome:
        """Try the conditions on the columns that the table will have; SpecError for one that cannot hold there."""
        made = cls(context.step, source, reply, measures, {}, context, written_as)
        own = {f"{context.step}_id", f"{context.step}_place", *_OWN}
        for key, name in (*(("write", name) for name in reply.names), *(("measure", name) for name in measures)):
            if name in own:
                raise context.error(key, f"{name!r} is a column of the step's own", "choose another name")
        check_measures(measures, made.schema, context)
        told = pl.Schema({**made.schema, **{name: one.dtype for name, one in measures.items()}})
        conditions = {}
        for reason, sql in where.items():
            try:
                conditions[reason] = condition_over(sql, told)
            except ConditionError as error:
                raise context.error(("where", reason), error.problem, error.fix) from None
        return replace(made, conditions=conditions)

    @property
    def schema(self) -> pl.Schema:
        """Columns before ids and reasons: those of the row, of the writing, and those declared."""
        kept = {new: self.source[name] for name, new in self.kept.items()}
        own: dict[str, pl.DataType] = {f"{self.step}_id": pl.String(), "request_id": pl.String(), "writer": pl.String()}
        if self.written_as:
            own["written_as"] = pl.String()
        own["repeat"] = pl.Int64()
        if self.reply.many:
            own[f"{self.step}_place"] = pl.Int64()
        return pl.Schema(kept | own | self.reply.columns)

    @property
    def kept(self) -> dict[str, str]:
        """Columns of the row that stay, by the name that they have now: how an earlier text was obtained is told by its step."""
        own = {"writer", "written_as", f"{self.step}_id", *self.reply.columns}
        gone = {"request_id", "repeat", "candidate_id"} | ({"item_id"} if "prompt" in self.reply.columns else set())
        return {name: f"{name}_before" if name in own else name for name in self.source if name not in gone}

    def placeholders(self, jobs: Jobs, rows: int) -> pl.DataFrame:
        """What a plan takes the table for: rows of the declared types, all different and none dropped.

        rows    of every reply
        """
        told = [(job, self._placeholder(number, rows)) for number, job in enumerate(jobs)]
        return self._as_table(told).with_columns(pl.lit(None, dtype=pl.String).alias("reject_reason"))

    def _placeholder(self, number: int, rows: int) -> Written:
        told = [
            {name: placeholder(kind, f"{name} {number}.{place}") for name, kind in self.reply.fields.types}
            for place in range(rows)
        ]
        return Written(told, request_id=f"{self.step}-{number}")

    def checked(self, job: Job, written: Written) -> Written:
        """The same with the first reason for which one of its rows is dropped."""
        if written.reason is not None or not self.conditions:
            return written
        reasons = self.rows([(job, written)])["reject_reason"].drop_nulls()
        return replace(written, reason=reasons[0]) if len(reasons) else written

    def rows(self, written: Sequence[tuple[Job, Written]]) -> pl.DataFrame:
        """The table's rows of some replies, in order; a reply that could not be read is one row with nulls and its reason."""
        return self._dropped(self._as_table(written))

    def _as_table(self, written: Sequence[tuple[Job, Written]]) -> pl.DataFrame:
        told: list[dict[str, Any]] = []
        kept, nothing = self.kept, dict.fromkeys(self.reply.names)
        for job, one in written:
            before = {new: job.row[name] for name, new in kept.items()}
            for place, values in enumerate(one.rows or [nothing]):
                told.append(
                    before
                    | self._own(job, one, place)
                    | dict(values)
                    | {"reject_reason": one.reason or one.faults.get(place)}
                )
        schema = {**self.schema, "reject_reason": pl.String()}
        frame = pl.DataFrame(told, schema=schema, orient="row")
        frame = frame.with_columns(measure.of_rows(frame).alias(name) for name, measure in self.measures.items())
        return _named(frame, self.step, asks="prompt" in self.reply.columns)

    def _own(self, job: Job, written: Written, place: int) -> dict[str, Any]:
        return {
            f"{self.step}_id": self._id(job, written, place),
            "request_id": written.request_id,
            "writer": job.model,
            "written_as": job.persona,
            "repeat": job.repeat,
            f"{self.step}_place": place,
        }

    def _id(self, job: Job, written: Written, place: int) -> str:
        """What tells a row from all others: two that were asked for in the same words may be about different people."""
        asked = (written.request_id, job.persona, job.row.get("item_id"), place)
        others = [
            value for name, value in job.row.items() if name.endswith("_id") and name not in _OWN and value is not None
        ]
        return content_id("row", (*asked, *map(str, others)))

    def _dropped(self, frame: pl.DataFrame) -> pl.DataFrame:
        """With the first condition that is not true as the reason."""
        reasons = [pl.col("reject_reason")]
        for reason, condition in self.conditions.items():
            try:
                holds = condition.holds(frame)
            except ConditionError as error:
                raise self.context.error(("where", reason), error.problem, error.fix) from None
            reasons.append(pl.when(~holds.fill_null(value=False)).then(pl.lit(reason)))
        return frame.with_columns(pl.coalesce(reasons).alias("reject_reason"))


def _named(frame: pl.DataFrame, step: str, *, asks: bool) -> pl.DataFrame:
    """Candidates and items get the ids by which they are judged, and prompts that were written those of what they ask."""
    columns = set(frame.columns)
    if "prompt" in columns and "item_id" not in columns and (asks or columns & {"response", "options"}):
        of = ["prompt", "options"] if "options" in columns else ["prompt"]
        ids = [content_id("item", row) for row in frame.select(of).iter_rows()]
        frame = frame.with_columns(pl.Series("item_id", ids, dtype=pl.String))
    if {"prompt", "response"} <= columns:
        frame = frame.with_columns(pl.col(f"{step}_id").alias("candidate_id"))
        return frame.select(*CORE, pl.exclude(CORE))
    if {"prompt", "options"} <= columns and "neither" not in columns:
        return frame.with_columns(pl.lit(None, dtype=pl.Int64).alias("neither"))
    return frame


def placeholder(kind: Type, name: str) -> Any:
    """A value of a type, as a plan takes it for written; texts are told apart by `name`."""
    if isinstance(kind, Fields):
        return {one: placeholder(of, name) for one, of in kind.types}
    if isinstance(kind, Many):
        return [placeholder(kind.of, f"{name}.{number}") for number in range(2)]
    if isinstance(kind, Range):
        return kind.low
    if isinstance(kind, Choice):
        return kind.words[0]
    assert isinstance(kind, Plain)
    return {"text": f"text {name}", "number": 0.0, "yes/no": True, "json": "{}", "vector": [0.0]}[kind.word]
