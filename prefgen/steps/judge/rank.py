"""`judge: rank`: every persona puts all options of every item in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import polars as pl
from pydantic import Field, model_validator

from prefgen.ids import content_id
from prefgen.judging.judgments import brought_by, ids_of
from prefgen.judging.questionnaire import Presentation, Questionnaire, whole_groups
from prefgen.judging.rankings import MEASURES, RANKINGS, Ranked, RankingTally, measured, ranks_of, reply_of_slots
from prefgen.judging.requests import request_of
from prefgen.records import Request, Response
from prefgen.schemas import LETTERS
from prefgen.spec.fields import Name
from prefgen.spec.models import ModelSpec
from prefgen.spec.pipeline import Grain, StepSpec
from prefgen.spec.reply import Reply
from prefgen.steps.context import Context, StepEstimate
from prefgen.steps.judge.asking import SaidOrders, questionnaire_of
from prefgen.steps.judge.cast import with_what_is_judged
from prefgen.steps.judge.estimate import asked_of, bound_of, notes_on
from prefgen.steps.judge.selves import by_model, check_selves
from prefgen.steps.step import Parts, Step
from prefgen.steps.write.outcome import heard
from prefgen.store.table import PART_ROWS, Table

_PER_PLACE = 16  # tokens of a place in a reply


class Rank(Step):
    """Rankings: one row per persona, item, order and repeat, with all options in order.

    ```yaml
    ranked: {judge: rank, items: answers, show: all, as: people, model: judge}
    pairs:  {pair: best_vs_worst, from: ranked}
    ```

    The reply names a slot for every place, held to a JSON schema where the server or the engine can; one that names a slot twice is
    `unparsed`. Over `balanced` orders every option stands in every slot equally often. `ranking` has the letters of the options, the best
    first; `mean_ranks` the mean rank of every option over orders and repeats.
    """

    kind: ClassVar[str] = "judge"
    grain: ClassVar[Grain | None] = "rankings"

    judge: Literal["rank"] = Field(description="`rank`: all options, or candidates shown together, in order.")
    items: Name | Annotated[list[Name], Field(min_length=1)] = Field(
        description="Step with the items, or with candidates; further ones are looked up by the ids that both have."
    )
    within: list[Name] | None = Field(
        None, description="Of candidates: columns in which those shown together agree, besides the question."
    )
    show: int | Literal["all"] | None = Field(
        None, description="Of candidates: how many are shown together, every such set or `all` at once."
    )
    as_: str = Field("", alias="as", description="Step with the personas; without it each model ranks as itself.")
    where: str | None = Field(
        None, description="SQL over `items.<column>` and `people.<column>`: who is asked about what."
    )
    per_persona: int | None = Field(None, ge=1, description="At most so many items of each persona, drawn at random.")
    model: str | list[Name] = Field(
        description="The model that ranks, under `models:`; of several each, as itself or as everybody."
    )
    orders: SaidOrders = Field(
        default="balanced", description="`balanced` (all rotations), or a list of `given`, `swapped` and `cyclic`."
    )
    repeats: int = Field(1, ge=1, le=1000, description="Independent askings of each presentation.")
    system: str | None = Field(
        None, min_length=1, description="Template of the system message, over the persona's columns."
    )

    readout: ClassVar[Literal["prose"]] = "prose"
    also: ClassVar[tuple[str, ...]] = ()
    likelihood: ClassVar[str] = "sum"
    template: ClassVar[Path] = Path(__file__).parents[2] / "judging" / "templates" / "rank.jinja"

    @model_validator(mode="after")
    def _fits(self) -> Rank:
        check_selves(self)
        if not isinstance(self.orders, str | list):
            raise ValueError(
                "a slot prior is taken out of probabilities, and a ranking has none\nfix: write a list of orders"
            )
        return self

    @property
    def models(self) -> list[str]:
        """Names of the models that are asked."""
        return [self.model] if isinstance(self.model, str) else list(self.model)

    @property
    def named(self) -> list[str]:
        """The steps that `items` names."""
        return [self.items] if isinstance(self.items, str) else list(self.items)

    def unfolded(self, name: str, above: Mapping[str, StepSpec]) -> Mapping[str, StepSpec]:
        """With the steps before it that say who ranks what."""
        return with_what_is_judged(self, name, above)

    def reads(self) -> tuple[tuple[str, str], ...]:
        return (*(("items", name) for name in dict.fromkeys(self.named)), ("as", self.as_))

    def asks(self) -> tuple[tuple[str, str], ...]:
        return tuple(("model", name) for name in self.models)

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """The rankings, with their measures."""
        asked = questionnaire_of(self, tables, context)
        parts = by_model(self, asked)
        for name, part in parts.items():
            model = context.ask.spec(name)
            requests = (_request(one, model) for one in part.presentations())
            context.ask.send(name, requests, planned=part.n_presentations)
        tally = RankingTally(asked.items.height)
        for name, part in parts.items():
            for batch in whole_groups(part.presentations(), PART_ROWS):
                yield _frame(part, list(_rows(part, batch, name, context, tally)))
        return {"rankings": tally.summary()}

    def estimate(self, tables: Mapping[str, Table], context: Context) -> StepEstimate:
        """What `make` will ask, without asking."""
        asked = questionnaire_of(self, tables, context)
        parts = by_model(self, asked)
        specs = [context.ask.spec(name) for name in parts]
        return StepEstimate(
            rows=asked.n_presentations,
            asked=tuple(asked_of(self, part, name, context) for name, part in parts.items()),
            empty=_frame(asked, []),
            notes=tuple(dict.fromkeys(note for model in specs for note in notes_on(self, asked, model))),
            bound=bound_of(asked, self),
            usable="at most",
        )


@lru_cache(maxsize=32)
def _reply(k: int) -> Reply:
    return reply_of_slots(LETTERS[:k])


def _request(one: Presentation, model: ModelSpec) -> Request:
    k = len(one.page.choices)
    (role, page), *rest = one.page.messages
    messages = (*one.system, (role, f"{page}\n\n{_reply(k).asked()}"), *rest)
    schema = _reply(k).schema
    return request_of(model, messages, "prose", most=_PER_PLACE * (k + 2), repeat=one.repeat, schema=schema)


def _rows(
    asked: Questionnaire, batch: list[Presentation], name: str, context: Context, tally: RankingTally
) -> Iterator[dict[str, Any]]:
    """The rows of whole persona x item groups."""
    model = context.ask.spec(name)
    requests = [_request(one, model) for one in batch]
    responses = context.ask.read([one.request_id for one in requests])
    neither = asked.items.shape["neither"]
    told = zip(batch, requests, responses, strict=True)
    for (persona, item), group in groupby(told, key=lambda one: (one[0].persona, one[0].item)):
        some = list(group)
        read = [_read(one, response, neither[item]) for one, _, response in some]
        measures = measured([one for one, _, _ in read], len(some[0][0].page.choices), neither[item])
        tally.add(item, [one for one, _, _ in read], measures)
        for (one, request, response), (_, ranking, status) in zip(some, read, strict=True):
            ids = asked.personas["persona_id"][persona], asked.items.shape["item_id"][item]
            yield {
                "_persona": persona,
                "_item": item,
                "ranking_id": content_id("rank", (request.request_id, *ids, one.order, one.repeat)),
                "order": one.order,
                "repeat": one.repeat,
                "status": status,
                "ranking": ranking[0] if ranking else None,
                "slot": ranking[1] if ranking else None,
                "model": model.name,
                "request_id": request.request_id,
                "failure": response.failure,
                "reject_reason": None if status == "ok" else status,
                **measures,
            }


def _read(one: Presentation, response: Response, neither: int | None) -> tuple[Ranked, tuple[str, str] | None, str]:
    """(what it comes to, (letters of the options and the slot put first), status)."""
    reply = _reply(len(one.page.choices))
    told = heard(response, reply)
    slots = list(told.rows[0].values()) if told.rows else []
    found = ranks_of(slots, one.order, neither) if slots else None
    if found is None:
        return Ranked(one.order, None, None), None, told.reason or "unparsed"
    return Ranked(one.order, found[1], slots[0] == LETTERS[0]), (found[0], slots[0]), "ok"


def _frame(asked: Questionnaire, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows of the table, with what is known of their persona and item."""
    types = RANKINGS.types()
    own = [name for name in types if name not in ("persona_id", "item_id", "control", "weight")]
    schema = {"_persona": pl.UInt32, "_item": pl.UInt32, **{name: types[name] for name in own}}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    brought = brought_by(asked.items.schema)
    ids = ids_of(asked.personas, {*asked.items.schema, *brought})
    people = asked.personas.select(pl.col("persona_id", "control", "weight", *ids).gather(frame["_persona"]))
    items = asked.items.rows(frame["_item"].to_numpy()).select("item_id", *brought)
    both = pl.concat([frame, people, items], how="horizontal")
    names = [one.name for one in RANKINGS.columns if one.name != "reject_reason" and one.name not in MEASURES]
    return both.select(*names, *MEASURES, *ids, *brought, "reject_reason")
