"""The exports by name: each a grain, a context and labels, and what they need to be made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from prefgen.errors import SpecError, one_of
from prefgen.publish.exports.line import Line
from prefgen.spec.pipeline import Pipeline

Unit = Literal["judgment", "preference", "pair", "candidate", "battle", "persona", "item"]
"""What one row of an export is."""

Context = Literal["none", "profile", "condition", "shots"]
"""What a row says about its persona: nothing, the portrait as system message, the portrait as a column of its own
and as system message, or earlier choices of the same persona."""


@dataclass(frozen=True, slots=True)
class Preset:
    """One export. A new reader of the data needs a line in `PRESETS`, not code.

    labels    label columns in the order in which they are written; the builders of the grain know more than one needs
    reader    who reads exactly these columns
    classes   columns that are one of a fixed list of words, for readers that want them numbered
    implicit  True: the prompt stands inside `chosen` and `rejected`, and not in a column of its own
    """

    unit: Unit
    context: Context
    labels: tuple[str, ...]
    about: str
    reader: str
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    implicit: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        """Grains of tables it can be made from, the preferred one first."""
        return {"pair": ("pairs", "judgments"), "candidate": ("pairs", "judgments"),
                "persona": ("personas",), "item": ("items",)}.get(self.unit, ("judgments",))  # fmt: skip


_STATUS = {"status": ("ok", "tie", "na", "refusal", "unparsed", "failed")}

PRESETS: Mapping[str, Preset] = {
    "judgments": Preset("judgment", "none", (), "every judgment, dropped ones with their reason", "polars, datasets", _STATUS),
    "preferences": Preset("preference", "none", (), "one row per persona and item: what the kept judgments add up to", "polars, datasets", _STATUS),
    "dpo": Preset("pair", "profile", ("weight", "margin", "p_chosen"), "pairs of answers, the persona as system message", "TRL DPOTrainer"),
    "margin": Preset("pair", "profile", ("margin", "p_soft", "weight"), "pairs as whole conversations, with the margin of the choice", "TRL RewardTrainer", implicit=True),
    "kto": Preset("candidate", "profile", ("label", "weight", "p"), "single answers, wanted (true) or not", "TRL KTOTrainer"),
    "cond": Preset("pair", "condition", ("weight", "margin", "agree_share"), "pairs under a stated condition; one prompt stands under many of them", "TRL DPOTrainer, conditioned reward models"),
    "fewshot": Preset("pair", "shots", ("weight", "margin"), "pairs after some earlier choices of the same persona, which is not described otherwise", "TRL DPOTrainer, few-shot preference models"),
    "table": Preset("candidate", "none", ("user", "item", "level", "time"), "integer user, item (one candidate answer), level and time", "recommender and preference-model loaders"),
    "battle": Preset("battle", "none", ("model_a", "model_b", "winner"), "each judgment as a battle of two named answers, ties included", "Bradley-Terry and Elo",
                     {"winner": ("model_a", "model_b", "tie", "tie (bothbad)")}),
    "personas": Preset("persona", "none", (), "the people: attributes, weight and text", "polars, datasets"),
    "items": Preset("item", "none", (), "the questions and their options", "polars, datasets"),
}  # fmt: skip
"""What can be exported, by the names that people know."""

ALWAYS = ("personas", "items")
"""Shipped beside whatever is exported, so that ids can be joined to texts."""

FORESEEN = ("attr", "ordinal", "history", "mcq", "dialogue", "critique")
"""Names that come with the steps that make their rows; until then they are refused with this reason."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One export asked for.

    step    whose table it is made from
    shots   earlier choices of the persona beside each row of `fewshot`
    """

    name: str
    preset: Preset
    step: str
    shots: int = 4


def wanted_exports(pipeline: Pipeline, grains: Mapping[str, str]) -> list[Wanted]:
    """The exports of a pipeline and the steps they are made from; SpecError with all that is wrong.

    grains    what one row of each step's table is

    Without `from`, an export is made from the last step of a grain that it can use.
    """
    found: list[Wanted] = []
    complaints: list[SpecError] = []
    _check_chosen(pipeline, grains)
    for place, entry in enumerate(pipeline.publish.exports):
        for name, options in _entries(entry):
            try:
                found.append(want(pipeline, grains, name, options, at=("publish", "exports", place)))
            except SpecError as error:
                complaints.append(error)
    if complaints:
        raise SpecError(*(complaint for error in complaints for complaint in error.complaints))
    unique = {one.name: one for one in found if one.name not in ALWAYS}
    return list(unique.values())


def _check_chosen(pipeline: Pipeline, grains: Mapping[str, str]) -> None:
    chosen = pipeline.publish.judgments
    judged = [name for name, grain in grains.items() if grain == "judgments"]
    if chosen is not None and chosen not in judged:
        fix = f"name {one_of(chosen, judged)}" if judged else "leave it out, or add a `judge` step"
        raise pipeline.document.error(("publish", "judgments"), f"no step {chosen!r} with judgments", fix)


def want(
    pipeline: Line, grains: Mapping[str, str], name: str, options: Any, *, at: tuple[str | int, ...] = ()
) -> Wanted:
    """One export, checked; SpecError at key `at`."""
    preset = _preset(pipeline, name, at)
    options = {} if options is None else options
    if not isinstance(options, dict) or set(options) - {"from", "shots"}:
        raise pipeline.document.error(
            (*at, name), f"{options!r} is not understood", "write e.g. {from: STEP} or {shots: 4}"
        )
    shots = options.get("shots", 4)
    if not isinstance(shots, int) or isinstance(shots, bool) or not 1 <= shots <= 64:
        raise pipeline.document.error((*at, name, "shots"), f"{shots!r} is not a number from 1 to 64", "write e.g. 4")
    return Wanted(name, preset, _step(pipeline, grains, name, preset, options.get("from"), at), shots)


def _entries(entry: str | dict[str, Any]) -> list[tuple[str, Any]]:
    return [(entry, None)] if isinstance(entry, str) else list(entry.items())


def _preset(pipeline: Line, name: str, at: tuple[str | int, ...]) -> Preset:
    if name in PRESETS:
        return PRESETS[name]
    if name in FORESEEN:
        raise pipeline.document.error(
            at, f"export {name!r}: no step of this version makes its rows", f"use {one_of(name, PRESETS)}"
        )
    raise pipeline.document.error(at, f"no export named {name!r}", f"use {one_of(name, PRESETS)}")


def _step(
    pipeline: Line, grains: Mapping[str, str], name: str, preset: Preset, named: Any, at: tuple[str | int, ...]
) -> str:
    usable = [step for grain in preset.needs for step in reversed(list(pipeline.steps)) if grains.get(step) == grain]
    if named is not None:
        if named in usable:
            return str(named)
        problem = (
            f"{named!r} has no {' or '.join(preset.needs)}" if named in pipeline.steps else f"no step named {named!r}"
        )
        raise pipeline.document.error((*at, name, "from"), problem, f"name {one_of(named, usable or pipeline.steps)}")
    if usable:
        return usable[0]
    if preset.unit == "item" and "rows" in grains.values():
        return next(step for step in reversed(list(pipeline.steps)) if grains.get(step) == "rows")
    step_kind = {"personas": "draw", "judgments": "judge", "items": "table"}[preset.needs[-1]]
    raise pipeline.document.error(
        at, f"export {name!r} needs {' or '.join(preset.needs)}, and no step makes them", f"add a `{step_kind}` step"
    )
