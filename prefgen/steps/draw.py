"""`draw`: people from a persona spec, and the control personas that are judged beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import Field, model_validator

from prefgen.personas.controls import Control
from prefgen.personas.correlated import told_of_correlations
from prefgen.personas.draw import draw_audited
from prefgen.personas.said import told_found
from prefgen.spec.fields import InputPath
from prefgen.spec.pipeline import Grain
from prefgen.spec.population import Population, read_population
from prefgen.steps.context import Context
from prefgen.steps.step import Parts, Step
from prefgen.store.table import Table, in_parts

_MANY = 100_000  # people; more are drawn where they are counted, and not to see whether the spec is right


class Draw(Step):
    """Draw people. The persona spec is read and checked with the pipeline."""

    kind: ClassVar[str] = "draw"

    grain: ClassVar[Grain] = "personas"

    draw: InputPath = Field(description="The persona spec.")
    n: int | None = Field(
        None,
        ge=1,
        le=50_000_000,
        description="People to draw; portraits without it are one persona each, weighted by share.",
    )
    controls: list[Control] = Field(
        default_factory=list,
        description="Control personas beside the people: `none` (no portrait), `wrong` (another person's), `shuffled` (attributes shuffled).",
    )
    seed: int | None = Field(None, ge=0, lt=2**63, description="Seed of this draw; by default the pipeline's.")

    @model_validator(mode="after")
    def _population_fits(self) -> Draw:
        population = self.population()
        if self.n is None and not population.portraits:
            raise ValueError(
                f"{self.draw.name} has attributes, which do not say how many people to draw\nfix: add e.g. n: 200"
            )
        if "shuffled" in self.controls and population.portraits:
            raise ValueError("named portraits have no attributes to shuffle\nfix: use the controls none and wrong")
        return self

    def lighter(self) -> Draw:
        return self if self.n is None or self.n <= _MANY else self.model_copy(update={"n": _MANY})

    def population(self) -> Population:
        """The persona spec, read."""
        return read_population(self.draw)

    def inputs(self) -> tuple[Path, ...]:
        """The persona spec and every table or survey file that it names."""
        return self.population().inputs()

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """The personas table; the audit of the draw goes into the summary."""
        del tables  # people come from the self alone
        seed = context.seed if self.seed is None else self.seed
        population = self.population()
        drawn = draw_audited(population, n=self.n, seed=seed, controls=self.controls)
        audit = drawn.audit.to_json()
        context.note(*told_found(audit), *told_of_correlations(population, drawn.people))
        yield from in_parts(drawn.people)
        return audit
