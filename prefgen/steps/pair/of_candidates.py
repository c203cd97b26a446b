"""What the pairs that no judge made have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from prefgen.spec.fields import Name
from prefgen.spec.pipeline import Grain, StepSpec
from prefgen.steps.show import Show
from prefgen.steps.step import Step


class PairOfCandidates(Step):
    """Pairs of candidates for one question, by their columns."""

    kind: ClassVar[str] = "pair"
    grain: ClassVar[Grain | None] = "pairs"

    from_: str = Field(alias="from", description="Name of a step with candidates.")
    within: list[Name] = Field(
        default_factory=lambda: ["item_id"], description="Columns in which they agree, besides the question."
    )
    items: str = Field(
        "", description="Name of a `show` step with the candidates two by two; without it one is put before this step."
    )

    def unfolded(self, name: str, above: Mapping[str, StepSpec]) -> Mapping[str, StepSpec]:
        """A `show` step with the candidates two by two goes before it."""
        del above
        if self.items:
            return {name: self}
        shown = f"{name}_shown"
        return {
            shown: Show(show=self.from_, within=self.within, size=2),
            name: self.model_copy(update={"items": shown}),
        }

    def reads(self) -> tuple[tuple[str, str], ...]:
        return (("from", self.from_), ("items", self.items))

    @property
    def question(self) -> list[str]:
        """Columns of the sets whose values are one question's."""
        return ["prompt_id", *(name for name in self.within if name not in ("item_id", "prompt_id"))]
