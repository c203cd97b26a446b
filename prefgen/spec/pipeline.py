"""A pipeline: a list of named steps, read top to bottom, and the models they ask."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field, SerializeAsAny

from prefgen.errors import SpecError
from prefgen.spec.document import Document, Key
from prefgen.spec.fields import InputPath, Name, Spec
from prefgen.spec.models import ModelSpec, ReplayModel

LEAKS = "max_leaks"
"""The gate under `expect:` that is no step's."""

Grain = Literal["rows", "personas", "items", "candidates", "judgments", "pairs", "dialogues", "rankings"]


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

    @property
    def made_grain(self) -> Grain | None:
        """The grain of its table as this one is written, which may be another than that of its kind."""
        return self.grain

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

    def counts(self) -> tuple[tuple[str, str], ...]:
        """(key, name of a model) for every model in whose tokens this step counts, without asking it."""
        return ()


class AnalysisSpec(Spec):
    """What is to be found in the tables besides; `spec/analyses.py` has all of it."""

    @property
    def kind(self) -> str:
        """Its key."""
        raise NotImplementedError

    @property
    def spec(self) -> Any:
        """What is written behind it."""
        raise NotImplementedError


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
    max_leaks: int | None = Field(
        None,
        ge=0,
        description="Written as a step's name, `expect: {max_leaks: 0}`: most rows of all exports together in which a value of `publish: {hidden: ...}` stands.",
    )


class Publish(Spec):
    """What leaves the run folder's `data/`, and under which terms."""

    exports: list[Name | dict[Name, Any]] = Field(
        default_factory=lambda: ["judgments"],  # type: ignore[arg-type]
        description="Names of exports, or {export: {...}} with `from` (a step), `name` (of its config; needed for the second of one export), "
        "`shots` (of `fewshot`), `system_role` (false: the portrait opens the user's message, for templates without a system role), `context` (none or profile), "
        "`weighted` (resample: rows of `train` drawn by weight, for trainers that read none), `labels` and `columns` (of rows, attr, ordinal, history, mcq and "
        "critique; of pairs `labels` in the place of the preset's own), `condition` (STEP.column, of `cond`: a text by the ids that pairs have too), `draft`, "
        "`feedback` and `revision` (columns, of `critique`), "
        "`roles` ({side: user, assistant or system}) and `turns` (a column) of `dialogue`, "
        "`target`, `history`, `input`, `peers` (columns), `twin` (true: every row once more without history), `sizes` and `sample` (recent, long or random: "
        "histories cut to these sizes) of `history`, `answer` and `shuffle` of `mcq`, `user`, `item`, `level`, `time` (columns of rows that somebody brought) of `table`, `lists` (of `fewshot`: what was chosen and what was not in lists).",
    )
    judgments: Name | None = Field(
        None,
        description="Step whose judgments card, report and `place` speak of, and exports are made from; by default the last.",
    )
    hidden: list[str] = Field(
        default_factory=list,
        description="Columns that leave in no export but one that names them under `labels` or `columns`. Every text that leaves is searched for their "
        "values, word by word (numbers, common words and what has fewer than 4 characters aside); the card says how many rows have one.",
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
    analyse: list[SerializeAsAny[AnalysisSpec]] = Field(
        default_factory=list, description="What is to be found besides; in report.json and in the report."
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
        return ("steps", self.written[step], *(_WRITTEN_AS.get(str(one), one) for one in key))


_WRITTEN_AS = {"show": "items", "size": "show", "table": "items", "people": "items", "drop": "given", "join": "items"}
"""Keys of steps that are in no file, by the key of the step that stands for them."""


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
