"""Ratings that people brought: `judge: score | grade | check, given: COLUMN`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import polars as pl

from prefgen.errors import one_of
from prefgen.judging.ratings import Rating, Scale
from prefgen.steps.context import Context
from prefgen.steps.step import Parts
from prefgen.steps.write.joined import Joined

if TYPE_CHECKING:
    from prefgen.steps.judge.rate import Rate

UNANSWERED = "unanswered"
"""Why a row has no rating: its column says nothing."""

_ASKING = ("model", "as_", "per_row", "page", "repeats", "readout")
_YES_NO = {"true": "yes", "1": "yes", "false": "no", "0": "no"}


def check_given(step: Rate) -> None:
    """ValueError, with a `fix:` on its second line, for keys that say how somebody is to be asked, or for several criteria."""
    asking = [name for name in _ASKING if getattr(step, name) != type(step).model_fields[name].default]
    if asking:
        key = asking[0].rstrip("_")
        raise ValueError(f"people gave their ratings, and nobody is asked\nfix: leave `{key}` or `given` out")
    if len(step.criteria) != 1:
        raise ValueError("`given` is one column, and so one criterion\nfix: write a step for each")


def rated_by_people(step: Rate, rows: Joined, schema: pl.Schema, context: Context) -> Parts:
    """The rows with what their column says, on the scale; a row that says nothing has the reason `unanswered`."""
    column, (criterion,) = step.given or "", step.criteria
    if column not in rows.schema:
        raise context.error("given", f"no column {column!r}", f"name {one_of(column, list(rows.schema))}")
    statuses: Counter[str] = Counter()
    for frame in rows.frames():
        told: list[dict[str, Any]] = []
        for row in frame.iter_rows(named=True):
            found = _rating(row[column], step.scale, context)
            reason = UNANSWERED if found is None else None
            statuses[reason or "ok"] += 1
            values = step.told(criterion, None if found is None else found.mean, None if found is None else found.word)
            told.append(row | values | {"reject_reason": reason})
        yield pl.DataFrame(told, schema=schema, orient="row")
    return {"statuses": dict(sorted(statuses.items())), "readouts": {"given": sum(statuses.values())}}


def _rating(said: Any, scale: Scale, context: Context) -> Rating | None:
    """One answer on the scale: a number of the range, a level or its place from 1, or yes and no in any of their forms."""
    if said is None or said != said or str(said).strip() == "":
        return None
    text = str(said).strip().casefold()
    words = [word.casefold() for word in scale.words]
    if scale.words == scale.symbols:
        text = _YES_NO.get(text, text) if words == ["no", "yes"] else text
    if text in words:
        place = words.index(text)
        return Rating(scale.values[place], scale.words[place])
    number = _number(text)
    if number is not None and words != ["no", "yes"] and scale.values[0] <= number <= scale.values[-1]:
        nearest = min(range(len(words)), key=lambda place: abs(scale.values[place] - number))
        if scale.words == scale.symbols or scale.values[nearest] == number:
            return Rating(number, scale.words[nearest])
    listed = ", ".join(scale.words[:9])
    raise context.error(
        "given", f"{said!r:.60} is not on the scale", f"the scale is {listed}; leave what was not answered empty"
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
