"""A persona spec: one population, as named portraits, as attributes with tables, as survey rows, or combined from others."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from prefgen.errors import SpecError
from prefgen.spec.attribute import Attribute, Level, level_name
from prefgen.spec.document import Document, Key, read_document
from prefgen.spec.fields import InputPath, Name, Spec
from prefgen.spec.population_checks import complaints_about
from prefgen.spec.validation import validated

Scalar = str | int | float | bool


class Portrait(Spec):
    """One named portrait. Keys of your own become attribute columns."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, Scalar] = Field(init=False)

    id: Name = Field(description="Name of the portrait; the persona_id when every portrait is one persona.")
    share: float = Field(ge=0, description="Share of the population.")
    text: str | None = Field(None, min_length=1, description="The portrayal; by default the population's `text`.")

    @property
    def extras(self) -> dict[str, Scalar]:
        """The attributes of one's own, in the order written."""
        return dict(self.__pydantic_extra__ or {})


class TableSpec(Spec):
    """A table of two or more attributes, or of attributes given others."""

    of: list[Name] = Field(min_length=1, description="Attributes of the table.")
    given: list[Name] = Field(
        default_factory=list,
        description="Attributes conditioned on: the shares of `of` sum to 1 for each of their combinations.",
    )
    file: InputPath | None = Field(
        None, description="CSV or Parquet with a column for each attribute and one named `share` or `count`."
    )
    shares: dict[str, Any] | None = Field(
        None, description="The shares inline, nested in the order of `given`, then `of`."
    )
    counts: dict[str, Any] | None = Field(None, description="Counts inline, nested likewise; scaled to shares.")
    correlations: float | dict[Name, dict[Name, float]] | None = Field(
        None,
        description="Of numbers (`normal`, `lognormal`): the correlation of two, or `{one: {other: r}}`; pairs not named are uncorrelated. Of "
        "lognormal ones those of the logarithms, of ones cut by `min` and `max` those before they are cut.",
    )

    @property
    def names(self) -> tuple[str, ...]:
        """All attributes of the table, conditioned ones first: the order of its axes."""
        return (*self.given, *self.of)

    @model_validator(mode="after")
    def _one_content(self) -> TableSpec:
        contents = (self.file, self.shares, self.counts, self.correlations)
        if sum(content is not None for content in contents) != 1:
            raise ValueError(
                "a table has one content\nfix: give exactly one of `file`, `shares`, `counts`, `correlations`"
            )
        if len(set(self.names)) < len(self.names):
            raise ValueError("an attribute stands twice in the table\nfix: name each attribute once")
        if isinstance(self.correlations, float) and (len(self.of) != 2 or self.given):
            raise ValueError(
                "one number is the correlation of two\nfix: write `of: [one, other]`, or {one: {other: r}}"
            )
        return self

    @property
    def correlated(self) -> dict[tuple[str, str], float]:
        """Correlation of every two attributes that have one here."""
        if isinstance(self.correlations, float):
            return {(self.of[0], self.of[1]): self.correlations}
        told = self.correlations or {}
        return {(one, other): r for one, others in told.items() for other, r in others.items()}


