"""Responses to the rows of the judgments table, and what they add up to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from prefgen.ids import content_id
from prefgen.judging.candidates import OF_OPTIONS, of_options
from prefgen.judging.presentations import by_option, shown
from prefgen.judging.questionnaire import Presentation, Questionnaire
from prefgen.judging.readout import read
from prefgen.records import Reading, Readout, Request, Response
from prefgen.schemas import ANSWERS, ITEMS, JUDGMENTS, LETTERS, PERSONAS, Type, coordinates


def to_rows(
    asked: Questionnaire,
    batch: list[Presentation],
    requests: list[Request],
    responses: list[Response],
    *,
    readout: Readout,
    model: str,
    readings: Sequence[Reading] | None = None,
) -> pl.DataFrame:
    """The judgments of whole persona x item groups: one row per presentation, in order, without measures.

    readings    of the responses, where they are not `read` one by one; their symbols are options, and no slots

    `reject_reason` is the status of rows that are no answer (`failed`, `unparsed`, `refusal`), else null.
    """
    names = p_fields(asked.letters, asked.prompts.extra)
    numbers, item = np.unique(np.array([one.item for one in batch], dtype=np.int64), return_inverse=True)
    items = asked.items.rows(numbers)
    of_items = zip(numbers.tolist(), items.select("item_id", "options", "neither").iter_rows(), strict=True)
    persona = pl.Series([one.persona for one in batch], dtype=pl.UInt32)
    people = persona.unique()
    of_people = zip(people, asked.personas["persona_id"].gather(people), strict=True)
    facts = _Facts(readout, names, len(asked.prompts.extra), dict(of_people), dict(of_items))
    readings = facts.read(batch, requests, responses) if readings is None else readings
    rows = [_row(*one, facts) for one in zip(batch, requests, responses, readings, strict=True)]
    frame = pl.DataFrame(rows, schema=row_schema(names), orient="row")
    frame = frame.with_columns(pl.lit(model).alias("model"))
    return assembled(asked.personas, items, persona, pl.Series(item, dtype=pl.UInt32), frame)


def assembled(
    personas: pl.DataFrame, items: pl.DataFrame, persona: pl.Series, item: pl.Series, frame: pl.DataFrame
) -> pl.DataFrame:
    """Judgments without measures: rows of `row_schema` and `model`, with what is known of their persona and item.

    persona, item    the row of each judgment's in `personas` and `items`
    """
    brought = brought_by(items.schema)
    ids = ids_of(personas, {*items.columns, *brought})
    both = pl.concat(
        [
            personas.select(pl.col("persona_id", "control", "weight", *ids).gather(persona)),
            items.select(pl.col("item_id", *brought).gather(item)),
            frame,
        ],
        how="horizontal",
    )
    status = pl.col("status")
    return both.select(
        *("judgment_id", "persona_id", "item_id", "order", "repeat", "choice", "status", "slot", "p", "p_read"),
        *("certainty", "reason", "readout"),
        "model",
        *("request_id", "failure", "control", "weight", "neither"),
        *ids,
        *brought,
        pl.when(status.is_in(["failed", "unparsed", "refusal"])).then(status).alias("reject_reason"),
    )


def ids_of(personas: pl.DataFrame, taken: Collection[str]) -> list[str]:
    """Ids of the rows that personas were made from, which travel with their judgments."""
    own = (PERSONAS | JUDGMENTS).names | {*taken}
    return [name for name in personas.columns if name.endswith("_id") and name not in own]


def p_fields(letters: Sequence[str], extra: Sequence[str]) -> tuple[str, ...]:
    """Fields of the column `p`: the option letters, then `tie` and `na` where they are offered."""
    return (*letters, *(name.lower() for name in extra))


def brought_by(items: pl.Schema) -> list[str]:
    """Columns of items that travel with their judgments: the user's own, but for those with a value for every option."""
    each = {f"{OF_OPTIONS}{name}" for name in of_options(items)}
    return [name for name in coordinates(items, ITEMS) if name not in each]


def row_schema(names: tuple[str, ...]) -> dict[str, Type]:
    """The columns of `_row`."""
    return {
        **ANSWERS.types("judgment_id", "order", "repeat", "choice", "slot", "status"),
        "p": pl.Struct(dict.fromkeys(names, pl.Float64)),
        **ANSWERS.types("p_read", "certainty", "reason", "readout", "request_id", "failure", "neither"),
    }


@dataclass(frozen=True, slots=True)
class _Facts:
    """What rows of one judge step are read with.

    persona_ids    of each persona that is asked, by its row
    items          item_id, options and neither of each item that is asked about, by its row
    """

    readout: Readout
    names: tuple[str, ...]  # fields of `p`
    n_extra: int  # of them, the answers offered besides the options
    persona_ids: Mapping[int, str]
    items: Mapping[int, tuple[str, list[str], int | None]]

    def read(self, batch: list[Presentation], requests: list[Request], responses: list[Response]) -> Sequence[Reading]:
        """Each response by itself, with the option beside each slot."""
        readings = []
        for one, request, response in zip(batch, requests, responses, strict=True):
            _, options, neither = self.items[one.item]
            places = shown(one.order, len(options), neither)
            readings.append(read(response, request.choices, self.readout, [options[place] for place in places]))
        return readings


def _row(one: Presentation, request: Request, response: Response, reading: Reading, facts: _Facts) -> tuple[Any, ...]:
    """One reading as a row: what was read in a slot becomes the option that stood there."""
    item_id, options, neither = facts.items[one.item]
    k = len(options)
    places = shown(one.order, k, neither)
    choice = slot = None
    status = reading.status
    if reading.symbol is not None and reading.symbol in LETTERS:
        option = places[LETTERS.index(reading.symbol)]
        choice = LETTERS[option]
        slot = reading.symbol if facts.readout != "likelihood" else None
        status = "na" if option == neither else status
    p = None
    if reading.p is not None:
        absent = [None] * (len(facts.names) - facts.n_extra - k)
        of_options = by_option(one.order, k, neither, reading.p[:k])
        p = dict(zip(facts.names, (*of_options, *absent, *reading.p[k:]), strict=True))
    request_id = request.request_id
    ids = facts.persona_ids[one.persona], item_id
    return (
        content_id("jdg", (request_id, *ids, one.order, one.repeat)),
        one.order,
        one.repeat,
        choice,
        slot,
        status,
        p,
        reading.p_read,
        reading.certainty,
        reading.reason,
        method_of(response, reading),
        request_id,
        response.failure,
        None if neither is None else LETTERS[neither],
    )


def method_of(response: Response, reading: Reading) -> str:
    """How the answer was obtained: as it was asked for, unless its probabilities were not to be had or not to be used."""
    if reading.by == "text" and reading.p is not None:
        return response.method.replace("logprobs", "text", 1)
    return response.method
