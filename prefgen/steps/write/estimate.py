"""What a step that writes will ask, found without asking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from prefgen.steps.context import Asked
from prefgen.steps.write.different import Different
from prefgen.steps.write.jobs import Job, Jobs
from prefgen.steps.write.outcome import Written
from prefgen.steps.write.readers import Readers, asked_of
from prefgen.steps.write.said import said_of

if TYPE_CHECKING:
    from prefgen.steps.write.free import Free

_CHARS_PER_TOKEN = 4  # of a text that a reader will see


def asked_for(jobs: Jobs, step: Free, tokens: int, scale: float) -> Iterator[Asked]:
    """What each model is asked: different requests, as `scale` times as many jobs would have them."""
    different = {name: Different() for name in step.models}
    for number, job in enumerate(_as_remembered(jobs, step, tokens)):
        if not number:  # a template that cannot be filled is told before anything is paid for
            said = said_of("text", Written([dict.fromkeys(step.reply.names, "text")]))
            job.again(job.messages, "text", {**dict.fromkeys(step.reader, ""), "written": said, "reason": "a reason"})
        different[job.model].add(job.messages, job.repeat, tokens=tokens)
    return (found.asked(model, scale=scale) for model, found in different.items())


def _as_remembered(jobs: Jobs, step: Free, tokens: int) -> Iterator[Job]:
    """Each job with as much in its memory as it may have; where that has no end, as much as half of its group gives."""
    if step.memory is None:
        yield from jobs
        return
    for number, line in enumerate(step.memory.lines(jobs)):
        most = step.memory.last or len(line) // 2
        for place, job in enumerate(line):
            yield job.remembering([f"{number}.{n} {'word ' * (tokens * 5 // 7)}" for n in range(min(place, most))])


def read_for(
    readers: Readers, rows: pl.DataFrame, writers: Sequence[str], tokens: int, scale: float
) -> Iterator[Asked]:
    """What each model is asked about what was written, as if all of it were there and different."""
    for model, found in asked_of(readers, rows.iter_rows(named=True), writers):
        asked = found.asked(model, scale=scale)
        yield replace(asked, prompt_chars=asked.prompt_chars + asked.requests * tokens * _CHARS_PER_TOKEN)
