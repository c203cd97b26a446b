"""What a reader is: a question about what was written, or questions that it must be able to answer."""

from __future__ import annotations

from typing import Annotated, get_args

from pydantic import BeforeValidator, Field, field_validator, model_validator

from prefgen.judging.presentations import OrderRule
from prefgen.schemas import LETTERS
from prefgen.spec.fields import Name
from prefgen.spec.fields import Spec as Part

YES_NO = ("yes", "no")
SAME = "same"


def _as_written(value: object) -> object:
    rules = get_args(OrderRule)
    wrong = next((one for one in (value if isinstance(value, list) else [value]) if one not in rules), None)
    if wrong is None and value:
        return value
    raise ValueError(f"{wrong!r} is no order\nfix: write one of {', '.join(rules)}, or a list of them")


class Reader(Part):
    """One question about a row that was written, and what has to be answered; or items that are answered by means of it."""

    ask: str | None = Field(
        None,
        min_length=1,
        description="Template of the question, over the row as it was written, `written` (the same row) and `element` of `each`.",
    )
    items: Name | None = Field(
        None, description="Instead of `ask`: step with items, each of which is asked, with its own options."
    )
    as_: Name | None = Field(None, alias="as", description="Column with a portrait: the reader answers as that person.")
    options: str | list[str] = Field(
        "yes/no",
        description="`yes/no`, a list of answers, a column with such lists, or a list of columns with an answer each; all but `yes/no` are "
        "shown with letters.",
    )
    want: str = Field(
        "",
        description="The answer that lets a row pass: its text, a column with it (of the row, or of `items`), or `same`: any, but every time the "
        "same; of `yes/no` by default yes.",
    )
    each: Name | None = Field(None, description="Column with a list: asked about every element, and each has to pass.")
    orders: Annotated[OrderRule | list[OrderRule], BeforeValidator(_as_written)] = Field(
        "given",
        description="`given`, `swapped`, `balanced` (every answer stands in every place once), or a list of these.",
    )
    repeats: int = Field(1, ge=1, le=100, description="Independent askings, at the temperature of the model.")
    least: float = Field(
        1.0, gt=0, le=1, description="Least share of orders and repeats with the answer that is wanted."
    )
    model: Name | None = Field(
        None, description="The model that reads, under `models:`; by default the one that wrote."
    )

    @property
    def rules(self) -> tuple[OrderRule, ...]:
        """The orders."""
        return tuple(self.orders) if isinstance(self.orders, list) else (self.orders,)

    @field_validator("options", "want", mode="before")
    @classmethod
    def _words(cls, value: object) -> object:
        """YAML takes a bare `yes` for true."""
        if isinstance(value, list):
            return [YES_NO[not one] if isinstance(one, bool) else one for one in value]
        return YES_NO[not value] if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _fits(self) -> Reader:
        if (self.ask is None) == (self.items is None):
            raise ValueError(
                "a reader has a question, or items\nfix: write `ask:` with a template, or `items:` with a step"
            )
        if self.items is not None and (self.each is not None or self.options != "yes/no"):
            key = "each" if self.each is not None else "options"
            raise ValueError(f"items bring their own questions and options\nfix: leave `{key}` out")
        if self.options == "yes/no" and self.items is None and self.want not in ("", *YES_NO, SAME):
            raise ValueError(f"{self.want!r} is not answered to yes/no\nfix: want yes, no or same")
        if (self.options != "yes/no" or self.items is not None) and not self.want:
            raise ValueError("`want` says which answer lets a row pass\nfix: write the text of one, a column, or same")
        if isinstance(self.options, list) and not 2 <= len(set(self.options)) == len(self.options) <= len(LETTERS):
            raise ValueError(f"a reader has 2 to {len(LETTERS)} different options\nfix: correct the list")
        if self.want == SAME and self.repeats == 1 and self.rules in (("given",), ("swapped",)):
            raise ValueError("one answer is always the same\nfix: write `repeats: 3` or `orders: balanced`")
        return self
