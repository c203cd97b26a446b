"""`write`: a model turns each persona's attributes into a short life, and a checker reads the facts back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import Field

from prefgen.judging.prompts import MAX_TOKENS
from prefgen.judging.readout import read
from prefgen.personas.life import (
    Fact,
    Telling,
    check_choices,
    check_messages,
    facts_of,
    life_messages,
    number_told_in,
    told_in,
    whole_sentences,
)
from prefgen.records import Request
from prefgen.spec.models import ModelSpec
from prefgen.spec.pipeline import Grain, StepSpec
from prefgen.steps.context import Context, Forecast
from prefgen.store.table import PART_ROWS, Table

_Tellings = dict[str, Telling]


class Spec(StepSpec):
    """The same personas, portrayed by a model; where it does not keep the facts they keep the text they had.

    ```yaml
    lives: {write: life, as: people, model: writer, words: 120}
    ```
    """

    grain: ClassVar[Grain | None] = "personas"

    write: Literal["life"] = Field(description="`life`: a short life of each persona.")
    as_: str = Field(alias="as", description="Name of the step with the personas.")
    model: str = Field(description="Name of the model that writes and reads back, under `models:`.")
    facts: list[str] | None = Field(None, min_length=1, description="Attributes that must be kept; by default all.")
    voice: Literal["second", "first"] = Field("second", description="`second`: You ...; `first`: I ...")
    words: int = Field(120, ge=20, le=1000, description="Length asked for, in words.")
    tries: int = Field(
        1,
        ge=1,
        le=10,
        description="How often a life that contradicts its facts is written anew; `plan` counts the first.",
    )

    def reads(self) -> tuple[tuple[str, str], ...]:
        return (("as", self.as_),)

    def asks(self) -> str:
        return self.model


def make(spec: Spec, tables: Mapping[str, Table], context: Context) -> Iterator[pl.DataFrame]:
    """The personas with a new `text`, and before it

    facts           the text they had
    written         whether the new text is a model's; false where it failed or contradicted a fact, and for `none`
    contradicted, omitted    attributes that the last life written contradicts, or does not tell
    """
    people, facts = _people(spec, tables, context)
    rows = [row for row in people.iter_rows(named=True) if row["control"] != "none"]
    lives: dict[str, str] = {}
    tellings: dict[str, _Tellings] = {}
    pending = rows
    for number in range(spec.tries):
        written = _written(spec, pending, facts, context, number)
        found = _read_back(spec, pending, written, facts, context, number)
        lives.update(written)
        tellings.update(found)
        pending = [row for row in pending if not _holds(row["persona_id"], lives, tellings)]
        if not pending:
            break
    counts = Counter(telling for found in tellings.values() for telling in found.values())
    good = {name for name in lives if _holds(name, lives, tellings)}
    context.summary.update(
        {
            "personas": people.height,
            "written": len(good),
            "kept_their_text": len(rows) - len(good),
            "facts": dict(sorted(counts.items())),
        }
    )
    yield from _told(people, {name: lives[name] for name in good}, tellings).iter_slices(PART_ROWS)


def foresee(spec: Spec, tables: Mapping[str, Table], context: Context) -> Forecast:
    """The first try: one text a persona, and one question a fact that is not a number."""
    people, facts = _people(spec, tables, context)
    rows = [row for row in people.iter_rows(named=True) if row["control"] != "none"]
    prompts = {life_messages(row, facts, words=spec.words, voice=spec.voice)[0][1] for row in rows}
    asked = [fact for fact in facts if fact.levels]
    page = " word" * spec.words
    checks = sum(len(check_messages(page, fact)[0][1]) for fact in asked)
    return Forecast(
        rows=people.height,
        requests=len(prompts) * (1 + len(asked)),
        prompt_chars=sum(map(len, prompts)) + len(prompts) * checks,
        completion_tokens=len(prompts) * (round(spec.words * 1.4) + 2 * len(asked)),
        sample=tuple(sorted(prompts)[:32]),
        empty=_told(people, {}, {}),  # with rows: who is judged next, and how often, does not depend on the words
    )


def _people(spec: Spec, tables: Mapping[str, Table], context: Context) -> tuple[pl.DataFrame, list[Fact]]:
    people = tables[spec.as_].read()
    if not {"persona_id", "text", "control"} <= set(people.columns):
        raise context.error("as", f"{spec.as_!r} has no personas (no column `persona_id`)", "name a `draw` step")
    taken = {"facts", "written", "contradicted", "omitted"} & set(people.columns)
    if taken:
        raise context.error(
            "as", f"{spec.as_!r} has a column {sorted(taken)[0]!r} already", "rename that attribute, or write once"
        )
    for name in spec.facts or ():
        if name not in people.columns:
            raise context.error(
                "facts", f"the personas have no attribute {name!r}", f"use some of {', '.join(people.columns)}"
            )
    facts = facts_of(people, spec.facts)
    if not facts:
        raise context.error(
            "as", f"the personas of {spec.as_!r} have no attributes to tell", "draw people with attributes"
        )
    return people, facts


def _written(
    spec: Spec, rows: Sequence[dict[str, Any]], facts: Sequence[Fact], context: Context, number: int
) -> dict[str, str]:
    """The lives by persona; one that failed, was refused or is empty is not there."""
    model = context.ask.spec(spec.model)
    asked = {row["persona_id"]: _life_request(spec, row, facts, model, number) for row in rows}
    context.ask.send(spec.model, asked.values(), planned=len(asked))
    responses = context.ask.read([request.request_id for request in asked.values()])
    return {
        name: life
        for name, response in zip(asked, responses, strict=True)
        if response.failure is None
        and (life := whole_sentences(response.text) if response.finish == "length" else response.text.strip())
        and response.finish not in ("content_filter", "refusal")
    }


def _read_back(
    spec: Spec,
    rows: Sequence[dict[str, Any]],
    lives: Mapping[str, str],
    facts: Sequence[Fact],
    context: Context,
    number: int,
) -> dict[str, _Tellings]:
    """What each life does with each fact."""
    model = context.ask.spec(spec.model)
    told: dict[str, _Tellings] = {row["persona_id"]: {} for row in rows if row["persona_id"] in lives}
    asked: list[tuple[dict[str, Any], Fact, Request]] = []
    for row in rows:
        for fact in facts if row["persona_id"] in lives else ():
            value, life = row[fact.name], lives[row["persona_id"]]
            if value is None:
                continue
            if fact.levels:
                asked.append((row, fact, _check_request(life, fact, model, number)))
            else:
                told[row["persona_id"]][fact.name] = number_told_in(fact, float(value), life)
    context.ask.send(spec.model, (request for _, _, request in asked), planned=len(asked))
    responses = context.ask.read([request.request_id for _, _, request in asked])
    for (row, fact, request), response in zip(asked, responses, strict=True):
        symbol = read(response, request.choices, "text").symbol
        told[row["persona_id"]][fact.name] = told_in(fact, row[fact.name], symbol)
    return told


def _holds(name: str, lives: Mapping[str, str], tellings: Mapping[str, _Tellings]) -> bool:
    """Whether a life is there and every fact was read, none of them contradicted."""
    return name in lives and not {"contradicted", "unread"} & set(tellings[name].values())


def _told(people: pl.DataFrame, lives: Mapping[str, str], tellings: Mapping[str, _Tellings]) -> pl.DataFrame:
    names = people["persona_id"].to_list()

    def which(telling: Telling) -> pl.Series:
        lists = [[fact for fact, one in tellings.get(name, {}).items() if one == telling] for name in names]
        return pl.Series(telling, lists, dtype=pl.List(pl.String))

    written = pl.Series("written", [name in lives for name in names], dtype=pl.Boolean)
    text = pl.Series(
        "text", [lives.get(name, old) for name, old in zip(names, people["text"], strict=True)], dtype=pl.String
    )
    return people.drop("text").with_columns(
        people["text"].alias("facts"), written, which("contradicted"), which("omitted"), text
    )


def _life_request(spec: Spec, row: Mapping[str, Any], facts: Sequence[Fact], model: ModelSpec, number: int) -> Request:
    room = model.max_tokens or 2 * spec.words + 40  # a model that does not stop is cut at its last whole sentence
    messages = life_messages(row, facts, words=spec.words, voice=spec.voice)
    return Request(
        model=model.model, revision=model.identity, messages=messages, readout="prose", choices=(),
        temperature=model.temperature, top_p=model.top_p, max_tokens=room, seed=model.seed, repeat=number,
    )  # fmt: skip


def _check_request(life: str, fact: Fact, model: ModelSpec, number: int) -> Request:
    return Request(
        model=model.model, revision=model.identity, messages=check_messages(life, fact), readout="text",
        choices=check_choices(fact), temperature=0.0, top_p=model.top_p, max_tokens=MAX_TOKENS["text"], seed=model.seed,
        repeat=number,
    )  # fmt: skip
