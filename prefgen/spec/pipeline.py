"""A pipeline: a list of named steps, read top to bottom, and the models they ask."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field, SerializeAsAny, TypeAdapter, ValidationError

from prefgen.errors import Complaint, SpecError, UsageError, one_of
from prefgen.spec.document import Document, Key, document_of, dotted, read_document
from prefgen.spec.fields import InputPath, Name, Spec
from prefgen.spec.models import ModelSpec, ReplayModel
from prefgen.spec.validation import problems_of, validated

Grain = Literal["rows", "personas", "items", "candidates", "judgments", "pairs"]


class StepSpec(Spec):
    """One step as written. Each kind of step has a subclass, in its own file of `prefgen/steps/`.

    kind     the key that makes it such a step
    presets  names that may stand behind that key and bring keys of their own
    grain    what one row of its table is, None for the same as in the table read; exports look for the last
             table of the grain they need
    """

    kind: ClassVar[str] = ""
    presets: ClassVar[tuple[str, ...]] = ()
    grain: ClassVar[Grain | None] = "rows"

    @classmethod
    def preset(cls, said: object) -> type[StepSpec]:  # noqa: ARG003 - a kind with presets looks at it
        """The class that a step is read as, from what is written behind its kind's name.

        Raises ValueError, with a `fix:` on its second line, for a preset that there is not.
        """
        return cls

    def reads(self) -> tuple[tuple[str, str], ...]:
        """(key, name of an earlier step) for every table that this step reads."""
        return ()

    def inputs(self) -> tuple[Path, ...]:
        """Files that this step reads; their content is part of the step's fingerprint."""
        return ()

    def pinned(self, before: Mapping[str, Any]) -> StepSpec:  # noqa: ARG002 - a kind that reads from outside looks at it
        """The same step with what may change outside named by its version.

        before    this step as the run folder's pipeline.yaml has it, empty for a first run: what it named stays
        """
        return self

    def lighter(self) -> StepSpec:
        """The same step with fewer rows of the same kind, enough to see whether all else is right; itself where it is small."""
        return self

    def unfolded(self, name: str, above: Mapping[str, StepSpec]) -> Mapping[str, StepSpec]:  # noqa: ARG002
        """The steps that this one stands for, itself the last: some are short for two.

        above    the steps before it
        """
        return {name: self}

    def asks(self) -> tuple[tuple[str, str], ...]:
        """(key, name of a model) for every model that this step talks to."""
        return ()


class Gate(Spec):
    """What a step's table must reach, checked when it is made; a run that misses it exits 5."""

    rows: int | None = Field(
        None, ge=0, description="Exact number of rows; checked before any model is asked where it can be."
    )
    min_rows: int | None = Field(None, ge=0, description="Least number of rows.")
    min_yield: float | None = Field(None, ge=0, le=1, description="Least share of rows kept.")
    max_failed: float | None = Field(None, ge=0, le=1, description="Largest share of rows whose request failed.")
    max_near_duplicates: float | None = Field(
        None,
        ge=0,
        le=1,
        description="`split`: largest share of held-out questions that are nearly the same as one of `train`; needs `prefgen[dedup]`.",
    )


class Publish(Spec):
    """What leaves the run folder's `data/`, and under which terms."""

    exports: list[Name | dict[Name, Any]] = Field(
        default_factory=lambda: ["judgments"],  # type: ignore[arg-type]
        description="Names of exports, or {export: {...}} with `from` (a step), `name` (of its config; needed for the second of one export), "
        "`shots` (of `fewshot`), `system_role` (false: the portrait opens the user's message, for templates without a system role), `context` (none or profile), "
        "`weighted` (resample: rows of `train` drawn by weight, for trainers that read none), `labels` and `columns` (of rows, attr and ordinal).",
    )
    judgments: Name | None = Field(
        None,
        description="Step whose judgments card, report and `place` speak of, and exports are made from; by default the last.",
    )
    license: str = Field(
        "other",
        pattern=r"^[A-Za-z0-9.\-]{1,40}$",
        description="Licence of the data as the Hub writes it, e.g. cc-by-4.0.",
    )
    title: str | None = Field(None, max_length=200, description="Title of the dataset card.")
    description: str | None = Field(None, max_length=4000, description="A few sentences for the top of the card.")
    tags: list[str] = Field(default_factory=list, description="Further tags of the card.")
    shard_mb: int = Field(
        256,
        ge=1,
        le=4096,
        description="Size at which a data file is closed and the next begun, in MB before compression.",
    )


