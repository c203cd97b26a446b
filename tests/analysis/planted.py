"""A run whose truth is known: personas in blocs, gaps between groups, a judge with a habit, all seeded.

Every table has the columns of a real run, and its measures are made by the same function as a real run's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from prefgen.ids import content_id
from prefgen.judging.aggregate import measured
from prefgen.store.files import write_json
from prefgen.store.folder import RunFolder

GROUPS = {
    "gender": ["men", "women", "non-binary people"],
    "age": ["children", "adults", "elderly people"],
    "minority": ["war refugees", "feminists"],
}
THEMES = {"essentials": ["food", "shelter"], "rewards": ["wages", "bonuses"], "treatment": ["tax", "housing"]}
DIMENSIONS = ["procedural or distributive", "moral or law", "norm or fairness"]


@dataclass(frozen=True)
class Truth:
    """What is planted.

    blocs        per persona the bloc it thinks with; two of one bloc share their opinion on every item
    loyalty      chance that a persona follows its bloc on an item; else it throws its own coin
    lean         per bloc P(A) on an item, before group and dimension
    group_gap    added to P(A) for one group, every persona
    follows      per persona, chance that it answers by slot on an item, choosing the first in every order
    refusals     chance of a refusal, by group
    """

    blocs: dict[str, int] = field(default_factory=lambda: {"ada": 0, "bea": 0, "cyd": 1, "dan": 1, "eve": 2})
    loyalty: float = 0.9
    lean: tuple[float, ...] = (0.7, 0.35, 0.5)
    group_gap: dict[str, float] = field(default_factory=lambda: {"women": -0.15, "war refugees": 0.2})
    follows: dict[str, float] = field(
        default_factory=lambda: {"ada": 0.1, "bea": 0.1, "cyd": 0.3, "dan": 0.1, "eve": 0.1}
    )
    refusals: dict[str, float] = field(default_factory=lambda: {"feminists": 0.3})
    control: bool = True
    extra_topics: int = 0


@dataclass(frozen=True)
class Planted:
    """The tables of a planted run."""

    truth: Truth
    personas: pl.DataFrame
    items: pl.DataFrame
    judgments: pl.DataFrame


def plant(truth: Truth | None = None, *, seed: int = 0, texts: dict[str, str] | None = None) -> Planted:
    """Tables with the truth in them; `texts` replaces a persona's text or adds to an item's prompt ('prompt')."""
    truth = truth or Truth()
    texts = texts or {}
    rng = np.random.default_rng(seed)
    items = _items(truth, texts)
    names = [*truth.blocs, *(["none"] if truth.control else [])]
    personas = pl.DataFrame(
        {
            "persona_id": names,
            "population": "planted",
            "control": [None if name != "none" else "none" for name in names],
            "control_of": pl.Series([None] * len(names), dtype=pl.String),
            "weight": [1.0] * len(names),
            "text": ["" if name == "none" else texts.get(name, f"You are {name}.") for name in names],
        }
    )
    bloc_coin = rng.random((len(truth.lean), items.height))
    parts = [_of_persona(truth, name, items, bloc_coin, rng) for name in names]
    judgments = pl.concat(parts).join(
        personas.select("persona_id", "control", "weight"), on="persona_id", maintain_order="left"
    )
    judgments = judgments.with_columns(neither=pl.lit("C")).join(
        items.drop("prompt", "options", "neither"), on="item_id", maintain_order="left"
    )
    judgments = two_slots(measured(judgments)).with_columns(
        reject_reason=pl.when(pl.col("status").is_in(["refusal", "failed", "unparsed"])).then(pl.col("status"))
    )
    return Planted(truth, personas, items, judgments)


def two_slots(judgments: pl.DataFrame) -> pl.DataFrame:
    """The same with the position bias between the two options that are chosen at all: they swap slots, the third stays in its own.

    Null for a persona and item of which an order was not read, or names the third.
    """
    read = pl.col("slot").is_in(["A", "B"]) & (pl.col("choice") != "C")
    bias = pl.when(read.fill_null(False).all()).then((pl.col("slot") == "A").mean() * 2 - 1)
    return judgments.with_columns(position_bias=bias.over("persona_id", "item_id"))


def filtered(judgments: pl.DataFrame) -> pl.DataFrame:
    """The same rows as a `keep` step leaves them that wants both orders to agree."""
    unsteady = pl.col("reject_reason").is_null() & ~pl.col("order_agreement").fill_null(False)
    return judgments.with_columns(
        reject_reason=pl.when(unsteady).then(pl.lit("order_agreement")).otherwise("reject_reason")
    )


def chance_of_first(truth: Truth, bloc: int, group: str) -> float:
    """Planted P(A) of a bloc's opinion about a group."""
    return truth.lean[bloc] + truth.group_gap.get(group, 0.0)


