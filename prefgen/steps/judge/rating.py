"""What a step that rates asks: every criterion of every row, and what is made of the answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
from jinja2 import TemplateError

from prefgen.ids import content_id
from prefgen.judging.prompts import MAX_TOKENS
from prefgen.judging.rating_tally import RatingTally
from prefgen.judging.ratings import Rating, rating
from prefgen.judging.readout import read
from prefgen.judging.requests import request_of
from prefgen.records import Readout, Request
from prefgen.spec.models import ModelSpec
from prefgen.spec.template import Blank, blank_of
from prefgen.steps.context import Context
from prefgen.steps.write.jobs import Job

if TYPE_CHECKING:
    from prefgen.steps.judge.rate import Rate


def columns_of(step: Rate, criterion: str) -> dict[str, pl.DataType]:
    """The columns that a criterion makes, with their types."""
    reason = {f"{criterion}_reason": pl.String()} if step.reason else {}
    if step.judge == "score":
        return {criterion: pl.Float64(), **reason}
    if step.judge == "grade":
        return {criterion: pl.String(), f"{criterion}_score": pl.Float64(), **reason}
    if step.judge == "check":
        return {criterion: pl.Boolean(), f"{criterion}_p": pl.Float64(), **reason}
    return {criterion: pl.String(), **{f"{criterion}_{mark}": pl.Float64() for mark in step.marks}, **reason}


def told(step: Rate, criterion: str, found: Rating | None, reason: str | None = None) -> dict[str, Any]:
    """The columns of one rating; nulls where there is none."""
    said = {f"{criterion}_reason": reason} if step.reason else {}
    if found is None:
        return dict.fromkeys(columns_of(step, criterion)) | said
    if step.judge == "score":
        return {criterion: found.mean, **said}
    if step.judge == "grade":
        return {criterion: found.word, f"{criterion}_score": found.mean, **said}
    if step.judge == "check":
        return {criterion: found.word == "yes", f"{criterion}_p": found.mean, **said}
    shares = {f"{criterion}_{mark}": share for mark, share in zip(step.marks, found.shares, strict=True)}
    return {criterion: [*step.marks][step.scale.words.index(found.word)], **shares, **said}


def tally_of(step: Rate) -> RatingTally:
    """Nothing counted yet."""
    return RatingTally(step.scale, [*step.marks] or step.scale.words, [*step.rated])


def question_of(row: Mapping[str, Any]) -> str:
    """What rows share that are about one question; each row its own where they have no ids."""
    ids = (row[name] for name in ("item_id", "candidate_id") if row.get(name) is not None)
    return str(next(ids, None) or content_id("row", [str(value) for value in row.values()]))


@dataclass(frozen=True, slots=True)
class Asking:
    """The requests of a job, and its row when they are answered."""

    step: Rate
    model: ModelSpec
    criteria: Mapping[str, Blank]

    @classmethod
    def of(cls, step: Rate, context: Context) -> Asking:
        """Compile the criteria; a complaint about one that is no template."""
        blanks = {}
        for name, text in step.rated.items():
            try:
                blanks[name] = blank_of(text)
            except TemplateError as error:
                said = f"not a template: {error}"
                raise context.error(("criteria", name), said, "write columns as {{ name }}") from None
        return cls(step, context.ask.spec(step.model), blanks)

    @property
    def readout(self) -> Readout:
        """How answers are wanted."""
        if self.step.reason:
            return "reason"
        return self.step.readout if self.step.scale.of_one_token else "text"

    def requests(self, job: Job) -> Iterator[Request]:
        """One for every criterion and repeat."""
        *before, (_, page) = job.messages
        begun = () if self.step.reason else (("assistant", "Answer:"),)
        for name, blank in self.criteria.items():
            criterion = job.jobs.filled(blank, job.jobs.rows.named(job.row), ("criteria", name)).strip()
            question = self.step.scale.asked(criterion, person=job.persona is not None, reason=self.step.reason)
            messages = (*before, ("user", f"{page}\n\n{question}"), *begun)
            for repeat in range(self.step.repeats):
                yield self._request(messages, repeat)

    def _request(self, messages: tuple[tuple[str, str], ...], repeat: int) -> Request:
        readout, choices = self.readout, self.step.scale.symbols
        return request_of(self.model, messages, readout, most=MAX_TOKENS[readout], choices=choices, repeat=repeat)

    def row(self, job: Job, responses: list[Any], tally: RatingTally) -> dict[str, Any]:
        """The row with its ratings, counted in `tally`; the first status that is no answer is its reason."""
        row = dict(job.row)
        if self.step.as_ is not None:
            row["persona_id"] = job.persona
        scale, reason = self.step.scale, None
        for criterion, requests in zip(self.step.rated, _by(responses, self.step.repeats), strict=True):
            readings = [
                read(one, scale.symbols, self.readout if self.readout == "reason" else self.step.readout, scale.texts)
                for one in requests
            ]
            found = rating(scale, readings)
            reason = reason or next((one.status for one in readings if one.symbol is None), None)
            why = next((one.reason for one in readings if one.reason is not None), None)
            row |= told(self.step, criterion, found, why)
            tally.add(criterion, question_of(job.row), found, readings)
        return row | {"reject_reason": reason}


def _by(responses: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(responses), size):
        yield responses[start : start + size]
