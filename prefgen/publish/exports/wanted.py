"""The exports that a pipeline or a command asks for, checked before anything is paid for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from prefgen.errors import PrefgenError, SpecError, one_of, problem_and_fix
from prefgen.publish.exports.condition import Condition, condition_of
from prefgen.publish.exports.details import OPTIONS, Details, details_of
from prefgen.publish.exports.presets import ALWAYS, PRESETS, Context, Preset
from prefgen.spec.document import Key
from prefgen.spec.fields import is_name
from prefgen.spec.pipeline import Pipeline
from prefgen.store.finished import Lineage

Complain = Callable[[Key, str, str], PrefgenError]
"""Makes the error for a key below an export: key, problem, fix."""

_OPTIONS = ("from", "name", "shots", "system_role", "context", "labels", "columns", "weighted", "condition")
_ROW_EXPORTS = ("rows", "attr", "ordinal", "history", "mcq", "table", "critique", "dialogue")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One export asked for.

    name           of its config and folder
    preset_name    which of PRESETS it is
    step           whose table it is made from
    shots          earlier choices of the persona beside each row of `fewshot`
    system_role    False where the portrait opens the user's message, for templates without a system role
    context        what a row says of its persona, where that is not as the preset has it
    weighted       whether weights stand in a column, or rows are drawn by them
    labels         columns with the labels, of `attr` and `ordinal`; of pairs in the place of those that the preset has
    columns        the columns that leave, of `rows`, `attr` and `ordinal`; empty for those that the preset has; of others, columns more
    condition      of `cond`: where the conditions stand, if they are not the portraits
    details        which column is what, of `history` and `mcq`
    """

    name: str
    preset_name: str
    step: str
    shots: int = 4
    system_role: bool = True
    context: Context | None = None
    weighted: Literal["column", "resample"] = "column"
    labels: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    details: Details | None = None
    condition: Condition | None = None

    @property
    def named(self) -> set[str]:
        """The columns that it names, which leave even where they are hidden."""
        details = self.details.columns if self.details is not None else ()
        condition = (self.condition.column,) if self.condition is not None else ()
        return {*self.columns, *self.labels, *details, *condition}

    @property
    def preset(self) -> Preset:
        """The preset, with what this export says otherwise."""
        found = PRESETS[self.preset_name]
        found = found if self.context is None else replace(found, context=self.context)
        return replace(found, labels=self.labels) if self.labels and found.unit == "pair" else found


def wanted_exports(pipeline: Pipeline, grains: Mapping[str, str]) -> list[Wanted]:
    """The exports of a pipeline and the steps they are made from, `personas` and `items` among them where they are named;
    SpecError with all that is wrong.

    grains    what one row of each step's table is

    Without `from`, an export is made from the run's judgments, or from the last pairs of the same judge.
    """
    lineage = Lineage.of_pipeline(pipeline, grains)
    found: dict[str, Wanted] = {}
    complaints: list[SpecError] = []
    _check_chosen(pipeline, lineage)
    for place, entry in enumerate(pipeline.publish.exports):
        for preset, options in [(entry, None)] if isinstance(entry, str) else entry.items():
            at: Key = ("publish", "exports", place)

            def complain(key: Key, problem: str, fix: str, at: Key = at) -> SpecError:
                return pipeline.document.error((*at, *key), problem, fix)

            try:
                one = want(lineage, preset, options, complain)
                if one.name in found:
                    problem = f"two exports are named {one.name!r}"
                    raise complain((), problem, f"name one of them, e.g. {{{preset}: {{name: {one.name}_2}}}}")
                found[one.name] = one
            except SpecError as error:
                complaints.append(error)
    if complaints:
        raise SpecError(*(complaint for error in complaints for complaint in error.complaints))
    return list(found.values())


def want(lineage: Lineage, preset: str, options: Any, complain: Complain) -> Wanted:
    """One export, checked."""
    if preset not in PRESETS:
        raise complain((), f"no export named {preset!r}", f"use {one_of(preset, PRESETS)}")
    options = {} if options is None else options
    if not isinstance(options, dict) or set(options) - {*_OPTIONS, *OPTIONS.get(preset, ())}:
        raise complain((preset,), f"{options!r} is not understood", "write e.g. {from: STEP, name: NAME} or {shots: 4}")
    name, shots, system_role = (
        options.get(key, value) for key, value in (("name", preset), ("shots", 4), ("system_role", True))
    )
    if not isinstance(shots, int) or isinstance(shots, bool) or not 1 <= shots <= 64:
        raise complain((preset, "shots"), f"{shots!r} is not a number from 1 to 64", "write e.g. 4")
    if not isinstance(system_role, bool):
        raise complain((preset, "system_role"), f"{system_role!r} is neither true nor false", "write e.g. false")
    if not is_name(name) or (name != preset and (name in ALWAYS or preset in ALWAYS)):
        fix = "use letters, digits, '_' and '-', beginning with a letter; `personas` and `items` keep their names"
        raise complain((preset, "name"), f"{name!r} cannot be the name of this export", fix)
    details = _details(preset, options, complain)
    needs = PRESETS["history" if details is not None and details.of_rows else preset].needs
    step = _step(lineage, preset, options.get("from"), needs, complain)
    context = _context(preset, options.get("context"), complain)
    labels, columns = (_names(preset, key, options.get(key), complain) for key in ("labels", "columns"))
    if preset in ("attr", "ordinal") and not labels:
        raise complain((preset, "labels"), "no labels", "name the columns with the labels, e.g. labels: [quality]")
    weighted = _weighted(preset, options.get("weighted", "column"), complain)
    if labels and weighted == "resample" and PRESETS[preset].unit == "pair" and "weight" not in labels:
        raise complain((preset, "labels"), "rows are drawn by `weight`", "name it among the labels")
    where = _condition(lineage, preset, options.get("condition"), complain)
    return Wanted(str(name), preset, step, shots, system_role, context, weighted, labels, columns, details, where)