def _items(truth: Truth, texts: dict[str, str]) -> pl.DataFrame:
    rows = []
    for theme, topics in THEMES.items():
        for topic in [*topics, *(f"{theme} {n}" for n in range(truth.extra_topics))]:
            for kind, groups in GROUPS.items():
                for group in groups:
                    for dimension in DIMENSIONS:
                        for form in ("criterion", "explanation"):
                            rows.append((theme, topic, kind, group, dimension, form))
    names = ("theme", "topic", "group_type", "group", "dimension", "form")
    frame = pl.DataFrame(rows, schema=list(names), orient="row")
    prompts = [
        f"What should decide about {topic} for {group}?{texts.get('prompt', '')}"
        for topic, group in frame.select("topic", "group").iter_rows()
    ]
    options = [
        [f"One way of {d}.", f"The other way of {d}, said at more length.", "Neither of the two."]
        for d in frame["dimension"]
    ]
    ids = [content_id("itm", row) for row in rows]
    return pl.DataFrame({"item_id": ids, "prompt": prompts, "options": options, "neither": [2] * len(rows)}).hstack(
        frame
    )


def _of_persona(
    truth: Truth, name: str, items: pl.DataFrame, bloc_coin: np.ndarray, rng: np.random.Generator
) -> pl.DataFrame:
    n = items.height
    bloc = truth.blocs.get(name, len(truth.lean) - 1)
    loyal = (rng.random(n) < truth.loyalty) & (name != "none")
    coin = np.where(loyal, bloc_coin[bloc], rng.random(n))
    chance = np.array([chance_of_first(truth, bloc, group) for group in items["group"]])
    first = coin < chance
    slotted = rng.random(n) < truth.follows.get(name, 0.1)
    refuses = rng.random(n) < np.array([truth.refusals.get(group, 0.0) for group in items["group"]])
    parts = [_of_order(name, items, order, first, slotted, refuses) for order in ("given", "swapped")]
    place = pl.concat([pl.Series(range(n)), pl.Series(range(n))])
    return pl.concat(parts).with_columns(place.alias("_place")).sort("_place", maintain_order=True).drop("_place")


def _of_order(
    name: str, items: pl.DataFrame, order: str, first: np.ndarray, slotted: np.ndarray, refuses: np.ndarray
) -> pl.DataFrame:
    slot_a = 0 if order == "given" else 1  # the option that stands in slot A
    by_content = np.where(first, 0, 1)
    chosen = np.where(slotted, slot_a, by_content)
    p_first = np.where(first, 0.8, 0.2)
    p_first = np.where(slotted, (0.9 if slot_a == 0 else 0.1) + np.where(first, 0.02, -0.02), p_first)
    p = [{"A": float(a) * 0.98, "B": (1 - float(a)) * 0.98, "C": 0.02} for a in p_first]
    n = items.height
    return pl.DataFrame(
        {
            "judgment_id": [content_id("jdg", (name, item, order)) for item in items["item_id"]],
            "persona_id": [name] * n,
            "item_id": items["item_id"],
            "order": [order] * n,
            "repeat": [0] * n,
            "choice": [None if no else "AB"[c] for c, no in zip(chosen, refuses, strict=True)],
            "status": ["refusal" if no else "ok" for no in refuses],
            "slot": [None if no else ("A" if c == slot_a else "B") for c, no in zip(chosen, refuses, strict=True)],
            "p": pl.Series(
                [None if no else one for one, no in zip(p, refuses, strict=True)],
                dtype=pl.Struct({"A": pl.Float64, "B": pl.Float64, "C": pl.Float64}),
            ),
            "certainty": pl.Series([None] * n, dtype=pl.Int64),
            "readout": ["logprobs"] * n,
            "model": ["planted-judge"] * n,
            "request_id": [content_id("req", (name, item, order)) for item in items["item_id"]],
            "failure": pl.Series([None] * n, dtype=pl.String),
        }
    )


