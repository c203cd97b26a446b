"""What a pipeline asks to be found in its tables, beside what every report says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field, model_validator

from prefgen.spec.document import Document
from prefgen.spec.fields import Name, Spec
from prefgen.spec.pipeline import AnalysisSpec
from prefgen.spec.validation import validated


class _OfStep(Spec):
    name: str | None = Field(
        None, max_length=200, description="Its title in the report; by default its kind and its step."
    )
    from_: Name | None = Field(
        None, alias="from", description="Step with the rows; by default that of the run's judgments."
    )


class Rank(_OfStep):
    """Who wins against whom, as strengths in log-odds with 95 % intervals over questions (Bradley-Terry): overall, and for every level of attributes."""

    of: Name = Field(description="Column whose values compete, which pairs or judged candidates have of both sides.")
    by: list[Name] = Field(default_factory=list, description="Columns of the rows or of their personas, ranked apart.")


class Accuracy(_OfStep):
    """How often choices are those of a gold standard, and how many are left, from the surest answers on: by probability, margin and certainty."""

    against: Name = Field(description="Step with the gold standard: judgments, or rows with the same ids.")
    column: Name = Field("choice", description="Column of the gold standard, where it is not of judgments: a letter.")


class Slices(_OfStep):
    """The mean of something by the levels of attributes, with 95 % intervals over questions, and the largest gap between two levels."""

    of: str = Field(description="Column of numbers, of true and false, or SQL, e.g. `status = 'refusal'`.")
    by: list[Name] = Field(min_length=1, description="Columns of the rows or of their personas.")


class Spread(_OfStep):
    """How different rows are: texts by their words, anything else by how often each value stands."""

    of: Name = Field(description="A column.")
    within: list[Name] = Field(default_factory=list, description="Columns in which those compared agree.")


class Loops(_OfStep):
    """Whether preferences can be put in one order: triples in which A beats B, B beats C and C beats A."""

    of: Name = Field(description="Column whose values are compared, which pairs have of both sides.")
    by: list[Name] = Field(
        default_factory=list, description="Columns, e.g. persona_id: loops within each of their values."
    )


class Segments(_OfStep):
    """People, or whatever `by` names, in groups that are alike in the means of some columns (k-means); a vector counts as one column."""

    over: list[Name] = Field(min_length=1, description="Columns of numbers, of true and false, or of vectors.")
    by: Name = Field("persona_id", description="Whose means are taken.")
    n: int = Field(3, ge=2, le=50, description="How many groups.")


class Components(_OfStep):
    """What vectors differ in most: principal components, of pairs of what was chosen less what was rejected."""

    of: Name = Field(description="Column of vectors, which pairs have of both sides.")
    by: list[Name] = Field(default_factory=list, description="Columns by whose values the components are averaged.")
    n: int = Field(3, ge=1, le=50, description="How many components.")


class Analysis(AnalysisSpec):
    """One of these."""

    rank: Rank | None = Field(None, description="Who wins against whom.")
    calibrate: Accuracy | None = Field(None, description="Choices against a gold standard.")
    slices: Slices | None = Field(None, description="Means by attributes.")
    spread: Spread | None = Field(None, description="How different rows are.")
    loops: Loops | None = Field(None, description="Whether there is one order.")
    segments: Segments | None = Field(None, description="Groups of people.")
    components: Components | None = Field(None, description="What vectors differ in.")

    @model_validator(mode="after")
    def _one(self) -> Analysis:
        if len(list(self._said())) != 1:
            raise ValueError(
                "an analysis is one of rank, calibrate, slices, spread, loops, segments, components\nfix: write e.g. `- {spread: {of: response}}`"
            )
        return self

    def _said(self) -> Iterator[tuple[str, _OfStep]]:
        return ((kind, one) for kind in KINDS if (one := getattr(self, kind)) is not None)

    @property
    def kind(self) -> str:
        """Its key."""
        return next(self._said())[0]

    @property
    def spec(self) -> Any:
        """What is written behind it."""
        return next(self._said())[1]


KINDS = ("rank", "calibrate", "slices", "spread", "loops", "segments", "components")


def read_analyses(document: Document, said: Any) -> list[Analysis]:
    """The analyses of a pipeline; a mapping of several is a list of one each. SpecError for what is none."""
    if isinstance(said, Mapping):
        alone = [(("analyse",), {key: value}) for key, value in said.items()]
    elif isinstance(said, list):
        alone = [(("analyse", place), one) for place, one in enumerate(said)]  # type: ignore[misc]
    else:
        raise document.error(("analyse",), "analyses are a list", "write e.g. `- {spread: {of: response}}`")
    return [validated(Analysis, document, one, at, document.path.parent) for at, one in alone]