def _condition(lineage: Lineage, preset: str, said: Any, complain: Complain) -> Condition | None:
    if said is None:
        return None
    try:
        if PRESETS[preset].context != "condition":
            raise ValueError(f"{preset!r} states no condition\nfix: leave it out, or export `cond`")
        return condition_of(said, lineage.steps)
    except ValueError as error:
        raise complain((preset, "condition"), *problem_and_fix(error)) from None


def _details(preset: str, options: Mapping[str, Any], complain: Complain) -> Details | None:
    try:
        return details_of(preset, options)
    except KeyError as error:
        key, problem, fix = error.args
        raise complain((preset, key), problem, fix) from None


def _weighted(preset: str, said: Any, complain: Complain) -> Literal["column", "resample"]:
    if said not in ("column", "resample") or (said == "resample" and "weight" not in PRESETS[preset].labels):
        weighted = ", ".join(name for name, one in PRESETS.items() if "weight" in one.labels)
        raise complain(
            (preset, "weighted"), f"{said!r} is not understood", f"write column or resample, for one of {weighted}"
        )
    found: Literal["column", "resample"] = said
    return found


def _context(preset: str, said: Any, complain: Complain) -> Context | None:
    if said is None:
        return None
    told = [name for name, one in PRESETS.items() if one.context == "profile" or one.unit == "dialogue"]
    if said not in ("none", "profile") or preset not in told:
        raise complain(
            (preset, "context"),
            f"{said!r} is no context of {preset!r}",
            f"write none or profile, for one of {', '.join(told)}",
        )
    found: Context = said
    return found


def _names(preset: str, key: str, said: Any, complain: Complain) -> tuple[str, ...]:
    if said is None:
        return ()
    allowed = preset in _ROW_EXPORTS or (key == "labels" and PRESETS[preset].unit == "pair")
    if not allowed or not isinstance(said, list) or not all(isinstance(one, str) for one in said):
        raise complain(
            (preset, key),
            f"{said!r} is not understood",
            f"write a list of columns, for one of {', '.join(_ROW_EXPORTS)}; labels for pairs too",
        )
    return tuple(said)


def _check_chosen(pipeline: Pipeline, lineage: Lineage) -> None:
    chosen, judged = pipeline.publish.judgments, lineage.of_grain("judgments")
    if chosen is not None and chosen not in judged:
        fix = f"name {one_of(chosen, judged)}" if judged else "leave it out, or add a `judge` step"
        raise pipeline.document.error(("publish", "judgments"), f"no step {chosen!r} with judgments", fix)


def _step(lineage: Lineage, preset: str, named: Any, needs: Sequence[str], complain: Complain) -> str:
    usable = [step for grain in needs for step in reversed(lineage.of_grain(grain))]
    if named is not None:
        if isinstance(named, str) and named in usable:
            return named
        problem = (
            f"{named!r} has no {' or '.join(needs)}" if str(named) in lineage.steps else f"no step named {named!r}"
        )
        raise complain((preset, "from"), problem, f"name {one_of(str(named), usable or lineage.steps)}")
    if not usable:
        kind = {"personas": "`draw`", "judgments": "`judge`", "items": "`table` (of rows with `prompt` and `options`)"}[
            needs[-1]
        ]
        raise complain(
            (), f"export {preset!r} needs {' or '.join(needs)}, and no step makes them", f"add a {kind} step"
        )
    speaks = lineage.judgments
    if preset in ALWAYS:
        side: str | None = getattr(lineage, preset)
        return side or usable[0]
    if speaks is None or PRESETS[preset].of_rows or "items" in needs:
        return usable[0]
    pairs = lineage.of_grain("pairs") if "pairs" in needs else ()
    mine = [step for step in pairs if lineage.judge_of(step) == lineage.judge]
    if pairs and not mine:
        problem = f"the pairs of {pairs[-1]!r} rest on {lineage.judge_of(pairs[-1])!r}, and the run's judgments are those of {speaks!r}"
        raise complain(
            (), problem, f"say which is meant: {{{preset}: {{from: {pairs[-1]}}}}}, or {{{preset}: {{from: {speaks}}}}}"
        )
    return mine[-1] if mine else speaks