class Microdata(Spec):
    """Survey rows from which tables are estimated; no row is ever copied into a draw."""

    file: InputPath = Field(description="CSV or Parquet, one row a respondent.")
    columns: list[Name] | dict[Name, str] = Field(
        description="Columns used as attributes, or {attribute: column} to rename."
    )
    weight: str | None = Field(None, description="Column of survey weights (numbers, 0 or more).")
    missing: Literal["error", "drop", "level"] = Field(
        "error", description="What a missing value is: an error, a row to leave out, or a level `missing`."
    )
    na: list[Level] | dict[Name, list[Level]] = Field(
        default_factory=list,
        description="Codes of a missing value, e.g. [-99, refused], for all columns or by attribute. Empty fields, NA, N/A, NaN, NULL and `.` are missing anyway, unless `attributes:` names them as levels.",
    )
    labels: dict[Name, dict[str, str]] = Field(
        default_factory=dict,
        description="{attribute: {code: level}}: what the codes of the survey mean; several codes may mean one level.",
    )
    tables: list[list[Name]] | Literal["pairs"] = Field(
        "pairs", description="Which tables to estimate: all pairs, or these."
    )
    min_cell: int = Field(1, ge=1, description="Least number of respondents behind a table cell that is not empty.")
    small: Literal["refuse", "merge"] = Field(
        "refuse",
        description="Below `min_cell`: refuse, or merge the rarer level (a neighbour if ordered, else `other`).",
    )

    @property
    def sources(self) -> dict[str, str]:
        """Column of the file by attribute."""
        return self.columns if isinstance(self.columns, dict) else {name: name for name in self.columns}

    def missing_codes(self, name: str) -> tuple[str, ...]:
        """Codes of a missing value of one attribute, as written."""
        codes = self.na.get(name, []) if isinstance(self.na, dict) else self.na
        return tuple(level_name(code) for code in codes)

    @field_validator("columns")
    @classmethod
    def _some(cls, value: list[str] | dict[str, str]) -> list[str] | dict[str, str]:
        if not value or len(set(value)) < len(value):
            raise ValueError("the columns must be named, each once\nfix: list the columns to use")
        return value


class Weights(Spec):
    """Numbers of everybody's own that sum to 1: how much each of some attributes of an answer counts for them."""

    dirichlet: float = Field(
        gt=0,
        le=1000,
        description="Concentration: below 1 few weights are large, at 1 all mixtures are as likely, above it they are even.",
    )
    over: list[Name] = Field(
        min_length=2, description="Names of the weights, a column each; as the columns of the answers."
    )


class Oversample(Spec):
    """Draw some strata more often than they are; `weight` takes it back."""

    by: Name = Field(description="Attribute whose levels are the strata (`portrait` for named portraits).")
    shares: dict[str, float] = Field(description="Share of the draw by level; levels not named keep their proportions.")


class Part(Spec):
    """One population of a combined one."""

    file: InputPath = Field(description="Its persona spec.")
    share: float = Field(ge=0, description="Its share of the people drawn.")


