"""What a step that rates asks: every criterion of every row, and what is made of the answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from prefgen.ids import content_id
from prefgen.judging.prompts import MAX_TOKENS, as_sent
from prefgen.judging.rating_tally import RatingTally
from prefgen.judging.ratings import Rating, rating
from prefgen.judging.readout import read
from prefgen.records import Readout, Request
from prefgen.spec.models import ModelSpec
from prefgen.steps.write.jobs import Job

if TYPE_CHECKING:
    from prefgen.steps.judge.rate import Rate


def columns_of(step: Rate, criterion: str) -> dict[str, pl.DataType]:
    """The columns that a criterion makes, with their types."""
    if step.judge == "score":
        return {criterion: pl.Float64()}
    if step.judge == "grade":
        return {criterion: pl.String(), f"{criterion}_score": pl.Float64()}
    if step.judge == "check":
        return {criterion: pl.Boolean(), f"{criterion}_p": pl.Float64()}
    return {criterion: pl.String(), **{f"{criterion}_{mark}": pl.Float64() for mark in step.marks}}


def told(step: Rate, criterion: str, found: Rating | None) -> dict[str, Any]:
    """The columns of one rating; nulls where there is none."""
    if found is None:
        return dict.fromkeys(columns_of(step, criterion))
    if step.judge == "score":
        return {criterion: found.mean}
    if step.judge == "grade":
        return {criterion: found.word, f"{criterion}_score": found.mean}
    if step.judge == "check":
        return {criterion: found.word == "yes", f"{criterion}_p": found.mean}
    likeliest = [*step.marks][step.scale.words.index(found.word)]
    return {criterion: likeliest, **dict(zip([*columns_of(step, criterion)][1:], found.shares, strict=True))}


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

    def requests(self, job: Job) -> Iterator[Request]:
        """One for every criterion and repeat."""
        *before, (_, page) = job.messages
        for criterion in self.step.rated.values():
            asked = f"{page}\n\n{self.step.scale.asked(criterion, person=job.persona is not None)}"
            messages = (*before, ("user", asked), ("assistant", "Answer:"))
            for repeat in range(self.step.repeats):
                yield self._request(messages, repeat)

    def _request(self, messages: tuple[tuple[str, str], ...], repeat: int) -> Request:
        readout: Readout = self.step.readout if self.step.scale.of_one_token else "text"
        return Request(
            model=self.model.model,
            revision=self.model.identity,
            messages=as_sent(messages, prefill=self.model.prefill, system_role=self.model.system_role),
            readout=readout,
            choices=self.step.scale.symbols,
            temperature=self.model.temperature,
            top_p=self.model.top_p,
            max_tokens=self.model.max_tokens or MAX_TOKENS[readout],
            seed=self.model.seed,
            repeat=repeat,
        )

    def row(self, job: Job, responses: list[Any], tally: RatingTally) -> dict[str, Any]:
        """The row with its ratings, counted in `tally`; the first status that is no answer is its reason."""
        row = dict(job.row)
        if self.step.as_ is not None:
            row["persona_id"] = job.persona
        scale, reason = self.step.scale, None
        for criterion, requests in zip(self.step.rated, _by(responses, self.step.repeats), strict=True):
            readings = [
                read(one, scale.symbols, "logprobs" if self.step.readout == "logprobs" else "text", scale.texts)
                for one in requests
            ]
            found = rating(scale, readings)
            reason = reason or next((one.status for one in readings if one.symbol is None), None)
            row |= told(self.step, criterion, found)
            tally.add(criterion, question_of(job.row), found, readings)
        return row | {"reject_reason": reason}


def _by(responses: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(responses), size):
        yield responses[start : start + size]
