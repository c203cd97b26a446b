"""How time is cut, as it is written in a `split` step."""

from __future__ import annotations

from pydantic import Field, model_validator

from prefgen.spec.fields import Name
from prefgen.spec.fields import Spec as SpecPart
from prefgen.steps.split.moments import Moment


class Time(SpecPart):
    """Where time is cut: `train` is what was before."""

    column: Name = Field(
        description="Column of the time: numbers, dates or times, or text like `2026-09-01` or `2026-09-01T12:00`."
    )
    test: Moment | None = Field(None, description="First moment that is held out, as in the column.")
    validation: Moment | None = Field(
        None,
        description="First moment of the split `validation`, which ends where `test` begins; with `last` how many rows before those held out. "
        "Without `by` only.",
    )
    share: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Instead of `test`: the latest rows, about this share. The cut moves when rows are added, and rows with it.",
    )
    last: int | None = Field(
        None,
        ge=1,
        description="Instead of `test`: the last so many rows of everybody (`per`), with those of the same moment as the first of them. Of whom nothing "
        "would be left to train on, all stays in `train`. Moves when rows are added.",
    )
    per: Name | None = Field(
        None, description="`last`: column whose every value has its own cut; `persona` is persona_id."
    )

    @model_validator(mode="after")
    def _one_cut(self) -> Time:
        if sum(one is not None for one in (self.test, self.share, self.last)) != 1:
            raise ValueError(
                "time is cut by `test`, by `share` or by `last`, by one of them\nfix: write e.g. test: 2026-09-01, or last: 1"
            )
        if (self.last is None) != (self.per is None):
            raise ValueError("`last` goes with `per`: the last of whom?\nfix: write e.g. `last: 1, per: persona`")
        if self.validation is not None and self.share is not None:
            raise ValueError("`validation` ends where `test` begins\nfix: write `test` instead of `share`")
        if self.last is not None and self.validation is not None:
            self._check_rows_before()
        return self

    def _check_rows_before(self) -> None:
        if not isinstance(self.validation, int) or self.validation < 1:
            raise ValueError("with `last`, `validation` is a number of rows\nfix: write e.g. validation: 1")
