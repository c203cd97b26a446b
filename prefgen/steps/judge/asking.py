"""What a judge step asks: its questionnaire, and each presentation as a request."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import numpy as np
import polars as pl
from jinja2 import TemplateError
from pydantic import BeforeValidator, Field

from prefgen.judging.design import design_of
from prefgen.judging.item_rows import Items
from prefgen.judging.items import RETOLD, free_names, not_items, taken
from prefgen.judging.presentations import OrderRule, Orders
from prefgen.judging.prompts import MAX_TOKENS, Prompts, as_sent
from prefgen.judging.questionnaire import Presentation, Questionnaire
from prefgen.judging.rankings import RANKINGS
from prefgen.judging.requests import request_of
from prefgen.personas.cast import PLAYED_BY
from prefgen.records import Request
from prefgen.spec.condition import ConditionError
from prefgen.spec.fields import Spec as Part
from prefgen.spec.models import ModelSpec
from prefgen.steps.context import Context
from prefgen.steps.people import are_models
from prefgen.steps.table.rendering import rendered
from prefgen.store.table import Table

if TYPE_CHECKING:
    from prefgen.steps.judge import Judge
    from prefgen.steps.judge.rank import Rank


class SlotPrior(Part):
    """All rotations on some of the items, and the slot prior that they show taken out of the rest."""

    prior: float = Field(gt=0, le=1, description="Share of the items that is shown in all rotations.")


def _as_written(value: object) -> object:
    rules = get_args(OrderRule)
    if value == "balanced" or isinstance(value, SlotPrior | dict):
        return value
    if isinstance(value, list) and value and all(rule in rules for rule in value):
        return value
    wrong = next((rule for rule in value if rule not in rules), None) if isinstance(value, list) else value
    raise ValueError(f"{wrong!r} is no order\nfix: write balanced, {{prior: 0.2}}, or a list of {', '.join(rules)}")


SaidOrders = Annotated[Literal["balanced"] | SlotPrior | list[OrderRule], BeforeValidator(_as_written)]
"""`orders:` as it is written."""


def each_once(value: list[str]) -> list[str]:
    """The answers offered besides the options; ValueError for one that is written twice."""
    if len(set(value)) < len(value):
        raise ValueError("written twice\nfix: write `tie` and `na` at most once each")
    return value


def personas_of(spec: Judge | Rank, tables: Mapping[str, Table], context: Context) -> pl.DataFrame:
    """Those who judge, controls among them."""
    personas = tables[spec.as_].read()
    if not {"persona_id", "text", "weight", "control"} <= set(personas.columns):
        raise context.error("as", f"{spec.as_!r} has no personas (no column `persona_id`)", "name a `draw` step")
    twice = personas.filter(personas["persona_id"].is_duplicated())
    if twice.height:
        problem = f"{spec.as_!r} has several rows for persona_id {twice['persona_id'][0]!r}"
        raise context.error("as", problem, f"write `{{people: {spec.as_}, by: COLUMN}}`, and name that step")
    return personas


def items_of(spec: Judge | Rank, tables: Mapping[str, Table], context: Context) -> Items:
    """The kept items, checked; a `persona_id` may be among their columns."""
    name = spec.named[-1]
    kinds = tables[name].schema
    wrong = not_items(list(kinds))
    if wrong is not None:
        raise context.error("items", f"{name!r} has no items: {wrong[0]}", wrong[1])
    items = Items.of(tables[name])
    if not items.height:
        raise context.error("items", f"{name!r} has no items that were kept", "look at what was dropped, and why")
    # What an item was before it was written anew tells of the item, and is no coordinate.
    return items.without("retold") if kinds.get("retold") == RETOLD else items


def carried(items: Items, own: Collection[str], context: Context) -> Items:
    """Items as they travel with judgments: columns whose names these need for themselves, or are `own`, under others, which is told."""
    names = free_names(list(items.schema), own)
    if "split" in names and not _are_splits(items.column("split")):  # exports part what they write by it, the items too
        problem = "items have a column 'split', by which exports part their rows, and it names no splits"
        raise context.error("items", problem, "write `rename: {split: item_split}` in the `table` step that brings it")
    if names:
        context.note(
            "; ".join(f"column {old!r} travels as {new!r}" for old, new in names.items())
            + ": judgments or pairs have columns of that name"
        )
    return items.renamed(names)


def _are_splits(values: pl.Series) -> bool:
    """Whether they are what a `split` step writes: train, validation, test, test_persona ..."""
    told = values.drop_nulls().cast(pl.String).unique()
    return all(value in ("train", "validation", "test") or value.startswith("test_") for value in told)


def questionnaire_of(spec: Judge | Rank, tables: Mapping[str, Table], context: Context) -> Questionnaire:
    personas, items = personas_of(spec, tables, context), items_of(spec, tables, context)
    if are_models(personas):
        items = items.without("persona_id")  # whose an item is says nothing of models
    elif len(spec.models) > 1 and PLAYED_BY not in personas.columns:
        fix = f"write `{{people: {spec.as_}, models: [{', '.join(spec.models)}]}}`, and name that step"
        raise context.error("as", "nobody says which of the models plays whom", fix)
    if "persona_id" in items.schema and _of_others(items.column("persona_id"), personas):
        problem, fix = taken(["persona_id"]) or ("", "")
        raise context.error("items", f"{spec.named[-1]!r} has the {problem}", fix)
    if spec.models and personas.filter(pl.col("control").is_null())["text"].null_count():
        problem = f"the people of {spec.as_!r} have no portraits, so no model can play them"
        raise context.error("as", problem, "write `text:` in that `people` step")
    try:
        page = spec.template.read_text("utf-8") if spec.template is not None else None
        prompts = Prompts.load(readout=spec.readout, extra=tuple(name.upper() for name in spec.also), page=page)
    except (OSError, UnicodeDecodeError, TemplateError) as error:
        raise context.error("template", f"{spec.template}: {error}", "give a UTF-8 Jinja template") from None
    items = items.some(np.array(context.preview(items.shape["item_id"].to_list()), dtype=np.int64))
    try:
        design = design_of(personas, items, where=spec.where, per_persona=spec.per_persona, seed=context.seed)
    except ConditionError as error:
        raise context.error("where", error.problem, error.fix) from None
    own = RANKINGS.names if spec.judge == "rank" else ()
    items = carried(items.without("persona_id"), own, context)
    asked = Questionnaire(prompts, personas, items, _orders(spec, context.seed), spec.repeats, design)
    return asked if spec.system is None else replace(asked, said=_systems(spec.system, personas, context))


def _systems(template: str, personas: pl.DataFrame, context: Context) -> tuple[str, ...]:
    """The system message of every persona; '' for the control that is nobody."""
    nobody = ((personas["control"] == "none") & (personas["text"].fill_null("") == "")).fill_null(value=False)
    texts = rendered(personas, template, "system", context)
    return tuple("" if is_nobody else text for text, is_nobody in zip(texts, nobody, strict=True))


def _of_others(persona_ids: pl.Series, personas: pl.DataFrame) -> bool:
    """Whether a `persona_id` of the items names somebody who is not asked, and so means something else."""
    named = persona_ids.drop_nulls()
    known = [name for column in ("persona_id", "person") if column in personas.columns for name in personas[column]]
    return len(named) > 0 and (named.dtype != pl.String or not named.is_in(known).all())


def _orders(spec: Judge | Rank, seed: int) -> Orders:
    if spec.readout == "likelihood":
        return Orders(("given",))
    if isinstance(spec.orders, SlotPrior):
        return Orders(prior_share=spec.orders.prior, seed=seed)
    return Orders(("balanced",) if spec.orders == "balanced" else tuple(spec.orders))


def model_of(name: str, spec: Judge, context: Context) -> ModelSpec:
    """A model that is asked. SpecError where it cannot be asked for this readout."""
    model = context.ask.spec(name)
    if spec.readout == "likelihood" and not model.tells_likelihood:
        raise context.error(
            "readout",
            f"the engine `{model.engine}` gives no log-probabilities of given words",
            "write `readout: logprobs`, or ask a model with `engine: embedded`, `engine: vllm` or a server of vLLM",
        )
    return model


def to_request(one: Presentation, *, spec: Judge, model: ModelSpec) -> Request:
    if spec.readout == "likelihood":  # nothing is drawn, so no setting of drawing is part of it
        messages = as_sent((*one.system, *one.page.messages), prefill=False, system_role=model.system_role)
        return Request(model.model, model.identity, messages, "likelihood", one.page.choices)
    most, messages = MAX_TOKENS[spec.readout], (*one.system, *one.page.messages)
    return request_of(model, messages, spec.readout, most=most, choices=one.page.choices, repeat=one.repeat)


def max_tokens(spec: Judge, model: ModelSpec) -> int:
    return model.max_tokens or MAX_TOKENS[spec.readout]
