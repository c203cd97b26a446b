"""Writes docs/reference.md: every key of every YAML file and every column of a table, from what is said beside them.

python -m prefgen.cli.reference > docs/reference.md
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Iterator
from typing import Any

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from prefgen import schemas
from prefgen.judging.rankings import RANKINGS
from prefgen.spec import analyses, models, pipeline, population
from prefgen.spec.fields import Spec
from prefgen.steps import KINDS, kind


def reference() -> str:
    """The whole page, as Markdown."""
    seen: set[type[BaseModel]] = {pipeline.StepSpec}
    lines = [
        "# YAML reference",
        "",
        "Made by `make docs` from the descriptions beside the fields; a test holds it to them.",
        "Paths are relative to the file that names them. `prefgen check FILE` checks any of these files.",
        "",
        "## Pipeline",
        *_fields(pipeline.Pipeline, seen, skip={"document", "steps", "models"}),
        "| `models` | mapping of model | `{}` | The models, by the names that steps use; see below. |",
        "| `steps` | mapping of step | required | The steps, in order; each has the key of its kind; see below. |",
        "",
        *_parts(seen, [pipeline.Gate, analyses.Analysis, *_analyses(), pipeline.Publish]),
        "## Models",
        "",
    ]
    for model in typing.get_args(typing.get_args(models.ModelSpec)[0]):
        engine = typing.get_args(model.model_fields["engine"].annotation)[0]
        lines += [f"### engine: {engine}", "", _first_paragraph(model), *_fields(model, seen, skip={"engine"}), ""]
    lines += [*_parts(seen, [models.Actors]), "## Kinds of step", ""]
    for name in KINDS:
        said = [(f"{name}: {preset}", kind(name).preset(preset)) for preset in kind(name).presets]
        for title, spec in said or [(name, kind(name))]:
            lines += [f"### {title}", "", inspect.cleandoc(spec.__doc__ or ""), *_fields(spec, seen), ""]
            lines += _parts(seen, _own_parts(spec))
    lines += ["## Persona spec", ""]
    for part in _population_parts():
        lines += [f"### {part.__name__}", "", _first_paragraph(part), *_fields(part, seen), ""]
    return "\n".join([*lines, *_tables()]).replace("\n\n\n", "\n\n").rstrip() + "\n"


def _analyses() -> list[type[BaseModel]]:
    kinds = [typing.get_args(field.annotation)[0] for field in analyses.Analysis.model_fields.values()]
    return typing.cast(list[type[BaseModel]], kinds)


def _tables() -> Iterator[str]:
    yield from ("## Tables", "", "Their own columns; all others are coordinates that users bring, or attributes.", "")
    for name, schema in _SCHEMAS.items():
        yield from (f"### {name}", "", "| column | type | role | |", "|---|---|---|---|")
        for one in schema.columns:
            if one.name not in _OPTIONS:
                yield f"| `{one.name}` | {one.type or 'of the run'} | {one.role} | {one.meaning} |"
        if schema.names >= _OPTIONS:
            yield "| `p_A`, `p_B`, ... | Float64 | measure | probability of the option over the orders, 0 to 1; null = no such option, or an order was not read |"
        yield ""


_OPTIONS = frozenset(f"p_{letter}" for letter in schemas.LETTERS)
_SCHEMAS = {
    "personas": schemas.PERSONAS,
    "items": schemas.ITEMS,
    "judgments": schemas.JUDGMENTS,
    "preferences": schemas.PREFERENCES,
    "rankings": RANKINGS,
    "pairs": schemas.PAIRS,
    "weights": schemas.WEIGHTS,
    "battles": schemas.BATTLES,
}


def _fields(model: type[BaseModel], seen: set[type[BaseModel]], *, skip: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment]
    seen.add(model)
    lines = ["", "| key | what it may be | default | |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        if name in skip:
            continue
        default = "required" if field.is_required() else f"`{_default(field)}`"
        description = (field.description or "").replace("|", "\\|").replace("\n", " ")
        lines.append(f"| `{field.alias or name}` | {_said(field)} | {default} | {description} |")
    return lines


def _default(field: FieldInfo) -> Any:
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, tuple):
        return list(value)
    return {} if isinstance(value, BaseModel) else "none" if value is None else value


def _said(field: FieldInfo) -> str:
    bounds = []
    for limit in field.metadata:
        for symbol, kind_ in (
            (">=", annotated_types.Ge),
            (">", annotated_types.Gt),
            ("<=", annotated_types.Le),
            ("<", annotated_types.Lt),
        ):
            if isinstance(limit, kind_):
                bounds.append(f"{symbol} {getattr(limit, kind_.__name__.lower())}")
    return _type(field.annotation) + (f", {', '.join(bounds)}" if bounds else "")


def _type(annotation: Any) -> str:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type(args[0])
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in args)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(_type(arg) for arg in args if arg is not type(None)))
    if origin is list or origin is tuple:
        return f"list of {_type(args[0])}"
    if origin is dict:
        return f"mapping of {_type(args[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.__name__
    names = {
        "str": "text",
        "int": "whole number",
        "float": "number",
        "bool": "true or false",
        "Any": "anything",
        "Path": "path",
    }
    return names.get(getattr(annotation, "__name__", str(annotation)), getattr(annotation, "__name__", str(annotation)))


def _parts(seen: set[type[BaseModel]], parts: list[type[BaseModel]]) -> list[str]:
    lines: list[str] = []
    for part in parts:
        if part not in seen:
            lines += [f"**{part.__name__}**: {_first_paragraph(part)}", *_fields(part, seen), ""]
    return lines


def _own_parts(spec: type[BaseModel]) -> list[type[BaseModel]]:
    """The models that stand in the same file as a step's spec, or in its folder."""
    members = inspect.getmembers(sys.modules[spec.__module__], inspect.isclass)
    found = [
        part
        for _, part in members
        if issubclass(part, BaseModel) and f"{part.__module__}.".startswith(f"{spec.__module__}.")
    ]
    return sorted((part for part in found if part is not spec), key=lambda part: part.__name__)


def _population_parts() -> Iterator[type[BaseModel]]:
    for module in (population, sys.modules.get("prefgen.spec.attribute")):
        if module is None:
            continue
        for _, part in inspect.getmembers(module, inspect.isclass):
            if issubclass(part, Spec) and part.__module__ == module.__name__ and not part.__name__.startswith("_"):
                yield part


def _first_paragraph(part: type[BaseModel]) -> str:
    return inspect.cleandoc(part.__doc__ or "").split("\n\n")[0].replace("\n", " ")


if __name__ == "__main__":
    sys.stdout.write(reference())
