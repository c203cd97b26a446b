"""A small finished dataset, made without a model: what the exports and the card are tried on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from prefgen.judging.aggregate import measured
from prefgen.judging.pairs import pairs
from prefgen.judging.presentations import by_option, shown
from prefgen.publish.card import write_card
from prefgen.publish.exports.write import write_exports
from prefgen.seeds import unit_for
from prefgen.spec.pipeline import Pipeline
from prefgen.spec.reading import load_pipeline
from prefgen.steps import KINDS, kind
from prefgen.store.files import write_json
from prefgen.store.folder import RunFolder
from prefgen.store.manifest import file_entries, step_account, write_resolved
from prefgen.store.table import Table

GRAINS = {"people": "personas", "questions": "items", "answers": "judgments", "kept": "judgments"}

_YAML = """
name: town
seed: 3
models: {{judge: {{engine: replay, model: tiny, responses: responses.sqlite}}}}
steps:
  people: {{draw: people.yaml, controls: [none]}}
  questions: {{table: [{{prompt: "Which?", options: ["yes", "no"]}}]}}
  answers: {{judge: pick, items: questions, as: people, model: judge}}
  kept: {{keep: answers, where: "p_choice >= 0.6"}}
{more}
publish: {{exports: [{exports}], license: cc-by-4.0}}
"""

_PEOPLE = 'population: town\nportraits:\n  - {id: ann, share: 0.5, text: "You are Ann."}\n  - {id: bob, share: 0.5, text: "You are Bob."}\n'


def pipeline_in(folder: Path, *, exports: str = "judgments, dpo", more: str = "") -> Pipeline:
    """A pipeline of people, questions, answers and kept answers."""
    (folder / "people.yaml").write_text(_PEOPLE)
    (folder / "town.yaml").write_text(_YAML.format(exports=exports, more=more))
    return load_pipeline(folder / "town.yaml", kinds=KINDS, spec_of=kind)


def people(n: int = 4) -> pl.DataFrame:
    """`n` people and the control `none` of the first."""
    names = [f"per-{k}" for k in range(n)]
    return pl.DataFrame(
        {
            "persona_id": [*names, "per-0-none"],
            "population": ["town"] * (n + 1),
            "control": [None] * n + ["none"],
            "control_of": [None] * n + ["per-0"],
            "weight": [1.0] * (n + 1),
            "age": [20 + k for k in range(n)] + [None],
            "text": [f"You are person {k}, and {'kind' if k % 2 else 'stern'}." for k in range(n)] + [""],
        }
    )


def questions(n: int = 6, columns: Mapping[str, Any] | None = None) -> pl.DataFrame:
    """`n` items: two options, or three with one that means neither; `columns` stand behind the others."""
    three = [k % 3 == 2 for k in range(n)]
    items = pl.DataFrame(
        {
            "item_id": [f"itm-{k}" for k in range(n)],
            "prompt": [f"Question {k}: which is fairer?" for k in range(n)],
            "options": [["by need", "by merit", "neither"] if long else ["by need", "by merit"] for long in three],
            "neither": [2 if long else None for long in three],
            "topic": [f"topic {k % 2}" for k in range(n)],
        },
        schema_overrides={"neither": pl.Int64},
    )
    more = [pl.Series(values).alias(name) for name, values in (columns or {}).items()]
    return items.hstack(more)


def judgments(
    personas: pl.DataFrame, items: pl.DataFrame, *, orders: tuple[str, ...] = ("given", "swapped")
) -> pl.DataFrame:
    """Every persona on every item in every order, answered by a number that belongs to both names."""
    rows = []
    for persona in personas.iter_rows(named=True):
        for item in items.iter_rows(named=True):
            for order in orders:
                rows.append(_judged(persona, item, order))
    letters = {"A": pl.Float64, "B": pl.Float64, "C": pl.Float64}
    frame = pl.DataFrame(
        rows,
        infer_schema_length=None,
        schema_overrides={
            "p": pl.Struct(letters),
            "certainty": pl.Int64,
            "failure": pl.String,
            "reject_reason": pl.String,
            "neither": pl.String,
            "control": pl.String,
        },
    )
    last = frame.drop("reject_reason").columns
    place = {name: k for k, name in enumerate(items["item_id"])}
    more = items.drop([name for name in items.columns if name in {*frame.columns, "prompt", "options"}])
    reasons = frame["reject_reason"]
    wide = frame.select(last).hstack(more[[place[name] for name in frame["item_id"]]]).hstack([reasons])
    made = measured(wide)
    return made.drop("reject_reason").hstack([reasons])


def _judged(persona: Mapping[str, object], item: Mapping[str, object], order: str) -> dict[str, object]:
    k, neither = len(item["options"]), item["neither"]  # type: ignore[arg-type]
    first = unit_for(7, str(persona["persona_id"]), str(item["item_id"]))
    by_slot = [0.05] * k
    options = shown(order, k, neither)  # type: ignore[arg-type]
    by_slot[options.index(0)], by_slot[options.index(1)] = 0.1 + 0.8 * first, 0.1 + 0.8 * (1 - first)
    p = by_option(order, k, neither, by_slot)  # type: ignore[arg-type]
    p = [x / sum(p) for x in p]
    choice = max(range(k), key=lambda option: p[option])
    failed = first < 0.04
    return {
        "judgment_id": f"{persona['persona_id']}|{item['item_id']}|{order}",
        "persona_id": persona["persona_id"],
        "item_id": item["item_id"],
        "order": order,
        "repeat": 0,
        "choice": None if failed else "ABC"[choice],
        "status": "failed" if failed else "ok",
        "slot": None if failed else "ABC"[options.index(choice)],
        "p": None if failed else dict(zip("ABC", [*p, None], strict=False)),
        "certainty": None,
        "readout": "logprobs",
        "model": "tiny",
        "request_id": f"req-{persona['persona_id']}-{item['item_id']}-{order}",
        "failure": "HTTP 400" if failed else None,
        "control": persona["control"],
        "weight": persona["weight"],
        "neither": None if neither is None else "ABC"[neither],  # type: ignore[index]
        "topic": item["topic"],
        "reject_reason": "failed" if failed else None,
    }


def kept(answers: pl.DataFrame, least: float = 0.6) -> pl.DataFrame:
    """The same rows, unsure ones marked."""
    reason = pl.when(pl.col("p_choice") < least).then(pl.lit("unsure"))
    return answers.with_columns(reject_reason=pl.coalesce("reject_reason", reason))


def tables(
    n_people: int = 4,
    n_items: int = 6,
    *,
    least: float = 0.6,
    with_pairs: bool = False,
    columns: Mapping[str, Any] | None = None,
) -> dict[str, Table]:
    """The tables of `pipeline_in`, judgments in several parts."""
    personas, items = people(n_people), questions(n_items, columns)
    answers = judgments(personas, items)
    parts = [answers.filter(pl.col("persona_id") == name) for name in personas["persona_id"]]
    made = {
        "people": Table.of("people", [personas]),
        "questions": Table.of("questions", [items]),
        "answers": Table.of("answers", parts),
        "kept": Table.of("kept", [kept(part, least) for part in parts]),
    }
    if with_pairs:
        split = pl.when(pl.col("item_id") == "itm-0").then(pl.lit("test")).otherwise(pl.lit("train")).alias("split")
        made["pairs"] = Table.of("pairs", [pairs(part, items).with_columns(split) for part in made["kept"].frames()])
    return made


def run_in(
    folder: Path,
    *,
    exports: str = "dpo, judgments, preferences",
    least: float = 0.6,
    n_people: int = 4,
    n_items: int = 6,
    offset: int = 0,
    says: str = "",
    columns: Mapping[str, Any] | None = None,
) -> RunFolder:
    """A finished run folder: tables, data, manifest and card, as `prefgen run` leaves them.

    offset    people are numbered from here, so that two runs have different ones
    says      begins every portrait, so that two runs have different people with the same ids
    """
    folder.mkdir(parents=True, exist_ok=True)
    pipeline = pipeline_in(folder, exports=exports)
    run = RunFolder(folder / "run")
    run.create()
    accounts = []
    kinds = {"people": "draw", "questions": "table", "answers": "judge", "kept": "keep"}
    renamed = pl.col("^(persona|judgment)_id$").str.replace("per-", f"per-{offset}-" if offset else "per-")
    for name, table in tables(n_people, n_items, least=least, columns=columns).items():
        frames = [frame.with_columns(renamed) if "persona_id" in frame.columns else frame for frame in table.frames()]
        if says and "judgment_id" in frames[0].columns:  # a judgment's id is the hash of all that was asked
            frames = [frame.with_columns(judgment_id=pl.lit(says) + pl.col("judgment_id")) for frame in frames]
        if says and name == "people":
            portrait = pl.when(pl.col("text") != "").then(pl.lit(says) + pl.col("text")).otherwise(pl.lit(""))
            frames = [frame.with_columns(text=portrait) for frame in frames]
        account = _account(name, kinds[name], Table.of(name, frames))
        run.tables.write(name, iter(frames), fingerprint=name, account=lambda _, account=account: account)
        accounts.append(account | {"reads": pipeline.steps[name].reads()})
    configs = write_exports(pipeline, {name: run.table(name) for name in kinds}, GRAINS, run.data)
    write_resolved(pipeline, run)
    manifest = {
        "format": 1,
        "prefgen": "0.1.0",
        "name": "town",
        "fingerprint": f"run-{offset}",
        "seed": 3,
        "status": "finished",
        "started": "2026-11-21T11:59:59+00:00",
        "finished": "2026-11-21T12:00:00+00:00",
        "publish": pipeline.publish.model_dump(mode="json"),
        "seconds": 1.0,
        "models": {"judge": {"engine": "replay", "model": "tiny"}},
        "versions": {"polars": "2.1.0"},
        "steps": accounts,
        "gates": [],
        "configs": configs,
        "files": file_entries(run, [*run.data.rglob("*.parquet"), run.pipeline_path]),
    }
    write_card(run, manifest)
    write_json(run.manifest_path, manifest)
    return run


def _account(name: str, kind: str, table: Table) -> dict[str, object]:
    summaries = {
        "people": {
            "population": "town",
            "source": ["town survey 2025, table 3"],
            "n": table.n_rows - 1,
            "effective_n": 4.0,
            "audit": [{"table": "age", "cells": 4, "total_variation": 0.01, "largest_count_error": 0.5}],
        },
        "answers": {
            "position_bias": {"value": 0.25, "low": 0.1, "high": 0.4, "n": 6},
            "order_agreement": 0.7,
            "repeat_agreement": None,
            "first_slot": {"value": 0.62, "low": 0.5, "high": 0.7, "n": 6},
            "p_read": 0.93,
            "notes": ["orders do not balance"],
            "example": [
                ["system", "You are person 0, and stern."],
                ["user", "Question 0: which is fairer?\n\nA) by need"],
                ["assistant", "Answer:"],
            ],
            "statuses": {"ok": table.n_rows},
            "readouts": {"logprobs": table.n_rows},
        },
    }
    return step_account(
        name=name,
        kind=kind,
        grain=GRAINS[name],
        fingerprint=name,
        rows_in=0,
        table=table,
        summary=summaries.get(name, {}),
        models=["judge"] if kind == "judge" else [],
        asked={},
        seconds=0.5,
    )
