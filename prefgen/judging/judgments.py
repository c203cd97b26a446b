"""Responses to the rows of the judgments table, and what they add up to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from prefgen.ids import content_id
from prefgen.judging.presentations import LETTERS, by_option, shown
from prefgen.judging.questionnaire import Presentation, Questionnaire
from prefgen.judging.readout import read
from prefgen.records import Readout, Request, Response

RESERVED = frozenset(
    [
        "judgment_id",
        "persona_id",
        "order",
        "repeat",
        "choice",
        "status",
        "slot",
        "p",
        "certainty",
        "readout",
        "model",
        "request_id",
        "failure",
        "control",
        "weight",
        "item_choice",
        "p_choice",
        "order_agreement",
        "repeat_agreement",
        "position_bias",
        "n_presentations",
        "reject_reason",
        "split",
    ]
) | {f"p_{letter}" for letter in LETTERS}
"""Columns of judgments, which therefore no column of the items may be named."""


def to_rows(
    asked: Questionnaire,
    batch: list[Presentation],
    requests: list[Request],
    responses: list[Response],
    *,
    readout: Readout,
    model: str,
) -> pl.DataFrame:
    """The judgments of whole persona x item groups: one row per presentation, in order, without measures.

    `reject_reason` is the status of rows that are no answer (`failed`, `unparsed`, `refusal`), else null.
    """
    letters = asked.letters
    k_of = asked.items["options"].list.len().to_list()
    neither_of = asked.items["neither"].to_list()
    ids = (asked.personas["persona_id"].to_list(), asked.items["item_id"].to_list())
    rows = [
        _row(one, request, response, k_of[one.item], neither_of[one.item], readout, letters, ids)
        for one, request, response in zip(batch, requests, responses, strict=True)
    ]
    frame = pl.DataFrame(rows, schema=_row_schema(letters), orient="row")
    coordinates = [name for name in asked.items.columns if name not in {"item_id", "prompt", "options", "neither"}]
    of_persona = asked.personas.select("persona_id", "control", "weight")
    of_item = asked.items.select("item_id", *coordinates)
    both = pl.concat(
        [
            of_persona.select(pl.all().gather(pl.Series([one.persona for one in batch], dtype=pl.UInt32))),
            of_item.select(pl.all().gather(pl.Series([one.item for one in batch], dtype=pl.UInt32))),
            frame,
        ],
        how="horizontal",
    )
    status = pl.col("status")
    return both.select(
        *("judgment_id", "persona_id", "item_id", "order", "repeat", "choice", "status", "slot", "p", "certainty"),
        "readout",
        pl.lit(model).alias("model"),
        *("request_id", "failure", "control", "weight", "neither"),
        *coordinates,
        pl.when(status.is_in(["failed", "unparsed", "refusal"])).then(status).alias("reject_reason"),
    )


def _row_schema(letters: tuple[str, ...]) -> dict[str, pl.DataType | type[pl.DataType]]:
    return {
        "judgment_id": pl.String,
        "order": pl.String,
        "repeat": pl.Int64,
        "choice": pl.String,
        "slot": pl.String,
        "status": pl.String,
        "p": pl.Struct(dict.fromkeys(letters, pl.Float64)),
        "certainty": pl.Int64,
        "readout": pl.String,
        "request_id": pl.String,
        "failure": pl.String,
        "neither": pl.String,
    }


def _row(
    one: Presentation,
    request: Request,
    response: Response,
    k: int,
    neither: int | None,
    readout: Readout,
    letters: tuple[str, ...],
    ids: tuple[list[str], list[str]],
) -> tuple[Any, ...]:
    """One response as a row: what was read in a slot becomes the option that stood there."""
    reading = read(response, request.choices, readout)
    choice = slot = None
    status = reading.status
    if reading.symbol is not None and reading.symbol in LETTERS:
        place = LETTERS.index(reading.symbol)
        option = shown(one.order, k, neither)[place]
        slot, choice = reading.symbol, LETTERS[option]
        status = "na" if option == neither else status
    p = None
    if reading.p is not None:
        of_options = by_option(one.order, k, neither, reading.p[:k])
        p = dict(zip(letters, (*of_options, *[None] * (len(letters) - k)), strict=True))
    request_id = request.request_id
    judgment_id = content_id("jdg", (request_id, ids[0][one.persona], ids[1][one.item], one.order, one.repeat))
    return (
        judgment_id,
        one.order,
        one.repeat,
        choice,
        slot,
        status,
        p,
        reading.certainty,
        response.method,
        request_id,
        response.failure,
        None if neither is None else LETTERS[neither],
    )


@dataclass(slots=True)
class Tally:
    """Counts over the parts of a judgments table, so that a summary needs no second look at it."""

    judgments: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    readouts: dict[str, int] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, frame: pl.DataFrame) -> None:
        """Count one part."""
        self.judgments += frame.height
        for counted, into in (("status", self.statuses), ("readout", self.readouts)):
            for value, count in frame[counted].value_counts().iter_rows():
                into[value] = into.get(value, 0) + count
        once = frame.unique(["persona_id", "item_id"], keep="first", maintain_order=True)
        numbers = {name: once[name] for name in ("position_bias", "order_agreement", "repeat_agreement")}
        numbers |= {"first_slot_share": frame["slot"] == "A", "certainty_mean": frame["certainty"]}
        for name, column in numbers.items():
            known = column.drop_nulls()
            self.sums[name] = self.sums.get(name, 0.0) + float(known.sum())
            self.counts[name] = self.counts.get(name, 0) + known.len()

    def summary(self) -> dict[str, Any]:
        """For the manifest: counts by status and readout, and the mean of each measure (None = never measured)."""
        means = {name: self.sums[name] / self.counts[name] if self.counts[name] else None for name in self.sums}
        return {
            "judgments": self.judgments,
            "statuses": dict(sorted(self.statuses.items())),
            "readouts": dict(sorted(self.readouts.items())),
            **means,
        }
