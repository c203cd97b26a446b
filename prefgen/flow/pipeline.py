"""A pipeline as its steps see it: loaded, and what each step is handed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from prefgen.errors import Complaint
from prefgen.spec.pipeline import Pipeline, StepSpec
from prefgen.steps import KINDS, kind
from prefgen.steps.context import Context
from prefgen.steps.step import Step
from prefgen.store.table import Table


def load(path: Path, overrides: Sequence[str] = ()) -> Pipeline:
    """A pipeline file, with every kind of step known."""
    from prefgen.spec.reading import load_pipeline  # a run is given what was read

    return load_pipeline(path, kinds=KINDS, spec_of=kind, overrides=overrides)


def read(path: Path) -> tuple[Pipeline | None, tuple[Complaint, ...]]:
    """A pipeline file as far as it is right, and everything that is wrong with it."""
    from prefgen.spec.reading import read_pipeline

    found = read_pipeline(path, kinds=KINDS, spec_of=kind)
    return found.pipeline, found.complaints


def step_of(pipeline: Pipeline, name: str) -> Step:
    """A step with what it makes; every one that `load` reads is such."""
    return cast(Step, pipeline.steps[name])


def lighter(pipeline: Pipeline) -> Pipeline:
    """The same pipeline with fewer rows where there are very many, to see whether it is right and not how much it makes.

    Numbers of rows expected of what rests on such a step cannot be told then, and are left out.
    """
    steps = {name: step.lighter() for name, step in pipeline.steps.items()}
    cut = {name for name, step in steps.items() if step is not pipeline.steps[name]}
    rest = {name for name in steps if name in cut or cut & set(lineage_of(pipeline, name))}
    expect = {
        name: gate.model_copy(update={"rows": None}) if name in rest else gate for name, gate in pipeline.expect.items()
    }
    return pipeline.model_copy(update={"steps": steps, "expect": expect})


def grain_of(spec: StepSpec, table: Table, grains: Mapping[str, str]) -> str:
    """What one row of a step's table is: as its kind says, as in the table it reads, or an item, candidate or dialogue."""
    if spec.made_grain is None:
        return grains[spec.reads()[0][1]]
    if spec.made_grain != "rows":
        return spec.made_grain
    from prefgen.judging.candidates import are_turns, is_candidates

    if is_candidates(list(table.schema)):
        return "candidates"
    if {"prompt", "options"} <= set(table.schema):
        return "items"
    return "dialogues" if are_turns(table.schema.get("turns")) else "rows"


def context_of(pipeline: Pipeline, step: str, ask: Any) -> Context:
    """Where a step of a pipeline stands; a limit bites once, at the first step that asks."""
    above = lineage_of(pipeline, step)
    return Context(
        step=step,
        seed=pipeline.seed,
        ask=ask,
        complain=lambda key, problem, fix: pipeline.error(step, key, problem, fix),
        limit=None if any(pipeline.steps[name].asks() for name in above) else pipeline.limit,
        lineage=above,
    )


def lineage_of(pipeline: Pipeline, step: str) -> tuple[str, ...]:
    """Names of all steps that a step rests on, in their order."""
    found, ahead = set[str](), [step]
    while ahead:
        above = {read for _, read in pipeline.steps[ahead.pop()].reads()} - found
        found |= above
        ahead += above
    return tuple(name for name in pipeline.steps if name in found)
