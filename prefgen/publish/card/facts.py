"""What the card says about a run, gathered from its manifest, its pipeline and its data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from prefgen.errors import FileError
from prefgen.publish.card.markdown import shown_row
from prefgen.publish.configs import main_config
from prefgen.publish.public import public_pipeline, text_of_run
from prefgen.store.finished import Lineage, finished
from prefgen.store.folder import RunFolder, read_of_run
from prefgen.store.leakage import Leakage, near_duplicate_leakage, question_texts, shared_ids


@dataclass(frozen=True, slots=True)
class NoPersona:
    """The control without a persona, against the drawn people.

    asked          items that it was asked about
    compared       choices of people on items where it made a choice too
    same_choice    share of those that are its choice as well, 0 to 1; None where there are none
    """

    asked: int
    compared: int
    same_choice: float | None


@dataclass(frozen=True, slots=True)
class Parted:
    """What the splits of a config let through.

    people, items    how many of `test` stand in `train` as well; 0 where they are held out, None where there are none
    texts            questions that are nearly the same on both sides; None where that was not measured
    """

    config: str
    people: int | None
    items: int | None
    texts: Leakage | None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that stands in a card and is not in the manifest.

    schemas      of each config
    examples     three real rows of the config that is shown first, as JSON
    prompt       the first request for a person, every message as it was sent; None where there was none
    calibration  figures of calibration.json, where it is of this run: its verdict, what is said of it in
                 sentences, and whose judgments
    analyses     (name, sentences) of what the pipeline asked to be found, where report.json of this run has it
    """

    schemas: Mapping[str, pa.Schema]
    examples: tuple[str, ...]
    pipeline: str
    no_persona: NoPersona | None
    parted: Parted | None
    prompt: str | None = None
    calibration: Mapping[str, Any] | None = None
    analyses: tuple[tuple[str, tuple[str, ...]], ...] = ()


def gather(folder: RunFolder, manifest: Mapping[str, Any]) -> Facts:
    """The facts of a run folder whose data are written."""
    files: dict[str, list[Mapping[str, Any]]] = {}
    for file in manifest["files"]:
        parts = file["path"].split("/")
        if parts[0] == "data" and len(parts) == 3:
            files.setdefault(parts[1], []).append(file)
    try:
        schemas = {name: pq.read_schema(folder.path / entries[0]["path"]) for name, entries in files.items()}
        pipeline = public_pipeline(text_of_run(folder.pipeline_path))
    except OSError as error:
        raise FileError(f"{error.filename}: {error.strerror}", fix="run the pipeline again") from None
    shown = main_config(manifest)
    return Facts(
        schemas=schemas,
        examples=_examples(folder, files[shown]) if shown is not None else (),
        pipeline=pipeline,
        no_persona=_no_persona(folder, manifest),
        parted=_parted(folder, manifest),
        prompt=_prompt(manifest),
        calibration=_calibration(folder, manifest),
        analyses=_analyses(folder, manifest),
    )


def judge_settings(pipeline: str) -> list[dict[str, Any]]:
    """Every judge step as written: step, model, orders, repeats, readout."""
    steps = (yaml.safe_load(pipeline) or {}).get("steps") or {}
    return [{"step": name, **step} for name, step in steps.items() if isinstance(step, dict) and "judge" in step]


def _examples(folder: RunFolder, files: list[Mapping[str, Any]]) -> tuple[str, ...]:
    """The first, a middle and a last row, so that they are not three of one persona."""
    rows = sum(file["rows"] or 0 for file in files)
    scanned = pl.scan_parquet([folder.path / file["path"] for file in files])
    places = dict.fromkeys([0, rows // 2, rows - 1]) if rows else {}
    return tuple(shown_row(scanned.slice(place, 1).collect().row(0, named=True)) for place in places)


def _parted(folder: RunFolder, manifest: Mapping[str, Any]) -> Parted | None:
    """Of the first config that has a split besides `train` (the splits of one run agree)."""
    for config in manifest["configs"]:
        if not {"train", "test"} <= set(config["splits"]) or config["preset"] == "battle":
            continue  # battles name people and questions otherwise; another config has the same splits
        scans = {
            split: pl.scan_parquet(folder.data / config["name"] / f"{split}-*.parquet") for split in config["splits"]
        }
        names = scans["train"].collect_schema().names()
        ids = [name for name in ("persona_id", "item_id") if name in names]
        parts = [scan.select(*ids, split=pl.lit(split)).unique() for split, scan in scans.items()]
        rows = pl.concat(parts).collect(engine="streaming")
        shared = {name: shared_ids(rows, name) for name in ids}
        summaries = [step["summary"] for step in manifest["steps"] if step["name"] == config["step"]]
        texts = Leakage.of_summary(summaries[0]) if summaries else None
        if texts is None and "item_id" in ids and (folder.data / "items").is_dir():
            items = pl.read_parquet(folder.data / "items" / "*.parquet", columns=["item_id", "prompt", "options"])
            parted = rows.select("item_id", "split").unique().sort("item_id", "split")
            texts = near_duplicate_leakage(parted.join(question_texts(items), on="item_id", how="inner"))
        return Parted(config["name"], shared.get("persona_id"), shared.get("item_id"), texts)
    return None


def _prompt(manifest: Mapping[str, Any]) -> str | None:
    """What the judge step of the run's judgments keeps of the first request for a person."""
    judge = Lineage.of_manifest(manifest).judge
    summaries = [step["summary"] for step in manifest["steps"] if step["name"] == judge]
    messages = summaries[0].get("example") if summaries else None
    return "\n\n".join(f"[{role}]\n{text}" for role, text in messages) if messages else None


def _calibration(folder: RunFolder, manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        found = read_of_run(folder.calibration_path, manifest)
    except FileError:  # the card is of the data; the report complains of the file
        return None
    if found is None or "verdict" not in found["figures"]:
        return None
    return {**found["figures"], "judgments": found.get("judgments")}


def _analyses(folder: RunFolder, manifest: Mapping[str, Any]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    try:
        found = read_of_run(folder.findings_path, manifest) if manifest.get("analyse") else None
    except FileError:  # as of a calibration
        found = None
    return tuple((one["name"], tuple(one["said"])) for one in (found or {}).get("analyses", ()) if one["said"])


def _no_persona(folder: RunFolder, manifest: Mapping[str, Any]) -> NoPersona | None:
    table = finished(folder, manifest).judgments
    if table is None or not {"control", "item_choice", "n_presentations"} <= set(table.schema):
        return None
    share = 1 / pl.col("n_presentations")  # so that a choice counts once, however often it was asked
    rows = table.scan().select("item_id", "control", "item_choice", share=share)
    nobody = rows.filter(pl.col("control") == "none").unique("item_id").select("item_id", nobody="item_choice")
    people = rows.filter(pl.col("control").is_null()).join(nobody, on="item_id").drop_nulls(["item_choice", "nobody"])
    same = pl.col("share").filter(pl.col("item_choice") == pl.col("nobody")).sum()
    found = people.select(same.alias("same"), pl.col("share").sum().alias("n")).collect(engine="streaming")
    asked = nobody.select(pl.len()).collect(engine="streaming").item()
    n_same, n = found.row(0)
    return NoPersona(asked, round(n), n_same / n if n else None) if asked else None
