"""Ratings that people brought: `judge: score | grade | check, given: COLUMN`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from prefgen.errors import one_of
from prefgen.judging.ratings import Rating, Scale
from prefgen.steps.context import Context
from prefgen.steps.judge.rating import question_of, tally_of, told
from prefgen.steps.step import Parts
from prefgen.steps.write.joined import Rows

if TYPE_CHECKING:
    from prefgen.steps.judge.rate import Rate

UNANSWERED = "unanswered"
"""Why a row has no rating: its column says nothing."""

_ASKING = ("model", "as_", "per_row", "page", "system", "repeats", "readout", "reason")
_YES_NO = {"true": "yes", "1": "yes", "false": "no", "0": "no"}


def check_given(step: Rate) -> None:
    """ValueError, with a `fix:` on its second line, for keys that say how somebody is to be asked, or for several criteria."""
    asking = [name for name in _ASKING if getattr(step, name) != type(step).model_fields[name].default]
    if asking:
        key = asking[0].rstrip("_")
        raise ValueError(f"people gave their ratings, and nobody is asked\nfix: leave `{key}` or `given` out")
    if isinstance(step.criteria, str):
        raise ValueError("`given` is one column, and so one criterion\nfix: write it out, e.g. `criteria: {good: ...}`")
    if len(step.rated) != 1:
        raise ValueError("`given` is one column, and so one criterion\nfix: write a step for each")


def rated_by_people(step: Rate, rows: Rows, schema: pl.Schema, context: Context) -> Parts:
    """The rows with what their column says, on the scale; a row that says nothing has the reason `unanswered`."""
    column, (criterion,) = step.given or "", step.rated
    if column not in rows.schema:
        raise context.error("given", f"no column {column!r}", f"name {one_of(column, list(rows.schema))}")
    scale, statuses, tally = step.scale, Counter[str](), tally_of(step)
    for frame in rows.frames():
        made: list[dict[str, Any]] = []
        for row in frame.iter_rows(named=True):
            found = _rating(row[column], scale, [*step.marks] or scale.words, context)
            reason = UNANSWERED if found is None else None
            statuses[reason or "ok"] += 1
            tally.add(criterion, question_of(row), found)
            made.append(row | told(step, criterion, found) | {"reject_reason": reason})
        yield pl.DataFrame(made, schema=schema, orient="row")
    counts = {"statuses": dict(sorted(statuses.items())), "readouts": {"given": sum(statuses.values())}}
    return counts | {"ratings": tally.summary()}


def _rating(said: Any, scale: Scale, names: Sequence[str], context: Context) -> Rating | None:
    """One answer on the scale: a number of the range, a level or its place from 1, a mark, or yes and no in any of their forms.

    names    of the answers, in the order of the scale
    """
    if said is None or said != said or str(said).strip() == "":
        return None
    text, words = str(said).strip().casefold(), [name.casefold() for name in names]
    if words == ["no", "yes"]:
        text = _YES_NO.get(text, text)
    number = None if words == ["no", "yes"] else _number(text)
    if text in words:
        return _certain(words.index(text), scale)
    if number is not None and any(scale.values) and scale.values[0] <= number <= scale.values[-1]:
        nearest = min(range(len(words)), key=lambda place: abs(scale.values[place] - number))
        if scale.words == scale.symbols or scale.values[nearest] == number:
            return replace(_certain(nearest, scale), mean=number)
    listed = ", ".join(names[:9])
    raise context.error(
        "given", f"{said!r:.60} is not on the scale", f"the scale is {listed}; leave what was not answered empty"
    )


def _certain(place: int, scale: Scale) -> Rating:
    shares = tuple(float(other == place) for other in range(len(scale.words)))
    return Rating(scale.values[place], scale.words[place], shares)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
