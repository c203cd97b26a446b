"""Judgments to read in full: the same ones every time, spread over personas, the silent ones among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from prefgen.judging.aggregate import preferences
from prefgen.judging.presentations import shown
from prefgen.publish.public import public_rows
from prefgen.publish.report.words import Record, decimal, percent
from prefgen.schemas import ITEMS, LETTERS, coordinates
from prefgen.seeds import rng_for
from prefgen.store.finished import finished
from prefgen.store.folder import RunFolder
from prefgen.store.table import Table

TO_READ = 10
MOST = 60
_OF_EACH_STATUS = 2
MOST_CHARS = 12_000
"""Characters of one text; what is longer is cut and says so."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option as a reader sees it; `p` None where no probability was read."""

    letter: str
    text: str
    p: float | None
    chosen: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """One presentation: the letters of the options from the first slot to the last, and what was made of the answer."""

    order: str
    repeat: int
    slots: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One persona on one item, whole.

    coordinates    the item's other columns
    kept           None when kept, else the reason
    """

    persona_id: str
    control: str | None
    text: str
    item_id: str
    prompt: str
    options: tuple[Option, ...]
    presentations: tuple[Shown, ...]
    choice: str | None
    status: str
    dropped: str | None
    p_choice: str
    coordinates: Mapping[str, str]
    model: str


def read_judgments(folder: RunFolder, manifest: Record, *, most: int = MOST) -> list[Reading]:
    """At most `most` readings, the first TO_READ of them from as many personas as there are.

    One judgment is drawn from each of `most` equal stretches of the table, by the run's seed; two more of every status
    that is not an answer. Reads a few columns, then only the rows drawn.
    """
    run = finished(folder, manifest)
    judgments, items, personas = run.judgments, run.items, run.personas
    if judgments is None or items is None or personas is None or not judgments.n_rows:
        return []
    keys = _drawn(judgments, most, seed=int(manifest["seed"]))
    asked = items.scan().filter(pl.col("item_id").is_in(keys["item_id"].unique().to_list())).collect()
    people = personas.scan().filter(pl.col("persona_id").is_in(keys["persona_id"].unique().to_list())).collect()
    rows = public_rows(_rows_of(judgments, keys))
    answers = {(row["persona_id"], row["item_id"]): row for row in preferences(rows).iter_rows(named=True)}
    groups = dict(rows.group_by("persona_id", "item_id", maintain_order=True))
    by_item = {row["item_id"]: row for row in asked.iter_rows(named=True)}
    by_person = {row["persona_id"]: row for row in people.iter_rows(named=True)}
    readings = [
        _reading(answers[key], groups[key], by_item[key[1]], by_person[key[0]])
        for key in keys.iter_rows()
        if key in answers and key[1] in by_item and key[0] in by_person
    ]
    return _spread(readings)


def _drawn(judgments: Table, most: int, *, seed: int) -> pl.DataFrame:
    """(persona_id, item_id) of the judgments drawn, each once, in the order of the table."""
    rng = rng_for(seed, "report", "readings")
    n, take = judgments.n_rows, min(most, judgments.n_rows)
    wanted = sorted({int(n * (stretch + rng.random()) / take) for stretch in range(take)})
    found, start = [], 0
    silent: dict[str, int] = {}
    for part in judgments.parts:
        rows = part.select("persona_id", "item_id", "status").collect()
        here = [at - start for at in wanted if start <= at < start + rows.height]
        for status in ("refusal", "unparsed", "tie", "failed", "na"):
            short = _OF_EACH_STATUS - silent.get(status, 0)
            more = rows["status"].eq(status).arg_true().head(short).to_list() if short > 0 else []
            silent[status] = silent.get(status, 0) + len(more)
            here += more
        found.append(rows[sorted(set(here))].select("persona_id", "item_id"))
        start += rows.height
    return pl.concat(found).unique(maintain_order=True)


def _rows_of(judgments: Table, keys: pl.DataFrame) -> pl.DataFrame:
    parts = [part.join(keys.lazy(), on=["persona_id", "item_id"], how="semi").collect() for part in judgments.parts]
    return pl.concat([part for part in parts if part.height])


def _reading(answer: Record, rows: pl.DataFrame, item: Record, persona: Record) -> Reading:
    options, neither = item["options"], item.get("neither")
    choice = answer["choice"]
    return Reading(
        persona_id=answer["persona_id"],
        control=answer["control"],
        text=cut(persona["text"] or ""),
        item_id=answer["item_id"],
        prompt=cut(item["prompt"]),
        options=tuple(
            Option(letter, cut(text), answer.get(f"p_{letter}"), letter == choice)
            for letter, text in zip(LETTERS, options, strict=False)
        ),
        presentations=tuple(_shown(row, len(options), neither) for row in rows.iter_rows(named=True)),
        choice=choice,
        status=answer["status"],
        dropped=answer["reject_reason"],
        p_choice=decimal(answer["p_choice"]),
        coordinates={name: str(item[name]) for name in coordinates(item, ITEMS) if _short(item[name])},
        model=str(rows["model"][0]) if "model" in rows.columns else "",
    )


def _short(value: Any) -> bool:
    return isinstance(value, str | int | bool) and len(str(value)) <= 120


def _shown(row: Record, k: int, neither: int | None) -> Shown:
    slots = " ".join(LETTERS[option] for option in shown(row["order"], k, neither))
    if row["choice"] is None:
        verdict = row["status"] + (f": {row['failure']}" if row.get("failure") else "")
    else:
        p = (row["p"] or {}).get(row["choice"])
        sure = f", certainty {row['certainty']}" if row.get("certainty") is not None else ""
        slot = f"slot {row['slot']}, which is " if row["slot"] is not None else ""
        verdict = f"{slot}option {row['choice']}" + (f" ({percent(p)})" if p is not None else "") + sure
    return Shown(row["order"], row["repeat"], slots, cut(verdict, 400))


def cut(text: str, most: int = MOST_CHARS) -> str:
    """Text up to `most` characters, saying how much is left out."""
    return text if len(text) <= most else f"{text[:most]} … ({len(text) - most:,} more characters)"


def _spread(readings: Sequence[Reading]) -> list[Reading]:
    """Round robin over personas, each persona's own in their order."""
    queues: dict[str, list[Reading]] = {}
    for one in readings:
        queues.setdefault(one.persona_id, []).append(one)
    rounds = max((len(queue) for queue in queues.values()), default=0)
    # Another place of its queue for each persona, so that the first round is not the first item for everybody.
    for turn, queue in enumerate(queues.values()):
        queue[:] = queue[turn % len(queue) :] + queue[: turn % len(queue)]
    return [queue[place] for place in range(rounds) for queue in queues.values() if place < len(queue)]