def plant_run(folder: Path, planted: Planted, *, name: str = "planted") -> Path:
    """A run folder that holds the planted tables, filtered, and a manifest."""
    run = RunFolder(folder)
    run.create()
    kept = filtered(planted.judgments)
    tables = {
        "personas": [planted.personas],
        "items": [planted.items],
        "answers": parts_of(planted.judgments),
        "kept": parts_of(kept),
    }
    for step, frames in tables.items():
        run.tables.write(step, frames, fingerprint=step, account=lambda table: {"name": table.name})
    write_json(run.manifest_path, manifest_of(planted, kept, name=name))
    run.pipeline_path.write_text(f"name: {name}\nseed: 7\n", encoding="utf-8")
    return folder


def parts_of(judgments: pl.DataFrame) -> list[pl.DataFrame]:
    """At least two parts, none above the size of real ones, none through the two orders of a persona and item."""
    rows = min(131_072, judgments.height // 4 * 2)
    return list(judgments.iter_slices(rows))


def manifest_of(planted: Planted, kept: pl.DataFrame, *, name: str) -> dict[str, Any]:
    """The manifest that a run of these tables would write."""

    def step(step_name: str, kind: str, grain: str, rows_in: int, frame: pl.DataFrame, **more: Any) -> dict[str, Any]:
        dropped = {}
        if "reject_reason" in frame.columns:
            counts = frame.drop_nulls("reject_reason").group_by("reject_reason").len().sort("reject_reason")
            dropped = dict(counts.iter_rows())
        none = {"planned": 0, "stored": 0, "sent": 0, "answered": 0, "failed": 0, "retries": 0, "throttled": 0}
        return {
            "name": step_name,
            "kind": kind,
            "grain": grain,
            "fingerprint": step_name,
            "model": None,
            "rows_in": rows_in,
            "rows": frame.height,
            "kept": frame.height - sum(dropped.values()),
            "dropped": dropped,
            "requests": none,
            "tokens": {"prompt": 0, "cached": 0, "completion": 0},
            "cost_usd": None,
            "seconds": 1.0,
            "summary": {},
            **more,
        }

    n = planted.judgments.height
    asked = {"planned": n, "stored": 0, "sent": n, "answered": n, "failed": 0, "retries": 0, "throttled": 0}
    draw = {
        "population": "planted",
        "source": "a seeded generator, no people",
        "n": planted.personas.height,
        "audit": [],
    }
    return {
        "format": 1,
        "prefgen": "0.1.0",
        "name": name,
        "fingerprint": "planted",
        "seed": 7,
        "status": "finished",
        "started": "2026-11-21T12:00:00Z",
        "seconds": 4.0,
        "versions": {"python": "3.11", "polars": "2.1.0"},
        "models": {"judge": {"engine": "replay", "model": "planted-judge"}},
        "publish": {"exports": ["judgments"], "license": "other", "shard_mb": 256},
        "steps": [
            step("personas", "draw", "personas", 0, planted.personas, summary=draw),
            step("items", "table", "items", 0, planted.items),
            step(
                "answers",
                "judge",
                "judgments",
                planted.items.height * planted.personas.height,
                planted.judgments,
                reads=[["items", "items"], ["as", "personas"]],
                model="judge",
                requests=asked,
                tokens={"prompt": n * 200, "cached": n * 150, "completion": n},
                cost_usd=0.12,
            ),
            step("kept", "keep", "judgments", n, kept, reads=[["keep", "answers"]]),
        ],
        "gates": [{"step": "kept", "gate": "min_yield", "wanted": 0.5, "found": 0.8, "passed": True}],
        "configs": [
            {
                "name": "judgments",
                "preset": "judgments",
                "grain": "judgments",
                "step": "kept",
                "steps": ["kept"],
                "splits": {"train": kept.height},
            }
        ],
        "files": [
            {
                "path": "data/judgments/train-00000-of-00001.parquet",
                "bytes": 1234567,
                "sha256": "0" * 64,
                "rows": kept.height,
            }
        ],
    }
