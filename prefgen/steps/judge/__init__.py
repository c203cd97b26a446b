"""`judge`: every persona answers every item, in every order, as often as asked."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticKnownError

from prefgen.judging.aggregate import measured
from prefgen.judging.computed import chosen_by
from prefgen.judging.judgments import to_rows
from prefgen.judging.priors import SlotPriors, learnt
from prefgen.judging.questionnaire import Presentation, Questionnaire, whole_groups
from prefgen.judging.tally import Tally
from prefgen.judging.utility import Utility
from prefgen.records import Reading
from prefgen.spec.condition import ConditionError
from prefgen.spec.fields import InputPath, Name
from prefgen.spec.pipeline import Grain, StepSpec
from prefgen.steps.context import Context, StepEstimate
from prefgen.steps.judge.agreement import ModelsAgree
from prefgen.steps.judge.asking import SaidOrders, each_once, model_of, questionnaire_of, to_request
from prefgen.steps.judge.cast import with_what_is_judged
from prefgen.steps.judge.estimate import asked_of, bound_of, notes_on
from prefgen.steps.judge.given import check_given, given_by_people, unfolded_given
from prefgen.steps.judge.likelihood import all_requests, check_likelihood, plain_ids, read_all
from prefgen.steps.judge.selves import by_model, check_selves
from prefgen.steps.step import Parts, Step
from prefgen.store.table import PART_ROWS, Table


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
    presets: ClassVar[tuple[str, ...]] = ("pick", "score", "rank")

    @classmethod
    def preset(cls, said: object) -> type[StepSpec]:
        """Other scales are other steps: `score`, `grade`, `check` and `mark`, and `rank`."""
        if said == "rank":
            ranks: type[StepSpec] = importlib.import_module(f"{__name__}.rank").Rank
            return ranks
        if said in ("score", "grade", "check", "mark"):
            found: type[StepSpec] = importlib.import_module(f"{__name__}.rate").Rate
            return found
        return cls

    judge: Literal["pick"] = Field(description="`pick`: one of the item's options.")
    items: Name | Annotated[list[Name], Field(min_length=1)] = Field(
        description="Name of the step with the items, or with candidates; further ones are looked up by the ids that both have. Of `given` answers that of "
        "the answers, then that of the items, where they are two."
    )
    within: list[Name] | None = Field(
        None,
        description="Of candidates: columns in which those shown together agree, besides the question. See `show`.",
    )
    show: int | Literal["all"] | None = Field(
        None,
        description="Of candidates: how many are shown together, every such set or `all` at once; 2 where `within` is given.",
    )
    given: Name | None = Field(
        None,
        description="Take the choice from this column instead: people's own answers, a row each with `persona_id` and `item_id`. The text of an "
        "option, its letter, or its place from 0; of candidates a number each, of which the largest is chosen. A row without one is no judgment.",
    )
    as_: str = Field(
        "",
        alias="as",
        validate_default=True,
        description="Name of the step with the personas, or with rows that have a `persona_id` and a `text`. Without it the model answers as itself, and of `given` answers the people are those who gave them.",
    )
    where: str | None = Field(
        None,
        description="SQL over `items.<column>` and `people.<column>`: who is asked about what; everybody about everything.",
    )
    per_persona: int | None = Field(None, ge=1, description="At most so many items of each persona, drawn at random.")
    utility: str | None = Field(
        None,
        description="Compute the choice instead: SQL over `people.<column>` and `items.<column>` (of the options: `option_speed` is `items.speed`), "
        "or `weights`: the sum of a persona's columns times the option's of the same names.",
    )
    model: str | list[Name] = Field(
        "",
        validate_default=True,
        description="Name of the model that answers, under `models:`; or give `utility` or `given`. Of several each is a judge of its own: as itself, or "
        "with `as` as everybody.",
    )
    standardize: bool = Field(
        False, description="`utility`: bring the options' numbers to mean 0 and deviation 1 first."
    )
    noise: float = Field(
        0.0,
        ge=0,
        description="`utility`: p is the softmax of utility / noise; 0: the best option, and a tie where several are.",
    )
    orders: SaidOrders = Field(
        default="balanced",
        description="`balanced` (two orders for two options, k rotations for k), `{prior: SHARE}`, or a list of `given`; `swapped`: "
        "the options reversed, one marked neither keeps its place; `cyclic`: all rotations, as `balanced`.",
    )
    repeats: int = Field(1, ge=1, le=1000, description="Independent askings of each presentation.")
    readout: Literal["logprobs", "text", "certainty", "reason", "likelihood"] = Field(
        "logprobs",
        description="`logprobs`: one token and the probability of every option; `text`: the option alone; "
        "`certainty`: with the judge's own 1-100; `reason`: a reason first; `likelihood`: the page without options, and how "
        "probable each option's words are as its answer (`embedded`, `vllm`, and servers of vLLM).",
    )
    likelihood: Literal["sum", "mean", "gain"] = Field(
        "sum",
        description="What an option scores there, p being the softmax of it: the `sum` of its tokens' log-probabilities, their `mean` "
        "(options of unlike length), or the `gain` of the sum over that without a persona.",
    )
    also: Annotated[list[Literal["tie", "na"]], AfterValidator(each_once)] = Field(
        default_factory=list, description="Answers offered besides the options: no difference, does not apply."
    )
    system: str | None = Field(
        None,
        min_length=1,
        description="Template of the system message, over the persona's columns, instead of the house's words around its `text`; a control that is nobody gets none.",
    )
    template: InputPath | None = Field(
        None,
        description="Your own page as a Jinja template over `item`, `options` (slot, text), `choices` and `readout`.",
    )

    grain: ClassVar[Grain | None] = "judgments"

    @field_validator("model")
    @classmethod
    def _asked_or_computed(cls, value: Any, info: ValidationInfo) -> Any:
        if not value and info.data.get("utility") is None and info.data.get("given") is None:
            raise PydanticKnownError("missing")
        if value and info.data.get("utility") is not None:
            raise ValueError("the choice is computed, and no model is asked\nfix: leave `model` or `utility` out")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Judge:
        check_likelihood(self)
        if self.utility is None and (self.standardize or self.noise):
            raise ValueError("`standardize` and `noise` belong to a utility\nfix: leave them out, or give `utility:`")
        if self.given is not None:
            check_given(self)
        else:
            check_selves(self)
        return self

    @property
    def models(self) -> list[str]:
        """Names of the models that are asked."""
        return [self.model] * bool(self.model) if isinstance(self.model, str) else list(self.model)

    @property
    def named(self) -> list[str]:
        """The steps that `items` names: the last has the items."""
        return [self.items] if isinstance(self.items, str) else list(self.items)

    def unfolded(self, name: str, above: Mapping[str, StepSpec]) -> Mapping[str, StepSpec]:
        """With the steps before it that say who judges about what: personas, items looked up, and sets of candidates."""
        if self.given is not None:
            return unfolded_given(self, name)
        return with_what_is_judged(self, name, above)

    def reads(self) -> tuple[tuple[str, str], ...]:
        return (*(("items", name) for name in dict.fromkeys(self.named)), ("as", self.as_))

    def inputs(self) -> tuple[Path, ...]:
        return (self.template,) if self.template is not None else ()

    def asks(self) -> tuple[tuple[str, str], ...]:
        return tuple(("model", name) for name in self.models)

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """Asks what is not stored yet, then reads every answer in order: the judgments, with their measures."""
        if self.given is not None:
            return (yield from given_by_people(self, tables, context))
        asked = questionnaire_of(self, tables, context)
        if self.utility is not None:
            return (yield from _computing(self, asked, context))
        return (yield from _asking(self, by_model(self, asked), context))

    def estimate(self, tables: Mapping[str, Table], context: Context) -> StepEstimate:
        """What `make` will ask, without asking: exact rows and requests, and an empty table of the right columns."""
        asked = questionnaire_of(self, tables, context)
        parts = by_model(self, asked)
        models = [model_of(name, self, context) for name in parts]
        return StepEstimate(
            rows=asked.n_presentations,
            asked=tuple(asked_of(self, part, name, context) for name, part in parts.items()),
            empty=measured(to_rows(asked, [], [], [], readout=self.readout, model=models[0].name)),
            notes=tuple(dict.fromkeys(note for model in models for note in notes_on(self, asked, model))),
            bound=bound_of(asked, self),
        )


def _asking(spec: Judge, parts: Mapping[str, Questionnaire], context: Context) -> Parts:
    """What models answer, one after the other."""
    for name, asked in parts.items():
        model = model_of(name, spec, context)
        context.ask.send(name, all_requests(asked, spec, model), planned=asked.n_presentations)
    tally, example, agree = Tally(next(iter(parts.values())).items), None, ModelsAgree.of(parts)
    for name, asked in parts.items():
        request_of = partial(to_request, spec=spec, model=context.ask.spec(name))
        priors = _priors(asked, spec, name, context) if asked.orders.prior_share is not None else None
        for batch in whole_groups(asked.presentations(), PART_ROWS):
            frame = measured(_read(asked, batch, spec, name, context), priors)
            tally.add(frame)
            agree.add(name, frame)
            example = example or next((request_of(one).messages for one in batch if one.system), None)
            yield frame
    return tally.summary() | agree.summary() | {"example": example}


def _computing(spec: Judge, asked: Questionnaire, context: Context) -> Parts:
    """What a utility makes of the items."""
    tally = Tally(asked.items)
    utility = Utility(spec.utility or "", spec.standardize)
    try:
        for frame in chosen_by(utility, asked, noise=spec.noise, part_rows=PART_ROWS):
            made = measured(frame)
            tally.add(made)
            yield made
    except ConditionError as error:
        raise context.error("utility", error.problem, error.fix) from None
    return tally.summary()


def _read(asked: Questionnaire, batch: list[Presentation], spec: Judge, name: str, context: Context) -> pl.DataFrame:
    model = context.ask.spec(name)
    requests = [to_request(one, spec=spec, model=model) for one in batch]
    responses = context.ask.read([request.request_id for request in requests])
    readings: list[Reading] | None = None
    if spec.readout == "likelihood":
        ids = plain_ids(batch, spec, model) if spec.likelihood == "gain" else {}
        plain = dict(zip(ids, context.ask.read(list(ids.values())), strict=True))
        responses, readings = read_all(batch, requests, responses, score=spec.likelihood, plain=plain)
    return to_rows(asked, batch, requests, responses, readout=spec.readout, model=model.name, readings=readings)


def _priors(asked: Questionnaire, spec: Judge, name: str, context: Context) -> SlotPriors:
    """What the items shown in all rotations say of the slots."""
    in_full = np.flatnonzero([asked.orders.in_full(name) for name in asked.items.shape["item_id"]])
    design = None if asked.design is None else asked.design.among(in_full)
    some = replace(asked, items=asked.items.some(in_full), design=design)
    groups = whole_groups(some.presentations(), PART_ROWS)
    return learnt(_read(some, batch, spec, name, context) for batch in groups if batch)