class Pipeline(Spec):
    """A whole pipeline, checked: every name it uses exists, every step reads only what stands above it."""

    name: Name = Field(description="Name of the dataset.")
    seed: int = Field(0, ge=0, lt=2**63, description="Everything drawn at random depends on this number and on names.")
    models: dict[Name, ModelSpec] = Field(default_factory=dict, description="The models, by the names that steps use.")
    steps: dict[Name, SerializeAsAny[StepSpec]] = Field(
        description="The steps, in order; each has the key of its kind."
    )
    limit: int | None = Field(
        None,
        ge=1,
        description="Judge only so many items of every `judge` step, drawn evenly from all, and write anew only those: a preview of the whole.",
    )
    expect: dict[Name, Gate] = Field(
        default_factory=dict, description="Gates by step; a bare number is the exact number of rows."
    )
    calibrate: InputPath | None = Field(
        None, description="A calibration file: the survey that the answers are held against, and its gates."
    )
    publish: Publish = Field(default_factory=lambda: Publish(), description="Exports and licence.")
    document: Document = Field(exclude=True, description="Where it was read from.")
    written: dict[str, str] = Field(
        default_factory=dict,
        exclude=True,
        description="The step as written, by the name of one that stands in its place.",
    )

    model_config = ConfigDict(arbitrary_types_allowed=True)

    def error(self, step: str, key: Key, problem: str, fix: str) -> SpecError:
        """A complaint about one key of one step."""
        return self.document.error(self.at(step, key), problem, fix)

    def at(self, step: str, key: Key) -> Key:
        """Where a key of a step was written."""
        if step not in self.written:
            return ("steps", step, *key)
        return ("steps", self.written[step], *({"show": "items", "size": "show"}.get(str(one), one) for one in key))


KindOf = Callable[[str], "type[StepSpec]"]


def load_pipeline(path: Path, *, kinds: Sequence[str], spec_of: KindOf, overrides: Sequence[str] = ()) -> Pipeline:
    """Read and check one pipeline.

    kinds      names of the kinds of step
    spec_of    the spec class of a kind
    overrides  `a.b=c`, each replacing or adding one key; the value is read as YAML

    Raises SpecError with every complaint found, UsageError for an override that cannot be read.
    """
    document = read_document(path)
    if not isinstance(document.data, dict):
        raise document.error((), "a pipeline is a mapping of keys", "begin with `name:`, `models:` and `steps:`")
    flags: dict[Key, str] = {}
    for override in overrides:
        _override(document.data, override, flags)
    document = dataclasses.replace(document, flags=flags)
    data = dict(document.data)
    raw_steps = data.get("steps")
    if not isinstance(raw_steps, dict) or not raw_steps:
        raise document.error(
            ("steps",),
            "a pipeline needs at least one step",
            "write `steps:` with one `name: {kind: ...}` a line",
        )
    complaints: list[Complaint] = []
    read = dict(_steps(document, raw_steps, kinds, spec_of, complaints))
    data["steps"], data["written"] = _unfolded(document, read, complaints)
    data["expect"] = (
        {name: {"rows": gate} if isinstance(gate, int) else gate for name, gate in (data.get("expect") or {}).items()}
        if isinstance(data.get("expect"), dict | None)
        else data["expect"]
    )
    data["document"] = document
    try:
        pipeline = validated(Pipeline, document, data, (), path.parent)
    except SpecError as error:
        raise SpecError(*complaints, *error.complaints) from None
    if complaints:
        raise SpecError(*complaints)
    _check_names(pipeline)
    return pipeline


def replaying(pipeline: Pipeline, responses: Path) -> Pipeline:
    """The same pipeline, every model of it answering only from `responses`."""
    kept = set(ReplayModel.model_fields) - {"engine", "responses", "revision"}
    models: dict[str, ModelSpec] = {
        name: ReplayModel(
            engine="replay", responses=responses, revision=model.identity, **model.model_dump(include=kept)
        )
        for name, model in pipeline.models.items()
    }
    return pipeline.model_copy(update={"models": models})


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
        problem, _, fix = str(error).partition("\nfix: ")
        raise document.error((*at, found[0]), problem, fix) from None
    return validated(spec, document, raw, at, document.path.parent)


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


def _check_names(pipeline: Pipeline) -> None:
    complaints = []
    above: list[str] = []
    everyone = list(pipeline.steps)
    for name, step in pipeline.steps.items():
        for key, read in step.reads():
            if read in above:
                continue
            if read == name:
                problem, fix = "a step cannot read its own table", "name a step that stands above it"
            elif read in everyone:
                problem, fix = f"step {read!r} stands below", f"move {read!r} above {name!r}"
            else:
                problem, fix = (
                    f"no step named {read!r}",
                    f"name {one_of(read, above)}" if above else f"write a step {read!r} above it",
                )
            complaints.append(pipeline.document.complaint(pipeline.at(name, (key,)), problem, fix))
        for key, asked in step.asks():
            if asked in pipeline.models:
                continue
            fix = (
                f"name {one_of(asked, pipeline.models)}"
                if pipeline.models
                else f"add it under `models:`, e.g. `{asked}: {{engine: embedded}}`"
            )
            complaints.append(pipeline.document.complaint(("steps", name, key), f"no model named {asked!r}", fix))
        above.append(name)
    for name in pipeline.expect:
        if name not in pipeline.steps:
            complaints.append(
                pipeline.document.complaint(
                    ("expect", name), f"no step named {name!r}", f"name {one_of(name, everyone)}"
                )
            )
    if complaints:
        raise SpecError(*complaints)


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
