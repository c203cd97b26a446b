"""Every key of every YAML file, and every value that is one of few, found from the specs themselves; and which of them a cell says."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from prefgen.spec.analyses import Analysis
from prefgen.spec.calibration import CalibrationSpec, read_calibration
from prefgen.spec.pipeline import Pipeline, StepSpec
from prefgen.spec.population import Population, read_population
from prefgen.steps import KINDS, kind

Key = tuple[str, str]
"""Kind of spec, key."""

Value = tuple[str, str, str]
"""Kind of spec, key, value."""


def specs() -> set[type[BaseModel]]:
    """All that can stand in a YAML file."""
    found: set[type[BaseModel]] = set()
    waiting: list[Any] = [Pipeline, Population, CalibrationSpec, Analysis]
    for name in KINDS:
        waiting += [kind(name).preset(preset) for preset in kind(name).presets] or [kind(name)]
    while waiting:
        one = waiting.pop()
        if isinstance(one, type) and issubclass(one, BaseModel):
            if one not in found and one is not StepSpec:
                found.add(one)
                waiting += [field.annotation for field in one.model_fields.values() if not field.exclude]
        else:
            waiting += typing.get_args(one)
    return found


def documented() -> tuple[set[Key], set[Value]]:
    """Every key, and every value of those that have few."""
    keys: set[Key] = set()
    values: set[Value] = set()
    for spec in specs():
        for name, field in spec.model_fields.items():
            if not field.exclude:
                keys.add((_said(spec), field.alias or name))
                values |= {(_said(spec), field.alias or name, str(value)) for value in _few(field.annotation)}
    return keys, values


def exercised(pipeline: Pipeline) -> tuple[set[Key], set[Value]]:
    """The keys that a pipeline and the files that it names say, and the values that hold in it."""
    keys: set[Key] = set()
    values: set[Value] = set()
    for one in _within([pipeline, *_beside(pipeline)]):
        for name, field in type(one).model_fields.items():
            if name in one.model_fields_set:
                keys.add((_said(type(one)), field.alias or name))
            flat = _flat(getattr(one, name))
            values |= {(_said(type(one)), field.alias or name, str(value)) for value in flat}
    return keys, values


def _beside(pipeline: Pipeline) -> Iterator[BaseModel]:
    for step in pipeline.steps.values():
        if step.kind == "draw":
            yield read_population(step.draw)
    if pipeline.calibrate is not None:
        yield read_calibration(pipeline.calibrate)


def _within(waiting: list[Any]) -> Iterator[BaseModel]:
    """All specs below, those of tuples, lists and mappings too."""
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseModel):
            yield one
            waiting += [getattr(one, name) for name in type(one).model_fields]
        elif isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list | tuple):
            waiting += one


def _said(spec: type[BaseModel]) -> str:
    return f"{spec.__module__.removeprefix('prefgen.')}.{spec.__name__}"


def _few(annotation: Any) -> Iterator[object]:
    """The values of a type that has few of them, wherever they stand in it."""
    if annotation is bool:
        yield from (True, False)
    elif typing.get_origin(annotation) is typing.Literal:
        yield from typing.get_args(annotation)
    elif not {bool, str} <= set(typing.get_args(annotation)):  # a truth value beside any text is a level like others
        for part in typing.get_args(annotation):
            yield from _few(part)


def _flat(value: Any) -> Iterator[object]:
    if isinstance(value, str | bool):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _flat(one)