class Population(Spec):
    """A whole persona spec, checked as far as it can be without reading tables and microdata."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    population: Name = Field(description="Name of the population.")
    source: str | list[str] | None = Field(None, description="Where the numbers come from; carried into the card.")
    license: str | None = Field(None, description="Licence of the numbers, where they have one.")
    portraits: list[Portrait] = Field(default_factory=list, description="Named portraits with shares.")
    attributes: dict[Name, Attribute] = Field(default_factory=dict, description="Attributes and their marginals.")
    tables: list[TableSpec] = Field(default_factory=list, description="Tables of several attributes.")
    microdata: Microdata | None = Field(None, description="Survey rows to estimate tables from.")
    combine: list[Part] = Field(default_factory=list, description="Other persona specs, drawn together.")
    impossible: list[dict[Name, Level | list[Level]]] = Field(
        default_factory=list,
        description="Combinations of levels that nobody has: {attribute: level or list of levels}.",
    )
    text: str | dict[Name, str] | None = Field(
        None, description="Template of the portrayal, or {wording: template} to portray everybody in several wordings."
    )
    weights: Weights | None = Field(
        None, description="A column with a weight for each of some names, drawn for everybody."
    )
    keep: str | None = Field(
        None, description="Only people for whom this holds: an SQL expression over attributes, e.g. \"vote != 'none'\"."
    )
    oversample: Oversample | None = Field(None, description="Strata to draw more often than they are.")
    normalize: bool = Field(False, description="Scale shares that do not sum to 1.")
    exact_margins: bool = Field(False, description="Repair the draw so that every attribute's counts are exact.")
    max_disagreement: float = Field(
        0.02,
        ge=0,
        le=1,
        description="Largest total variation by which two tables may disagree before the fit is refused.",
    )
    document: Document = Field(exclude=True, description="Where it was read from.")
    parts: tuple[Population, ...] = Field(default=(), exclude=True, description="The combined populations, read.")

    @property
    def names(self) -> tuple[str, ...]:
        """Attributes in the order written; those of survey rows after the others."""
        columns = self.microdata.sources if self.microdata else ()
        return (*self.attributes, *(name for name in columns if name not in self.attributes))

    @property
    def wordings(self) -> dict[str, str]:
        """Template by wording; one unnamed wording has the name ''."""
        if self.text is None:
            return {}
        return {"": self.text} if isinstance(self.text, str) else dict(self.text)

    def impossible_levels(self, index: int) -> dict[str, tuple[str, ...]]:
        """Levels by attribute of one impossible combination, as names."""
        return {
            name: tuple(level_name(level) for level in (levels if isinstance(levels, list) else [levels]))
            for name, levels in self.impossible[index].items()
        }

    def inputs(self) -> tuple[Path, ...]:
        """Every file that a draw depends on, this one first."""
        files = [self.document.path, *(table.file for table in self.tables if table.file)]
        files += [one.rows.file for one in self.attributes.values() if one.rows is not None]
        if self.microdata:
            files.append(self.microdata.file)
        return (*files, *(path for part in self.parts for path in part.inputs()))

    def error(self, key: Key, problem: str, fix: str) -> SpecError:
        """A complaint about one key, with file and line."""
        return self.document.error(key, problem, fix)


def read_population(path: Path, *, above: tuple[Path, ...] = ()) -> Population:
    """Read and check one persona spec, and those it combines; SpecError lists every complaint found.

    above    the specs being read, to find one that combines itself
    """
    document = read_document(path)
    if not isinstance(document.data, dict):
        raise document.error(
            (), "a persona spec is a mapping of keys", "begin with `population:` and `attributes:` or `portraits:`"
        )
    for key in ("document", "parts"):
        if key in document.data:
            raise document.error((key,), "unknown key", "check the spelling; docs/reference.md lists every key")
    data = {**_with_levels_as_written(document), "document": document}
    population = validated(Population, document, data, (), path.parent)
    complaints = list(complaints_about(population))
    if complaints:
        raise SpecError(*complaints)
    if not population.combine:
        return population
    chain = (*above, path.resolve())
    for index, part in enumerate(population.combine):
        if part.file.resolve() in chain:
            raise document.error(
                ("combine", index, "file"), "the populations combine each other in a circle", "take this one out"
            )
    parts = tuple(read_population(part.file, above=chain) for part in population.combine)
    return population.model_copy(update={"parts": parts})


_LEVELS: tuple[tuple[str, ...], ...] = (
    ("attributes", "*"),
    ("attributes", "*", "levels"),
    ("impossible",),
    ("microdata", "na"),
    ("microdata", "labels"),
)
"""Where a persona spec lists levels."""


def _with_levels_as_written(document: Document) -> dict[str, Any]:
    """The content of a persona spec in which listed levels are text as written, as those that are keys are anyway."""
    data: dict[str, Any] = dict(document.data)
    for place in _LEVELS:
        _replace(document, data, (), place)
    return data


def _replace(document: Document, data: dict[str, Any], above: Key, place: tuple[str, ...]) -> None:
    """Put lists of levels at `place` (`*` for any key) under `above` as written; shares, which are numbers, stay."""
    for name in data if place[0] == "*" else [place[0]] if place[0] in data else []:
        key, value = (*above, name), data[name]
        if len(place) > 1:
            if isinstance(value, dict):
                data[name] = dict(value)
                _replace(document, data[name], key, place[1:])
        elif isinstance(value, list) or key[0] == "microdata":
            data[name] = document.as_written(key, value)
