"""One row written, as a dialogue: asked, read, checked, read back, and asked again. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from prefgen.dialogues import Call, Dialogue
from prefgen.judging.requests import request_of
from prefgen.records import Request
from prefgen.spec.models import ModelSpec
from prefgen.steps.write.jobs import Job
from prefgen.steps.write.outcome import Outcome, Written, heard
from prefgen.steps.write.readers import Readers, read_back
from prefgen.steps.write.said import said_of

if TYPE_CHECKING:
    from prefgen.steps.write.free import Free


def line_of(
    step: Free, line: Sequence[Job], outcome: Outcome, readers: Readers, models: Mapping[str, ModelSpec]
) -> Dialogue[list[tuple[Job, Written]]]:
    """Jobs that are done one after the other, each of which sees what the earlier ones gave; without a memory one."""
    done: list[tuple[Job, Written]] = []
    seen: list[Any] = []
    for job in line:
        told = job if step.memory is None else job.remembering(step.memory.latest(seen))
        found = yield from _written(step, told, outcome, readers, models)
        done.append(found)
        if step.memory is not None:
            rows = outcome.rows([found])
            seen += rows.filter(pl.col("reject_reason").is_null())[step.memory.see].drop_nulls().to_list()
    return done


def _written(
    step: Free, job: Job, outcome: Outcome, readers: Readers, models: Mapping[str, ModelSpec]
) -> Dialogue[tuple[Job, Written]]:
    """One job: asked, read, checked, read back, and asked again where that is needed and allowed."""
    messages: Sequence[tuple[str, str]] = job.messages
    written = Written()
    about: Mapping[str, str] = dict.fromkeys(step.reader, "")
    for number in range(step.tries):
        (answer,) = yield (Call(job.model, _request(step, tuple(messages), job, number, models[job.model])),)
        written = heard(answer, step.reply, step.count)
        if step.tries > 1:
            written = outcome.checked(job, written)
        if written.reason is None and step.reader:
            rows = outcome.rows([(job, written)]).to_dicts()
            found = yield from read_back(readers, rows, job.model, models)
            written, about = replace(written, faults=found.reasons), found.about
        why = written.reason or next(iter(written.faults.values()), None)
        if why is None:
            break
        messages = job.again(messages, answer.text, {**about, "written": said_of(answer.text, written), "reason": why})
    return job, written


def _request(step: Free, messages: tuple[tuple[str, str], ...], job: Job, number: int, model: ModelSpec) -> Request:
    repeat = job.repeat + step.repeats * number
    if step.reply.is_vector:  # nothing is drawn, so no setting of drawing is part of it
        return Request(model.model, model.identity, messages, "vector", repeat=repeat)
    return request_of(model, messages, "prose", most=step.max_tokens, repeat=repeat, schema=step.reply.schema)
