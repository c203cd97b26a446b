"""`judge`: every persona answers every item, in every order, as often as asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal, get_args

import polars as pl
from jinja2 import TemplateError
from pydantic import Field, field_validator

from prefgen.judging.aggregate import measured
from prefgen.judging.items import RETOLD, not_items, taken
from prefgen.judging.judgments import to_rows
from prefgen.judging.presentations import OrderRule, Orders, is_balanced, orders_of
from prefgen.judging.priors import SlotPriors, learnt
from prefgen.judging.prompts import MAX_TOKENS, Prompts, as_sent
from prefgen.judging.questionnaire import Presentation, Questionnaire, whole_groups
from prefgen.judging.tally import Tally
from prefgen.records import Readout, Request
from prefgen.spec.fields import InputPath
from prefgen.spec.fields import Spec as Part
from prefgen.spec.models import ModelSpec
from prefgen.spec.pipeline import Grain
from prefgen.steps.context import Asked, Context, Forecast
from prefgen.steps.step import Parts, Step
from prefgen.store.table import PART_ROWS, Table

_SAMPLE = 64  # pages whose tokens are counted, to estimate those of all


_LEAST_TAUGHT = 10  # items below which a slot prior is a guess


class SlotPrior(Part):
    """All rotations on some of the items, and the slot prior that they show taken out of the rest."""

    prior: float = Field(gt=0, le=1, description="Share of the items that is shown in all rotations.")


class Judge(Step):
    """Judgments: one row per persona, item, order and repeat. Items with a `reject_reason` are not asked about.

    ```yaml
    answers: {judge: pick, items: questions, as: personas, model: judge, readout: logprobs}
    answers: {judge: pick, items: questions, as: personas, model: judge, readout: logprobs, orders: {prior: 0.2}}
    ```

    Over `balanced` orders every option stands in every slot equally often, so a judge's liking for a slot cancels out.
    `{prior: 0.2}` costs less: a fifth of the items is shown in all rotations, each of the others in one, and what the
    first show of the slots, persona by persona, is taken out of the others; it needs log-probabilities.
    """

    kind: ClassVar[str] = "judge"

    judge: Literal["pick"] = Field(description="`pick`: one of the item's options.")
    items: str = Field(description="Name of the step with the items.")
    as_: str = Field(alias="as", description="Name of the step with the personas.")
    model: str = Field(description="Name of the model that answers, under `models:`.")
    orders: Literal["balanced"] | SlotPrior | list[OrderRule] = Field(
        default="balanced",
        description="`balanced` (two orders for two options, k rotations for k), `{prior: SHARE}`, or a list of `given`; `swapped`: "
        "the options reversed, one marked neither keeps its place; `cyclic`: all rotations, as `balanced`.",
    )
    repeats: int = Field(1, ge=1, le=1000, description="Independent askings of each presentation.")
    readout: Literal["logprobs", "text", "certainty", "reason"] = Field(
        "logprobs",
        description="`logprobs`: one token and the probability of every option; `text`: the option alone; "
        "`certainty`: with the judge's own 1-100; `reason`: a reason first.",
    )
    also: list[Literal["tie", "na"]] = Field(
        default_factory=list, description="Answers offered besides the options: no difference, does not apply."
    )
    template: InputPath | None = Field(
        None,
        description="Your own page as a Jinja template over `item`, `options` (slot, text), `choices` and `readout`.",
    )

    grain: ClassVar[Grain | None] = "judgments"

    @field_validator("orders", mode="before")
    @classmethod
    def _as_written(cls, value: object) -> object:
        rules = get_args(OrderRule)
        if value == "balanced" or isinstance(value, SlotPrior | dict):
            return value
        if isinstance(value, list) and value and all(rule in rules for rule in value):
            return value
        wrong = next((rule for rule in value if rule not in rules), None) if isinstance(value, list) else value
        raise ValueError(f"{wrong!r} is no order\nfix: write balanced, {{prior: 0.2}}, or a list of {', '.join(rules)}")

    @field_validator("also")
    @classmethod
    def _each_once(cls, value: list[str]) -> list[str]:
        if len(set(value)) < len(value):
            raise ValueError("written twice\nfix: write `tie` and `na` at most once each")
        return value

    def reads(self) -> tuple[tuple[str, str], ...]:
        return (("items", self.items), ("as", self.as_))

    def inputs(self) -> tuple[Path, ...]:
        return (self.template,) if self.template is not None else ()

    def asks(self) -> tuple[tuple[str, str], ...]:
        return (("model", self.model),)

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """Asks what is not stored yet, then reads every answer in order: the judgments, with their measures."""
        asked = _questionnaire(self, tables, context)
        model = context.ask.spec(self.model)
        to_request = partial(_to_request, spec=self, model=model)
        context.ask.send(self.model, map(to_request, asked.presentations()), planned=asked.n_presentations)
        priors = _priors(asked, self, context) if asked.orders.prior_share is not None else None
        tally, example = Tally(asked.items), None
        for batch in whole_groups(asked.presentations(), PART_ROWS):
            frame = measured(_read(asked, batch, self, context), priors)
            tally.add(frame)
            example = example or next((to_request(one).messages for one in batch if one.system), None)
            yield frame
        return tally.summary() | {"example": example}

    def foresee(self, tables: Mapping[str, Table], context: Context) -> Forecast:
        """What `make` will ask, without asking: exact rows and requests, and an empty table of the right columns."""
        asked = _questionnaire(self, tables, context)
        model = context.ask.spec(self.model)
        systems = {system for system, _ in asked.systems()}
        pages = _seen(asked, context)
        system_chars = sum(len(text) for system in systems for _, text in system)
        some = [system[0][1] for system in sorted(systems) if system][:8]
        n_requests = len(systems) * pages.n * self.repeats
        return Forecast(
            rows=asked.n_presentations,
            asked=(
                Asked(
                    self.model,
                    n_requests,
                    prompt_chars=(system_chars * pages.n + pages.chars * len(systems)) * self.repeats,
                    completion_tokens=n_requests * _expected_tokens(self, model),
                    sample=(*some, *pages.some),
                ),
            ),
            empty=measured(to_rows(asked, [], [], [], readout=self.readout, model=model.name)),
            notes=tuple(_notes(self, asked, model)),
        )


def _read(asked: Questionnaire, batch: list[Presentation], spec: Judge, context: Context) -> pl.DataFrame:
    model = context.ask.spec(spec.model)
    requests = [_to_request(one, spec=spec, model=model) for one in batch]
    responses = context.ask.read([request.request_id for request in requests])
    return to_rows(asked, batch, requests, responses, readout=spec.readout, model=model.name)


def _priors(asked: Questionnaire, spec: Judge, context: Context) -> SlotPriors:
    """What the items shown in all rotations say of the slots."""
    in_full = [asked.orders.in_full(name) for name in asked.items["item_id"]]
    some = replace(asked, items=asked.items.filter(pl.Series(in_full, dtype=pl.Boolean)))
    groups = whole_groups(some.presentations(), PART_ROWS)
    return learnt(_read(some, batch, spec, context) for batch in groups if batch)


def _notes(spec: Judge, asked: Questionnaire, model: ModelSpec) -> Iterator[str]:
    """What of this step people should know before they pay for it."""
    if spec.repeats > 1 and model.temperature == 0:
        yield f"{spec.repeats} repeats at temperature 0 are {spec.repeats} times the same answer: set the model's `temperature`, or `repeats: 1`"
    shapes = asked.items.select(pl.col("options").list.len(), "neither").unique(maintain_order=True)
    if asked.orders.prior_share is not None:
        taught = sum(map(asked.orders.in_full, asked.items["item_id"]))
        if taught < _LEAST_TAUGHT:
            yield f"the slot prior rests on {taught} of {asked.items.height} items: raise `orders: {{prior: ...}}`, or write `orders: balanced`"
        return
    rules = asked.orders.rules
    tilted = [
        k for k, neither in shapes.iter_rows() if not is_balanced(frozenset(orders_of(rules, k, neither)), k, neither)
    ]
    if tilted and len(rules) > 1:
        yield (
            f"orders {', '.join(rules)} do not show every one of {max(tilted)} options in every slot equally often, so p keeps some of the "
            "slots' bias: write `orders: balanced`"
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    """The different pages of a questionnaire: how many, their characters together, and a few of them."""

    n: int
    chars: int
    some: tuple[str, ...]


def _seen(asked: Questionnaire, context: Context) -> _Seen:
    # Only the hash of a page is kept: fifty thousand pages are half of the time of a plan, if they are all held.
    known: set[int] = set()
    chars, some, each = 0, [], max(1, asked.items.height // _SAMPLE)
    try:
        for row, _, page in asked.pages():
            name = hash(page)
            if name not in known:
                known.add(name)
                chars += sum([len(text) for _, text in page.messages])
                if row % each == 0:
                    some.append(page.messages[0][1])
    except Exception as error:  # a stranger's template may raise anything
        columns = ", ".join(asked.items.columns)
        raise context.error("template", f"{type(error).__name__}: {error}", f"use item.<column>: {columns}") from None
    return _Seen(len(known), chars, tuple(some[:_SAMPLE]))


def _expected_tokens(spec: Judge, model: ModelSpec) -> int:
    typical: dict[Readout, int] = {"logprobs": 1, "text": 2, "certainty": 5, "reason": 60}
    return min(typical[spec.readout], _max_tokens(spec, model))


def _max_tokens(spec: Judge, model: ModelSpec) -> int:
    return model.max_tokens or MAX_TOKENS[spec.readout]


def _questionnaire(spec: Judge, tables: Mapping[str, Table], context: Context) -> Questionnaire:
    personas, items = tables[spec.as_].read(), tables[spec.items].read()
    if not {"persona_id", "text", "weight", "control"} <= set(personas.columns):
        raise context.error("as", f"{spec.as_!r} has no personas (no column `persona_id`)", "name a `draw` step")
    wrong = not_items(items.columns)
    if wrong is not None:
        raise context.error("items", f"{spec.items!r} has no items: {wrong[0]}", wrong[1])
    if "reject_reason" in items.columns:
        items = items.filter(pl.col("reject_reason").is_null()).drop("reject_reason")
    if items.is_empty():
        raise context.error("items", f"{spec.items!r} has no items that were kept", "look at what was dropped, and why")
    if items.schema.get("retold") == RETOLD:
        items = items.drop("retold")  # it tells of the item, and is no coordinate
    wrong = taken(items.columns)
    if wrong is not None:
        raise context.error("items", f"{spec.items!r} has the {wrong[0]}", wrong[1])
    try:
        page = spec.template.read_text("utf-8") if spec.template is not None else None
        prompts = Prompts.load(readout=spec.readout, extra=tuple(name.upper() for name in spec.also), page=page)
    except (OSError, UnicodeDecodeError, TemplateError) as error:
        raise context.error("template", f"{spec.template}: {error}", "give a UTF-8 Jinja template") from None
    return Questionnaire(prompts, personas, context.preview(items), _orders(spec, context.seed), spec.repeats)


def _orders(spec: Judge, seed: int) -> Orders:
    if isinstance(spec.orders, SlotPrior):
        return Orders(prior_share=spec.orders.prior, seed=seed)
    return Orders(("balanced",) if spec.orders == "balanced" else tuple(spec.orders))


def _to_request(one: Presentation, *, spec: Judge, model: ModelSpec) -> Request:
    return Request(
        model=model.model,
        revision=model.identity,
        messages=as_sent((*one.system, *one.page.messages), prefill=model.prefill, system_role=model.system_role),
        readout=spec.readout,
        choices=one.page.choices,
        temperature=model.temperature,
        top_p=model.top_p,
        max_tokens=_max_tokens(spec, model),
        seed=model.seed,
        repeat=one.repeat,
    )
