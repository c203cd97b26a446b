"""Reading a pipeline file: every step as its kind, every name checked, every complaint at its line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from prefgen.errors import Complaint, SpecError, UsageError, one_of, problem_and_fix
from prefgen.spec.document import Document, Key, document_of, dotted, read_document
from prefgen.spec.models import ModelSpec
from prefgen.spec.pipeline import LEAKS, Pipeline, StepSpec
from prefgen.spec.validation import problems_of, validated

KindOf = Callable[[str], "type[StepSpec]"]


@dataclasses.dataclass(frozen=True, slots=True)
class Read:
    """What a pipeline file says, as far as it can be read.

    pipeline      the steps that are right, with nothing left that rests on others; None where there is nothing to go on with
    complaints    everything found to be wrong
    """

    pipeline: Pipeline | None
    complaints: tuple[Complaint, ...]


def load_pipeline(path: Path, *, kinds: Sequence[str], spec_of: KindOf, overrides: Sequence[str] = ()) -> Pipeline:
    """Read and check one pipeline.

    kinds      names of the kinds of step
    spec_of    the spec class of a kind
    overrides  `a.b=c`, each replacing or adding one key; the value is read as YAML

    Raises SpecError with every complaint found, UsageError for an override that cannot be read.
    """
    found = read_pipeline(path, kinds=kinds, spec_of=spec_of, overrides=overrides)
    if found.complaints or found.pipeline is None:
        raise SpecError(*found.complaints)
    return found.pipeline


def read_pipeline(path: Path, *, kinds: Sequence[str], spec_of: KindOf, overrides: Sequence[str] = ()) -> Read:
    """One pipeline as far as it is right, and everything that is wrong; SpecError for what is no pipeline at all."""
    complaints: list[Complaint] = []
    document = _with_overrides(read_document(path, complaints), overrides)
    data, raw = dict(document.data), _raw_steps(document)
    read = dict(_steps(document, raw, kinds, spec_of, complaints))
    data["steps"], data["written"] = _unfolded(document, read, complaints)
    if isinstance(data.get("expect"), dict):
        data["expect"] = {
            name: {"max_leaks" if name == LEAKS else "rows": gate} if isinstance(gate, int) else gate
            for name, gate in data["expect"].items()
        }
    elif data.get("expect") is None:
        data["expect"] = {}
    data["document"] = document
    try:
        if data.get("analyse"):
            from prefgen.spec.analyses import read_analyses  # few pipelines ask for any

            data["analyse"] = read_analyses(document, data["analyse"])
        pipeline = validated(Pipeline, document, data, (), path.parent)
    except SpecError as error:
        return Read(None, (*complaints, *error.complaints))
    unread = raw.keys() - read.keys()
    complaints += (*_about_steps(pipeline, unread), *_about_gates(pipeline, unread))
    return Read(_sound(pipeline) if complaints else pipeline, tuple(complaints))


def _sound(pipeline: Pipeline) -> Pipeline:
    """The steps that rest on steps that are there; nothing is expected, published or analysed of them."""
    steps: dict[str, StepSpec] = {}
    for name, step in pipeline.steps.items():
        models = all(model in pipeline.models for _, model in (*step.asks(), *step.counts()))
        if models and all(read in steps for _, read in step.reads()):
            steps[name] = step
    publish = pipeline.publish.model_copy(update={"exports": [], "hidden": [], "judgments": None})
    left: dict[str, Any] = {"expect": {}, "publish": publish, "calibrate": None, "analyse": []}
    return pipeline.model_copy(update={"steps": steps, **left})


def _unfolded(
    document: Document, read: Mapping[str, StepSpec], complaints: list[Complaint]
) -> tuple[dict[str, StepSpec], dict[str, str]]:
    """All steps, and those that are in no file by the name of the one that stands for them."""
    steps: dict[str, StepSpec] = {}
    written: dict[str, str] = {}
    for name, spec in read.items():
        for part, one in spec.unfolded(name, steps).items():
            if part != name and part in read:
                problem, fix = f"it needs a step {part!r}, and there is another", f"give {part!r} another name"
                complaints.append(document.complaint(("steps", name), problem, fix))
            steps[part] = one
            if part != name:
                written[part] = name
    return steps, written


def _with_overrides(document: Document, overrides: Sequence[str]) -> Document:
    """The document with what flags say written over it."""
    if not isinstance(document.data, dict):
        raise document.error((), "a pipeline is a mapping of keys", "begin with `name:`, `models:` and `steps:`")
    flags: dict[Key, str] = {}
    for override in overrides:
        _override(document.data, override, flags)
    return dataclasses.replace(document, flags=flags)


def _raw_steps(document: Document) -> dict[str, Any]:
    raw = document.data.get("steps")
    if not isinstance(raw, dict) or not raw:
        raise document.error(
            ("steps",), "a pipeline needs at least one step", "write `steps:` with one `name: {kind: ...}` a line"
        )
    return raw


def _steps(
    document: Document, raw: Mapping[str, Any], kinds: Sequence[str], spec_of: KindOf, complaints: list[Complaint]
) -> Iterator[tuple[str, StepSpec]]:
    """The steps that can be read; what is wrong with the others is added to `complaints`."""
    for name, said in raw.items():
        try:
            yield name, _step(document, name, said, kinds, spec_of)
        except SpecError as error:
            complaints.extend(error.complaints)


def _step(document: Document, name: str, raw: Any, kinds: Sequence[str], spec_of: KindOf) -> StepSpec:
    at: Key = ("steps", name)
    if not isinstance(raw, dict):
        raise document.error(at, f"a step is a mapping, not {type(raw).__name__}", "write `name: {kind: ...}`")
    found = [key for key in raw if key in kinds]
    if not found:
        raise document.error(
            at,
            f"no kind of step among its keys {sorted(map(str, raw))}",
            f"add {one_of(next(iter(raw), ''), kinds)}",
        )
    # `pair` reads `from: x` and `judge` has `items:`; the kind is the first kind name written.
    try:
        spec = spec_of(found[0]).preset(raw[found[0]])
    except ValueError as error:
        raise document.error((*at, found[0]), *problem_and_fix(error)) from None
    return validated(spec, document, raw, at, document.path.parent)


def _about_steps(pipeline: Pipeline, unread: Collection[str]) -> Iterator[Complaint]:
    """What is wrong with the steps and models that steps name; of steps that could not be read nothing more is said."""
    above: list[str] = []
    for name, step in pipeline.steps.items():
        for key, read in step.reads():
            if read not in above and read not in unread:
                yield pipeline.document.complaint(pipeline.at(name, (key,)), *_not_above(pipeline, name, read, above))
        for key, asked in (*step.asks(), *step.counts()):
            if asked not in pipeline.models:
                fix = (
                    f"name {one_of(asked, pipeline.models)}"
                    if pipeline.models
                    else f"add it under `models:`, e.g. `{asked}: {{engine: embedded}}`"
                )
                yield pipeline.document.complaint(("steps", name, key), f"no model named {asked!r}", fix)
        above.append(name)


def _not_above(pipeline: Pipeline, name: str, read: str, above: Sequence[str]) -> tuple[str, str]:
    """(problem, fix) of a step that reads what does not stand above it."""
    if read == name:
        return "a step cannot read its own table", "name a step that stands above it"
    if read in pipeline.steps:
        return f"step {read!r} stands below", f"move {read!r} above {name!r}"
    fix = f"name {one_of(read, above)}" if above else f"write a step {read!r} above it"
    return f"no step named {read!r}", fix


def _about_gates(pipeline: Pipeline, unread: Collection[str]) -> Iterator[Complaint]:
    for name, gate in pipeline.expect.items():
        if name == LEAKS or gate.max_leaks is not None:
            yield from _about_leaks(pipeline, name)
        elif name not in pipeline.steps and name not in unread:
            fix = f"name {one_of(name, list(pipeline.steps))}"
            yield pipeline.document.complaint(("expect", name), f"no step named {name!r}", fix)


def _about_leaks(pipeline: Pipeline, name: str) -> Iterator[Complaint]:
    """A gate on leaks is of the whole run, and needs something hidden."""
    if name != LEAKS:
        problem, fix = "exports leak, and steps do not", f"write `expect: {{{LEAKS}: 0}}`, beside the steps"
        yield pipeline.document.complaint(("expect", name, LEAKS), problem, fix)
    elif not pipeline.publish.hidden:
        fix = "write `publish: {hidden: [columns]}`, or take the gate out"
        yield pipeline.document.complaint(("expect", name), "nothing is hidden that could leak", fix)


def options_of(overrides: Sequence[str]) -> dict[str, Any]:
    """`key=value` flags as one mapping, values read as YAML; UsageError for one that cannot be read."""
    data: dict[str, Any] = {}
    for override in overrides:
        _override(data, override, {})
    return data


def _override(data: dict[str, Any], text: str, flags: dict[Key, str]) -> None:
    """Set one key as a flag says; every key that it makes is written into `flags`."""
    name, equals, value = text.partition("=")
    keys = name.split(".")
    if not equals or not all(keys):
        raise UsageError(
            f"--set {text!r} is not of the form a.b=c", fix="write e.g. --set models.judge.temperature=0.7"
        )
    flag = f"--set {text}"
    try:
        parsed = document_of(Path(flag), value).data if value.strip() else None
    except SpecError:
        raise UsageError(f"{flag}: {value!r} is not a YAML value", fix="quote it") from None
    here: Any = data
    for depth, key in enumerate(keys[:-1], 1):
        if not isinstance(here.get(key, {}), dict):
            raise UsageError(
                f"{flag}: {dotted(tuple(keys[:depth]))} is not a mapping", fix="name a key that the YAML has"
            )
        if key not in here:
            flags[tuple(keys[:depth])] = flag
        here[key] = dict(here.get(key, {}))  # of its own: an alias may stand elsewhere too
        here = here[key]
    here[keys[-1]] = parsed
    flags[tuple(keys)] = flag


def check_model(data: Mapping[str, Any]) -> ModelSpec:
    """One model written outside a pipeline (a command line's `--model`)."""
    try:
        return TypeAdapter[ModelSpec](ModelSpec).validate_python(data, context=Path())
    except ValidationError as error:
        key, problem, fix = problems_of(ModelSpec, data, error)[0]
        said = "--model" + (f": {dotted(key)}" if key else "")
        raise UsageError(f"{said}: {problem}", fix=f"{fix}; e.g. engine=openai,model=NAME,base_url=URL") from None
