"""Which survey a run is held against: its rows, its questions, and how near the answers must come."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator, model_validator

from prefgen.spec.attribute import Level, level_name
from prefgen.spec.document import read_document
from prefgen.spec.fields import InputPath, Name, Spec
from prefgen.spec.validation import validated


class CalibrationSpec(Spec):
    """A survey that asked the questions of a run, and of whom.

    ```yaml
    survey: gss_2018.parquet
    answers: answers
    by: [party, views]
    levels: [too little, about right, too much]
    max_excess: 0.2
    ```
    """

    survey: InputPath = Field(description="CSV or Parquet, one row a respondent: answers and attributes.")
    answers: Name | None = Field(
        None, description="Name of the step whose judgments are held against it; by default the run's judgments."
    )
    by: list[Name] | dict[Name, str] = Field(
        min_length=1, description="Attributes that make subgroups, or {attribute: column of the survey}."
    )
    column: Name = Field(
        "item_id", description="Column of the items that names the column of the survey with its answers."
    )
    levels: list[Level | None] = Field(
        min_length=2,
        description="The survey's answer that each option means, in the order of the options; null for none.",
    )
    ordered: bool = Field(True, description="Whether the levels have the order written.")
    weight: str | None = Field(None, description="Column of survey weights.")
    least: int = Field(30, ge=2, description="Fewest respondents that make a subgroup.")
    max_excess: float | None = Field(
        None,
        ge=-1,
        le=1,
        description="Gate: most that the mean total variation may lie above the band of real respondents; 0 asks for real people.",
    )
    min_gain: float | None = Field(
        None,
        le=1,
        description="Gate: least gain over knowing only the whole survey (1 as real people, 0 as the whole survey); missed where the whole interval is below it.",
    )
    min_spread: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Gate: how often two personas of a subgroup differ, over how often two people do; what real respondents reach passes.",
    )

    @property
    def columns(self) -> dict[str, str]:
        """Column of the survey by attribute."""
        return self.by if isinstance(self.by, dict) else {name: name for name in self.by}

    @property
    def level_names(self) -> tuple[str | None, ...]:
        """Levels as text, by option."""
        return tuple(None if level is None else level_name(level) for level in self.levels)

    @field_validator("levels")
    @classmethod
    def _some(cls, value: list[Level | None]) -> list[Level | None]:
        if sum(level is not None for level in value) < 2:
            raise ValueError(
                "fewer than two options have an answer in the survey\nfix: name the answers in the order of the options"
            )
        return value

    @model_validator(mode="after")
    def _each_once(self) -> CalibrationSpec:
        if isinstance(self.by, list) and len(set(self.by)) < len(self.by):
            raise ValueError("an attribute stands twice in `by`\nfix: name each once")
        return self


def read_calibration(path: Path) -> CalibrationSpec:
    """Read and check one file that says which survey a run is held against."""
    document = read_document(path)
    if not isinstance(document.data, dict):
        raise document.error((), "a calibration is a mapping of keys", "begin with `survey:`, `by:` and `levels:`")
    levels = document.as_written(("levels",), document.data.get("levels"))  # as the survey and the personas have them
    data = {**document.data, "levels": levels} if isinstance(levels, list) else document.data
    spec = validated(CalibrationSpec, document, data, (), path.parent)
    if not spec.survey.is_file():
        raise document.error(
            ("survey",),
            f"no such file: {spec.survey}",
            "check the path, or make the file as the comment in this YAML says",
        )
    return spec
