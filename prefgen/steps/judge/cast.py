"""The steps that stand before a judge step: who judges, and about what, where several words say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prefgen.spec.pipeline import StepSpec
from prefgen.steps.join import Join
from prefgen.steps.people import People
from prefgen.steps.show import Show
from prefgen.steps.table import TableStep

if TYPE_CHECKING:
    from prefgen.steps.judge import Judge
    from prefgen.steps.judge.rank import Rank

PEOPLE = "people"
"""Ends the name of the step with those who judge where a judge step names none, or rows."""


def with_what_is_judged(step: Judge | Rank, name: str, above: Mapping[str, StepSpec]) -> Mapping[str, StepSpec]:
    """A judge with the steps before it: models as themselves or who is played by which, items looked up, and sets of candidates."""
    cast: dict[str, StepSpec] = {}
    if step.as_:
        cast, step = _with_cast(step, name, above)
    else:
        cast[f"{name}_{PEOPLE}"] = People(people=step.models)
        step = step.model_copy(update={"as_": f"{name}_{PEOPLE}"})
    items, step = _with_items(step, name)
    if step.within is None and step.show is None:
        return {**cast, **items, name: step}
    shown = f"{name}_shown"
    sets = Show(show=step.named[0], within=step.within or ["item_id"], size=step.show or 2)
    told = step.model_copy(update={"items": shown, "within": None, "show": None})
    return {**cast, **items, shown: sets, name: told}


def _with_cast(
    step: Judge | Rank, name: str, above: Mapping[str, StepSpec]
) -> tuple[dict[str, StepSpec], Judge | Rank]:
    """The steps before a judge whose personas are plain rows, or are played by several models, and the judge that names them."""
    who = above.get(step.as_)
    models = step.models if len(step.models) > 1 else []
    if who is None or (isinstance(who, People) and (who.models or not isinstance(who.people, str))):
        return {}, step
    by = None if _rest_on_personas(step.as_, above) else f"{step.as_}_id"
    if by is None and not models:
        return {}, step
    made = f"{name}_{PEOPLE}"
    return {made: People(people=step.as_, by=by, models=models)}, step.model_copy(update={"as_": made})


def _rest_on_personas(step: str, above: Mapping[str, StepSpec]) -> bool:
    """Whether the rows of a step are personas, by themselves or by what they are made of; a table may bring some."""
    if isinstance(above[step], TableStep):
        return True
    while step in above:
        if above[step].grain == "personas":
            return True
        step = next((read for _, read in above[step].reads()), "")
    return False


def _with_items(step: Judge | Rank, name: str) -> tuple[dict[str, StepSpec], Judge | Rank]:
    """The step before a judge of several `items` that looks the further ones up, and the judge of what it makes."""
    if len(step.named) < 2:
        return {}, step
    made = f"{name}_items"
    return {made: Join(join=step.named)}, step.model_copy(update={"items": made})
